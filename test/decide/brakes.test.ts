import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joined, offlineFor, placeOf } from '../../lib/decide/brake-begin.ts';
import { endBrakes, endPause, fenceGate, pastSafeStep } from '../../lib/decide/brakes.ts';
import type { Brake, Operation } from '../../lib/state/model.ts';
import { HOUR, MINUTE, NOW } from './parts.ts';
import { dueWorld, failedGates, world, type World } from './world.ts';

const brake = (patch: Partial<Brake> = {}): Brake => ({
  since: NOW - MINUTE,
  until: NOW + HOUR,
  by: 'anna',
  reason: 'new disk',
  ...patch,
});
const paused = (w: World): World => w.but(() => (w.state.paused = brake()));
const inMaintenance = (w: World, key: string): World => w.but(() => (w.state.maintenance[key] = brake()));

test('a pause blocks what would have been done, and says whose it is', () => {
  const decision = paused(dueWorld()).decides();
  assert.equal(decision.kind, 'blocked');
  assert.deepEqual(failedGates(decision), ['pause']);
  assert.match(decision.why, /paused by anna 1 min ago, for another 1 h \(new disk\)/);
});

test('what a person asks for by name is refused while it is paused, unless they say that they know', () => {
  assert.equal(paused(dueWorld()).decides('dns', { mode: 'by-hand' }).kind, 'blocked');
  const knowing = { mode: 'by-hand', despitePause: true } as const;
  assert.equal(paused(dueWorld()).decides('dns', knowing).kind, 'failover');
});

test('a pause that is over holds until a counting run takes it away', () => {
  const w = dueWorld().but((x) => (x.state.paused = brake({ until: NOW - 1 })));
  assert.equal(w.decides().kind, 'blocked');
  endBrakes(w.state, w);
  assert.equal(w.state.paused, null);
  assert.equal(w.state.containers['dns']?.failures, 0, 'its counts begin anew');
  assert.equal(w.decides().kind, 'wait');
});

for (const key of ['dns', 'home/pve1'])
  test(`in maintenance (${key}) it is left alone, and a planned move is done`, () => {
    const decision = inMaintenance(dueWorld(), key).decides();
    assert.equal(decision.kind, 'wait');
    assert.deepEqual(failedGates(decision), ['maintenance']);
    assert.equal(inMaintenance(world(), key).decides('dns', { mode: 'planned' }).kind, 'failover');
  });

test('Proxmox VE’s own maintenance of a node counts as ours', () => {
  const w = dueWorld().but((x) => (x.node('pve1').maintenance = true));
  assert.match(w.decides().why, /Proxmox VE has node pve1 in maintenance mode: left alone/);
});

test('a node in maintenance takes no copy', () => {
  const decision = inMaintenance(dueWorld(), 'home/pve2').decides();
  assert.equal(decision.action?.target.node, 'pve3');
  assert.match(decision.rejected.map((r) => r.why).join(), /node pve2 is in maintenance by anna/);
});

test('a node in maintenance is powered off for nobody', () => {
  const w = world().dies('pve1').plug('pve1').failed();
  assert.deepEqual(w.decides('dns', { mode: 'by-hand' }).action?.fence, ['home/pve1']);
  const decision = inMaintenance(w, 'home/pve1').decides('dns', { mode: 'by-hand' });
  assert.equal(decision.kind, 'blocked');
  assert.match(decision.why, /node pve1 is in maintenance by anna, .*: it is not powered off/);
  assert.equal(fenceGate(w, ['home/pve1'])?.ok, false);
  assert.equal(fenceGate(w, ['home/pve2']), null);
});

test('what is in maintenance says nothing of the runner’s network', () => {
  const w = world().has({ name: 'web', vmid: 102 }, 'pve2').has({ name: 'db', vmid: 103 }, 'pve3');
  w.answers('dns', 'refused').answers('web', 'refused');
  assert.equal(w.decides('dns').verdict.kind, 'inconclusive');
  inMaintenance(w, 'web');
  assert.equal(w.decides('dns').verdict.kind, 'unhealthy');
});

test('brakes end by themselves, and those of what is gone are cleared', () => {
  const w = world();
  w.state.maintenance = {
    dns: brake({ until: NOW }),
    old: brake(),
    'home/pve1': brake(),
    'home/pve9': brake(),
    'gone/pve1': brake(),
  };
  const ended = endBrakes(w.state, w).map(({ text }) => text);
  assert.deepEqual(Object.keys(w.state.maintenance), ['home/pve1']);
  assert.deepEqual(ended, [
    'the maintenance of dns by anna is over',
    'the maintenance of old by anna is cleared: it is not in the inventory any more',
    'the maintenance of node pve9 by anna is cleared: there is no such node in cluster home any more',
    'the maintenance of node pve1 by anna is cleared: cluster gone is not in the inventory any more',
  ]);
});

test('while a cluster can’t be seen, the maintenance of its nodes is not taken for stale', () => {
  const w = world().but((x) => Object.assign(x.view, { via: null, nodes: [] }));
  w.state.maintenance = { 'home/pve1': brake() };
  assert.deepEqual(endBrakes(w.state, w), []);
});

test('the end of a pause begins all counts anew', () => {
  const w = paused(dueWorld());
  endPause(w.state);
  assert.deepEqual([w.state.paused, w.state.containers['dns']?.failures], [null, 0]);
});

test('said twice, a brake holds for the longer time', () => {
  const first = brake();
  assert.deepEqual(joined(null, first), first);
  assert.deepEqual(joined(first, first), first);
  assert.equal(joined(first, brake({ until: NOW + MINUTE })).until, NOW + HOUR);
  assert.equal(joined(first, brake({ until: null })).until, null);
  assert.equal(joined(brake({ until: null }), first).until, null);
  const second = joined(first, brake({ since: NOW, by: 'ben', reason: '' }));
  assert.deepEqual([second.since, second.by, second.reason], [first.since, 'anna', 'new disk']);
});

test('nodes are known from the inventory and from what was seen; others are refused', () => {
  const w = world();
  w.state.lastSeenOnline = { 'home/pve1': NOW };
  assert.equal(placeOf(w.inventory, w.state, 'pve1'), 'home/pve1');
  assert.equal(placeOf(w.inventory, w.state, 'home/pve3'), 'home/pve3');
  assert.throws(() => placeOf(w.inventory, w.state, 'pvw1'), { hint: 'did you mean pve1?' });
  w.state.lastSeenOnline['lab/pve1'] = NOW;
  assert.throws(() => placeOf(w.inventory, w.state, 'pve1'), /several clusters/);
});

test('a node counts as offline when others of its cluster have been seen since', () => {
  const w = world();
  w.state.lastSeenOnline = { 'home/pve1': NOW - HOUR, 'home/pve2': NOW - MINUTE, 'lab/pve1': NOW - 2 * HOUR };
  assert.equal(offlineFor(w.state, 'home/pve1', NOW), HOUR);
  assert.equal(offlineFor(w.state, 'home/pve2', NOW), null);
  assert.equal(offlineFor(w.state, 'lab/pve1', NOW), null);
});

const op = (kind: Operation['kind'], mode: 'automatic' | 'by-hand', steps: readonly string[]) => {
  const action = dueWorld().decides().action;
  assert.ok(action !== null);
  return {
    kind,
    action: kind === 'failover' ? { ...action, mode } : null,
    steps: steps.map((name) => ({
      name,
      status: 'started' as const,
      startedAt: 0,
      endedAt: null,
      note: '',
      task: null,
    })),
  };
};
const safe: readonly (readonly [boolean, Operation['kind'], 'automatic' | 'by-hand', readonly string[]])[] = [
  [false, 'failover', 'automatic', []],
  [false, 'failover', 'automatic', ['preflight', 'hooks before', 'prove', 'protect backup', 'retire']],
  [true, 'failover', 'automatic', ['preflight', 'hooks before', 'fence home/pve1']],
  [true, 'failover', 'automatic', ['preflight', 'stop source']],
  [true, 'failover', 'automatic', ['preflight', 'prove', 'restore']],
  [true, 'failover', 'automatic', ['preflight', 'prove', 'restore #2']],
  [true, 'failover', 'by-hand', []],
  [false, 'restart', 'automatic', []],
  [true, 'restart', 'automatic', ['stop']],
  [true, 'backup', 'by-hand', []],
];
for (const [past, kind, mode, steps] of safe)
  test(`${kind} ${mode} at ${steps.at(-1) ?? 'its beginning'} ${past ? 'goes on' : 'ends'} when a brake is put on`, () =>
    assert.equal(pastSafeStep(op(kind, mode, steps)), past));
