import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guardInPlace, guardMeasured } from '../../lib/decide/guard.ts';
import { retirement } from '../../lib/decide/retire.ts';
import { incarnationOf, MINUTE, NOW } from './parts.ts';
import { world, type World } from './world.ts';

interface Expected {
  readonly retire: ReturnType<typeof retirement>['retire'];
  readonly ok: boolean;
  readonly settled: boolean;
}
const GUARD: Expected = { retire: 'ha-guard', ok: true, settled: false };
const REFUSED: Expected = { retire: 'nothing-to-do', ok: false, settled: false };
const ACCEPTED: Expected = { retire: 'risk-accepted', ok: true, settled: true };
const BELT: Expected = { retire: 'risk-and-guard', ok: true, settled: true };

const dead = (): World => world().dies('pve1');
/** The nodes' own versions, in order. */
const upgrading = (...versions: readonly string[]): World =>
  dead().but((w) =>
    w.view.nodes.forEach((node, index) => {
      const text = versions[index];
      if (text !== undefined) node.version = { text, readAt: 0 };
    }),
  );
const nine = (): World => dead().but((w) => void (w.view.version = '9.0.3'));
const entry = { sid: 'ct:101', state: 'disabled', group: 'ours', comment: '' };

const obstacles: readonly (readonly [string, RegExp, World])[] = [
  ['the token may not', /may not write HA entries/, dead().but((w) => void (w.view.mayGuard = false))],
  [
    'whether the token may is not known',
    /not known whether/,
    dead().but((w) => void (w.view.mayGuard = null)),
  ],
  ['HA could not be read', /HA entries: 403/, dead().but((w) => void (w.view.haProblem = 'HA entries: 403'))],
  [
    'Proxmox VE 9, where the token may not',
    /has not been measured on Proxmox VE 9\.0\.3/,
    nine().but((w) => void (w.view.mayGuard = false)),
  ],
  [
    'Proxmox VE 9, with an entry that isn’t ours',
    /has not been measured on Proxmox VE 9\.0\.3/,
    nine().but((w) => w.view.ha.push({ ...entry, group: null })),
  ],
  [
    'an upgrade under way',
    /a cluster that runs Proxmox VE 8\.4\.1 and 9\.0\.3 side by side/,
    upgrading('8.4.1', '8.4.1', '9.0.3'),
  ],
  [
    'the dead node had been upgraded already',
    /8\.4\.1 and 9\.0\.3 side by side/,
    upgrading('9.0.3', '8.4.1', '8.4.1'),
  ],
  ['an unknown version', /an unknown Proxmox VE/, dead().but((w) => void (w.view.version = null))],
  ['a stand-alone node', /no HA manager elsewhere/, dead().but((w) => void (w.view.standalone = true))],
  [
    'an entry that isn’t ours',
    /entry ct:101 \(disabled\) that isn't ours/,
    dead().but((w) => w.view.ha.push(entry)),
  ],
];

for (const [what, why, w] of obstacles) {
  test(`no guard: ${what}`, () => check(w, REFUSED, why));
  test(`accepted by name: ${what}`, () =>
    check(w.entry('dns', { failover: { returnRisk: 'accepted' } }), ACCEPTED, why));
}

function check(w: World, expected: Expected, evidence: RegExp, alive = false, what = ''): void {
  const { retire, gate, settled } = retirement(w.container(), incarnationOf(), w.view, alive, w.state);
  assert.deepEqual({ retire, ok: gate.ok, settled }, expected, `${what} ${gate.evidence}`);
  assert.match(gate.evidence, evidence);
  assert.equal(gate.flip === null, gate.ok);
}

test('a dead original gets the guard where that is possible', () => check(dead(), GUARD, /will keep CT 101/));
test('where it is possible, accepting the risk does not replace it', () =>
  check(dead().entry('dns', { failover: { returnRisk: 'accepted' } }), GUARD, /will keep/));
test('on 9.x the guard counts as absent; with the risk accepted it is set all the same', () => {
  const accepted = (w: World): World => w.entry('dns', { failover: { returnRisk: 'accepted' } });
  check(nine(), REFUSED, /has not been measured on Proxmox VE 9\.0\.3/);
  check(accepted(nine()), BELT, /returnRisk: accepted\. The guard is set all the same/);
  const half = { ...entry, state: 'ignored', group: null, comment: 'ProxWarden guard, op-1: …' };
  check(accepted(nine().but((w) => w.view.ha.push(half))), BELT, /set all the same/);
});
test('a guard of a group counts as absent once one node runs 9.x', () => {
  const w = upgrading('8.4.1', '8.4.1', '9.0.3').guard('pve1', 101);
  assert.equal(guardInPlace(w.view, 'pve1', 101), false);
  check(w, REFUSED, /side by side/);
});
test('autostart: proxwarden: onboot=0 that its node said right before it fell silent settles it', () => {
  const KNOWN: Expected = { retire: 'onboot-known-off', ok: true, settled: true };
  const off = (autostart: 'pve' | 'proxwarden', readAt: number | null, seenAt: number | null): World => {
    const w = nine().entry('dns', { failover: { autostart } });
    w.record('dns', { onbootOff: readAt === null ? {} : { 'home/pve1/101': readAt } });
    if (seenAt !== null) w.state.lastSeenOnline['home/pve1'] = seenAt;
    return w;
  };
  check(
    off('proxwarden', NOW - 9 * MINUTE, NOW - 9 * MINUTE),
    KNOWN,
    /had onboot=0 when its node last answered/,
  );
  check(off('proxwarden', NOW - 9 * MINUTE, NOW - 6 * MINUTE), KNOWN, /had onboot=0/);
  for (const [what, w] of [
    ['the inventory does not say so by name', off('pve', NOW - MINUTE, NOW - MINUTE)],
    ['it had onboot=1, or nobody knows', off('proxwarden', null, NOW - MINUTE)],
    ['the node was seen long after that', off('proxwarden', NOW - 9 * MINUTE, NOW - 5 * MINUTE)],
    ['a lost state', off('proxwarden', NOW - MINUTE, null)],
    [
      'it is of another of its copies',
      off('proxwarden', null, NOW).record('dns', {
        onbootOff: { 'home/pve1/102': NOW, 'attic/pve1/101': NOW },
      }),
    ],
  ] as const)
    check(w, REFUSED, /has not been measured/, false, what);
});
test('where the guard can be set, it is set beside a known onboot=0, which settles it all the same', () => {
  const w = dead().entry('dns', { failover: { autostart: 'proxwarden' } });
  w.record('dns', { onbootOff: { 'home/pve1/101': NOW } });
  w.state.lastSeenOnline['home/pve1'] = NOW;
  check(w, { retire: 'ha-guard', ok: true, settled: true }, /guard will keep/);
});
test('a rule in place is no proof: it has not been measured', () => {
  const w = nine().but((one) => {
    one.view.ha.push({ sid: 'ct:101', state: 'disabled', group: null, comment: 'ProxWarden guard, op-1' });
    one.view.haRules.push({
      rule: 'pw-guard-pve1-101',
      type: 'node-affinity',
      nodes: ['pve1'],
      resources: ['ct:101'],
      strict: true,
      disabled: false,
    });
  });
  assert.equal(guardInPlace(w.view, 'pve1', 101), false);
  check(w, REFUSED, /has not been measured/);
});
test('a guard in place settles it', () =>
  check(dead().guard('pve1', 101), { retire: 'ha-guard', ok: true, settled: true }, /in place/));
test('a living original gets onboot=0', () =>
  check(world(), { retire: 'onboot-off', ok: true, settled: false }, /will be stopped/, true));

const spoilt: readonly (readonly [string, (w: World) => void])[] = [
  ['its entry is started', (w) => void Object.assign(w.view.ha[0] ?? {}, { state: 'started' })],
  ['its entry is ignored', (w) => void Object.assign(w.view.ha[0] ?? {}, { state: 'ignored' })],
  ['its entry is in no group', (w) => void Object.assign(w.view.ha[0] ?? {}, { group: null })],
  ['its group is not restricted', (w) => void Object.assign(w.view.haGroups[0] ?? {}, { restricted: false })],
  ['its group holds another node', (w) => void Object.assign(w.view.haGroups[0] ?? {}, { nodes: ['pve2'] })],
  ['its group holds one more node', (w) => w.view.haGroups[0]?.nodes.push('pve2')],
  ['its group is gone', (w) => void w.view.haGroups.splice(0)],
  ['it is another container’s', (w) => void Object.assign(w.view.ha[0] ?? {}, { sid: 'ct:102' })],
];
for (const [what, spoil] of spoilt)
  test(`no inert guard: ${what}`, () => {
    const w = dead().guard('pve1', 101);
    assert.equal(guardInPlace(w.view, 'pve1', 101), true);
    spoil(w);
    assert.equal(guardInPlace(w.view, 'pve1', 101), false);
  });

test('the guard is measured on 8.x and nowhere else', () => {
  assert.deepEqual(['8.0', '8.4.21', '9.0', '18.1', '7.4', null].map(guardMeasured), [
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});
