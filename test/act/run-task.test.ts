/** A request whose answer is lost: its task is found and adopted, or its absence proven, before anything else. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { OperationContext } from '../../lib/act/journal.ts';
import { runTask } from '../../lib/act/run-task.ts';
import { PveError } from '../../lib/errors.ts';
import type { PveApi } from '../../lib/pve/api.ts';
import type { StepRecord } from '../../lib/state/model.ts';
import { HOUR } from '../decide/parts.ts';
import { ActBench } from './bench.ts';

interface Staged {
  readonly bench: ActBench;
  readonly context: OperationContext;
  readonly record: StepRecord;
  readonly api: PveApi;
  /** Issues a vzstop of CT 101 on pve1 in its step. */
  readonly run: (issue: (api: PveApi) => Promise<string>) => Promise<readonly string[]>;
  /** All vzstop that were carried out. */
  readonly asked: () => number;
}

function staged(t: TestContext): Staged {
  const bench = new ActBench(t);
  const context = bench.operation();
  const record: StepRecord = {
    name: 'stop',
    status: 'started',
    startedAt: bench.clock.now(),
    endedAt: null,
    note: '',
    task: null,
  };
  context.op.steps.push(record);
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  return {
    bench,
    context,
    record,
    api,
    run: (issue) =>
      bench.run(
        runTask(context, record, { cluster: 'home', node: 'pve1', vmid: 101, type: 'vzstop', issue }),
      ),
    asked: () => bench.pve.writes.filter((w) => w.startsWith('vzstop')).length,
  };
}

const lost = (): PveError => new PveError('connection lost', { outcome: 'unknown' });

test('carried out, the answer lost: adopted at once', async (t) => {
  const { bench, record, run, asked } = staged(t);
  const begun = bench.clock.now();
  await run(async (api) => {
    await api.stop('pve1', 101);
    throw lost();
  });
  assert.equal(asked(), 1);
  assert.equal(record.task?.exitstatus, 'OK');
  assert.ok(bench.clock.now() - begun < 10_000);
});

test('stopped while a root shell is at it: the journal keeps the request, and the next run adopts what came of it', async (t) => {
  const { api, bench, context, record, run, asked } = staged(t);
  const controller = new AbortController();
  const stopped = runTask({ ...context, signal: controller.signal }, record, {
    cluster: 'home',
    node: 'pve1',
    vmid: 101,
    type: 'vzstop',
    issue: async () => {
      await api.stop('pve1', 101);
      controller.abort(new Error('stopped by SIGTERM'));
      throw controller.signal.reason;
    },
  });
  await assert.rejects(bench.run(stopped), /SIGTERM/);
  assert.notEqual(record.task, null);
  await run(() => assert.fail('it is asked for a second time'));
  assert.equal(asked(), 1);
});

test('never arrived: asked again only when it cannot be under way any more', async (t) => {
  const { bench, run, asked } = staged(t);
  const begun = bench.clock.now();
  let times = 0;
  await run((api) => {
    times += 1;
    return times === 1 ? Promise.reject(lost()) : api.stop('pve1', 101);
  });
  assert.equal(asked(), 1);
  assert.ok(bench.clock.now() - begun >= 60_000, 'longer than any proxy holds a request');
});

test('never arrived, twice: it is not asked a third time', async (t) => {
  const { record, run } = staged(t);
  let times = 0;
  await assert.rejects(
    run(() => {
      times += 1;
      return Promise.reject(lost());
    }),
    /connection lost; it is proven that no vzstop of CT 101 on pve1 was begun/,
  );
  assert.equal(times, 2);
  assert.equal(record.task, null);
});

test('it arrives late, when it is asked for again: the refusal of the second is not taken for the end', async (t) => {
  const { bench, record, run, asked } = staged(t);
  let times = 0;
  await run(async (api) => {
    times += 1;
    if (times === 1) throw lost();
    await api.stop('pve1', 101);
    throw new PveError('CT 101 is locked', { outcome: 'refused', status: 500 });
  });
  assert.equal(asked(), 1);
  assert.equal(record.task?.exitstatus, 'OK');
  assert.deepEqual(bench.pve.running(), []);
});

for (const skew of [-30 * HOUR, 30 * HOUR])
  test(`the cluster's clock is ${skew / HOUR} h off: no clock is compared`, async (t) => {
    const { api, bench, run, asked } = staged(t);
    const plain = { ...api };
    api.tasks = async (node, filter, options) =>
      (await plain.tasks(node, { ...filter, since: filter.since - skew }, options)).map((task) => ({
        ...task,
        startedAt: task.startedAt + skew,
      }));
    // One of before, of the same type: not ours.
    await bench.run(api.stop('pve1', 101));
    await bench.clock.advance(5_000);
    bench.pve.settle();
    bench.pve.guest(101).running = true;
    await run(async (to) => {
      await to.stop('pve1', 101);
      throw lost();
    });
    assert.equal(asked(), 2);
    assert.deepEqual(bench.pve.running(), []);
  });

test('a task of another user is not ours to wait for', async (t) => {
  const { api, bench, record, run } = staged(t);
  const plain = { ...api };
  let theirs = '';
  api.tasks = async (...given) =>
    (await plain.tasks(...given)).map((task) => ({ ...task, ours: task.upid !== theirs }));
  let times = 0;
  await run(async (to) => {
    times += 1;
    if (times > 1) {
      bench.pve.guest(101).running = true;
      return to.stop('pve1', 101);
    }
    theirs = await to.stop('pve1', 101);
    throw lost();
  });
  assert.equal(times, 2);
  assert.notEqual(record.task?.upid, theirs);
});

test('a node that is silent proves nothing: nothing is asked again, and the journal keeps the question', async (t) => {
  const { bench, record, run } = staged(t);
  let times = 0;
  await assert.rejects(
    run(() => {
      times += 1;
      bench.pve.cut('pve1');
      throw lost();
    }),
    (error) => {
      assert.ok(error instanceof PveError);
      assert.equal(error.outcome, 'unknown');
      assert.match(
        error.message,
        /^whether the vzstop of CT 101 on pve1 was carried out is not known \(connection lost\)/,
      );
      return true;
    },
  );
  assert.equal(times, 1);
  assert.equal(record.task?.upid, null);
});

test('what has to be true first is no request: nothing is looked for when it fails', async (t) => {
  const { bench, context, record, asked } = staged(t);
  const begun = bench.clock.now();
  const prepare = (): Promise<void> => Promise.reject(lost());
  await assert.rejects(
    bench.run(
      runTask(context, record, {
        cluster: 'home',
        node: 'pve1',
        vmid: 101,
        type: 'vzstop',
        prepare,
        issue: (api) => api.stop('pve1', 101),
      }),
    ),
    /connection lost$/,
  );
  assert.equal(asked(), 0);
  assert.equal(bench.clock.now(), begun);
});
