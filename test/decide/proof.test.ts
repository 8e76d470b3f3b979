import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyProofs } from '../../lib/decide/copies.ts';
import { explainCopies } from '../../lib/tell/format.ts';
import { FRESH_MS, proofOf, requiredLevel, SILENT_LONG_MS, TRUTH_TABLE } from '../../lib/decide/proof.ts';
import type { ProbeResult, Proof, ProofLevel } from '../../lib/decide/model.ts';
import { HOUR, NOW, probeOf } from './parts.ts';
import { world, World, type World as Worldly } from './world.ts';

function proof(w: Worldly, probes?: readonly ProbeResult[]): Proof {
  return proofOf({
    incarnation: { cluster: 'home', node: 'pve1', vmid: 101 },
    observation: w.observation,
    probes: probes ?? w.observation.probes['dns'] ?? [],
    inventory: w.inventory,
    state: w.state,
    now: w.now,
  });
}

const stopped = (): World => world().answers('dns', 'silent').stops('pve1', 101);
const dead = (): World => world().dies('pve1');
const fenced = (): World => dead().reads('pve1', 'off');
/** Its node is believed dead, but `web` (102), which is on it, too, answers. */
const neighbour = (): World => world().has({ name: 'web', vmid: 102 }).dies('pve1').answers('web', 'ok');
/** pve3 has lost pve2, or never knew it. */
const split = (w: World): World =>
  w.but(() => void Object.assign(w.view.endpoints[2] ?? {}, { online: ['pve3'] }));
const pinged = (w: World): World => w.but(() => void (w.node('pve1').pingAnswers = true));
/** Dead, and silent for so long at the last look. */
const silent = (ms: number, at = NOW): World =>
  dead().but((w) => void (w.state.silent = { 'home/pve1': { since: at - ms, at } }));
const haStarted = { sid: 'ct:101', state: 'started', group: null, comment: '' };

const rows: readonly (readonly [string, ProofLevel, RegExp, World])[] = [
  // P2: its living node says so; one row per missing piece.
  ['its node says stopped, no interface, onboot=0, no HA', 2, /pve1 itself says/, stopped()],
  [
    'its config has been moved away, and there is no interface of it',
    2,
    /moved away from pve1 \(pve2\/101@1 has its vmid now\), and netstat there shows no interface/,
    world().but((w) => {
      w.view.guests = [];
      w.view.details = [];
      w.node('pve1').netstat = [];
      w.copy({ vmid: 101, phase: 'restored' }, 'stopped');
    }),
  ],
  ['it runs', 0, /CT 101 is running there/, world()],
  [
    'its state was not read',
    0,
    /not read from its node; the cluster's list calls it stopped/,
    stopped().but((w) => void (w.view.details = [])),
  ],
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
  // Views that disagree prove nothing, whatever else is known.
  [
    'its API answers, corosync has lost it',
    0,
    /disagree: the others say that pve1 is offline, and its own API answers/,
    fenced().but((w) => void (w.node('pve1').apiAnswers = true)),
  ],
  [
    'an endpoint that is this node answers, without quorum',
    0,
    /disagree: the others say that pve1 is offline, and its own API answers/,
    fenced().but((w) => void Object.assign(w.view.endpoints[0] ?? {}, { ok: true })),
  ],
  [
    'its own API says that it is stopped, corosync has lost it',
    0,
    /disagree/,
    stopped().but((w) => void (w.node('pve1').online = false)),
  ],
  [
    'two quorate views differ: a dead one',
    0,
    /disagree: .*pve2.* sees pve2, pve3, .*pve3.* sees pve3/,
    split(fenced()),
  ],
  ['two quorate views differ: a living one', 0, /disagree/, split(stopped())],
  [
    'a view without quorum differs, as it has to',
    2,
    /itself says/,
    split(stopped()).but((w) => void Object.assign(w.view.endpoints[2] ?? {}, { quorate: false })),
  ],
  [
    'a view that was not had differs',
    2,
    /itself says/,
    split(stopped()).but((w) => void Object.assign(w.view.endpoints[2] ?? {}, { ok: false })),
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
  // The machine's own address.
  ['its address answers a ping', 0, /10\.0\.0\.11 answers a ping/, pinged(dead())],
  ['its address answers a ping, and the fence says off', 0, /answers a ping/, pinged(fenced())],
  [
    'its address answers a ping, and a person has been there',
    0,
    /answers a ping/,
    pinged(dead().reads('pve1', 'off', 'manual', NOW - HOUR)),
  ],
  ['its address is as silent', 1, /its API and its guests are silent, and so is 10\.0\.0\.11/, dead()],
  [
    'its address was not pinged',
    1,
    /its guests are silent$/,
    dead().but((w) => void (w.node('pve1').pingAnswers = null)),
  ],
  // How long it has been silent, and whether this runner can tell.
  ['it was seen a moment ago', 0, /silent for 59 s only/, silent(SILENT_LONG_MS - 1000)],
  ['it has been silent for long enough', 1, /offline in a quorate view/, silent(SILENT_LONG_MS)],
  [
    'nobody has watched',
    0,
    /for how long has not been watched/,
    dead().but((w) => void (w.state.silent = {})),
  ],
  ['the last look was too long ago', 0, /has not been watched/, silent(HOUR, NOW - HOUR)],
  [
    'the last look is of the future, the clock was set back',
    0,
    /has not been watched/,
    silent(HOUR, NOW + HOUR),
  ],
  ['a fence needs no watching', 3, /says off/, fenced().but((w) => void (w.state.silent = {}))],
  [
    'fewer than half of the canaries answer',
    0,
    /only 0 of 2 canaries answer/,
    dead().but((w) => w.observation.canaries.splice(0, 2, probeOf('silent'), probeOf('silent'))),
  ],
  [
    'a fence needs no canaries',
    3,
    /says off/,
    fenced().but((w) => w.observation.canaries.splice(0, 2, probeOf('silent'), probeOf('silent'))),
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
  [
    'all of its cluster is silent',
    0,
    /nothing of cluster home can be seen/,
    dead().but((w) => Object.assign(w.view, { via: null, quorate: false, remembered: NOW })),
  ],
  // P3: a fence has read back off.
  ['a fence says off', 3, /http says off/, fenced()],
  [
    'the fence of a stand-alone node says off',
    3,
    /says off/,
    fenced().but((w) => void (w.view.standalone = true)),
  ],
  ['a fence says off, but something answers', 0, /something answers/, fenced().answers('dns', 'ok')],
  ['the fence says on', 1, /offline .*; http says that it has power/, dead().reads('pve1', 'on')],
  ['the fence says nothing', 1, /offline/, dead().reads('pve1', 'unknown')],
  [
    'two fences that contradict each other',
    0,
    /contradict each other: http says off .*, redfish says on/,
    fenced().reads('pve1', 'on', 'redfish'),
  ],
  [
    '… but a person has looked',
    3,
    /manual says off/,
    fenced().reads('pve1', 'on', 'redfish').reads('pve1', 'off', 'manual'),
  ],
  ['the second fence is silent', 3, /http says off/, fenced().reads('pve1', 'unknown', 'redfish')],
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

test('every row of the truth table decides at least one of these', () => {
  const decided = new Set(rows.map(([, , , w]) => proof(w).row));
  assert.deepEqual(
    TRUTH_TABLE.map(({ row }) => row).filter((row) => !decided.has(row)),
    [],
  );
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
  const levels = (identity: 'new-vmid' | 'same-vmid'): number[] =>
    (['fenced', 'stopped', 'offline-accepted'] as const).map((asked) =>
      requiredLevel({ proof: asked, identity }),
    );
  assert.deepEqual(levels('new-vmid'), [3, 2, 1]);
  // A node that is only cut off runs on, and nobody would see it.
  assert.deepEqual(levels('same-vmid'), [3, 2, 2]);
});

test('--explain says for every copy its level, and what would raise one that is good enough, too', () => {
  const w = dead()
    .copy()
    .entry('dns', { failover: { proof: 'offline-accepted' } })
    .answers('dns', 'ok');
  const { inventory, observation, state, now } = w;
  const copies = copyProofs({ inventory, observation, state, now }).get('dns') ?? [];
  assert.deepEqual(
    copies.map(({ copy, proof: { level }, enough, wanted }) => [copy, level, enough, wanted]),
    [
      ['pve2/1000101@1', 0, false, true],
      ['pve1/101@0', 1, true, false],
    ],
  );
  const lines = explainCopies(copies);
  assert.match(lines[1] ?? '', /the copy that is to run, and does/);
  assert.match(
    lines[3] ?? '',
    /enough to start .*offline-accepted\); to raise it: power pve1 off with a fence/,
  );
});
