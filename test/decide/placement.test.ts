import assert from 'node:assert/strict';
import { test } from 'node:test';
import { place, type Placement, type PlacementInput } from '../../lib/decide/placement.ts';
import { backupOf, configOf, GIB, guestOf, incarnationOf } from './parts.ts';
import { dueWorld, world, type World } from './world.ts';

function placed(w: World, patch: Partial<PlacementInput> = {}): Placement {
  return place({
    container: w.container(),
    current: incarnationOf(),
    observation: w.observation,
    backup: backupOf(),
    memory: GIB,
    config: configOf(),
    vmidIn: () => 1_000_101,
    reserved: new Map(),
    apart: [],
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
  ["a cluster that can't be seen", /no quorate view of cluster office/, target('office', 'pve9')],
  [
    'a cluster that is not in its list',
    /nobody would look for a copy in cluster office/,
    () => undefined,
    { only: { cluster: 'office', node: 'pve9' } },
  ],
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
    /has 0 B of memory free \(beside 12 GiB promised to others\), the container needs 1 GiB/,
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

test('spread: the most memory free first, what is promised taken off, ties in the inventory’s order', () => {
  const w = dead().entry('dns', { failover: { placement: 'spread' } });
  const names = (reserved: Iterable<readonly [string, number]> = []): string[] =>
    placed(w, { reserved: new Map(reserved) }).targets.map((t) => t.node);
  assert.deepEqual(names(), ['pve2', 'pve3']);
  w.node('pve3').memUsed = 3 * GIB;
  assert.deepEqual(names(), ['pve3', 'pve2']);
  assert.deepEqual(names([['home/pve3', 2 * GIB]]), ['pve2', 'pve3']);
  w.node('pve2').memTotal = null;
  assert.deepEqual(names([['home/pve3', 2 * GIB]]), ['pve3', 'pve2'], 'what is not known comes last');
});

test('what could not be compared is said', () => {
  const w = dead().but((x) => {
    x.node('pve2').memUsed = null;
    storage(x, 'pve2', 'local').total = null;
  });
  assert.deepEqual(placed(w, { memory: null }).unsure, [
    'what memory the container needs is not known',
    'how much memory pve2 has free is not known',
    'how much room local has there is not known',
  ]);
  assert.deepEqual(placed(dead()).unsure, []);
  const due = dueWorld().but((x) => void (x.node('pve2').memUsed = null));
  assert.equal(
    due.decides().gates.find((g) => g.gate === 'target')?.evidence,
    'pve2, then pve3; how much memory pve2 has free is not known',
  );
});

/** `dns` and `web` are kept apart; `web` is healthy on `node`. */
function apart(node: string): World {
  const w = dueWorld().has({ name: 'web', vmid: 102 }, node);
  w.keepApart['dns'] = ['dns', 'web'];
  return w;
}

test('kept apart: not where another of its group runs', () => {
  assert.equal(apart('pve2').decides().action?.target.node, 'pve3');
  assert.equal(apart('pve3').decides().action?.target.node, 'pve2');
});

test('kept apart: nowhere else to go, so it waits and says for whom', () => {
  const w = apart('pve2').entry('dns', { nodes: [{ cluster: 'home', node: 'pve2' }] });
  const { kind, why } = w.decides();
  assert.equal(kind, 'blocked');
  assert.equal(
    why,
    'target: no node can take it: home/pve2: web is there, and they are kept apart (keepApart.dns)',
  );
});

test('kept apart: a person’s wish does not bring them together', () => {
  const to = { cluster: 'home', node: 'pve2' };
  assert.equal(apart('pve2').decides('dns', { mode: 'by-hand', to }).kind, 'blocked');
});

test('kept apart: nor where another of its group is on its way, in this run or another process', () => {
  const w = apart('pve1').failed('web').answers('web', 'silent');
  const targets = w.decisions().map((d) => `${d.container} ${d.action?.target.node ?? d.kind}`);
  assert.deepEqual(targets, ['dns pve2', 'web pve3']);
  w.busy.set('web', 'op-1');
  w.underWay.push({
    operation: 'op-1',
    container: 'web',
    target: { cluster: 'home', node: 'pve2' },
    vmid: 1_000_102,
    restoring: false,
    turn: true,
    backups: 'home/nas',
    takes: null,
  });
  assert.equal(w.decides().action?.target.node, 'pve3');
});
