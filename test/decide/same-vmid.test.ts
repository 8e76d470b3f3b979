/** `identity: same-vmid`: what it demands, what stands in its way, and how its copies are told from their original. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseBackup } from '../../lib/decide/backups.ts';
import { incarnationKey, incarnationsOf } from '../../lib/decide/incarnations.ts';
import { proofOf } from '../../lib/decide/proof.ts';
import { movingObstacles } from '../../lib/decide/same-vmid.ts';
import { at, backupOf, configOf, HOUR, incarnationOf, lineOf, MAC, NOW } from './parts.ts';
import { world, type World } from './world.ts';

const SAME = { failover: { identity: 'same-vmid' as const } };

/** `dns` is on pve2 with the vmid that it had on pve1. */
function copied(status: 'running' | 'stopped' = 'running', phase: 'restored' | 'live' = 'live'): World {
  return world()
    .entry('dns', SAME)
    .but((w) => {
      w.view.guests = [];
      w.view.details = [];
      w.node('pve1').netstat = [];
    })
    .copy({ vmid: 101, phase }, status, phase === 'live');
}

function seen(w: World) {
  const { current, superseded, pending, problems } = incarnationsOf(
    w.container(),
    w.observation,
    w.state.containers['dns'],
  );
  return {
    current: current && incarnationKey(current),
    others: [superseded.map((i) => incarnationKey(i)), pending.map((i) => incarnationKey(i))],
    problems: problems.join('; '),
  };
}

test('the copy is current, and its original is in no list', () => {
  assert.deepEqual(seen(copied()), { current: 'pve2/101@1', others: [[], []], problems: '' });
  assert.deepEqual(seen(copied('stopped', 'restored')), {
    current: null,
    others: [[], ['pve2/101@1']],
    problems: '',
  });
});

test('the next copy of a copy: the config of what the state knows has been moved aside', () => {
  const w = copied('stopped', 'restored')
    .record('dns', { current: incarnationOf({ node: 'pve3', vmid: 101, epoch: 1 }) })
    .but((x) => {
      x.view.lineages = [
        {
          node: 'pve2',
          vmid: 101,
          line: lineOf({ vmid: 101, epoch: 2, phase: 'restored', supersedes: 'pve3/101@1' }),
        },
      ];
    });
  assert.deepEqual(seen(w), { current: null, others: [[], ['pve2/101@2']], problems: '' });
});

test('the copy’s node dies: the state knows that it is no original', () => {
  const w = copied().dies('pve2').forgets('pve2');
  assert.deepEqual(seen(w), { current: 'pve2/101@1', others: [[], []], problems: '' });
});

test('without the state nobody can say what has died there', () => {
  const w = copied().dies('pve2').forgets('pve2').record('dns', { current: null });
  assert.match(seen(w).problems, /whether CT 101 on pve2 is the original of dns or a later copy/);
  // Another runner has moved it there since.
  w.record('dns', { current: incarnationOf({ node: 'pve1', vmid: 101 }) });
  assert.match(seen(w).problems, /this state has never seen it there/);
});

test('a copy whose line was removed by hand is told of', () => {
  const w = copied().but((x) => void (x.view.lineages = []));
  assert.match(seen(w).problems, /CT 101 on pve2 is known as pve2\/101@1, and its notes lack the line/);
});

test('a backup of a later copy under the same vmid: what is older is not used', () => {
  const w = world().entry('dns', SAME);
  const old = backupOf({ volid: 'nas:old', at: NOW - 3 * HOUR });
  const later = backupOf({ volid: 'nas:later', at: NOW - HOUR });
  const archived = later.archived;
  assert.ok(archived !== null);
  const of = (phase: 'live' | 'restored') => ({
    ...later,
    archived: { ...archived, lineage: lineOf({ vmid: 101, epoch: 1, phase }) },
  });
  const rules = {
    container: w.container(),
    current: incarnationOf({ node: 'pve2', vmid: 101 }),
    macs: [MAC],
    now: NOW,
  };
  const chosen = chooseBackup([old, of('live')], rules);
  assert.equal(chosen.chosen, null);
  assert.match(JSON.stringify(chosen.rejected), /a later copy under this vmid \(epoch 1 on pve2\)/);
  // One that was never started holds nothing that is newer.
  assert.equal(chooseBackup([old, of('restored')], rules).chosen?.volid, 'nas:old');
  const named = { volid: 'nas:old', acceptAgeMs: 4 * HOUR };
  assert.equal(chooseBackup([old, of('live')], { ...rules, named }).chosen?.volid, 'nas:old');
});

function proofOfOriginal(w: World) {
  return proofOf({
    incarnation: at('pve1/101@0'),
    observation: w.observation,
    probes: [],
    inventory: w.inventory,
    state: w.state,
    now: NOW,
  });
}

test('P2 of an original whose config was moved away: its node’s netstat, and the line of the copy', () => {
  const w = copied('stopped', 'restored');
  assert.equal(proofOfOriginal(w).level, 2);
  w.node('pve1').netstat = [101];
  assert.match(proofOfOriginal(w).rests.join(), /netstat there shows an interface of CT 101/);
  assert.equal(proofOfOriginal(w).level, 0);
  w.node('pve1').netstat = null;
  assert.equal(proofOfOriginal(w).level, 0);
  w.node('pve1').netstat = [];
  // Somebody else's container with that vmid proves nothing.
  w.view.lineages = [];
  assert.equal(proofOfOriginal(w).level, 0);
  w.view.lineages = [{ node: 'pve2', vmid: 101, line: lineOf({ vmid: 101, supersedes: 'pve3/101@0' }) }];
  assert.equal(proofOfOriginal(w).level, 0);
});

test('silence is not enough, whatever the inventory accepts', () => {
  const w = world()
    .entry('dns', { failover: { identity: 'same-vmid', proof: 'offline-accepted' } })
    .failed()
    .dies('pve1');
  const decision = w.decides();
  assert.equal(decision.kind, 'blocked');
  assert.match(
    decision.why,
    /P1 .*P2 is demanded \(failover\.proof: offline-accepted, identity: same-vmid\)/,
  );
  assert.equal(w.reads('pve1', 'off').decides().action?.vmid, 101);
});

test('what stands in the way of moving a config', () => {
  const obstacles = (w: World, config = configOf()): string =>
    movingObstacles({
      container: w.container(),
      current: at('pve1/101@0'),
      view: w.view,
      cluster: w.inventory.clusters['home'],
      config,
    })
      .map((o) => o.what)
      .join('; ');
  assert.equal(obstacles(world()), '');
  const [root] = configOf().mounts;
  assert.ok(root !== undefined);
  assert.match(
    obstacles(world(), configOf({ mounts: [{ ...root, source: 'nas:101/vm-101-disk-0.raw' }] })),
    /^rootfs \(nas:101\/vm-101-disk-0\.raw\) is on shared storage/,
  );
  assert.match(obstacles(world().guard('pve1', 101)), /an HA entry ct:101 \(disabled\)/);
  assert.match(obstacles(world().but((w) => void (w.view.standalone = true))), /stand-alone/);
});
