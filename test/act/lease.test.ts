/** A lease that somebody else has by now, and one that is still ours. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backUpNow } from '../../lib/act/backup-op.ts';
import { forgetHandOver, noteHandOver } from '../../lib/act/hand-over.ts';
import { setConfig } from '../../lib/act/look.ts';
import { carryOut, takeOver } from '../../lib/act/operate.ts';
import { PveError } from '../../lib/errors.ts';
import { openOperations, type OperationStore } from '../../lib/state/operations.ts';
import { MINUTE } from '../decide/parts.ts';
import { ActBench } from './bench.ts';

const FAR = { host: 'elsewhere', pid: 7, started: null };

function elsewhere(bench: ActBench, liveness: 'dead' | 'unknown'): OperationStore {
  return openOperations(bench.dir, { clock: bench.clock, self: FAR, liveness: () => liveness });
}

test('a write whose answer was lost is not sent again once another has the operation', async (t) => {
  const bench = new ActBench(t);
  const own = bench.operation();
  bench.pve.guest(101).config.onboot = false;
  const api = own.apis.get('home');
  assert.ok(api !== undefined);
  let sent = 0;
  const deaf = {
    ...api,
    setConfig: () => {
      sent += 1;
      return Promise.reject(new PveError('no answer', { outcome: 'unknown' }));
    },
  };
  const writing = assert.rejects(
    setConfig(own, deaf, { node: 'pve1', vmid: 101 }, { onboot: true }),
    /was taken over by process 7 on elsewhere/,
  );
  await bench.clock.advance(5_000);
  const other = elsewhere(bench, 'dead');
  assert.ok(other.claim(other.load(own.op.id)));
  await bench.run(writing);
  assert.equal(sent, 1);
});

test('a cut backup that is waited for has a heartbeat', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  // Whoever has asked for it is killed: it never wakes again.
  const { runtime } = bench.context;
  const never = new Promise<void>(() => undefined);
  let killed = false;
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    bench.clock.sleep(ms, signal).then(() => (killed ? never : undefined));
  const clock = { now: () => bench.clock.now(), sleep };
  void backUpNow({ ...bench.context, runtime: { ...runtime, clock } }, bench.container);
  await bench.clock.advance(1_000);
  killed = true;
  const task = bench.pve.tasks.at(-1);
  assert.ok(task !== undefined);
  task.endsAt += 60 * MINUTE;
  const left = bench.context.operations.list().operations.at(-1);
  assert.ok(left !== undefined);
  await bench.run(takeOver(bench.context, left));
  const going = carryOut(bench.context, left);
  await bench.clock.advance(20 * MINUTE);
  const other = elsewhere(bench, 'unknown');
  const seen = other.load(left.id);
  assert.ok(bench.clock.now() - seen.lease.heartbeatAt <= MINUTE);
  assert.equal(other.isUnheard(seen), false);
  assert.equal((await bench.run(going)).status, 'done');
});

test('what was handed over and has ended by itself for now was not cut off', (t) => {
  const bench = new ActBench(t);
  const own = bench.operation();
  const told = (): boolean => noteHandOver(own, own.op);
  assert.deepEqual([told(), told(), told()], [true, true, false]);
  forgetHandOver(own, own.op);
  assert.equal(bench.journal(own.op.id).handedOver, undefined);
  assert.equal(told(), true);
});
