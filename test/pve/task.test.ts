import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PveError } from '../../lib/errors.ts';
import type { PveApi } from '../../lib/pve/api.ts';
import { createdArchive, decisiveLine, waitForTask } from '../../lib/pve/task.ts';
import { jumpingClock, UPID } from './harness.ts';

/** A task that runs for `runs` questions, then ends so; `log` is complete from the first question on. */
function fakeApi(
  runs: number,
  exitstatus: string,
  log: readonly string[] = [],
  trouble: (poll: number) => Error | null = () => null,
) {
  let polls = 0;
  const api: Pick<PveApi, 'taskStatus' | 'taskLog'> = {
    taskStatus(upid) {
      const error = trouble(++polls);
      if (error !== null) return Promise.reject(error);
      const running = polls <= runs;
      return Promise.resolve({ upid, node: 'pve1', running, exitstatus: running ? null : exitstatus });
    },
    // One more line per question.
    taskLog: (_upid, options) =>
      Promise.resolve(log.slice(options?.start ?? 0, polls > runs ? undefined : polls)),
  };
  return { api, polls: () => polls };
}
const silence = () => new PveError('connection refused', { outcome: 'not-sent' });

async function failure(promise: Promise<unknown>): Promise<PveError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert(error instanceof PveError, String(error));
  return error;
}

test('the end is noticed late by little of its length, at most 5 s; log lines come once and in order', async () => {
  const clock = jumpingClock();
  const { api } = fakeApi(250, 'OK', ['a', 'b', 'c', 'TASK OK']);
  const lines: string[] = [];
  const result = await waitForTask(api, UPID, {
    clock,
    limitMs: 3_600_000,
    onLog: (more) => lines.push(...more),
  });
  assert.deepEqual(result, { exitstatus: 'OK', log: ['a', 'b', 'c', 'TASK OK'] });
  assert.deepEqual(lines, ['a', 'b', 'c', 'TASK OK']);
  assert.equal(clock.slept[0], 100);
  assert.equal(clock.slept.at(-1), 5000);
  let elapsed = 0;
  for (const pause of clock.slept) {
    assert(pause <= Math.max(100, elapsed / 30), `${pause} ms after ${elapsed} ms`);
    elapsed += pause;
  }
});

test('warnings are a success', async () => {
  const { api } = fakeApi(0, 'WARNINGS: 2');
  assert.equal(
    (await waitForTask(api, UPID, { clock: jumpingClock(), limitMs: 1000 })).exitstatus,
    'WARNINGS: 2',
  );
});

test('job errors: the ERROR line says why', async () => {
  const { api } = fakeApi(1, 'job errors', [
    "ERROR: Backup of VM 999 failed - unable to find VM '999'",
    'INFO: Failed at 2026',
    'INFO: Backup job finished with errors',
    'TASK ERROR: job errors',
  ]);
  const error = await failure(waitForTask(api, UPID, { clock: jumpingClock(), limitMs: 60_000 }));
  assert.equal(
    error.message,
    "vzdump of CT 101 on pve1 failed: there is no container 999 on that node (Backup of VM 999 failed - unable to find VM '999')",
  );
  assert.equal(error.outcome, 'refused');
});

test('a privilege that only the task found missing: what is lacking, and the command', async () => {
  const line =
    'unable to restore CT 401 - 403 Permission check failed (/sdn/zones/localnetwork/vmbr0, SDN.Use)';
  const { api } = fakeApi(0, line, [`TASK ERROR: ${line}`]);
  const upid = 'UPID:pve2:0000022B:00043D51:6B034DAF:vzrestore:401:proxwarden@pve!cli:';
  const error = await failure(waitForTask(api, upid, { clock: jumpingClock(), limitMs: 60_000 }));
  assert.equal(
    error.message,
    `vzrestore of CT 401 on pve2 failed: ${line}: token proxwarden@pve!cli lacks SDN.Use on /sdn/zones/localnetwork/vmbr0 — pveum acl modify /sdn/zones/localnetwork --users proxwarden@pve --tokens 'proxwarden@pve!cli' --roles PVESDNUser`,
  );
});
test('a task that failed without a log names its exit status', async () => {
  const { api } = fakeApi(0, 'CT is locked (backup)');
  const error = await failure(waitForTask(api, UPID, { clock: jumpingClock(), limitMs: 60_000 }));
  assert.match(
    error.message,
    /^vzdump of CT 101 on pve1 failed: it is locked: .* \(CT is locked \(backup\)\) — .*`pct unlock 101`/,
  );
});

test('a worker that died leaves the outcome open', async () => {
  const { api } = fakeApi(0, 'unexpected status', [
    "ERROR: can't acquire lock '/var/run/vzdump.lock' (wait = 0)",
  ]);
  const error = await failure(waitForTask(api, UPID, { clock: jumpingClock(), limitMs: 60_000 }));
  assert.equal(error.outcome, 'unknown');
  assert.match(error.message, /another backup runs on that node \(can't acquire lock/);
  const silent = fakeApi(0, 'unexpected status', ['INFO: creating archive']).api;
  const killed = await failure(waitForTask(silent, UPID, { clock: jumpingClock(), limitMs: 60_000 }));
  assert.equal(killed.outcome, 'unknown');
  assert.match(killed.message, /its worker died or was killed — INFO: creating archive$/);
});

test('a node that is silent for a while has not lost its task', async () => {
  const { api } = fakeApi(20, 'OK', [], (poll) => (poll > 3 && poll < 12 ? silence() : null));
  assert.equal(
    (await waitForTask(api, UPID, { clock: jumpingClock(), limitMs: 3_600_000 })).exitstatus,
    'OK',
  );
});

test('a node that stays silent: given up after a minute, outcome unknown', async () => {
  const clock = jumpingClock();
  const start = clock.now();
  const { api } = fakeApi(20, 'OK', [], (poll) => (poll > 3 ? silence() : null));
  const error = await failure(waitForTask(api, UPID, { clock, limitMs: 3_600_000 }));
  assert.equal(error.outcome, 'unknown');
  assert.match(error.message, /nothing was heard of it for 6\d s \(connection refused\)/);
  assert(clock.now() - start < 70_000);
});

test('a task that the node does not know: at once, outcome unknown', async () => {
  const { api, polls } = fakeApi(
    5,
    'OK',
    [],
    () => new PveError('upid: no such task', { outcome: 'refused', status: 400 }),
  );
  const error = await failure(waitForTask(api, UPID, { clock: jumpingClock(), limitMs: 60_000 }));
  assert.equal(error.outcome, 'unknown');
  assert.equal(polls(), 1);
});

test('the limit ends the wait, not the task', async () => {
  const clock = jumpingClock();
  const start = clock.now();
  const error = await failure(waitForTask(fakeApi(Infinity, '').api, UPID, { clock, limitMs: 30_000 }));
  assert.match(error.message, /has not ended within 30 s/);
  assert.equal(error.outcome, 'unknown');
  assert.equal(clock.now() - start, 30_000);
});

test('an aborted wait says so', async () => {
  const controller = new AbortController();
  const wait = waitForTask(fakeApi(Infinity, '').api, UPID, {
    clock: jumpingClock(),
    limitMs: 1e9,
    signal: controller.signal,
    onProgress: ({ elapsedMs }) => elapsedMs > 1000 && controller.abort(new Error('SIGTERM')),
  });
  assert.match((await failure(wait)).message, /no longer waited for \(SIGTERM\)/);
});

test('a failing log does not end the wait', async () => {
  const { api } = fakeApi(3, 'OK');
  const mute = { ...api, taskLog: () => Promise.reject(new PveError('no', { outcome: 'refused' })) };
  const silent: (string | null)[] = [];
  await waitForTask(mute, UPID, {
    clock: jumpingClock(),
    limitMs: 60_000,
    onProgress: (p) => silent.push(p.silent),
  });
  assert.deepEqual(silent, ['no', 'no', 'no']);
});

test('the archive that a vzdump made', () => {
  assert.equal(
    createdArchive(
      [
        "INFO: creating vzdump archive '/mnt/pve/shared/dump/vzdump-lxc-101-2026_11_22-20_16_47.tar.zst'",
        'TASK OK',
      ],
      'shared',
    ),
    'shared:backup/vzdump-lxc-101-2026_11_22-20_16_47.tar.zst',
  );
  assert.equal(
    createdArchive(["INFO: creating Proxmox Backup Server archive 'ct/101/2026-11-22T20:16:47Z'"], 'pbs'),
    'pbs:backup/ct/101/2026-11-22T20:16:47Z',
  );
  assert.equal(createdArchive(['TASK OK'], 'pbs'), null);
});

test('the decisive line is the last ERROR', () => {
  assert.equal(decisiveLine(['ERROR: one', 'ERROR: two', 'TASK ERROR: job errors']), 'two');
  assert.equal(
    decisiveLine(['ERROR: one', 'TASK ERROR: unable to restore CT 1 - x']),
    'unable to restore CT 1 - x',
  );
  assert.equal(decisiveLine(['TASK ERROR: job errors']), 'job errors');
  assert.equal(decisiveLine(['TASK OK']), null);
});
