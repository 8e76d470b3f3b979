import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wrongPlug } from '../../lib/decide/gates.ts';
import { HOUR, lineOf, MINUTE, NOW } from './parts.ts';
import { dueWorld, failedGates, world, type World } from './world.ts';

test('a failover that is due passes every gate', () => {
  const decision = dueWorld().decides();
  assert.deepEqual(failedGates(decision), []);
  assert.equal(decision.kind, 'failover');
});

/** Gates for what nobody asked for: a person's request passes them. */
const automatic: readonly (readonly [string, string, RegExp, (w: World) => World])[] = [
  ['auto is false', 'auto', /does not allow/, (w) => w.entry('dns', { failover: { auto: false } })],
  [
    'an earlier operation ended in error',
    'error',
    /hands off since op-1: it broke/,
    (w) => w.record('dns', { error: { at: NOW, reason: 'it broke', operation: 'op-1' } }),
  ],
  [
    'within the cooldown',
    'cooldown',
    /59 min ago/,
    (w) => w.record('dns', { lastFailoverAt: NOW - HOUR + MINUTE }),
  ],
  [
    'the clock was set back after the last failover',
    'cooldown',
    /clock was set back/,
    (w) => w.record('dns', { lastFailoverAt: NOW + 2 * HOUR }),
  ],
  [
    'the hour’s limit is reached',
    'limits',
    /6 failovers within the hour/,
    (w) => hour(w, [1, 2, 3, 4, 5, 59]),
  ],
  [
    'the clock was set back after six failovers',
    'limits',
    /6 failovers/,
    (w) => hour(w, [-9, -9, -9, -9, -9, -9]),
  ],
  [
    'the run’s limit is reached',
    'limits',
    /0 failovers in this run, the limit is 0/,
    (w) => w.but(() => Object.assign(w.limits, { failoversPerRun: 0, failoversPerHour: 6 })),
  ],
  [
    'it was failed over twice today',
    'flapping',
    /2 times within 24 h and fails again/,
    (w) => w.record('dns', { autoFailovers: [NOW - 23 * HOUR, NOW - 2 * HOUR] }),
  ],
  [
    'the clock was set back after two failovers',
    'flapping',
    /2 times within 24 h/,
    (w) => w.record('dns', { autoFailovers: [NOW + HOUR, NOW + 30 * HOUR] }),
  ],
  ['two of three nodes are down', 'nodes', /2 of 3 nodes are down/, (w) => w.dies('pve3')],
];

function hour(w: World, minutes: number[]): World {
  w.state.failovers = minutes.map((m) => NOW - m * MINUTE);
  return w;
}

for (const [what, gate, evidence, change] of automatic) {
  test(`blocked by ${gate}: ${what}`, () => {
    const decision = change(dueWorld()).decides();
    assert.equal(decision.kind, 'blocked');
    assert.deepEqual(failedGates(decision), [gate]);
    assert.match(decision.why, evidence);
    assert.notEqual(decision.gates.find((g) => g.gate === gate)?.flip, null);
  });
  test(`by hand, it is no obstacle: ${what}`, () =>
    assert.equal(change(dueWorld()).decides('dns', { mode: 'by-hand' }).kind, 'failover'));
}

/** Gates for everybody. */
const safety: readonly (readonly [string, string, RegExp, (w: World) => World])[] = [
  [
    'two copies of one epoch',
    'lineage',
    /two copies/,
    (w) =>
      w
        .copy({ node: 'pve2' })
        .runs('pve3', 2_000_101)
        .but(() =>
          w.view.lineages.push({
            node: 'pve3',
            vmid: 2_000_101,
            line: lineOf({ node: 'pve3', vmid: 2_000_101 }),
          }),
        ),
  ],
  [
    'an unfinished copy',
    'pending',
    /unfinished copy of operation op-/,
    (w) => w.copy({ phase: 'restored' }, 'stopped', false),
  ],
  [
    'the HA manager runs it',
    'ha',
    /HA manager runs ct:101/,
    (w) => w.but(() => w.view.ha.push({ sid: 'ct:101', state: 'started', group: null, comment: '' })),
  ],
  [
    'whether the HA manager runs it is not known',
    'ha',
    /can't be said/,
    (w) => w.but(() => (w.view.haProblem = 'HA entries: 403')),
  ],
  [
    'another node vanished after a fence',
    'fence',
    /perhaps the wrong plug/,
    (w) => {
      w.dies('pve3');
      w.state.fenced['home/pve1'] = { at: NOW - MINUTE, othersOnline: ['pve2', 'pve3'] };
      return w;
    },
  ],
];
for (const [what, gate, evidence, change] of safety)
  for (const request of [undefined, { mode: 'by-hand' } as const])
    test(`blocked by ${gate}, ${request === undefined ? 'automatic' : 'by hand'}: ${what}`, () => {
      const decision = change(dueWorld()).decides('dns', request);
      assert.equal(decision.kind, 'blocked');
      assert.ok(failedGates(decision).includes(gate), failedGates(decision).join());
      assert.match(decision.gates.find((g) => g.gate === gate)?.evidence ?? '', evidence);
    });

test('without quorum nothing is done by hand either', () => {
  const w = dueWorld().but((x) => {
    x.view.via = null;
    x.view.quorate = false;
  });
  const decision = w.decides('dns', { mode: 'by-hand' });
  assert.equal(decision.kind, 'blocked');
  assert.ok(failedGates(decision).includes('quorum'));
});

test('where no endpoint lets us in, quorum is not what is to be restored', () => {
  const shut = (failure: 'tls' | 'auth' | 'network', nodes: number): string => {
    const w = dueWorld().but((x) => {
      x.view.via = null;
      x.view.quorate = false;
      for (const endpoint of x.view.endpoints.slice(0, nodes))
        Object.assign(endpoint, { ok: false, error: 'no', failure, quorate: false });
    });
    const { gates } = w.decides('dns', { mode: 'by-hand' });
    return gates.find((g) => g.gate === 'quorum')?.flip ?? '';
  };
  assert.match(
    shut('tls', 3),
    /^compare the certificate with `pvenode cert info` on its node, then put its fingerprint/,
  );
  assert.match(shut('auth', 3), /^give the inventory's api\.token/);
  assert.match(shut('network', 3), /^make an endpoint of the cluster reachable/);
  assert.match(shut('tls', 1), /^restore quorum, or make/);
});

test('a lock on a living node blocks, on a dead one it does not matter', () => {
  const locked = world().answers('dns', 'refused').failed().changeDetail('pve1', 101, { lock: 'backup' });
  assert.deepEqual(failedGates(locked.decides()), ['lock']);
  assert.deepEqual(failedGates(locked.decides('dns', { mode: 'planned' })), ['lock']);
  assert.equal(
    dueWorld()
      .but((w) => void (w.view.guests = w.view.guests.map((g) => ({ ...g, lock: 'backup' }))))
      .decides().kind,
    'failover',
  );
});

test('a cooldown that is over, and limits of an hour ago, hold nothing back', () => {
  const w = hour(dueWorld(), [60, 61, 62, 63, 64, 65]).record('dns', { lastFailoverAt: NOW - HOUR });
  assert.equal(w.decides().kind, 'failover');
});

test('limits count what this run has decided already, and the first by priority go first', () => {
  const w = dueWorld();
  Object.assign(w.limits, { failoversPerRun: 2, failoversPerHour: 6 });
  for (const [name, vmid, priority] of [
    ['web', 102, 1],
    ['db', 103, 2],
  ] as const)
    w.has({ name, vmid, priority }).answers(name, 'silent').failed(name);
  w.view.details = [];
  assert.deepEqual(
    w.decisions().map((d) => `${d.container} ${d.kind}`),
    ['web failover', 'db failover', 'dns blocked'],
  );
});

test('the hour’s limit counts them, too', () => {
  const w = hour(dueWorld(), [1, 2, 3, 4, 5]);
  w.has({ name: 'web', vmid: 102, priority: 1 }).answers('web', 'silent').failed('web');
  w.view.details = [];
  assert.deepEqual(
    w.decisions().map((d) => d.kind),
    ['failover', 'blocked'],
  );
});

test('wrong plug: only a node that was online at the fence and not seen for a minute after it', () => {
  const fencedAt = NOW - 30 * MINUTE;
  const w = (seen: number | undefined, other = 'pve3'): string | null => {
    const x = world().dies('pve1').dies('pve3');
    x.state.fenced['home/pve1'] = { at: fencedAt, othersOnline: ['pve2', other] };
    if (seen !== undefined) x.state.lastSeenOnline['home/pve3'] = seen;
    return wrongPlug(x);
  };
  assert.match(w(fencedAt - MINUTE) ?? '', /pve3 vanished/);
  assert.match(w(fencedAt + MINUTE) ?? '', /pve3 vanished/);
  assert.match(w(undefined) ?? '', /pve3 vanished/);
  assert.equal(w(fencedAt + MINUTE + 1), null);
  assert.equal(w(fencedAt, 'pve9'), null);
});

test('wrong plug: it is forgotten when that node is back', () => {
  const w = world().dies('pve1');
  w.state.fenced['home/pve1'] = { at: NOW - MINUTE, othersOnline: ['pve2', 'pve3'] };
  assert.equal(wrongPlug(w), null);
});

test('views that disagree: nothing is done, and by hand nothing either', () => {
  const w = dueWorld().but((x) => void Object.assign(x.view.endpoints[2] ?? {}, { online: ['pve3'] }));
  assert.equal(w.decides().kind, 'wait');
  const byHand = w.decides('dns', { mode: 'by-hand' });
  assert.deepEqual([byHand.kind, failedGates(byHand)[0]], ['blocked', 'quorum']);
  assert.match(byHand.why, /the views of cluster home disagree/);
});
