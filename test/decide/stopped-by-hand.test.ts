import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fold, reminderDue } from '../../lib/decide/counts.ts';
import { assess } from '../../lib/decide/decide.ts';
import type { PowerTask, Verdict } from '../../lib/decide/model.ts';
import { noteStops } from '../../lib/decide/node-stop.ts';
import { noteSights } from '../../lib/decide/silence.ts';
import { emptyContainerState } from '../../lib/state/model.ts';
import { at, containerOf, HOUR, MINUTE, NOW } from './parts.ts';
import { world, type World } from './world.ts';

function verdictOf(w: World): Verdict {
  const found = assess(w.inventory, w.observation, w.state).find((a) => a.container.name === 'dns');
  assert.ok(found !== undefined);
  return found.verdict;
}

/** A task that ended so many minutes ago, after five seconds. */
function task(type: PowerTask['type'], minutes: number, patch: Partial<PowerTask> = {}): PowerTask {
  const endedAt = NOW - minutes * MINUTE;
  const vmid = type === 'stopall' || type === 'startall' ? null : 101;
  return {
    node: 'pve1',
    type,
    vmid,
    user: 'root@pam',
    startedAt: endedAt - 5_000,
    endedAt,
    ok: true,
    ...patch,
  };
}

/** The lists of tasks hold these. */
const listed = (w: World, ...tasks: PowerTask[]): World =>
  w.but(() => void (w.view.powerTasks = [...(w.view.powerTasks ?? []), ...tasks]));
/** Stopped on its living node; its own task log ends with this. */
function ended(type: PowerTask['type'], minutes: number, patch: Partial<PowerTask> = {}): World {
  const { user, startedAt, endedAt, ok, ours } = task(type, minutes, patch);
  const lastTask = {
    type,
    user,
    startedAt,
    endedAt: endedAt ?? NOW,
    ok,
    ...(ours === undefined ? {} : { ours }),
  };
  return world().answers('dns', 'silent').stops('pve1', 101, { lastTask });
}
const seen = (w: World, minutes: number): World =>
  w.but(() => void (w.state.lastSeenOnline['home/pve1'] = NOW - minutes * MINUTE));
const dead = (): World => world().dies('pve1');
const HA = { sid: 'ct:101', group: null, comment: '' };

const rows: readonly (readonly [string, Verdict['kind'] | 'grace', RegExp, World])[] = [
  // A container alone.
  [
    'another token has stopped it',
    'stopped-by-hand',
    /ansible@pve!deploy/,
    ended('vzstop', 1, { user: 'ansible@pve!deploy' }),
  ],
  ['we have', 'unhealthy', /stopped on pve1/, ended('vzstop', 1, { ours: true })],
  [
    'it was started since, and ended',
    'unhealthy',
    /stopped on pve1/,
    ended('vzstart', 1).record('dns', { stoppedByHand: 'stopped by root@pam' }),
  ],
  [
    'it is remembered, and was migrated: the new node has no task of it',
    'stopped-by-hand',
    /^stopped by root@pam$/,
    world()
      .answers('dns', 'silent')
      .stops('pve1', 101)
      .record('dns', { stoppedByHand: 'stopped by root@pam' }),
  ],
  [
    'the HA manager was told to',
    'stopped-by-hand',
    /HA manager has been told to keep it stopped/,
    ended('vzstop', 1).but((w) => w.view.ha.push({ ...HA, state: 'stopped' })),
  ],
  [
    '… and its node is dead',
    'stopped-by-hand',
    /told to keep it disabled/,
    dead()
      .forgets('pve1')
      .but((w) => w.view.ha.push({ ...HA, state: 'disabled' })),
  ],
  [
    '… but the list has it running',
    'unhealthy',
    /offline/,
    dead().but((w) => w.view.ha.push({ ...HA, state: 'disabled' })),
  ],
  [
    'a guard of ours is nobody’s wish',
    'unhealthy',
    /offline/,
    dead()
      .forgets('pve1')
      .but((w) => w.view.ha.push({ ...HA, state: 'disabled', comment: 'ProxWarden guard of op-1' })),
  ],
  [
    'its node is dead, the state was lost, and the cluster still lists the stop',
    'stopped-by-hand',
    /vzshutdown\) before pve1 fell silent/,
    listed(dead().forgets('pve1'), task('vzstart', 60), task('vzshutdown', 5)),
  ],
  [
    '… a start after it',
    'unhealthy',
    /offline/,
    listed(dead().forgets('pve1'), task('vzshutdown', 60), task('vzstart', 5)),
  ],
  [
    '… a stop of ours',
    'unhealthy',
    /offline/,
    listed(dead().forgets('pve1'), task('vzstop', 5, { ours: true })),
  ],
  [
    '… of another container',
    'unhealthy',
    /offline/,
    listed(dead().forgets('pve1'), task('vzstop', 5, { vmid: 102 })),
  ],
  [
    '… and so many tasks that a shutdown of the node may have dropped out',
    'unhealthy',
    /offline/,
    listed(
      dead().forgets('pve1'),
      ...Array.from({ length: 20 }, (_, i) => task('vzshutdown', 5, { vmid: 101 + i })),
    ),
  ],
  // What was remembered is about one copy.
  [
    'the original was stopped by hand, and the copy is what is down',
    'unhealthy',
    /offline/,
    world()
      .copy({}, 'stopped')
      .dies('pve2')
      .record('dns', { stoppedByHand: 'stopped by root@pam', stoppedCopy: 'home/101@0' }),
  ],
  [
    'the copy was',
    'stopped-by-hand',
    /pve2 can't be asked/,
    world()
      .copy({}, 'stopped')
      .dies('pve2')
      .record('dns', { stoppedByHand: 'stopped by root@pam', stoppedCopy: 'home/1000101@1' }),
  ],
  // Its node was shut down or rebooted.
  [
    'the node is gone after a stopall',
    'grace',
    /pve1 was shut down or rebooted/,
    seen(listed(dead(), task('stopall', 3), task('vzshutdown', 3)), 3),
  ],
  [
    'the node is gone in the middle of it',
    'grace',
    /rebootGrace/,
    seen(listed(dead(), task('stopall', 3, { endedAt: null })), 3),
  ],
  [
    'the grace is over',
    'unhealthy',
    /offline/,
    seen(listed(dead(), task('stopall', 15), task('vzshutdown', 15)), 15),
  ],
  [
    'it is longer here',
    'grace',
    /1 h/,
    seen(listed(dead().entry('dns', { rebootGraceMs: HOUR }), task('stopall', 15)), 15),
  ],
  [
    'there is none here',
    'unhealthy',
    /offline/,
    seen(listed(dead().entry('dns', { rebootGraceMs: 0 }), task('stopall', 0)), 1),
  ],
  ['the node died, with no stopall', 'unhealthy', /offline/, seen(listed(dead(), task('startall', 600)), 1)],
  [
    'it was another node’s',
    'unhealthy',
    /offline/,
    seen(listed(dead(), task('stopall', 3, { node: 'pve3' })), 3),
  ],
  [
    'the node had lived on after it: a bulk stop, and then it died',
    'unhealthy',
    /offline/,
    seen(listed(dead(), task('stopall', 8, {})), 1),
  ],
  [
    'the node had booted since, and then it died',
    'unhealthy',
    /offline/,
    seen(listed(dead(), task('stopall', 8), task('startall', 6)), 6),
  ],
  [
    'a run had seen it back, and then it died',
    'unhealthy',
    /offline/,
    seen(dead(), 7).but(
      (w) =>
        void (w.state.nodeStops['home/pve1'] = {
          startedAt: NOW - 9 * MINUTE,
          endedAt: NOW - 8 * MINUTE,
          seenAt: NOW - 8 * MINUTE,
          downAt: NOW - 8 * MINUTE,
          backAt: NOW - 7 * MINUTE,
        }),
    ),
  ],
  [
    'it was our own fence',
    'unhealthy',
    /offline/,
    seen(listed(dead(), task('stopall', 3)), 3).but(
      (w) => void (w.state.fenced['home/pve1'] = { at: NOW - 3 * MINUTE, othersOnline: [] }),
    ),
  ],
  [
    'the clock was set back since',
    'unhealthy',
    /offline/,
    dead().but(
      (w) =>
        void (w.state.nodeStops['home/pve1'] = {
          startedAt: NOW + HOUR,
          endedAt: NOW + HOUR,
          seenAt: NOW + HOUR,
          downAt: NOW + HOUR,
          backAt: null,
        }),
    ),
  ],
  [
    'the node’s clock is ahead: what counts is when it was seen',
    'grace',
    /rebootGrace/,
    listed(dead(), task('stopall', -60)),
  ],
  // The node answers: on its way down, or back.
  [
    'its containers are being stopped',
    'grace',
    /rebootGrace/,
    listed(ended('vzshutdown', 0), task('stopall', 0, { endedAt: null })),
  ],
  [
    '… and this one still runs, without its service',
    'grace',
    /rebootGrace/,
    listed(world().answers('dns', 'refused'), task('stopall', 0, { endedAt: null })),
  ],
  [
    'they have been, and it still answers',
    'grace',
    /rebootGrace/,
    listed(ended('vzshutdown', 1), task('stopall', 1)),
  ],
  [
    '… for long: they were stopped in bulk, by hand',
    'stopped-by-hand',
    /vzshutdown/,
    listed(ended('vzshutdown', 4), task('stopall', 4)),
  ],
  [
    'it is back and starts them',
    'grace',
    /rebootGrace/,
    listed(ended('vzshutdown', 8), task('stopall', 8), task('startall', 6)),
  ],
  [
    '… and this one is running already',
    'grace',
    /rebootGrace/,
    listed(world().answers('dns', 'refused'), task('stopall', 8), task('startall', 6)),
  ],
  [
    '… for longer than the grace',
    'unhealthy',
    /stopped on pve1/,
    listed(ended('vzshutdown', 20), task('stopall', 20), task('startall', 18)),
  ],
  [
    '… and this one has been started, and has ended',
    'unhealthy',
    /stopped on pve1/,
    listed(ended('vzstart', 5), task('stopall', 8), task('startall', 6)),
  ],
  [
    '… and this one was well since',
    'unhealthy',
    /refused/,
    listed(world().answers('dns', 'refused'), task('stopall', 8), task('startall', 6)).record('dns', {
      lastHealthyAt: NOW - 2 * MINUTE,
    }),
  ],
  [
    '… and this one somebody had stopped long before',
    'stopped-by-hand',
    /vzstop/,
    listed(ended('vzstop', 90), task('stopall', 20), task('startall', 18)),
  ],
  [
    'an earlier reboot stopped it, and another has come since',
    'unhealthy',
    /stopped on pve1/,
    listed(
      ended('vzshutdown', 90),
      task('stopall', 90),
      task('startall', 88),
      task('stopall', 40),
      task('startall', 38),
    ),
  ],
  [
    'an earlier bulk stop did, and a reboot has come since',
    'stopped-by-hand',
    /vzshutdown/,
    listed(ended('vzshutdown', 90), task('stopall', 90), task('stopall', 40), task('startall', 38)),
  ],
];
for (const [what, kind, reason, w] of rows)
  test(`${kind}: ${what}`, () => {
    const verdict = verdictOf(w);
    const found = verdict.until === undefined ? verdict.kind : 'grace';
    assert.equal(found, kind, verdict.reason);
    assert.match(verdict.reason, reason);
  });

test('autostart: proxwarden starts it after the boot, whoever asked for that boot', () => {
  const back = listed(ended('vzshutdown', 8), task('stopall', 8), task('startall', 6)).but(
    (w) => void (w.node('pve1').uptimeSeconds = 360),
  );
  assert.equal(back.decides().kind, 'wait');
  const ours = back.entry('dns', { failover: { autostart: 'proxwarden' } }).decides();
  assert.equal(ours.kind, 'start', ours.why);
});

test('a node that goes down, is gone and comes back: what the runs remember of it', () => {
  const w = listed(dead(), task('stopall', 0));
  const state = { ...w.state, lastSeenOnline: { 'home/pve1': NOW - MINUTE } };
  const step = (seenNow: World, now: number): void => {
    noteStops(state, seenNow.view, now);
    noteSights(state, seenNow.view, seenNow.inventory, now);
  };
  step(w, NOW);
  assert.deepEqual(state.nodeStops['home/pve1'], {
    startedAt: NOW - 5_000,
    endedAt: NOW,
    seenAt: NOW,
    downAt: NOW,
    backAt: null,
  });
  // The list has forgotten it; the state has not.
  step(dead(), NOW + MINUTE);
  assert.equal(state.nodeStops['home/pve1'].backAt, null);
  step(world(), NOW + 2 * MINUTE);
  assert.equal(state.nodeStops['home/pve1'].backAt, NOW + 2 * MINUTE);
});

const byHand: Verdict = { kind: 'stopped-by-hand', reason: 'stopped by root@pam (vzstop)' };
const DAY = 24 * HOUR;

test('people are told again once a day, for as long as it lasts', () => {
  const record = { ...emptyContainerState(), current: at('pve1/101@0') };
  let now = fold(record, byHand, containerOf(), NOW);
  assert.deepEqual([now.stoppedSince, now.stoppedToldAt], [NOW, NOW]);
  assert.equal(reminderDue(now, NOW + DAY - 1), false);
  now = fold(now, { kind: 'inconclusive', reason: 'no view' }, containerOf(), NOW + HOUR);
  assert.equal(reminderDue(now, NOW + DAY), false, 'not while nothing is known');
  now = fold(now, byHand, containerOf(), NOW + DAY);
  assert.deepEqual([now.stoppedSince, reminderDue(now, NOW + DAY)], [NOW, true]);
  const told = { ...now, stoppedToldAt: NOW + DAY };
  assert.equal(reminderDue(fold(told, byHand, containerOf(), NOW + DAY + HOUR), NOW + DAY + HOUR), false);
  const back = fold(told, byHand, containerOf(), NOW);
  assert.equal(back.stoppedToldAt, NOW, 'the clock was set back: the day begins anew');
});

test('a reboot of its node is not remembered as a stop of its own, and moves no count', () => {
  const record = {
    ...emptyContainerState(),
    current: at('pve1/101@0'),
    failures: 1,
    countedAt: NOW - MINUTE,
  };
  const after = fold(record, { ...byHand, until: NOW + HOUR }, containerOf(), NOW);
  assert.deepEqual([after.stoppedByHand, after.stoppedSince, after.failures], [null, null, 1]);
});

test('another copy that is stopped by hand begins a story of its own', () => {
  const record = { ...emptyContainerState(), current: at('pve1/101@0') };
  const first = fold(record, byHand, containerOf(), NOW);
  const moved = { ...first, current: at('pve2/1000101@1') };
  const second = fold(moved, { ...byHand, reason: 'stopped by eve@pve' }, containerOf(), NOW + HOUR);
  assert.deepEqual(
    [second.stoppedByHand, second.stoppedCopy, second.stoppedSince],
    ['stopped by eve@pve', 'home/1000101@1', NOW + HOUR],
  );
});
