/** The rules that never break (design, section 3), 1 to 5: each fails when its rule is broken. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { destroyCopy, restoreCopy, startCopy, type Copy } from '../../lib/act/copy.ts';
import { foldObservation } from '../../lib/act/fold.ts';
import { runStep, type OperationContext, type Step } from '../../lib/act/journal.ts';
import { observeClosely } from '../../lib/act/start-gate.ts';
import { formatLineage, TAG } from '../../lib/decide/lineage.ts';
import { fenceable } from '../../lib/decide/fenceable.ts';
import type { FailoverAction, Lineage } from '../../lib/decide/model.ts';
import { PveError } from '../../lib/errors.ts';
import { ActBench } from '../act/bench.ts';
import { Plug, PLUG_CONFIG } from '../act/plug.ts';
import { lineOf, MINUTE, NOW, probeOf } from '../decide/parts.ts';
import { dueWorld, world, type World } from '../decide/world.ts';

const COPY: Copy = { cluster: 'home', node: 'pve2', vmid: 1_000_101, epoch: 1 };
const PLANNED = { mode: 'planned' } as const;

function actionOf(): FailoverAction {
  const { action } = dueWorld().decides();
  assert.ok(action !== null);
  return action;
}

/** An operation that has restored its copy on pve2; `line` is what its description says. */
function restored(bench: ActBench, line: Partial<Lineage> = {}): OperationContext {
  const context = bench.operation({ volid: 'nas:backup/ct101-60min', restored: true });
  const full = lineOf({ phase: 'restored', operation: context.op.id, ...line });
  const config = { tags: [TAG], description: formatLineage(full), onboot: false };
  bench.pve.add('pve2', 1_000_101, { running: false, config });
  return context;
}

function step(bench: ActBench, context: OperationContext, run: Step['run']): Promise<void> {
  return bench.run(runStep(context, { name: 'a step', run }));
}

const start: Step['run'] = (c, record) => startCopy(c, record, COPY, actionOf());
const destroy: Step['run'] = (c, record) => destroyCopy(c, record, COPY);

/** The original is stopped on its living node, with onboot=0: nothing forbids the start. */
function stoppedOriginal(t: TestContext, entry?: ConstructorParameters<typeof ActBench>[1]): ActBench {
  const bench = new ActBench(t, entry);
  Object.assign(bench.pve.guest(101), { running: false });
  bench.pve.guest(101).config.onboot = false;
  return bench;
}

test('rule 1, never two: with every proof at hand the copy is started', async (t) => {
  const bench = stoppedOriginal(t);
  await step(bench, restored(bench), start);
  assert.deepEqual(bench.pve.running(), ['pve2/1000101']);
});

const forbidden: readonly (readonly [string, (bench: ActBench) => unknown])[] = [
  ['the original runs', (b) => (b.pve.guest(101).running = true)],
  ['the original has onboot=1', (b) => (b.pve.guest(101).config.onboot = true)],
  ['the original’s node is dead, and nothing proves it', (b) => b.pve.kill('pve1')],
  [
    'something else answers at its address',
    (b) => {
      const runtime = { ...b.context.runtime, probe: () => Promise.resolve(probeOf('refused')) };
      Object.assign(b.context, { runtime });
    },
  ],
  [
    'a failed attempt of an earlier operation still runs',
    (b) => {
      const line = formatLineage(lineOf({ node: 'pve3', vmid: 2_000_101, epoch: 2, phase: 'live' }));
      b.pve.add('pve3', 2_000_101, { config: { macs: ['AA'], tags: [TAG], description: line } });
    },
  ],
  ['there is no quorum', (b) => (b.pve.quorate = false)],
  [
    'which interfaces its node has can’t be read',
    (b) => {
      const api = b.context.apis.get('home');
      assert.ok(api !== undefined);
      api.netstat = () => Promise.reject(new PveError('403', { outcome: 'refused', status: 403 }));
    },
  ],
];
for (const [what, change] of forbidden)
  test(`rule 1, never two: not started when ${what}`, async (t) => {
    const bench = stoppedOriginal(t);
    change(bench);
    const context = restored(bench);
    await assert.rejects(step(bench, context, start));
    assert.ok(!bench.pve.writes.some((w) => w.startsWith('vzstart')), bench.pve.writes.join());
    assert.deepEqual(bench.pve.violations, []);
  });

test('rule 1, never two: a dead original that would start by itself later forbids it, the guard read back allows it', async (t) => {
  for (const guarded of [false, true]) {
    const bench = stoppedOriginal(t, { failover: { proof: 'offline-accepted' } });
    const context = restored(bench);
    bench.pve.kill('pve1');
    if (guarded) {
      bench.pve.ha.push({ sid: 'ct:101', state: 'disabled', group: 'pw-guard-pve1', comment: '' });
      bench.pve.groups.push({ group: 'pw-guard-pve1', nodes: ['pve1'], restricted: true });
    }
    if (guarded) await step(bench, context, start);
    else await assert.rejects(step(bench, context, start), /guard .* is not in place/);
    assert.deepEqual(bench.pve.running(), guarded ? ['pve2/1000101'] : []);
  }
});

test('rule 1, never two: reads that have grown old before the call are read again', async (t) => {
  const bench = stoppedOriginal(t);
  const context = restored(bench);
  // The runner is suspended after its reads; meanwhile somebody starts the original.
  let slept = false;
  bench.pve.onWrite = (call) => {
    if (!call.startsWith('config') || slept) return;
    slept = true;
    const later = bench.clock.now() + MINUTE;
    Object.assign(bench.clock, { now: () => later });
    bench.pve.guest(101).running = true;
  };
  await assert.rejects(step(bench, context, start), /CT 101 is running there/);
  assert.ok(slept);
  assert.ok(!bench.pve.writes.some((w) => w.startsWith('vzstart')));
});

test('rule 1, never two: a restore leaves a stopped copy with onboot=0, or it is a failure', async (t) => {
  const bench = stoppedOriginal(t);
  const context = bench.operation({ volid: 'nas:backup/ct101-60min' });
  const restore: Step['run'] = (c, record) => restoreCopy(c, record, COPY, actionOf());
  await step(bench, context, restore);
  assert.deepEqual([bench.pve.running(), bench.pve.guest(1_000_101).config.onboot], [[], false]);
  bench.pve.guest(1_000_101).config.onboot = true;
  context.op.steps.length = 0;
  await assert.rejects(step(bench, context, restore), /onboot=1 after its restore/);
});

test('rule 1, never two: an operation older than two hours is not gone on with', async (t) => {
  const bench = new ActBench(t);
  const { op } = bench.operation();
  op.action = actionOf();
  bench.context.operations.save(op);
  await bench.clock.advance(121 * MINUTE);
  const { carryOut } = await import('../../lib/act/operate.ts');
  assert.equal((await bench.run(carryOut(bench.context, op))).status, 'error');
  assert.deepEqual(bench.pve.writes, []);
});

test('rule 2, never less than one copy: a failover that fails at any write leaves the original, running', async (t) => {
  for (let fault = 0; fault < 12; fault += 1) {
    const bench = new ActBench(t);
    await bench.look();
    let count = 0;
    bench.pve.onTask = (type) => {
      if (type === 'vzshutdown' || type === 'vzstart') return null;
      count += 1;
      return count > fault ? 'it broke' : null;
    };
    await bench.act(PLANNED);
    assert.ok(bench.pve.guests.has(101), `fault ${fault}`);
    assert.equal(bench.pve.running().length, 1, `fault ${fault}: ${bench.pve.running().join()}`);
    assert.ok(!bench.pve.writes.includes('vzdestroy pve1/101'));
    assert.ok(bench.pve.backups.some((b) => b.volid === 'nas:backup/ct101-60min'));
    assert.deepEqual(bench.pve.violations, []);
  }
});

const theirs: readonly (readonly [string, Partial<Lineage> | null])[] = [
  ['another operation’s', { operation: 'op-20261122T100000-bbbbbb' }],
  ['another container’s', { container: 'web' }],
  ['of another cluster', { cluster: 'office' }],
  ['of another node', { node: 'pve3' }],
  ['of another vmid', { vmid: 555 }],
  ['asked to start already', { phase: 'live' }],
  ['without a lineage line', null],
];
for (const [what, line] of theirs)
  test(`rule 2, never less than one copy: not destroyed: ${what}`, async (t) => {
    const bench = stoppedOriginal(t);
    const context = restored(bench, line ?? {});
    if (line === null) bench.pve.guest(1_000_101).config.description = 'mine';
    await step(bench, context, destroy).catch(() => undefined);
    assert.ok(bench.pve.guests.has(1_000_101));
    assert.deepEqual(bench.pve.writes, []);
  });

test('rule 2, never less than one copy: ours, stopped and never started, is taken away', async (t) => {
  const bench = stoppedOriginal(t);
  const context = restored(bench);
  bench.pve.guest(1_000_101).running = true;
  await assert.rejects(step(bench, context, destroy), /is running: it is not destroyed/);
  bench.pve.guest(1_000_101).running = false;
  await step(bench, context, destroy);
  assert.ok(!bench.pve.guests.has(1_000_101));
});

/** Three runs that all see this world, a minute apart. */
async function threeRuns(
  t: TestContext,
  change: (w: World) => unknown,
): Promise<{ bench: ActBench; w: World }> {
  const bench = new ActBench(t);
  const w = world().answers('dns', 'refused');
  change(w);
  Object.assign(bench.context, { inventory: w.inventory });
  for (let run = 0; run < 3; run += 1) {
    await bench.clock.advance(MINUTE);
    Object.assign(w.state, await bench.run(foldObservation(bench.context, w.observation, { count: true })));
  }
  return { bench, w };
}

const troubles: readonly (readonly [string, (w: World) => unknown])[] = [
  [
    'most canaries are silent',
    (w) => w.observation.canaries.splice(0, 2, probeOf('silent'), probeOf('silent')),
  ],
  [
    'most containers on living nodes fail together',
    (w) => w.has({ name: 'web', vmid: 102 }, 'pve2').answers('web', 'silent'),
  ],
];
for (const [what, change] of troubles)
  test(`rule 3, not from one observer’s trouble: ${what}`, async (t) => {
    const { bench, w } = await threeRuns(t, change);
    assert.equal(w.state.containers['dns']?.failures, 0);
    assert.equal(w.decides().kind, 'wait');
    assert.equal(w.decides().verdict.kind, 'inconclusive');
    const warnings = () => bench.events.filter((e) => e.kind === 'note' && e.level === 'warn').length;
    assert.equal(warnings(), 0);
    for (let run = 0; run < 12; run += 1) {
      await bench.clock.advance(MINUTE);
      await bench.run(foldObservation(bench.context, w.observation, { count: true }));
    }
    assert.equal(warnings(), 1, 'ten minutes of it are told, once');
  });

test('rule 3, not from one observer’s trouble: without it the same failures count', async (t) => {
  const { w } = await threeRuns(t, () => undefined);
  assert.equal(w.state.containers['dns']?.failures, 3);
});

test('rule 4, no quorum, no act: writes go only through an endpoint whose own view is quorate', async (t) => {
  const bench = new ActBench(t);
  bench.pve.minority.add('pve1');
  await bench.look();
  const { outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'done', outcome.text);
  assert.deepEqual(bench.pve.violations, []);
});

test('rule 4, no quorum, no act: when no view is quorate nothing is written', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  const decision = await bench.decide(PLANNED);
  for (const node of ['pve1', 'pve2', 'pve3']) bench.pve.minority.add(node);
  const refused = await bench.decide(PLANNED);
  assert.equal(refused.kind, 'blocked');
  assert.equal(refused.gates.find((g) => g.gate === 'quorum')?.ok, false);
  const { begin, carryOut } = await import('../../lib/act/operate.ts');
  const op = await bench.run(begin(bench.context, { container: bench.container, decision }));
  await bench.run(carryOut(bench.context, op));
  assert.deepEqual(bench.pve.writes, []);
});

test('rule 4, no quorum, no act: an endpoint that loses quorum in the middle is not written through any more', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  bench.pve.onTask = (type) => {
    if (type === 'vzshutdown') bench.pve.minority.add(bench.pve.via);
    return null;
  };
  const { outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'done', outcome.text);
  assert.deepEqual(bench.pve.violations, []);
});

test('rule 4, no quorum, no act: quorum lost in the middle stops the next write', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  bench.pve.onTask = (type) => {
    if (type === 'vzshutdown') for (const node of ['pve1', 'pve2', 'pve3']) bench.pve.minority.add(node);
    return null;
  };
  await bench.act(PLANNED);
  assert.deepEqual(bench.pve.writes, ['vzshutdown pve1/101']);
  assert.deepEqual(bench.pve.violations, []);
});

test('rule 5, limited blast: at most N failovers in a run and in an hour', () => {
  const w = dueWorld();
  for (let index = 0; index < 8; index += 1) {
    const name = `c${index}`;
    w.has({ name, vmid: 110 + index })
      .answers(name, 'silent')
      .failed(name);
  }
  w.view.details = [];
  const failovers = (): number => w.decisions().filter((d) => d.kind === 'failover').length;
  assert.equal(failovers(), 3);
  w.state.failovers = [NOW - 1, NOW - 2, NOW - 3, NOW - 4];
  assert.equal(failovers(), 2);
  w.limits = { failoversPerRun: 99, failoversPerHour: 99 };
  assert.equal(failovers(), 9);
});

test('rule 5, limited blast: with more than half of the nodes down nothing is automatic', () => {
  assert.equal(dueWorld().decides().kind, 'failover');
  assert.equal(dueWorld().dies('pve3').decides().kind, 'blocked');
});

const living: readonly (readonly [string, (bench: ActBench) => unknown])[] = [
  ['a quorate view lists it as online', () => undefined],
  [
    'a guest on it answers',
    (b) => {
      b.pve.cut('pve1');
      Object.assign(b.context, {
        runtime: { ...b.context.runtime, probe: () => Promise.resolve(probeOf('ok')) },
      });
    },
  ],
  [
    'its API answers',
    (b) => {
      b.pve.cut('pve1');
      const api = b.context.apis.get('home');
      assert.ok(api !== undefined);
      api.nodeAnswers = () => Promise.resolve(true);
    },
  ],
];
for (const [what, change] of living)
  test(`rule 5, limited blast: a node is not powered off while ${what}`, async (t) => {
    const bench = new ActBench(t, {}, (w) => (w.fences['pve1'] = [PLUG_CONFIG]));
    const plug = new Plug(bench);
    await bench.look();
    change(bench);
    const { fenceNode } = await import('../../lib/act/fence/fence.ts');
    await assert.rejects(bench.run(fenceNode(bench.context, bench.container, 'home', 'pve1')));
    assert.deepEqual(plug.orders, []);
  });

test('rule 5, limited blast: a silent node that a quorate view calls online is not powered off', () => {
  const w = world().dies('pve1').plug('pve1');
  assert.equal(fenceable(w, w.view, 'pve1'), null);
  w.node('pve1').online = true;
  assert.match(fenceable(w, w.view, 'pve1') ?? '', /no quorate view says/);
});

test('rule 5, limited blast: another node vanishing within a minute of a fence stops every start', async (t) => {
  const bench = stoppedOriginal(t);
  await bench.look();
  const context = restored(bench);
  const at = bench.clock.now();
  await bench.run(
    bench.context.state.update((s) => void (s.fenced['home/pve9'] = { at, othersOnline: ['pve2', 'pve3'] })),
  );
  bench.pve.kill('pve3');
  await assert.rejects(step(bench, context, start), /perhaps the wrong plug/);
  const observation = await bench.run(observeClosely(bench.context, bench.container));
  assert.equal(observation.clusters['home']?.quorate, true);
  assert.deepEqual(bench.pve.running(), []);
});
