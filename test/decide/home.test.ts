import assert from 'node:assert/strict';
import { test } from 'node:test';
import { homeOf, wantedGate } from '../../lib/decide/home.ts';
import { incarnationsOf } from '../../lib/decide/incarnations.ts';
import type { Verdict } from '../../lib/decide/model.ts';
import { containerOf, lineOf } from './parts.ts';
import { world, type World } from './world.ts';

const PVE1 = { cluster: 'home', node: 'pve1' };

function home(w: World, patch: Parameters<typeof containerOf>[0] = {}) {
  const container = containerOf(patch);
  return homeOf(container, incarnationsOf(container, w.observation, undefined), w.observation);
}

test('home is the node of the original, as long as it is there', () => {
  assert.deepEqual(home(world()), PVE1);
  assert.deepEqual(home(world().copy()), PVE1);
});

test('what the inventory says is home comes first', () => {
  assert.deepEqual(home(world().copy(), { home: 'pve3' }), { cluster: 'home', node: 'pve3' });
});

test('an original that has been removed is known from the line of the copy that took over from it', () => {
  const removed = world()
    .copy()
    .but((w) => {
      w.view.guests = w.view.guests.filter((g) => g.vmid !== 101);
    });
  assert.deepEqual(home(removed), PVE1);
});

test('when that copy is gone, too, nothing says where home is', () => {
  const later = world()
    .copy()
    .but((w) => {
      w.view.guests = w.view.guests.filter((g) => g.vmid !== 101);
      w.view.lineages = [
        { node: 'pve2', vmid: 1_000_101, line: lineOf({ epoch: 1, supersedes: 'pve3/9000101@9' }) },
      ];
    });
  assert.equal(home(later), null);
});

test('only what answers, or was stopped on purpose, goes home', () => {
  const wanted = (kind: Verdict['kind']): boolean =>
    wantedGate(containerOf(), { kind, reason: 'so' }, PVE1).ok;
  assert.deepEqual(
    { healthy: wanted('healthy'), byHand: wanted('stopped-by-hand') },
    { healthy: true, byHand: true },
  );
  assert.deepEqual(
    { unhealthy: wanted('unhealthy'), unknown: wanted('inconclusive') },
    { unhealthy: false, unknown: false },
  );
});
