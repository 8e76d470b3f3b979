import assert from 'node:assert/strict';
import { test } from 'node:test';
import { followedOf, goneOf, isCertain } from '../../lib/decide/followed.ts';
import { incarnationKey } from '../../lib/decide/incarnations.ts';
import { detailOf, guestOf } from './parts.ts';
import { world, type World } from './world.ts';

/** As `world`, failed over, with the original's node back, and without dns in the inventory. */
function left(change: (w: World) => void = () => undefined) {
  const w = world()
    .copy()
    .but((x) => {
      x.view.details = [detailOf('pve1', 101), detailOf('pve2', 1_000_101)];
      change(x);
    });
  const { dns, ...containers } = w.inventory.containers;
  return { w, dns, inventory: { containers } };
}

test('what the lines say is known without a state: the copy, and the original that it took over from', () => {
  const { w, inventory } = left();
  const [one, second] = followedOf(inventory, w.observation, w.state);
  assert.equal(second, undefined);
  assert.deepEqual(
    [
      one?.why,
      one?.container.name,
      one?.container.vmid,
      one?.incarnations.superseded.map((i) => incarnationKey(i)),
    ],
    ['removed', 'dns', 101, ['pve1/101@0']],
  );
});

test('an entry that the inventory names is not followed, unless it is off', () => {
  const { w, dns, inventory } = left();
  assert.ok(dns !== undefined);
  const named = (mode: 'protect' | 'observe' | 'off') =>
    followedOf({ containers: { ...inventory.containers, dns: { ...dns, mode } } }, w.observation, w.state);
  assert.deepEqual([named('protect').length, named('observe').length], [0, 0]);
  assert.deepEqual(
    named('off').map((f) => f.why),
    ['off'],
  );
});

test('forgotten is what there was then; a later copy is followed again', () => {
  const { w, inventory } = left();
  const said = (epoch: number) =>
    followedOf(inventory, w.observation, { ...w.state, forgotten: { dns: { at: 0, epoch } } }).length;
  assert.deepEqual([said(1), said(0)], [0, 1]);
});

test('only MAC addresses make a guest on the original’s vmid the original', () => {
  const certain = (macs: string[]): boolean => {
    const { w, inventory } = left((x) => {
      x.view.details = [detailOf('pve1', 101, { macs }), detailOf('pve2', 1_000_101)];
    });
    const [one] = followedOf(inventory, w.observation, w.state);
    const old = one?.incarnations.superseded[0];
    assert.ok(one !== undefined && old !== undefined);
    return isCertain(one, old, w.observation, w.state);
  };
  assert.deepEqual(
    { same: certain(detailOf('pve1', 101).macs), other: certain(['BC:24:11:99:99:99']), none: certain([]) },
    { same: true, other: false, none: false },
  );
});

test('of what is gone from its cluster, too, nothing is left to follow', () => {
  const { w, dns, inventory } = left();
  const known = { ...w.state, followed: { dns } };
  assert.deepEqual(goneOf(inventory, w.observation, known), []);
  const later = left((x) => {
    x.view.guests = [guestOf('pve1', 777)];
    x.view.lineages = [];
  });
  assert.deepEqual(goneOf(inventory, later.w.observation, known), ['dns']);
});
