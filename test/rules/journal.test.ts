/** The rules that never break (design, section 3), 6: it fails when the rule is broken. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { begin, carryOut, takeOver } from '../../lib/act/operate.ts';
import { PveError } from '../../lib/errors.ts';
import { ActBench } from '../act/bench.ts';

const PLANNED = { mode: 'planned' } as const;

/** The journals as they are on disk at this moment. */
function journals(bench: ActBench): Map<string, string> {
  const folder = join(bench.dir, 'operations');
  return new Map(
    readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => [join(folder, name), readFileSync(join(folder, name), 'utf8')]),
  );
}

test('rule 6, journal first: a step is on disk before it is asked for, its UPID as soon as it is known', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  const looked: string[] = [];
  bench.pve.onWrite = (call) => {
    const [op] = bench.context.operations.list().operations;
    assert.ok(op !== undefined, 'the operation is journalled');
    const step = op.steps.at(-1);
    assert.equal(step?.status, 'started', call);
    for (const earlier of op.steps.slice(0, -1)) {
      assert.equal(earlier.status, 'done', `${earlier.name} before ${call}`);
      assert.ok(earlier.task === null || earlier.task.upid !== null, `the UPID of ${earlier.name}`);
    }
    if (call.startsWith('vz')) {
      const { type, vmid, upid } = step.task ?? {};
      assert.deepEqual(`${type} ${vmid} ${upid}`, `${call.split(' ')[0]} ${call.split('/')[1]} null`);
    }
    looked.push(call);
  };
  const running: (string | null | undefined)[] = [];
  bench.pve.onTask = () => {
    running.push(bench.context.operations.list().operations[0]?.steps.at(-1)?.task?.upid);
    return null;
  };
  const { outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'done', outcome.text);
  assert.ok(looked.length >= 8);
  assert.deepEqual(
    running.map((upid) => upid?.startsWith('UPID:')),
    [true, true, true, true, true],
    'while a task runs its UPID is on disk',
  );
});

/** Runs a planned failover, and kills the runner at its n-th journalled write: what is on disk then is what is left. */
async function killedAt(t: TestContext, call: string, when: 'before' | 'after'): Promise<ActBench> {
  const bench = new ActBench(t);
  await bench.look();
  const decision = await bench.decide(PLANNED);
  const op = await bench.run(begin(bench.context, { container: bench.container, decision }));
  const controller = new AbortController();
  let left: Map<string, string> | null = null;
  bench.pve.onWrite = (write) => {
    if (left !== null) throw new PveError('the dead send nothing', { outcome: 'not-sent' });
    if (write !== call) return;
    left = journals(bench);
    controller.abort(new Error('killed'));
    if (when === 'before') throw new PveError('killed', { outcome: 'not-sent' });
  };
  const dying = { ...bench.context, signal: controller.signal };
  await assert.rejects(bench.run(carryOut(dying, op)));
  assert.ok(left !== null, `${call} was asked for`);
  for (const [path, text] of left as Map<string, string>) writeFileSync(path, text);
  bench.pve.onWrite = () => undefined;
  return bench;
}

const calls = [
  'vzshutdown pve1/101',
  'vzdump pve1/101',
  'config pve1/101 description,onboot,tags',
  'vzrestore pve2/1000101',
  'config pve2/1000101 description',
  'vzstart pve2/1000101',
  'config pve2/1000101 onboot',
];
for (const call of calls)
  for (const when of ['before', 'after'] as const)
    test(`rule 6, journal first: killed ${when} “${call}”, the next run goes on and asks for no task twice`, async (t) => {
      const bench = await killedAt(t, call, when);
      const [op] = bench.context.operations.list().operations;
      assert.ok(op !== undefined);
      await bench.run(takeOver(bench.context, op));
      const outcome = await bench.run(carryOut(bench.context, op));
      assert.equal(outcome.status, 'done', outcome.text);
      assert.deepEqual(bench.pve.running(), ['pve2/1000101']);
      assert.deepEqual(bench.pve.violations, []);
      const tasks = bench.pve.writes.filter((w) => w.startsWith('vz'));
      assert.equal(new Set(tasks).size, tasks.length, tasks.join());
    });

test('rule 6, journal first: an answer that is lost leads to looking, not to asking again', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  const plain = { ...api };
  api.restore = async (node, request) => {
    await plain.restore(node, request);
    throw new PveError('connection reset', { outcome: 'unknown' });
  };
  const { outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'done', outcome.text);
  assert.equal(bench.pve.writes.filter((w) => w.startsWith('vzrestore')).length, 1);
});
