import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proofOf } from '../../lib/decide/proof.ts';
import { foldWatchdogs, readWatchdog } from '../../lib/decide/watchdog.ts';
import type { State } from '../../lib/state/model.ts';
import { at, MINUTE, NOW } from './parts.ts';
import { world, type World } from './world.ts';

const SECOND = 1000;

/** pve1 with an HA resource beside dns, and what its LRM has last written. */
function armed(patch: { state?: string; mode?: string; service?: string; version?: string } = {}): World {
  const w = world().has({ name: 'vpn', vmid: 150 });
  w.view.version = patch.version ?? '8.4.21';
  if (patch.service !== 'none')
    w.view.ha.push({ sid: 'ct:150', state: patch.service ?? 'started', group: null, comment: '' });
  const words = ['pve1', 'pve2', 'pve3'].map((node) => ({
    node,
    state: patch.state ?? 'active',
    mode: patch.mode ?? 'active',
    timestamp: 7,
  }));
  w.view.lrms = { masterAt: NOW, words };
  return w;
}

interface Story {
  readonly before?: World;
  readonly after?: World;
  /** Seconds since the last look at which it was online. */
  readonly looks?: readonly number[];
  /** Of the HA manager, against the runner's. */
  readonly masterLag?: number;
  /** The LRM's last word at the last look. */
  readonly word?: number;
}

/** What it says at the last of the looks; each of them is folded, as by a run of cron. */
function told({ before = armed(), after = armed(), looks = [60, 260], masterLag = 0, word = 7 }: Story) {
  const known: State['watchdogs'] = {};
  foldWatchdogs(known, before.view, ['pve1']);
  after.dies('pve1');
  let read = readWatchdog(known['home/pve1'], after.view, 'pve1');
  for (const [index, seconds] of looks.entries()) {
    const last = index === looks.length - 1;
    const { lrms } = after.view;
    assert.ok(lrms !== null);
    after.view.at = NOW + seconds * SECOND;
    lrms.masterAt = NOW + (seconds - (last ? masterLag : 0)) * SECOND;
    if (last) lrms.words = lrms.words.map((w) => ({ ...w, timestamp: word }));
    read = readWatchdog(known['home/pve1'], after.view, 'pve1');
    foldWatchdogs(known, after.view, ['pve1']);
  }
  return read;
}

const TABLE: readonly (readonly [string, 'off' | 'unknown', RegExp, Story])[] = [
  ['armed, and silent for more than three minutes', 'off', /has had 3 min 20 s without quorum/, {}],
  ['exactly three minutes', 'off', /3 min/, { looks: [60, 240] }],
  ['a second less', 'unknown', /has had its time in 1 s$/, { looks: [60, 239] }],
  ['seen offline for the first time', 'unknown', /in 3 min$/, { looks: [60] }],
  [
    'it was not seen before',
    'unknown',
    /was not seen active/,
    { before: armed({ state: 'wait_for_agent_lock' }) },
  ],
  [
    'active, but no resource kept it so',
    'unknown',
    /was not seen active/,
    { before: armed({ service: 'none' }) },
  ],
  ['only an inert guard', 'unknown', /was not seen active/, { before: armed({ service: 'disabled' }) }],
  [
    'its last word is idle',
    'unknown',
    /last word of its LRM is wait_for/,
    { after: armed({ state: 'wait_for_agent_lock' }) },
  ],
  [
    'it was shutting down',
    'unknown',
    /last word of its LRM is shutdown mode/,
    { after: armed({ mode: 'shutdown' }) },
  ],
  ['it has written a word since: it was back', 'unknown', /in 3 min$/, { word: 8 }],
  [
    'the runner’s clock has jumped, the manager’s has not',
    'unknown',
    /its time in 3 min$/,
    { masterLag: 200 },
  ],
  ['the runner’s clock was set back', 'unknown', /in 3 min 10 s|in 3 min$/, { looks: [60, 50] }],
  [
    'nobody has looked for ten minutes: it may have gone idle',
    'unknown',
    /may have gone idle/,
    { looks: [600, 900] },
  ],
  [
    'Proxmox VE 9',
    'unknown',
    /has not been measured on Proxmox VE 9/,
    { after: armed({ version: '9.1.2' }) },
  ],
];
for (const [what, power, detail, story] of TABLE)
  test(`a watchdog says ${power}: ${what}`, () => {
    const read = told(story);
    assert.deepEqual([read.power, detail.test(read.detail)], [power, true], read.detail);
  });

test('back online with an active LRM: what was counted is forgotten', () => {
  const known: State['watchdogs'] = {};
  foldWatchdogs(known, armed().view, ['pve1']);
  foldWatchdogs(known, armed().dies('pve1').view, ['pve1']);
  assert.notEqual(known['home/pve1']?.offline, null);
  foldWatchdogs(known, armed().view, ['pve1']);
  assert.equal(known['home/pve1']?.offline, null);
  foldWatchdogs(known, armed({ state: 'wait_for_agent_lock' }).view, ['pve1']);
  assert.equal(known['home/pve1'], undefined);
});

test('without quorum nothing is learnt', () => {
  const known: State['watchdogs'] = {};
  foldWatchdogs(known, armed().but((w) => (w.view.quorate = false)).view, ['pve1']);
  assert.deepEqual(known, {});
});

test('P3 by a watchdog: a plug that is on does not contradict it; anything that answers does', () => {
  const proof = (w: World) =>
    proofOf({
      incarnation: at('pve1/101@0'),
      observation: w.observation,
      probes: w.observation.probes['dns'] ?? [],
      inventory: w.inventory,
      state: w.state,
      now: NOW,
    });
  const w = (): World => world().dies('pve1').reads('pve1', 'off', 'ha-watchdog').reads('pve1', 'on');
  assert.equal(proof(w()).level, 3);
  assert.equal(proof(w().answers('dns', 'ok')).level, 0);
  assert.equal(proof(w().but((x) => (x.node('pve1').online = true))).level, 0);
});

test('its time is waited for, and nobody is called; a person who asks is told; other gates block as ever', () => {
  const waiting = (): World =>
    world()
      .dies('pve1')
      .failed()
      .but((w) =>
        w.view.fences.push({
          node: 'pve1',
          driver: 'ha-watchdog',
          power: 'unknown',
          at: NOW,
          detail: 'its watchdog was armed, and has had its time in 2 min',
          dueAt: NOW + 2 * MINUTE,
        }),
      );
  const decision = waiting().decides();
  assert.equal(decision.kind, 'wait', decision.why);
  assert.match(decision.why, /has had its time in 2 min/);
  assert.equal(
    waiting()
      .but((w) => (w.observation.backups = []))
      .decides().kind,
    'blocked',
  );
  assert.equal(
    waiting()
      .but((w) => (w.view.mayGuard = false))
      .decides().kind,
    'blocked',
  );
  // A plug is quicker.
  assert.equal(waiting().plug('pve1').decides().kind, 'failover');
});
