import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assess } from '../../lib/decide/decide.ts';
import type { Verdict } from '../../lib/decide/model.ts';
import type { Inventory } from '../../lib/inventory/types.ts';
import { probesPass } from '../../lib/decide/verdict.ts';
import { containerOf, NOW, probeOf } from './parts.ts';
import { world, type World } from './world.ts';

function verdictOf(w: World, name = 'dns'): Verdict {
  const found = assess(w.inventory, w.observation, w.state).find((a) => a.container.name === name);
  assert.ok(found !== undefined);
  return found.verdict;
}

const stopTask = { type: 'vzstop', user: 'root@pam', endedAt: NOW - 60_000, ok: true };
const lost = probeOf('silent', 'ping 10.0.0.1');

/** Four more containers on living nodes, of which `failing` fail. */
function neighbours(w: World, failing: number): World {
  for (const index of [0, 1, 2, 3]) {
    const name = `c${index}`;
    w.has({ name, vmid: 110 + index }, 'pve3');
    if (index < failing) w.answers(name, 'silent');
  }
  return w;
}

/** Two checks of one container. */
function asked(require: 'all' | 'any', ...how: readonly Parameters<typeof probeOf>[0][]): World {
  return world()
    .entry('dns', { require })
    .but((w) => void (w.observation.probes['dns'] = how.map((each) => probeOf(each))));
}

const rows: readonly (readonly [string, Verdict['kind'], RegExp, World])[] = [
  ['all probes pass', 'healthy', /1 of 1 probes pass, slowest 3 ms/, world()],
  ['a probe is refused', 'unhealthy', /connection refused/, world().answers('dns', 'refused')],
  ['its node is known offline', 'unhealthy', /node pve1 is offline/, world().dies('pve1')],
  [
    'the container stopped by itself',
    'unhealthy',
    /the container is stopped on pve1/,
    world().answers('dns', 'silent').stops('pve1', 101),
  ],
  [
    'a person stopped it',
    'stopped-by-hand',
    /stopped by root@pam \(vzstop\)/,
    world().answers('dns', 'silent').stops('pve1', 101, { lastTask: stopTask }),
  ],
  [
    'a person shut it down',
    'stopped-by-hand',
    /vzshutdown/,
    world()
      .answers('dns', 'silent')
      .stops('pve1', 101, { lastTask: { ...stopTask, type: 'vzshutdown' } }),
  ],
  [
    'the stop failed',
    'unhealthy',
    /stopped on pve1/,
    world()
      .answers('dns', 'silent')
      .stops('pve1', 101, { lastTask: { ...stopTask, ok: false } }),
  ],
  [
    'its last task was a start',
    'unhealthy',
    /stopped on pve1/,
    world()
      .answers('dns', 'silent')
      .stops('pve1', 101, { lastTask: { ...stopTask, type: 'vzstart' } }),
  ],
  [
    'we stopped it ourselves',
    'unhealthy',
    /stopped on pve1/,
    world()
      .answers('dns', 'silent')
      .stops('pve1', 101, { lastTask: { ...stopTask, ours: true } }),
  ],
  [
    'its node died after a person had stopped it',
    'stopped-by-hand',
    /stopped by root@pam; pve1 can't be asked now/,
    world().stops('pve1', 101).dies('pve1').record('dns', { stoppedByHand: 'stopped by root@pam' }),
  ],
  [
    'its node died after it had been seen running again',
    'unhealthy',
    /pve1 is offline/,
    world().dies('pve1').record('dns', { stoppedByHand: 'stopped by root@pam' }),
  ],
  [
    'it runs again after a stop by hand',
    'unhealthy',
    /connection refused/,
    world().answers('dns', 'refused').changeDetail('pve1', 101, { lastTask: stopTask }),
  ],
  [
    'fewer than half of the canaries answer',
    'inconclusive',
    /only 0 of 2 canaries answer/,
    world()
      .dies('pve1')
      .but((w) => w.observation.canaries.splice(0, 2, lost, lost)),
  ],
  [
    'half of the canaries answer',
    'unhealthy',
    /offline/,
    world()
      .dies('pve1')
      .but((w) => w.observation.canaries.splice(0, 1, lost)),
  ],
  [
    'there are no canaries',
    'unhealthy',
    /offline/,
    world()
      .dies('pve1')
      .but((w) => w.observation.canaries.splice(0, 2)),
  ],
  [
    'no quorate view can be had',
    'inconclusive',
    /no quorate view/,
    world()
      .answers('dns', 'silent')
      .but((w) => {
        w.view.via = null;
      }),
  ],
  [
    'the cluster was not observed',
    'inconclusive',
    /no quorate view/,
    world()
      .answers('dns', 'silent')
      .but((w) => {
        w.observation.clusters = {};
      }),
  ],
  [
    'two quorate views differ',
    'inconclusive',
    /no answer .*, but the views of cluster home disagree: .* sees pve2, pve3, .* sees pve3/,
    world()
      .dies('pve1')
      .but((w) => void Object.assign(w.view.endpoints[2] ?? {}, { online: ['pve3'] })),
  ],
  [
    'the others call its node offline, and its own API answers',
    'inconclusive',
    /disagree: the others say that pve1 is offline, and its own API answers/,
    world()
      .dies('pve1')
      .but((w) => void Object.assign(w.view.endpoints[0] ?? {}, { ok: true })),
  ],
  [
    'that is so of another node',
    'unhealthy',
    /node pve1 is offline/,
    world()
      .dies('pve1')
      .but((w) => {
        w.node('pve3').online = false;
        for (const endpoint of w.view.endpoints) endpoint.online = ['pve2'];
        Object.assign(w.view.endpoints[2] ?? {}, { quorate: false });
      }),
  ],
  [
    'two quorate views differ, and it answers',
    'healthy',
    /probes pass/,
    world().but((w) => void Object.assign(w.view.endpoints[2] ?? {}, { online: ['pve3'] })),
  ],
  [
    'the vmid is not in the cluster',
    'inconclusive',
    /vmid 101 is not in cluster home/,
    world()
      .answers('dns', 'silent')
      .but((w) => {
        w.view.guests = [];
      }),
  ],
  [
    'it was not probed in this run',
    'inconclusive',
    /not probed/,
    world().but((w) => {
      w.observation.probes = {};
    }),
  ],
  [
    'most containers on living nodes fail with it',
    'inconclusive',
    /so do 3 of 5 containers on live nodes/,
    neighbours(world().answers('dns', 'refused'), 2),
  ],
  ['a minority fails with it', 'unhealthy', /refused/, neighbours(world().answers('dns', 'refused'), 1)],
  [
    'most fail on living nodes, but its own node is known offline',
    'unhealthy',
    /node pve1 is offline/,
    neighbours(world().dies('pve1'), 3),
  ],
  [
    'most fail, but the cluster says that it is stopped',
    'unhealthy',
    /stopped on pve1/,
    neighbours(world().answers('dns', 'silent').stops('pve1', 101), 3),
  ],
  [
    'its name cannot be looked up',
    'inconclusive',
    /name not found: dns\.home: that says nothing of the service/,
    world().answers('dns', 'unasked'),
  ],
  [
    'one check could not ask, the other was refused',
    'unhealthy',
    /connection refused \(and 1 more\)/,
    asked('all', 'unasked', 'refused'),
  ],
  [
    'any of two is wanted: one was refused, the other could not ask',
    'inconclusive',
    /refused \(and 1 more\): that says nothing/,
    asked('any', 'refused', 'unasked'),
  ],
  [
    'one check passes, the other could not ask',
    'inconclusive',
    /name not found/,
    asked('all', 'ok', 'unasked'),
  ],
  [
    'its name cannot be looked up, and its node is known offline',
    'unhealthy',
    /node pve1 is offline/,
    world().dies('pve1').answers('dns', 'unasked'),
  ],
  [
    'its name cannot be looked up, and it is stopped',
    'unhealthy',
    /stopped on pve1/,
    world().stops('pve1', 101).answers('dns', 'unasked'),
  ],
  ['it is the only one, and fails', 'unhealthy', /refused/, world().answers('dns', 'refused')],
];
for (const [what, kind, reason, w] of rows)
  test(`${kind}: ${what}`, () => {
    const verdict = verdictOf(w);
    assert.equal(verdict.kind, kind, verdict.reason);
    assert.match(verdict.reason, reason);
  });

test('probes that pass count even without a view', () => {
  const w = world().but((x) => {
    x.view.via = null;
    x.observation.canaries = [lost, lost];
  });
  assert.equal(verdictOf(w).kind, 'healthy');
});

test('containers on dead nodes do not make a mass failure', () => {
  const w = neighbours(world().answers('dns', 'refused'), 0);
  for (const name of ['x', 'y', 'z']) w.has({ name, vmid: 120 + name.charCodeAt(0) }, 'pve2');
  w.dies('pve2');
  assert.equal(verdictOf(w).kind, 'unhealthy');
});

test('a node that only a stand-alone view misses is not known offline', () => {
  const w = neighbours(world().dies('pve1'), 3).but((x) => {
    x.view.standalone = true;
  });
  assert.equal(verdictOf(w).kind, 'inconclusive');
});

test('`off` is not assessed at all', () => {
  const w = world().entry('dns', { mode: 'off' });
  assert.deepEqual(assess(w.inventory, w.observation, w.state), []);
});

test('require: all wants every probe, any wants one, and no probe is no pass', () => {
  const mixed = [probeOf('ok'), probeOf('silent')];
  assert.equal(probesPass(containerOf({ require: 'all' }), mixed), false);
  assert.equal(probesPass(containerOf({ require: 'any' }), mixed), true);
  assert.equal(probesPass(containerOf({ require: 'any' }), [probeOf('refused')]), false);
  assert.equal(probesPass(containerOf({ require: 'all' }), []), false);
  assert.equal(probesPass(containerOf({ require: 'any' }), []), false);
});

/** Another cluster, `away`, with `total` containers of which `failing` fail, and a canary of its own. */
function besideAnother(
  w: World,
  { seen, failing, total }: { seen: boolean; failing: number; total: number },
): ReturnType<typeof assess> {
  const { inventory, observation } = w;
  const home = inventory.clusters['home'];
  const view = observation.clusters['home'];
  assert.ok(home !== undefined && view !== undefined);
  const canary = (label: string) =>
    ({ kind: 'ping', host: label, label, timeoutMs: 1, attempts: 1 }) as const;
  const names = Array.from({ length: total }, (_, index) => `a${index}`);
  const all: Inventory = {
    ...inventory,
    clusters: {
      home: { ...home, canaries: [canary('ping home')] },
      away: { ...home, name: 'away', canaries: [canary('ping away'), canary('ping far')] },
    },
    containers: {
      ...inventory.containers,
      ...Object.fromEntries(
        names.map((name, index) => [name, containerOf({ name, vmid: 200 + index, cluster: 'away' })]),
      ),
    },
  };
  const probes = Object.fromEntries(
    names.map((name, index) => [name, [probeOf(index < failing ? 'silent' : 'ok')]]),
  );
  return assess(
    all,
    {
      ...observation,
      canaries: [
        probeOf('ok', 'ping home'),
        probeOf(seen ? 'ok' : 'silent', 'ping away'),
        probeOf(seen ? 'ok' : 'silent', 'ping far'),
      ],
      probes: { ...observation.probes, ...probes },
      clusters: {
        ...observation.clusters,
        away: seen
          ? { ...view, cluster: 'away', guests: [], details: [], lineages: [] }
          : { ...view, cluster: 'away', via: null, quorate: false, nodes: [], guests: [], details: [] },
      },
    },
    w.state,
  );
}

function kindOf(found: ReturnType<typeof assess>, name: string): string | undefined {
  return found.find((a) => a.container.name === name)?.verdict.kind;
}

test('a cluster that cannot be seen at all does not hold up another, with all its canaries and containers', () => {
  const found = besideAnother(neighbours(world().answers('dns', 'refused'), 0), {
    seen: false,
    failing: 9,
    total: 9,
  });
  assert.deepEqual([kindOf(found, 'dns'), kindOf(found, 'a0')], ['unhealthy', 'inconclusive']);
});

test('most containers of all the clusters that are seen fail: inconclusive', () => {
  const found = besideAnother(neighbours(world().answers('dns', 'refused'), 0), {
    seen: true,
    failing: 9,
    total: 9,
  });
  assert.equal(kindOf(found, 'dns'), 'inconclusive');
});

test('another cluster that is well does not hide that most of this one fails together', () => {
  const found = besideAnother(neighbours(world().answers('dns', 'refused'), 3), {
    seen: true,
    failing: 0,
    total: 20,
  });
  assert.equal(kindOf(found, 'dns'), 'inconclusive');
});

test('a cluster without canaries of its own rests on those of the others', () => {
  const w = neighbours(world().answers('dns', 'refused'), 0);
  const { inventory, observation, state } = w;
  const home = inventory.clusters['home'];
  assert.ok(home !== undefined);
  const label = 'ping away';
  const away = {
    ...home,
    name: 'away',
    canaries: [{ kind: 'ping', host: 'x', label, timeoutMs: 1, attempts: 1 }] as const,
  };
  const found = assess(
    { ...inventory, clusters: { home: { ...home, canaries: [] }, away } },
    { ...observation, canaries: [probeOf('silent', label)] },
    state,
  );
  assert.equal(kindOf(found, 'dns'), 'inconclusive');
});
