import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runStep } from '../../lib/act/journal.ts';
import { takeOver } from '../../lib/act/operate.ts';
import { openOperations, type OperationStore } from '../../lib/state/operations.ts';
import type { Owner } from '../../lib/state/owner.ts';
import { MINUTE } from '../decide/parts.ts';
import { ActBench } from './bench.ts';

/** A runner on another host, which can't be seen from here. */
function elsewhere(bench: ActBench): OperationStore {
  const self: Owner = { host: 'elsewhere.example', pid: 7, started: null };
  return openOperations(bench.dir, { clock: bench.clock, self });
}

test('while a step goes on, whatever it waits for, the lease is renewed every half minute', async (t) => {
  const bench = new ActBench(t);
  const own = bench.operation();
  const seen: number[] = [];
  await bench.run(
    runStep(own, {
      name: 'hooks before',
      async run({ runtime, operations }) {
        for (let n = 0; n < 40; n += 1) {
          await runtime.clock.sleep(MINUTE / 2);
          seen.push(runtime.clock.now() - operations.load(own.op.id).lease.heartbeatAt);
        }
        return 'done';
      },
    }),
  );
  assert.ok(Math.max(...seen) <= MINUTE / 2, seen.join(' '));
  const last = bench.journal(own.op.id).lease.heartbeatAt;
  await bench.clock.advance(10 * MINUTE);
  assert.equal(bench.journal(own.op.id).lease.heartbeatAt, last, 'and not after its end');
});

test('a heartbeat that can not be written ends nothing', async (t) => {
  const bench = new ActBench(t);
  const own = bench.operation();
  const path = join(bench.dir, 'operations', `${own.op.id}.json`);
  const step = runStep(own, {
    name: 'hooks before',
    async run({ runtime, op, operations }) {
      rmSync(path);
      await runtime.clock.sleep(5 * MINUTE);
      // As a disk that works again: what is there is written by whoever has it in hand.
      assert.throws(() => operations.save(op), { name: 'StateError' });
      return 'waited to its end';
    },
  });
  await assert.rejects(bench.run(step), {
    name: 'StateError',
    message: /the journal of operation .* is gone/,
  });
});

test('an owner on another host is believed dead by its heartbeat alone, not by a clock', async (t) => {
  const bench = new ActBench(t);
  const theirs = elsewhere(bench);
  const draft = bench.operation();
  const { lease: _, ...rest } = draft.op;
  rmSync(join(bench.dir, 'operations', `${rest.id}.json`));
  const op = theirs.create({ ...rest, kind: 'restart' });
  // Our clock jumps an hour ahead; theirs beats on.
  const beating = (async (): Promise<void> => {
    for (let n = 0; n < 8; n += 1) {
      await bench.clock.sleep(MINUTE / 2);
      theirs.renew(op);
    }
  })();
  const ahead = { now: () => bench.clock.now() + 60 * MINUTE, sleep: () => Promise.resolve() };
  const late = openOperations(bench.dir, { clock: ahead });
  const context = { ...bench.context, operations: late };
  assert.ok(late.isUnheard(late.load(op.id)));
  await assert.rejects(bench.run(takeOver(context, late.load(op.id))), { name: 'LockedError' });
  assert.equal(late.load(op.id).lease.host, 'elsewhere.example');
  await bench.run(beating);
  const begun = bench.clock.now();
  await bench.run(takeOver(context, late.load(op.id)));
  assert.equal(late.load(op.id).lease.pid, process.pid, 'it has really fallen silent');
  assert.ok(bench.clock.now() - begun >= MINUTE);
});
