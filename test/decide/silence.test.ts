import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noteSights, silentFor } from '../../lib/decide/silence.ts';
import { emptyState } from '../../lib/state/model.ts';
import { HOUR, MINUTE, NOW } from './parts.ts';
import { world, type World } from './world.ts';

const PLACE = { cluster: 'home', node: 'pve1' };
const MINUTES = [0, 1, 2];

/** The silence of pve1 at `now`, after looks at these times, each with what it saw. */
function after(looks: readonly (readonly [at: number, seen: World])[], now: number): number | null {
  const state = emptyState();
  for (const [at, seen] of looks) noteSights(state, seen.view, seen.inventory, at);
  return silentFor(state, world().inventory, PLACE, now);
}

const dead = (): World => world().dies('pve1');
const deadFor = (...minutes: readonly number[]): (readonly [number, World])[] =>
  minutes.map((m) => [NOW + m * MINUTE, dead()]);

test('silence lasts from the first look that found it, over every look since', () => {
  assert.equal(after(deadFor(...MINUTES), NOW + 2 * MINUTE), 2 * MINUTE);
  assert.equal(after([], NOW), null);
});

const signs: Readonly<Record<string, World>> = {
  'corosync lists it': world(),
  'its API answers': dead().but((w) => void (w.node('pve1').apiAnswers = true)),
  'its address answers a ping': dead().but((w) => void (w.node('pve1').pingAnswers = true)),
};
for (const [what, alive] of Object.entries(signs))
  test(`a sign of life ends it: ${what}`, () => {
    const looks = [...deadFor(0, 1), [NOW + 2 * MINUTE, alive], ...deadFor(3)] as const;
    assert.equal(after(looks, NOW + 3 * MINUTE), 0);
  });

test('a look without a view neither begins nor ends it', () => {
  const blind = dead().but((w) => void (w.view.via = null));
  assert.equal(after([...deadFor(0), [NOW + MINUTE, blind], ...deadFor(2)], NOW + 2 * MINUTE), 2 * MINUTE);
});

test('what lies in a gap between looks, or before a jump of the clock, is not known', () => {
  assert.equal(after([...deadFor(0), ...deadFor(60)], NOW + HOUR), 0);
  assert.equal(after(deadFor(0, 1), NOW + HOUR), null);
  assert.equal(after([...deadFor(60, 61), ...deadFor(0, 1)], NOW + MINUTE), MINUTE);
});

test('a look by another runner whose clock is a little ahead or behind does not break it', () => {
  const looks = [...deadFor(0, 1), [NOW + MINUTE - 2_000, dead()], ...deadFor(2)] as const;
  assert.equal(after(looks, NOW + 2 * MINUTE - 2_000), 2 * MINUTE - 2_000);
});

test('rare runs are a gap of their own kind: three intervals are none', () => {
  const rare = (w: World): World => w.entry('dns', { intervalMs: HOUR });
  const state = emptyState();
  for (const hour of [0, 2]) {
    const w = rare(dead());
    noteSights(state, w.view, w.inventory, NOW + hour * HOUR);
  }
  assert.equal(silentFor(state, rare(world()).inventory, PLACE, NOW + 2 * HOUR), 2 * HOUR);
});
