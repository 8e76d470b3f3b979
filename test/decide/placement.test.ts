import assert from 'node:assert/strict';
import { test } from 'node:test';
import { place, type Placement, type PlacementInput } from '../../lib/decide/placement.ts';
import { backupOf, configOf, GIB, guestOf, incarnationOf } from './parts.ts';
import { world, type World } from './world.ts';

function placed(w: World, patch: Partial<PlacementInput> = {}): Placement {
  return place({
    container: w.container(),
    current: incarnationOf(),
    observation: w.observation,
    backup: backupOf(),
    memory: GIB,
    config: configOf(),
    vmid: 1_000_101,
    reserved: new Map(),
    ...patch,
  });
}

function storage(w: World, node: string, name: string) {
  const found = w.view.storages.find((s) => s.node === node && s.storage === name);
  assert.ok(found !== undefined);
  return found;
}

const dead = (): World => world().dies('pve1');

test('all that fit, in the inventory’s order', () => {
  const w = dead().entry('dns', {
    nodes: [
      { cluster: 'home', node: 'pve3' },
      { cluster: 'home', node: 'pve2' },
    ],
  });
  assert.deepEqual(
    placed(w).targets.map((t) => t.node),
    ['pve3', 'pve2'],
  );
  assert.deepEqual(placed(w).rejected, []);
});

const rows: readonly (readonly [string, RegExp, (w: World) => void, Partial<PlacementInput>?])[] = [
  ['another cluster', /another cluster is not available/, target('office', 'pve9')],
  ['where it is', /there already/, target('home', 'pve1')],
  ['an unknown node', /there is no node pve9/, target('home', 'pve9')],
  ['no quorate view', /no quorate view/, (w) => void (w.view.quorate = false)],
  ['no view at all', /no quorate view/, (w) => void (w.view.via = null)],
  ['offline', /it is offline/, (w) => w.dies('pve2')],
  ['its API is silent', /API does not answer/, (w) => void (w.node('pve2').apiAnswers = false)],
  ['its API was not asked', /API does not answer/, (w) => void (w.node('pve2').apiAnswers = null)],
  ['no such storage', /storage local is not there/, (w) => void w.view.storages.splice(0)],
  [
    'the storage is not active',
    /local is not active/,
    (w) => void (storage(w, 'pve2', 'local').active = false),
  ],
  [
    'the storage takes no disks',
    /no rootdir/,
    (w) => void (storage(w, 'pve2', 'local').content = ['images']),
  ],
  [
    'the storage is full',
    /has 5 GiB free, the container needs 8 GiB/,
    (w) => void (storage(w, 'pve2', 'local').used = 95 * GIB),
  ],
  [
    'it can’t see the backups',
    /can't see the backup storage nas/,
    (w) => void (storage(w, 'pve2', 'nas').active = false),
  ],
  ['its memory is full', /has 512 MiB of memory free/, (w) => void (w.node('pve2').memUsed = 15.5 * GIB)],
  [
    'its memory is promised to others',
    /has 0 B of memory free, the container needs 1 GiB/,
    () => undefined,
    { reserved: new Map([['home/pve2', 12 * GIB]]) },
  ],
  [
    'the vmid is taken',
    /vmid 1000101 is taken by other on pve3/,
    (w) => w.view.guests.push(guestOf('pve3', 1_000_101, { name: 'other' })),
  ],
];

function target(cluster: string, node: string): (w: World) => void {
  return (w) => w.entry('dns', { nodes: [{ cluster, node }] });
}

for (const [what, why, change, patch] of rows)
  test(`rejected: ${what}`, () => {
    const w = dead().entry('dns', { nodes: [{ cluster: 'home', node: 'pve2' }] });
    change(w);
    const { targets, rejected } = placed(w, patch);
    assert.deepEqual(targets, []);
    assert.match(rejected[0]?.why ?? '', why);
  });

test('what is not known does not rule a node out: PVE will say', () => {
  const w = dead().but((x) => {
    x.node('pve2').memTotal = null;
    storage(x, 'pve2', 'local').total = null;
  });
  assert.equal(placed(w).targets[0]?.node, 'pve2');
  assert.equal(placed(dead(), { memory: null, config: null }).targets.length, 2);
});

test('a person’s choice is the only candidate, and checked like any other', () => {
  const only = { cluster: 'home', node: 'pve3' };
  assert.deepEqual(placed(dead(), { only }).targets, [only]);
  assert.deepEqual(placed(dead().dies('pve3'), { only }).targets, []);
});

test('exactly enough room is enough', () => {
  const w = dead().but((x) => {
    x.node('pve2').memUsed = 15 * GIB;
    storage(x, 'pve2', 'local').used = 92 * GIB;
  });
  assert.equal(placed(w).targets[0]?.node, 'pve2');
});
