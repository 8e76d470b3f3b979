/** Copies that run without a config: how they are seen, and when one may be ended. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { incarnationsOf } from '../../lib/decide/incarnations.ts';
import { endingProblem, orphanByHand, orphansOf, orphanWay } from '../../lib/decide/orphans.ts';
import { guestOf } from './parts.ts';
import { world, type World } from './world.ts';

/** `dns` runs on pve2 under its old vmid, and on pve1, where its config is not any more. */
function orphaned(): World {
  return world()
    .entry('dns', { failover: { identity: 'same-vmid' } })
    .but((w) => {
      w.view.guests = [];
      w.view.details = [];
      w.copy({ vmid: 101 });
    });
}

function problem(w: World, way: 'stop' | 'reboot' = 'stop'): string | null {
  const container = w.container();
  const [orphan] = orphansOf(container, w.view);
  assert.ok(orphan !== undefined, 'there is no orphan');
  const incarnations = incarnationsOf(container, w.observation, w.state.containers['dns']);
  return endingProblem({ container, orphan, view: w.view, incarnations, way });
}

test('a vmid of ours in the netstat of a node that has no config of it', () => {
  assert.deepEqual(orphansOf(orphaned().container(), orphaned().view), [{ node: 'pve1', vmid: 101 }]);
  assert.deepEqual(orphansOf(world().container(), world().view), []);
  // A copy's vmid, a stranger's, and a virtual machine that is being migrated.
  const w = world().but((x) => void (x.node('pve3').netstat = [1_000_101, 555, 2_000_101]));
  w.view.guests.push(guestOf('pve2', 2_000_101, { type: 'qemu' }));
  assert.deepEqual(orphansOf(w.container(), w.view), [{ node: 'pve3', vmid: 1_000_101 }]);
});

test('one whose container is known to be a later copy may be ended', () => {
  assert.equal(problem(orphaned()), null);
  assert.equal(problem(orphaned(), 'reboot'), null);
});

const NOT: readonly (readonly [string, (w: World) => unknown, RegExp])[] = [
  [
    'an original whose config somebody has moved',
    (w) => {
      w.view.lineages = [];
      w.view.details = [];
      w.record('dns', { current: null });
    },
    /no copy of dns has taken over/,
  ],
  [
    'no config at all',
    (w) => {
      w.view.guests = [];
      w.view.lineages = [];
      w.view.details = [];
      w.copy();
    },
    /no node has a config of CT 101/,
  ],
  ['only observed', (w) => w.entry('dns', { mode: 'observe' }), /mode: observe, which never acts/],
  [
    'the node is not back',
    (w) => void Object.assign(w.node('pve1'), { online: false }),
    /not in the cluster again/,
  ],
  ['no quorum', (w) => void (w.view.quorate = false), /no quorate view/],
  [
    'a copy is being made',
    (w) => w.copy({ epoch: 2, node: 'pve3', phase: 'restored' }, 'stopped', false),
    /a copy is being made/,
  ],
  [
    'drift',
    (w) => w.copy({ epoch: 1, node: 'pve3', vmid: 1_000_101 }, 'running', false),
    /two copies of dns/,
  ],
];
for (const [what, change, why] of NOT)
  test(`not ended: ${what}`, () => {
    const w = orphaned();
    change(w);
    assert.match(problem(w) ?? '', why);
  });

test('a node is not rebooted over the heads of others, nor of the quorum', () => {
  const beside = orphaned().but((w) => w.view.guests.push(guestOf('pve1', 200, { type: 'qemu' })));
  assert.match(problem(beside, 'reboot') ?? '', /other guests run on pve1.*VM 200/);
  assert.equal(problem(beside), null);
  const stranger = orphaned().but((w) => w.node('pve1').netstat?.push(300));
  assert.match(problem(stranger, 'reboot') ?? '', /300/);
  const restored = orphaned().but((w) =>
    w.view.guests.push(guestOf('pve1', 200, { status: 'stopped', lock: 'create' })),
  );
  assert.match(problem(restored, 'reboot') ?? '', /CT 200 on pve1 is locked \(create\)/);
  assert.equal(problem(restored), null);
  const few = orphaned().but((w) => void Object.assign(w.node('pve3'), { online: false }));
  assert.match(problem(few, 'reboot') ?? '', /without pve1 the others would have no quorum/);
});

test('what the inventory says: the node before the cluster, and nothing means tell', () => {
  const nodes = { pve1: { fence: [], orphans: 'reboot' as const }, pve2: { fence: [] } };
  assert.deepEqual(
    ['pve1', 'pve2', 'pve3'].map((node) => orphanWay({ nodes, orphans: 'stop' }, node)),
    ['reboot', 'stop', 'stop'],
  );
  assert.equal(orphanWay({ nodes }, 'pve2'), 'tell');
  assert.equal(orphanWay(undefined, 'pve1'), 'tell');
});

test('a token that sees no copy at all may lack a right: nobody is told to end what runs', () => {
  const orphan = { node: 'pve1', vmid: 101 };
  assert.match(orphanByHand(orphan, { current: null }), /the token lacks VM\.Audit/);
  assert.doesNotMatch(orphanByHand(orphan, { current: null }), /lxc-stop/);
});
