/** What a run does of what it has decided: how many at a time, in which order, and what it leaves to the next. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { actOn } from '../../lib/act/batch.ts';
import { begin } from '../../lib/act/operate.ts';
import { NotItsTurn } from '../../lib/act/turn.ts';
import type { Decision } from '../../lib/decide/model.ts';
import { FailedError } from '../../lib/errors.ts';
import type { Operation } from '../../lib/state/model.ts';
import { openOperations } from '../../lib/state/operations.ts';
import { dueWorld, type World } from '../decide/world.ts';
import { ActBench } from './bench.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e'] as const;

/** Five containers of the dead pve1, `a` first by priority: a, c, e go to pve2, b and d to pve3. */
function fleet(): World {
  const w = dueWorld();
  Object.assign(w.limits, { failoversPerRun: 9, failoversPerHour: 9 });
  delete w.containers['dns'];
  for (const [index, name] of NAMES.entries())
    w.has({
      name,
      vmid: 110 + index,
      priority: index + 1,
      nodes: [{ cluster: 'home', node: index % 2 === 0 ? 'pve2' : 'pve3' }],
    })
      .answers(name, 'silent')
      .failed(name);
  w.view.details = [];
  return w;
}

interface Batch {
  readonly bench: ActBench;
  readonly decisions: readonly Decision[];
  /** What happened, in order: `+a` begun, `a.` restored, `-a` ended. */
  readonly log: string[];
  /** A minute of restore, a minute of the rest. */
  readonly carry: (op: Operation) => Promise<void>;
  readonly notes: () => string[];
}

function batch(t: TestContext, change: (w: World) => unknown = () => undefined): Batch {
  const w = fleet();
  change(w);
  const bench = new ActBench(t);
  Object.assign(bench.context, { inventory: w.inventory });
  const { clock, context } = bench;
  const log: string[] = [];
  const carry = async (op: Operation): Promise<void> => {
    log.push(`+${op.container}`);
    await clock.sleep(60_000);
    log.push(`${op.container}.`);
    op.data.restored = true;
    context.operations.save(op);
    await clock.sleep(60_000);
    log.push(`-${op.container}`);
    op.status = 'done';
    op.endedAt = clock.now();
    context.operations.save(op);
  };
  const notes = (): string[] =>
    bench.events.flatMap((e) => (e.kind === 'note' ? [`${e.container ?? ''}: ${e.text}`] : []));
  return { bench, decisions: w.decisions(), log, carry, notes };
}

test('one restore on each node at a time, by priority; the next begins when one is over, and not when its operation ends', async (t) => {
  const { bench, decisions, log, carry } = batch(t);
  await bench.run(actOn(bench.context, decisions, carry));
  assert.deepEqual(log, [
    '+a',
    '+b',
    'a.',
    'b.',
    '+c',
    '+d',
    '-a',
    '-b',
    'c.',
    'd.',
    '+e',
    '-c',
    '-d',
    'e.',
    '-e',
  ]);
});

test('two from the storage, whatever the nodes may take', async (t) => {
  const { bench, decisions, log, carry } = batch(t, (w) => Object.assign(w.limits, { restoresPerNode: 9 }));
  await bench.run(actOn(bench.context, decisions, carry));
  assert.deepEqual(log.slice(0, 6), ['+a', '+b', 'a.', 'b.', '+c', '+d']);
});

test('each is told once what it waits for', async (t) => {
  const { bench, decisions, carry, notes } = batch(t);
  await bench.run(actOn(bench.context, decisions, carry));
  assert.deepEqual(notes(), [
    'c: waits for its turn: a is being restored on pve2, the limit is 1 (limits.restoresPerNode); it begins when that is over',
    'd: waits for its turn: b is being restored on pve3, the limit is 1 (limits.restoresPerNode); it begins when that is over',
    'e: waits for its turn: a is being restored on pve2, the limit is 1 (limits.restoresPerNode); it begins when that is over',
  ]);
});

test('handed over, only as many as the limits allow are begun; the next run goes on', async (t) => {
  const { bench, decisions, notes } = batch(t);
  const handed: string[] = [];
  await bench.run(actOn(bench.context, decisions, (op) => void handed.push(op.container)));
  assert.deepEqual(handed, ['a', 'b']);
  assert.equal(bench.context.operations.list().operations.length, 2);
  assert.equal(notes().filter((n) => n.endsWith('the next run goes on')).length, 3);
});

test('operations of another process count, and are not waited for', async (t) => {
  const { bench, decisions, log, carry, notes } = batch(t);
  const others = openOperations(bench.dir, {
    clock: bench.clock,
    self: { host: 'other', pid: 1, started: '1' },
    liveness: () => 'alive',
  });
  const [first] = decisions;
  assert.ok(first !== undefined);
  const another = { ...bench.context, operations: others };
  const container = bench.context.inventory.containers['a'];
  assert.ok(container !== undefined);
  await bench.run(begin(another, { container, decision: first }));
  await bench.run(actOn(bench.context, decisions.slice(1), carry));
  assert.deepEqual(log, ['+b', 'b.', '+d', '-b', 'd.', '-d']);
  assert.match(notes().at(-1) ?? '', /^e: waits for its turn: a is being restored on pve2/);
});

test('the limit is looked at again while no other can begin: two runs that decide at once do not both get the place', async (t) => {
  const { bench, decisions } = batch(t);
  const at = (name: string) => {
    const decision = decisions.find((d) => d.container === name);
    const container = bench.context.inventory.containers[name];
    assert.ok(decision !== undefined && container !== undefined);
    return { decision, container };
  };
  await bench.run(begin(bench.context, at('a')));
  await assert.rejects(bench.run(begin(bench.context, at('c'))), NotItsTurn);
  await bench.run(begin(bench.context, at('b')));
  await assert.rejects(bench.run(begin(bench.context, at('d'))), /d waits for its turn: b is being restored/);
});

test('one that fails for itself does not hold up the others; a bug stops the rest, when those begun have ended', async (t) => {
  const { bench, decisions, log, carry } = batch(t);
  const failing = (op: Operation): Promise<void> =>
    op.container === 'a'
      ? bench.clock.sleep(1000).then(() => Promise.reject(new FailedError('a bug')))
      : carry(op);
  await assert.rejects(bench.run(actOn(bench.context, decisions, failing)), /a bug/);
  assert.deepEqual(log, ['+b', 'b.', '-b']);
});

test('interrupted while some wait: nothing more is begun, and what the interrupted one says is thrown', async (t) => {
  const { bench, decisions, log } = batch(t);
  const controller = new AbortController();
  const context = { ...bench.context, signal: controller.signal };
  const carry = async (op: Operation): Promise<void> => {
    log.push(`+${op.container}`);
    try {
      await bench.clock.sleep(3_600_000, controller.signal);
    } catch {
      throw new FailedError(`${op.container} was interrupted`);
    }
  };
  const acting = actOn(context, decisions, carry);
  const expected = assert.rejects(acting, /a was interrupted/);
  await bench.clock.advance(10_000);
  controller.abort(new Error('SIGINT'));
  await bench.run(expected);
  assert.deepEqual(log, ['+a', '+b']);
});
