/** `--for 55s --every 10s`: when runs begin, when they end, and what they say together. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { again, paceOf, type Repeated } from '../../lib/cli/again.ts';
import { EXIT, FailedError, InputError, LockedError, type ExitCode } from '../../lib/errors.ts';
import { VirtualClock } from '../../lib/lab/virtual-clock.ts';

const PACE = { forMs: 55_000, everyMs: 10_000 };

interface Played {
  /** Seconds since the first at which runs began. */
  readonly at: readonly number[];
  readonly code: ExitCode;
  readonly tookMs: number;
  readonly failures: readonly string[];
}

/** Plays runs that each take a while and end with a code, or throw. */
async function play(
  runs: readonly (readonly [ms: number, end: ExitCode | Error | Repeated])[],
  stopAfterMs?: number,
): Promise<Played> {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const begun = clock.now();
  const at: number[] = [];
  const failures: string[] = [];
  if (stopAfterMs !== undefined) void clock.sleep(stopAfterMs).then(() => stop.abort(new Error('SIGTERM')));
  const done = again(
    PACE,
    { clock, signal: stop.signal, failed: (error) => failures.push(error.message) },
    async () => {
      const [ms, end] = runs[at.length] ?? runs.at(-1) ?? [0, EXIT.ok];
      at.push((clock.now() - begun) / 1000);
      await clock.sleep(ms, stop.signal);
      if (end instanceof Error) throw end;
      return typeof end === 'number' ? { code: end, last: false } : end;
    },
  );
  const code = await clock.run(done);
  return { at, code, tookMs: clock.now() - begun, failures };
}

test('runs begin in step, leave out the beats that they miss, and all are over in time', async () => {
  assert.deepEqual((await play([[2000, EXIT.ok]])).at, [0, 10, 20, 30, 40, 50]);
  // By the longest so far, the one at 50 s would not be over at 55 s.
  assert.deepEqual((await play([[6000, EXIT.ok]])).at, [0, 10, 20, 30, 40]);
  const missed = await play([
    [12_000, EXIT.ok],
    [1000, EXIT.ok],
  ]);
  assert.deepEqual(missed.at, [0, 20, 30, 40]);
  assert.ok(missed.tookMs <= 55_000);
  // A restore of half an hour: it is the last, and the next call of cron goes on with the others.
  assert.deepEqual((await play([[1_800_000, EXIT.ok]])).at, [0]);
});

test('the exit code is the most telling of all', async () => {
  const coded = async (...codes: ExitCode[]): Promise<ExitCode> =>
    (await play([...codes, ...Array<ExitCode>(6).fill(codes.at(-1) ?? EXIT.ok)].map((code) => [0, code])))
      .code;
  assert.equal(await coded(EXIT.ok), EXIT.ok);
  assert.equal(await coded(EXIT.unhealthy, EXIT.ok), EXIT.unhealthy);
  assert.equal(await coded(EXIT.unhealthy, EXIT.blocked, EXIT.inconclusive, EXIT.ok), EXIT.blocked);
  assert.equal(await coded(EXIT.blocked, EXIT.failed, EXIT.ok), EXIT.failed);
  assert.equal(await coded(EXIT.locked, EXIT.ok), EXIT.ok);
  assert.equal(await coded(EXIT.locked), EXIT.locked);
});

test('a run that fails is said and does not keep the next from being tried; a bad inventory ends it', async () => {
  const failed = await play([
    [0, new LockedError('another run holds the lock')],
    [0, new FailedError('the disk is full')],
    [0, EXIT.ok],
  ]);
  assert.deepEqual([failed.at.length, failed.code], [6, EXIT.failed]);
  assert.deepEqual(failed.failures, ['another run holds the lock', 'the disk is full']);
  await assert.rejects(play([[0, new InputError('home.yaml:3:1: no')]]), /home\.yaml/);
  await assert.rejects(play([[0, new TypeError('a bug')]]), /a bug/);
});

test('after one that has handed over an operation there is no other: its leases are let go by the end of the process', async () => {
  const { at, code } = await play([
    [0, EXIT.ok],
    [0, { code: EXIT.unhealthy, last: true }],
  ]);
  assert.deepEqual([at, code], [[0, 10], EXIT.unhealthy]);
});

test('SIGTERM ends it at once: between runs with their code, during one with its error', async () => {
  const between = await play([[1000, EXIT.unhealthy]], 15_000);
  assert.deepEqual([between.at, between.code, between.tookMs], [[0, 10], EXIT.unhealthy, 15_000]);
  await assert.rejects(play([[5000, EXIT.ok]], 12_000), /SIGTERM/);
});

test('the flags go together', () => {
  assert.equal(paceOf({}), null);
  assert.deepEqual(paceOf({ for: '55s', every: '10s' }), PACE);
  for (const [flags, says] of [
    [{ for: '55s' }, /go together/],
    [{ every: '10s' }, /go together/],
    [{ for: '10s', every: '55s' }, /longer than/],
    [{ for: '55s', every: '1ms' }, /less than a second/],
    [{ for: '60d', every: '30d' }, /longer than an hour/],
    [{ for: '55', every: '10s' }, /--for 55 is not a duration/],
  ] as const)
    assert.throws(() => paceOf(flags), says);
});
