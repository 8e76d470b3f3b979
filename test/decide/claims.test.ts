/** A lineage line is text in a guest's notes: somebody who may edit those of another guest can write one there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimsOf } from '../../lib/decide/claims.ts';
import { followedOf } from '../../lib/decide/followed.ts';
import { incarnationKey, incarnationsOf } from '../../lib/decide/incarnations.ts';
import { TAG } from '../../lib/decide/lineage.ts';
import { detailOf, guestOf, incarnationOf, lineOf, MAC } from './parts.ts';
import { dueWorld, failedGates, world, type World } from './world.ts';

const OTHER_MAC = 'BC:24:11:66:66:66';

/** A stranger's container whose notes say that it is a later copy of dns. */
function forged(w: World, vmid = 666, macs: string[] = [OTHER_MAC]): World {
  w.runs('pve3', vmid, { tags: [TAG] }, { tags: [TAG], macs });
  w.view.lineages.push({ node: 'pve3', vmid, line: lineOf({ node: 'pve3', vmid, epoch: 5 }) });
  return w;
}

function seen(w: World) {
  const { current, superseded, problems } = incarnationsOf(
    w.container('dns'),
    w.observation,
    w.state.containers['dns'],
  );
  return {
    current: current === null ? null : incarnationKey(current),
    superseded: superseded.map((i) => incarnationKey(i)),
    doubted: problems.filter((p) => p.includes('not believed')).length,
  };
}

test('a forged lineage line supersedes nobody: the original stays current, and it is said', () => {
  const original = { current: 'pve1/101@0', superseded: [], doubted: 1 };
  assert.deepEqual(seen(forged(world())), original);
  // On a vmid of the list, too: the interfaces are a stranger's.
  assert.deepEqual(seen(forged(world(), 5_000_101)), original);
  // Nothing is known of its interfaces, or it has none: then the vmid has to be one of the list.
  assert.deepEqual(seen(forged(world(), 666, [])), original);
});

test('a forged lineage line holds up a failover until a person has looked at it, and starts none', () => {
  const decision = forged(dueWorld()).decides();
  assert.equal(decision.kind, 'blocked');
  assert.deepEqual(failedGates(decision), ['lineage']);
  assert.match(
    decision.gates.map((g) => g.evidence).join('\n'),
    /CT 666 on pve3 .* not believed: its MAC is/,
  );
});

test('a line is believed by the MAC addresses of the inventory, the state or the original, and by the vmid alone', () => {
  const believed = (w: World): number =>
    claimsOf(w.container(), w.observation, w.state.containers['dns']).believed.length;
  assert.equal(believed(forged(world(), 666, [MAC])), 1, 'of the original');
  assert.equal(believed(forged(world().entry('dns', { macs: [OTHER_MAC] }))), 1, 'of the inventory');
  const unknown = (vmid: number): World =>
    forged(
      world().but((w) => {
        w.state.containers = {};
        w.view.details = [];
      }),
      vmid,
    );
  assert.equal(believed(unknown(5_000_101)), 1, 'a vmid of the list');
  assert.equal(believed(unknown(666)), 0);
  const remembered = forged(world()).record('dns', {
    current: incarnationOf({ node: 'pve3', vmid: 666, epoch: 5, phase: 'live' }),
  });
  assert.equal(believed(remembered), 1, 'the state knows it');
});

test('of a container that has left the inventory, nothing but the lines can be known: they are believed', () => {
  const w = world().copy({ cluster: 'home' });
  // A stranger has the original's vmid in the cluster where the newest copy is.
  w.view.details = [detailOf('pve1', 101, { macs: [OTHER_MAC] }), detailOf('pve2', 1_000_101)];
  w.view.guests = [guestOf('pve1', 101), guestOf('pve2', 1_000_101, { tags: [TAG] })];
  w.state.containers = {};
  const [one] = followedOf({ containers: {} }, w.observation, w.state);
  assert.equal(one?.incarnations.current?.vmid, 1_000_101);
});
