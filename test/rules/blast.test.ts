/** The rules that never break (design, section 3), 3 to 5: each test fails when its rule is broken. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { foldObservation } from '../../lib/act/fold.ts';
import * as operate from '../../lib/act/operate.ts';
import { observeClosely } from '../../lib/act/start-gate.ts';
import { StateError } from '../../lib/errors.ts';
import { fenceable } from '../../lib/decide/fenceable.ts';
import { ActBench } from '../act/bench.ts';
import { Plug, PLUG_CONFIG } from '../act/plug.ts';
import { MINUTE, NOW, probeOf } from '../decide/parts.ts';
import { dueWorld, world, type World } from '../decide/world.ts';
import { PLANNED, restored, step, start, stoppedOriginal } from './stage.ts';

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
  Object.assign(w.limits, { failoversPerRun: 99, failoversPerHour: 99 });
  assert.equal(failovers(), 9);
});

test('rule 5, limited blast: runs that decide at the same time share the hour', async (t) => {
  const hook = { path: '/hooks/notify', args: [], timeoutMs: 1000 };
  const bench = new ActBench(
    t,
    { hooks: { before: [hook], after: [] }, failover: { proof: 'offline-accepted' } },
    (w) => Object.assign(w.limits, { failoversPerHour: 1 }),
  );
  await bench.look();
  bench.pve.kill('pve1');
  await bench.fail();
  const { state, runtime } = bench.context;
  // Between the last look at the limits and the restore another run has begun one.
  runtime.exec = async () => {
    await state.update((s) => void s.failovers.push(bench.clock.now()));
    return { exitCode: 0, stdout: '', stderr: '' };
  };
  const { outcome } = await bench.act();
  assert.match(outcome.text, /1 failovers within the hour, the limit is 1/);
  assert.deepEqual(bench.pve.running(), []);
});

test('rule 5, limited blast: killed right after it was counted, a failover is not counted twice, nor held up by itself', async (t) => {
  const bench = new ActBench(t, { failover: { proof: 'offline-accepted', maxPerDay: 1 } }, (w) =>
    Object.assign(w.limits, { failoversPerHour: 1 }),
  );
  await bench.look();
  bench.pve.kill('pve1');
  await bench.fail();
  const { container, context } = bench;
  const decision = await bench.decide();
  const op = await bench.run(operate.begin(context, { container, decision }));
  const state: typeof context.state = {
    ...context.state,
    async update(mutate) {
      const after = await context.state.update(mutate);
      if (after.failovers.length > 0) throw new StateError('killed');
      return after;
    },
  };
  await assert.rejects(bench.run(operate.carryOut({ ...context, state }, op)), /killed/);
  const outcome = await bench.run(operate.carryOut(context, bench.journal(op.id)));
  assert.equal(outcome.status, 'done', outcome.text);
  const { failovers, containers } = context.state.read();
  assert.deepEqual([failovers.length, containers['dns']?.autoFailovers.length], [1, 1]);
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

/** The sources that say a word. */
function sourcesWith(word: string): string[] {
  return ['lib', 'scripts']
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
    )
    .filter((path) => path.endsWith('.ts') && readFileSync(path, 'utf8').includes(word))
    .toSorted();
}

// What automatic code is given can't switch on (test/act/fence-plugs.test.ts); a scenario in which a plug is switched on
// by anything but `fence on` breaks (test/scenarios/harness/rules.ts); and nothing but that command can reach the rest.
test('rule 5, limited blast: nothing but `fence on NODE`, typed by a person, ever powers a node on', () => {
  assert.deepEqual(sourcesWith('powerOnByHand'), ['lib/act/fence/by-hand.ts', 'scripts/fence.ts']);
  assert.deepEqual(sourcesWith('powerSwitches'), [
    'lib/act/fence/by-hand.ts',
    'lib/act/fence/driver.ts',
    'lib/act/fence/overview.ts',
  ]);
  assert.deepEqual(sourcesWith('fence/by-hand.ts'), ['scripts/fence.ts'], 'and no lib knows it');
});
