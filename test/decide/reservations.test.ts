/** What is promised to copies beyond what is seen in use, and whose turn it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { promised } from '../../lib/decide/reservations.ts';
import { beginOf, preparesAhead, turnOf, underWayOf, type UnderWay } from '../../lib/decide/under-way.ts';
import { GIB, HOUR, MINUTE, NOW } from './parts.ts';
import { dueWorld, world, type World } from './world.ts';

type Making = Parameters<typeof underWayOf>[0];

const PVE2 = { cluster: 'home', node: 'pve2' };

function coming(patch: Partial<UnderWay> = {}): UnderWay {
  return {
    operation: 'op-1',
    container: 'web',
    target: PVE2,
    vmid: 1_000_102,
    restoring: true,
    turn: true,
    backups: 'home/nas',
    takes: { memory: 4 * GIB, disks: { local: 30 * GIB }, backups: 'nas' },
    ...patch,
  };
}

function memoryOf(w: World, underWay: readonly UnderWay[] = []): number {
  return (promised(w.observation, underWay).get('home/pve2') ?? 0) / GIB;
}

/** A copy of `dns` on pve2, made so long ago, that uses a quarter of its GiB. */
function copied(ago: number): World {
  const w = world().copy({ node: 'pve2', at: NOW - ago });
  for (const guest of w.view.guests) guest.memUsed = GIB / 4;
  return w;
}

test('a copy of the last hour keeps its whole limit, however little it uses yet', () => {
  assert.equal(memoryOf(copied(MINUTE)), 0.75);
  assert.equal(memoryOf(copied(HOUR)), 0);
  assert.equal(memoryOf(copied(-HOUR)), 0.75, 'the clock was set back');
});

test('on a node that has just booted, stopped guests may be about to start', () => {
  const w = world()
    .runs('pve2', 300, { memMax: 2 * GIB })
    .stops('pve2', 300, { onboot: true });
  assert.equal(memoryOf(w), 0);
  w.node('pve2').uptimeSeconds = 60;
  assert.equal(memoryOf(w), 2);
  w.changeDetail('pve2', 300, { onboot: false });
  assert.equal(memoryOf(w), 0, 'its config says that it does not');
});

test('an operation under way keeps what it takes, less what its copy uses already', () => {
  const w = world();
  assert.equal(memoryOf(w, [coming()]), 4);
  w.runs('pve2', 1_000_102, { memMax: 4 * GIB, memUsed: GIB });
  assert.equal(memoryOf(w, [coming({ restoring: false })]), 3);
  assert.equal(memoryOf(w, [coming({ takes: null })]), 0, 'a journal of an earlier version');
});

test('its disks are kept until its restore is over; then the storage itself says so', () => {
  const local = (one: UnderWay): number | undefined =>
    promised(world().observation, [one]).get('home/pve2/local');
  assert.equal(local(coming()), 30 * GIB);
  assert.equal(local(coming({ restoring: false })), undefined);
});

test('what another process is about to put there is not given to a second', () => {
  const w = dueWorld().entry('dns', { nodes: [PVE2] });
  w.underWay.push(coming({ restoring: false, takes: { memory: 12 * GIB, disks: {}, backups: 'nas' } }));
  const { kind, why } = w.decides();
  assert.equal(kind, 'blocked');
  assert.match(why, /pve2: it has 0 B of memory free \(beside 12 GiB promised to others\)/);
});

test('at the limit it waits for its turn, and takes its room all the same', () => {
  const w = dueWorld().entry('dns', { nodes: [PVE2], priority: 1 });
  w.has({ name: 'late', vmid: 105, nodes: [PVE2] })
    .answers('late', 'silent')
    .failed('late');
  w.node('pve2').memUsed = 10.5 * GIB;
  w.underWay.push(coming());
  assert.equal(w.decides().kind, 'failover', 'one is prepared while another is restored');
  w.underWay.push(coming({ container: 'db', turn: false, takes: { memory: 0, disks: {}, backups: 'nas' } }));
  const { kind, why, gates } = w.decides();
  assert.equal(kind, 'wait');
  assert.equal(
    why,
    'turn: web is being restored on pve2 and db is next, the limit is 1 (limits.restoresPerNode)',
  );
  assert.equal(gates.at(-1)?.flip, 'the next run goes on');
  assert.match(w.decides('late').why, /pve2: it has 512 MiB of memory free \(beside 5 GiB promised/);
  assert.equal(w.decides('dns', { mode: 'by-hand' }).kind, 'failover', 'a person waits for nobody');
});

const limits = { restoresPerNode: 1, restoresPerStorage: 2 };
const turns: readonly (readonly [string, readonly UnderWay[], RegExp | null])[] = [
  ['nobody', [], null],
  ['one on another node', [coming({ target: { ...PVE2, node: 'pve3' } })], null],
  [
    'one on the node of that name of another cluster',
    [coming({ target: { ...PVE2, cluster: 'office' } })],
    null,
  ],
  ['one on this node', [coming()], /web is being restored on pve2, the limit is 1/],
  ['one whose restore is over', [coming({ restoring: false })], null],
  [
    'two from the storage',
    ['pve3', 'pve4'].map((node) => coming({ container: node, target: { ...PVE2, node } })),
    /pve3, pve4 are being restored from nas, the limit is 2 \(limits.restoresPerStorage\)/,
  ],
  ['one that waits for its turn', [coming({ turn: false })], /web is next on pve2, the limit is 1/],
  [
    'one that waits for a place on another storage',
    [
      coming({ container: 'pve3', target: { ...PVE2, node: 'pve3' }, backups: 'home/pbs' }),
      coming({ container: 'pve4', target: { ...PVE2, node: 'pve4' }, backups: 'home/pbs' }),
      coming({ turn: false, backups: 'home/pbs' }),
    ],
    null,
  ],
  [
    'two from another storage',
    ['pve3', 'pve4'].map((node) => coming({ target: { ...PVE2, node }, backups: 'home/pbs' })),
    null,
  ],
];
for (const [what, others, expected] of turns)
  test(`whose turn it is, with ${what} under way`, () => {
    const why = turnOf(limits, others, PVE2, 'home/nas');
    if (expected === null) assert.equal(why, null);
    else assert.match(why ?? '', expected);
  });

test('where it is prepared ahead, there may be one more for each place', () => {
  const next = coming({ container: 'db', turn: false });
  const why = (...others: UnderWay[]): string | null => beginOf(limits, others, PVE2, 'home/nas');
  assert.equal(why(coming()), null);
  assert.equal(why(next), null);
  assert.match(why(coming(), next) ?? '', /^web is being restored on pve2 and db is next, the limit is 1 /);
  assert.match(why(next, coming({ turn: false })) ?? '', /^db, web are next on pve2, the limit is 1 /);
  const elsewhere = ['pve3', 'pve4', 'pve5', 'pve6'].map((node) => coming({ target: { ...PVE2, node } }));
  assert.match(why(...elsewhere) ?? '', /are being restored from nas, the limit is 2 /);
  assert.ok(preparesAhead({ sourceAlive: false, retire: 'ha-guard' }));
  assert.ok(!preparesAhead({ sourceAlive: true, retire: 'onboot-off' }), 'it serves until it is stopped');
  assert.ok(!preparesAhead({ sourceAlive: false, retire: 'config-moved' }));
});

test('operations that make no copy, or have ended, are not under way', () => {
  const { action } = dueWorld().decides();
  assert.ok(action !== null);
  const data = {
    target: null,
    vmid: null,
    volid: null,
    live: null,
    turn: true,
    restored: false,
    undoing: null,
  };
  const op: Making = { id: 'op-1', container: 'dns', kind: 'failover', status: 'running', action, data };
  const read = (patch: Partial<Making>): UnderWay | null => underWayOf({ ...op, ...patch });
  assert.deepEqual(read({}), {
    operation: 'op-1',
    container: 'dns',
    target: PVE2,
    vmid: 1_000_101,
    restoring: true,
    turn: true,
    backups: 'home/nas',
    takes: { memory: GIB, disks: { local: 8 * GIB }, backups: 'nas' },
  });
  assert.equal(read({ status: 'done' }), null);
  assert.equal(read({ kind: 'restart', action: null }), null);
  const later = read({
    data: { ...data, target: { ...PVE2, node: 'pve3' }, live: { vmid: 2_000_101, epoch: 2 }, restored: true },
  });
  assert.deepEqual([later?.target.node, later?.vmid, later?.restoring], ['pve3', 2_000_101, false]);
  // A first attempt at home was started and stopped again; the second takes what is free elsewhere.
  const elsewhere = { cluster: 'attic', node: 'pve9' };
  const second = read({
    data: { ...data, target: elsewhere, vmid: 10_000_101, live: { vmid: 1_000_101, epoch: 1 } },
  });
  assert.deepEqual([second?.target, second?.vmid, second?.restoring], [elsewhere, 10_000_101, true]);
});
