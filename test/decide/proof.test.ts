import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FRESH_MS, proofOf, requiredLevel } from '../../lib/decide/proof.ts';
import type { ProbeResult, Proof, ProofLevel } from '../../lib/decide/model.ts';
import { HOUR, NOW, probeOf } from './parts.ts';
import { world, World, type World as Worldly } from './world.ts';

function proof(w: Worldly, probes?: readonly ProbeResult[]): Proof {
  return proofOf({
    incarnation: { cluster: 'home', node: 'pve1', vmid: 101 },
    observation: w.observation,
    probes: probes ?? w.observation.probes['dns'] ?? [],
    inventory: w.inventory,
    now: w.now,
  });
}

const stopped = (): World => world().answers('dns', 'silent').stops('pve1', 101);
const dead = (): World => world().dies('pve1');
const fenced = (): World => dead().reads('pve1', 'off');
/** Its node is believed dead, but `web` (102), which is on it, too, answers. */
const neighbour = (): World => world().has({ name: 'web', vmid: 102 }).dies('pve1').answers('web', 'ok');
const haStarted = { sid: 'ct:101', state: 'started', group: null, comment: '' };

const rows: readonly (readonly [string, ProofLevel, RegExp, World])[] = [
  // P2: its living node says so; one row per missing piece.
  ['its node says stopped, no interface, onboot=0, no HA', 2, /pve1 itself says/, stopped()],
  ['it runs', 0, /CT 101 is running there/, world()],
  ['its state was not read', 0, /could not be read/, stopped().but((w) => void (w.view.details = []))],
  ['its state is not known', 0, /of unknown state/, stopped().changeDetail('pve1', 101, { status: null })],
  [
    'it is being started',
    0,
    /a vzstart of CT 101 is under way/,
    stopped().changeDetail('pve1', 101, { starting: 'vzstart' }),
  ],
  ['it has onboot=1', 0, /has onboot=1/, stopped().changeDetail('pve1', 101, { onboot: true })],
  [
    'netstat shows an interface',
    0,
    /shows an interface/,
    stopped().but((w) => w.node('pve1').netstat?.push(101)),
  ],
  [
    'netstat was not read',
    0,
    /netstat could not/,
    stopped().but((w) => void (w.node('pve1').netstat = null)),
  ],
  ['HA wants it started', 0, /wants ct:101 started/, stopped().but((w) => w.view.ha.push(haStarted))],
  [
    'what HA wants was not read',
    0,
    /not known/,
    stopped().but((w) => void (w.view.haProblem = 'HA entries: 403')),
  ],
  [
    'HA has it disabled',
    2,
    /itself says/,
    stopped().but((w) => w.view.ha.push({ ...haStarted, state: 'disabled' })),
  ],
  [
    'the state read is too old',
    0,
    /read 11 s ago/,
    stopped().changeDetail('pve1', 101, { readAt: NOW - FRESH_MS - 1000 }),
  ],
  [
    'the state read is of the future, the clock was set back',
    0,
    /read -3600 s ago/,
    stopped().changeDetail('pve1', 101, { readAt: NOW + HOUR }),
  ],
  [
    'the whole view is too old',
    0,
    /reads are 11 s old/,
    stopped().but((w) => void (w.now += FRESH_MS + 1000)),
  ],
  ['the whole view is of the future', 0, /reads are -60 s old/, stopped().but((w) => void (w.now -= 60_000))],
  ['a read of exactly ten seconds', 2, /itself says/, stopped().but((w) => void (w.now += FRESH_MS))],
  [
    'its cluster was not observed',
    0,
    /has not been observed/,
    stopped().but((w) => void (w.observation.clusters = {})),
  ],
  // Alive by any sign: then only P2 counts, and a fence that says off is a fence of something else.
  [
    'corosync lists it, its API is silent',
    0,
    /is alive/,
    fenced().but((w) => void (w.node('pve1').online = true)),
  ],
  [
    'its API answers, corosync has lost it',
    0,
    /is alive/,
    fenced().but((w) => void (w.node('pve1').apiAnswers = true)),
  ],
  [
    'an endpoint that is this node answers, without quorum',
    0,
    /is alive/,
    fenced().but((w) => void Object.assign(w.view.endpoints[0] ?? {}, { ok: true })),
  ],
  // P1: offline, in a quorate view of two others, silent.
  [
    'its addresses could not be asked',
    0,
    /could be asked: name not found: dns\.home/,
    dead().answers('dns', 'unasked'),
  ],
  [
    'one of its addresses was asked and is silent',
    1,
    /offline in a quorate view/,
    dead().but((w) => (w.observation.probes['dns'] ??= []).push(probeOf('unasked'))),
  ],
  ['a fence needs no silence', 3, /says off/, fenced().answers('dns', 'unasked')],
  ['the node is offline and silent', 1, /offline in a quorate view of 2 other nodes/, dead()],
  ['something answers at its address', 0, /something answers/, dead().answers('dns', 'refused')],
  ['another container on it answers', 0, /web on it answers/, neighbour()],
  [
    'another container on it answers, and the fence says off',
    0,
    /web on it answers/,
    neighbour().reads('pve1', 'off'),
  ],
  [
    'another container on it answers, and a person has been there',
    3,
    /manual says off/,
    neighbour().reads('pve1', 'off', 'manual'),
  ],
  [
    'what answers for another container is its later copy',
    1,
    /its guests are silent/,
    neighbour().copy({ container: 'web', vmid: 1_000_102, supersedes: 'pve1/102@0' }),
  ],
  ['only one other vote', 0, /only 1 other vote/, dead().dies('pve3')],
  ['the view is not quorate', 0, /no quorate view/, dead().but((w) => void (w.view.quorate = false))],
  [
    'its API has not been asked',
    0,
    /has not been asked/,
    dead().but((w) => void (w.node('pve1').apiAnswers = null)),
  ],
  ['the node is in no list', 0, /not in the cluster's list/, dead().but((w) => w.view.nodes.shift())],
  ['stand-alone', 0, /proves nothing/, dead().but((w) => void (w.view.standalone = true))],
  // P3: a fence has read back off.
  ['a fence says off', 3, /http says off/, fenced()],
  [
    'the fence of a stand-alone node says off',
    3,
    /says off/,
    fenced().but((w) => void (w.view.standalone = true)),
  ],
  ['a fence says off, but something answers', 0, /something answers/, fenced().answers('dns', 'ok')],
  ['the fence says on', 1, /offline/, dead().reads('pve1', 'on')],
  ['the fence says nothing', 1, /offline/, dead().reads('pve1', 'unknown')],
  ['another node’s fence says off', 1, /offline/, dead().reads('pve2', 'off')],
  ['the fence was read too long ago', 1, /offline/, dead().reads('pve1', 'off', 'http', NOW - FRESH_MS - 1)],
  ['the fence was read in the future', 1, /offline/, dead().reads('pve1', 'off', 'http', NOW + HOUR)],
  ['a person’s word, an hour old', 3, /manual says off/, dead().reads('pve1', 'off', 'manual', NOW - HOUR)],
  ['two votes: one node is dead', 0, /only 1 other vote/, new World(['pve1', 'pve2']).has().dies('pve1')],
  ['two votes, fenced', 3, /says off/, new World(['pve1', 'pve2']).has().dies('pve1').reads('pve1', 'off')],
];
for (const [what, level, rests, w] of rows)
  test(`P${level}: ${what}`, () => {
    const found = proof(w);
    assert.equal(found.level, level, found.rests.join('; '));
    assert.match(found.rests.join('; '), rests);
    assert.equal(found.raise.length === 0, level >= 2, 'what would raise it is said below P2');
  });

test('a stand-alone node that corosync would call online is dead when it is silent', () => {
  const w = dead().but((x) => {
    x.view.standalone = true;
    x.node('pve1').online = true;
  });
  assert.deepEqual(proof(w).rests, ['stand-alone node pve1 is silent, which proves nothing']);
});

test('an answering address speaks only against a node that is believed dead', () => {
  assert.equal(proof(stopped(), [probeOf('ok')]).level, 2);
  assert.equal(proof(dead(), [probeOf('silent'), probeOf('ok')]).level, 0);
});

test('the inventory’s words and their levels', () => {
  assert.deepEqual((['fenced', 'stopped', 'offline-accepted'] as const).map(requiredLevel), [3, 2, 1]);
});
