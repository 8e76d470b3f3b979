/** What a run does of what it has decided: how many at a time, in which order, and what it leaves to the next. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { actOn } from '../../lib/act/batch.ts';
import { begin } from '../../lib/act/operate.ts';
import { actionOf } from '../../lib/act/failover.ts';
import { NotItsTurn, takeTurn } from '../../lib/act/turn.ts';
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
  /** What happened, in order: `+a` begun, `a?` looked at again, `a:` it restores, `a.` restored, `-a` ended. */
  readonly log: string[];
  /** Ten seconds until its turn is taken, a minute of restore, a minute of the rest. */
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
  const steps = async (op: Operation): Promise<void> => {
    log.push(`+${op.container}`);
    await clock.sleep(10_000);
    const container = context.inventory.containers[op.container];
    assert.ok(container !== undefined);
    await takeTurn({ ...context, op, container }, actionOf(op), () => {
      log.push(`${op.container}?`);
      return Promise.resolve();
    });
    log.push(`${op.container}:`);
    await clock.sleep(60_000);
    log.push(`${op.container}.`);
    op.data.restored = true;
    context.operations.save(op);
    context.turns.over();
    await clock.sleep(60_000);
    log.push(`-${op.container}`);
    op.status = 'done';
    op.endedAt = clock.now();
    context.operations.save(op);
  };
  const carry = (op: Operation): Promise<void> => context.turns.carrying(op.id, () => steps(op));
  const notes = (): string[] =>
    bench.events.flatMap((e) => (e.kind === 'note' ? [`${e.container ?? ''}: ${e.text}`] : []));
  return { bench, decisions: w.decisions(), log, carry, notes };
}

test('one restore on each node at a time, by priority; the next is ready by then, and one more is begun', async (t) => {
  const { bench, decisions, log, carry } = batch(t);
  await bench.run(actOn(bench.context, decisions, carry));
  assert.deepEqual(log.slice(0, 6), ['+a', '+b', '+c', '+d', 'a:', 'b:']);
  assert.deepEqual(
    log.filter((one) => /^[ace]|[+-][ace]/.test(one)),
    ['+a', '+c', 'a:', 'a.', '+e', 'c:', '-a', 'c.', 'e:', '-c', 'e.', '-e'],
  );
  assert.deepEqual(
    log.filter((one) => /^[bd][:.]|[+-][bd]/.test(one)),
    ['+b', '+d', 'b:', 'b.', 'd:', '-b', 'd.', '-d'],
  );
});

test('two from the storage, whatever the nodes may take', async (t) => {
  const { bench, decisions, log, carry } = batch(t, (w) => Object.assign(w.limits, { restoresPerNode: 9 }));
  await bench.run(actOn(bench.context, decisions, carry));
  assert.deepEqual(
    log.filter((one) => one.endsWith(':') || one.endsWith('.')),
    ['a:', 'b:', 'a.', 'c:', 'b.', 'd:', 'c.', 'e:', 'd.', 'e.'],
  );
});

test('each is told once what it waits for', async (t) => {
  const { bench, decisions, carry, notes } = batch(t);
  await bench.run(actOn(bench.context, decisions, carry));
  assert.deepEqual(notes(), [
    'e: waits for its turn: a, c are next on pve2, the limit is 1 (limits.restoresPerNode); it begins when that is over',
  ]);
});

test('handed over, only as many as the limits allow are begun; the next run goes on', async (t) => {
  const { bench, decisions, notes } = batch(t);
  const handed: string[] = [];
  await bench.run(actOn(bench.context, decisions, (op) => void handed.push(op.container)));
  assert.deepEqual(handed, ['a', 'b', 'c', 'd'], 'for each place one that restores and one that is next');
  assert.equal(bench.context.operations.list().operations.length, 4);
  assert.equal(notes().filter((n) => n.endsWith('the next run goes on')).length, 1);
});

test('operations of another process count', async (t) => {
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
  const op = await bench.run(begin(another, { container, decision: first }));
  op.data.turn = true;
  others.save(op);
  const restore = async (): Promise<void> => {
    await bench.clock.sleep(100_000);
    log.push('a.');
    op.data.restored = true;
    others.save(op);
  };
  const over = restore();
  await bench.run(actOn(bench.context, decisions.slice(1), carry));
  await over;
  assert.deepEqual(
    log.filter((one) => /[ac]/.test(one)),
    // Its heartbeat is not needed for that: it has its place, dead or alive.
    ['+c', 'c?', 'a.', 'c:', 'c.', '-c'],
  );
  assert.match(
    notes()[0] ?? '',
    /^e: waits for its turn: a is being restored on pve2 and c is next, the limit is 1/,
  );
});

test('the limit is looked at again while no other can begin: two runs that decide at once do not both get the place', async (t) => {
  const { bench, decisions } = batch(t);
  const at = (name: string) => {
    const decision = decisions.find((d) => d.container === name);
    const container = bench.context.inventory.containers[name];
    assert.ok(decision !== undefined && container !== undefined);
    return { decision, container };
  };
  for (const name of ['a', 'b', 'c', 'd']) await bench.run(begin(bench.context, at(name)));
  await assert.rejects(bench.run(begin(bench.context, at('e'))), NotItsTurn);
});

test('a place is taken in the order of the beginning, and by one at a time', async (t) => {
  const { bench, decisions } = batch(t);
  const container = bench.context.inventory.containers['a'];
  assert.ok(container !== undefined);
  const made: Operation[] = [];
  for (const decision of decisions.slice(0, 4)) {
    const its = bench.context.inventory.containers[decision.container];
    assert.ok(its !== undefined);
    made.push(await bench.run(begin(bench.context, { container: its, decision })));
    await bench.clock.advance(1000);
  }
  const [a, , c] = made;
  assert.ok(a !== undefined && c !== undefined);
  const take = (op: Operation): Promise<void> =>
    bench.context.turns.carrying(op.id, () =>
      takeTurn({ ...bench.context, op, container }, actionOf(op), () => Promise.resolve()),
    );
  const waiting = take(c);
  await bench.run(take(a));
  assert.deepEqual([a.data.turn, c.data.turn], [true, false]);
  // Nobody carries out a any more, so that its end would never come.
  await assert.rejects(bench.run(waiting), /a is being restored on pve2.*nobody goes on with it in this run/);
  assert.equal(bench.context.operations.load(c.id).data.turn, false);
});

test('a pause ends what waits for its turn', async (t) => {
  const { bench, decisions, carry } = batch(t);
  const acting = actOn(bench.context, decisions.slice(0, 3), carry);
  const expected = assert.rejects(acting, /ended before anything was restored: paused by anna/);
  await bench.clock.advance(20_000);
  const brake = { by: 'anna', since: bench.clock.now(), until: null, reason: '' };
  await bench.run(bench.context.state.update((s) => void (s.paused = brake)));
  await bench.run(expected);
});

test('one that fails for itself does not hold up the others; a bug stops the rest, when those begun have ended', async (t) => {
  const { bench, decisions, log, carry } = batch(t);
  const failing = (op: Operation): Promise<void> =>
    op.container === 'a'
      ? bench.clock.sleep(1000).then(() => Promise.reject(new FailedError('a bug')))
      : carry(op);
  await assert.rejects(bench.run(actOn(bench.context, decisions, failing)), /a bug/);
  assert.deepEqual(
    log.filter((one) => /[bd]/.test(one)),
    ['+b', '+d', 'b:', 'b.', 'd:', '-b', 'd.', '-d'],
  );
  assert.ok(!log.includes('+e'));
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
  assert.deepEqual(log, ['+a', '+b', '+c', '+d']);
});
