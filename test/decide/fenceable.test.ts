import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fenceable, fenceBackoff } from '../../lib/decide/fenceable.ts';
import { lineOf, MINUTE, NOW } from './parts.ts';
import { world, type World } from './world.ts';

const dead = (): World => world().dies('pve1').plug('pve1');

function why(w: World): string | null {
  return fenceable(w, w.view, 'pve1');
}

/** web (102) is failed over: its copy is CT 1000102. */
function webCopyOn(node: string, epoch = 1): World {
  return world()
    .has({ name: 'web', vmid: 102 }, 'pve2')
    .copy({ container: 'web', node, vmid: epoch * 1_000_000 + 102, epoch, supersedes: 'pve2/102@0' });
}

test('offline in a quorate view, API silent, no guest answers: it may be powered off', () => {
  assert.equal(why(dead()), null);
});

const forbidden: readonly (readonly [string, RegExp, World])[] = [
  ['it has no driver', /no fence driver/, world().dies('pve1')],
  [
    'its only driver is a person',
    /no fence driver/,
    dead().but((w) => void (w.fences['pve1'] = [{ driver: 'manual', validMs: 1 }])),
  ],
  [
    'its drivers are for people, or can not be asked',
    /no fence driver/,
    dead().but(
      (w) => void (w.fences['pve1'] = [{ driver: 'pve' }, { driver: 'ssh' }, { driver: 'ha-watchdog' }]),
    ),
  ],
  ['it is online', /no quorate view says/, world().plug('pve1')],
  ['the view has no quorum', /no quorate view says/, dead().but((w) => void (w.view.quorate = false))],
  ['it is a stand-alone node', /no quorate view says/, dead().but((w) => void (w.view.standalone = true))],
  ['it is in no list', /no quorate view says/, dead().but((w) => void w.view.nodes.shift())],
  ['its API answers', /API of pve1 answers/, dead().but((w) => void (w.node('pve1').apiAnswers = true))],
  [
    'its API was not asked',
    /API of pve1 answers/,
    dead().but((w) => void (w.node('pve1').apiAnswers = null)),
  ],
  [
    'its endpoint answers, without quorum',
    /API of pve1 answers/,
    dead().but((w) => void Object.assign(w.view.endpoints[0] ?? {}, { ok: true })),
  ],
  [
    'its own address answers a ping',
    /pve1 answers a ping \(10\.0\.0\.11\)/,
    dead().but((w) => void (w.node('pve1').pingAnswers = true)),
  ],
  [
    'two quorate views differ',
    /disagree: .* so pve1 is not powered off/,
    dead().but((w) => void Object.assign(w.view.endpoints[2] ?? {}, { online: ['pve3'] })),
  ],
  ['the container itself answers', /dns on pve1 answers/, dead().answers('dns', 'refused')],
  [
    'a neighbour on it answers',
    /web on pve1 answers/,
    world().has({ name: 'web', vmid: 102 }).dies('pve1').plug('pve1').answers('web', 'ok'),
  ],
  [
    'a copy that had been failed over to it answers',
    /web on pve1 answers/,
    webCopyOn('pve1').dies('pve1').plug('pve1').answers('web', 'ok'),
  ],
  [
    'a later copy on it answers, and an earlier one is elsewhere',
    /web on pve1 answers/,
    webCopyOn('pve3')
      .copy({ container: 'web', node: 'pve1', epoch: 2, vmid: 2_000_102 })
      .dies('pve1')
      .plug('pve1')
      .answers('web', 'ok'),
  ],
  [
    'an unstarted copy elsewhere does not explain the answer',
    /web on pve1 answers/,
    world()
      .has({ name: 'web', vmid: 102 })
      .copy({ container: 'web', node: 'pve3', vmid: 1_000_102, phase: 'restored' }, 'stopped', false)
      .dies('pve1')
      .plug('pve1')
      .answers('web', 'ok'),
  ],
  [
    'a line far from home does not explain the answer',
    /web on pve1 answers/,
    world()
      .has({ name: 'web', vmid: 102 })
      .but((w) => w.view.lineages.push({ node: 'pve3', vmid: 555, line: lineOf({ container: 'web' }) }))
      .dies('pve1')
      .plug('pve1')
      .answers('web', 'ok'),
  ],
];
for (const [what, reason, w] of forbidden)
  test(`not powered off: ${what}`, () => assert.match(why(w) ?? '', reason));

test('a live copy elsewhere explains why the superseded original’s address answers', () => {
  const w = world().copy({ node: 'pve2' }).dies('pve1').plug('pve1').answers('dns', 'ok');
  assert.equal(why(w), null);
});

test('a container on another node may answer', () => {
  assert.equal(why(dead().has({ name: 'web', vmid: 102 }, 'pve2')), null);
});

test('a fence that has failed in three runs is tried again ever more rarely', () => {
  const after = (failed: number, ms: number): string | null =>
    fenceBackoff(
      { fenced: { 'home/pve1': { at: NOW, othersOnline: [], failed } }, lastSeenOnline: {} },
      'home/pve1',
      NOW + ms,
    );
  assert.equal(after(2, MINUTE), null);
  assert.equal(after(3, MINUTE), 'its fence has failed in 3 runs, and is tried again in 1 min');
  assert.equal(after(3, 2 * MINUTE), null);
  assert.notEqual(after(4, 3 * MINUTE), null);
  assert.notEqual(after(50, 14 * MINUTE), null, 'and never more rarely than');
  assert.equal(after(50, 15 * MINUTE), null, 'every quarter of an hour');
  assert.equal(after(3, -MINUTE), null, 'a clock that was set back makes nobody wait');
});

test('another outage is another matter, and so is a fence that worked', () => {
  const fenced = { 'home/pve1': { at: NOW, othersOnline: [], failed: 9 } };
  assert.equal(
    fenceBackoff({ fenced, lastSeenOnline: { 'home/pve1': NOW + 1 } }, 'home/pve1', NOW + MINUTE),
    null,
  );
  assert.equal(
    fenceBackoff(
      { fenced: { 'home/pve1': { at: NOW, othersOnline: [] } }, lastSeenOnline: {} },
      'home/pve1',
      NOW,
    ),
    null,
  );
});
