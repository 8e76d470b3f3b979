import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startProblems } from '../../lib/act/start-gate.ts';
import type { Incarnation } from '../../lib/decide/model.ts';
import { at, guestOf, MINUTE } from '../decide/parts.ts';
import { world, type World } from '../decide/world.ts';

const ORIGINAL = at('pve1/101@0');
const COPY = at('pve2/1000101@1', { phase: 'restored' });

function problems(w: World, copy = COPY, from: Incarnation | null = ORIGINAL): string[] {
  const { inventory, observation, now, state } = w;
  return startProblems({ container: w.container(), copy, from, inventory, observation, now, state });
}

/** The original is stopped on its living node, the copy restored and not started. */
const ready = (): World =>
  world().stops('pve1', 101).copy({ phase: 'restored' }, 'stopped', false).answers('dns', 'silent');
/** The original's node is dead, fenced, and guarded. */
const deadReady = (): World =>
  world().dies('pve1').reads('pve1', 'off').guard('pve1', 101).copy({ phase: 'restored' }, 'stopped', false);

test('a stopped original with onboot=0 on a living node: the copy may be started', () =>
  assert.deepEqual(problems(ready()), []));
test('a fenced and guarded original on a dead node: the copy may be started', () =>
  assert.deepEqual(problems(deadReady()), []));

const alive: readonly (readonly [string, RegExp, (w: World) => unknown])[] = [
  ['the original runs', /CT 101 is running there/, (w) => w.changeDetail('pve1', 101, { status: 'running' })],
  ['the original has onboot=1', /onboot=1/, (w) => w.changeDetail('pve1', 101, { onboot: true })],
  ['netstat shows the original', /netstat there shows/, (w) => w.node('pve1').netstat?.push(101)],
  [
    'netstat shows it on a node without its config',
    /runs as an orphan/,
    (w) => w.node('pve3').netstat?.push(101),
  ],
  [
    'HA wants the original',
    /HA manager wants/,
    (w) => w.view.ha.push({ sid: 'ct:101', state: 'started', group: null, comment: '' }),
  ],
  ['HA was not read', /HA wants is not known/, (w) => (w.view.haProblem = 'HA entries: 403')],
  [
    'something answers at its address',
    /something answers at its address/,
    (w) => w.answers('dns', 'refused'),
  ],
  ['the reads are old', /reads are 60 s old/, (w) => (w.now += MINUTE)],
  ['there is no quorate view', /no quorate view/, (w) => (w.view.via = null)],
  ['the cluster was not seen', /no quorate view/, (w) => (w.observation.clusters = {})],
  ['the target is offline', /node pve2 does not answer/, (w) => (w.node('pve2').online = false)],
  ['the target’s API is silent', /node pve2 does not answer/, (w) => (w.node('pve2').apiAnswers = false)],
  [
    'the copy can’t be read',
    /can't be read on pve2/,
    (w) => (w.view.details = w.view.details.filter((d) => d.vmid === 101)),
  ],
  ['the copy runs', /CT 1000101 is running/, (w) => w.changeDetail('pve2', 1_000_101, { status: 'running' })],
  [
    'the copy’s state is not known',
    /of unknown state/,
    (w) => w.changeDetail('pve2', 1_000_101, { status: null }),
  ],
  [
    'the HA manager would take the copy over',
    /an HA entry ct:1000101 \(disabled\)/,
    (w) => w.guard('pve2', 1_000_101),
  ],
  ['the copy is locked', /locked \(create\)/, (w) => w.changeDetail('pve2', 1_000_101, { lock: 'create' })],
  [
    'there is a later copy',
    /later copy: pve3\/2000101@2/,
    (w) => w.copy({ epoch: 2, node: 'pve3' }, 'stopped', false),
  ],
  [
    'a failed attempt still runs',
    /pve3\/2000101@2 is not running/,
    (w) => w.copy({ epoch: 2, node: 'pve3' }),
  ],
  [
    'a later copy may be on a node that can’t be read',
    /may be a later copy/,
    (w) => w.view.guests.push(guestOf('pve3', 3_000_101)),
  ],
  [
    'another node vanished after a fence',
    /wrong plug/,
    (w) => {
      w.dies('pve3');
      w.state.fenced['home/pve1'] = { at: w.now, othersOnline: ['pve3'] };
    },
  ],
  [
    'another node’s API fell silent after a fence',
    /API of node pve3 fell silent/,
    (w) => {
      w.node('pve3').apiAnswers = false;
      w.state.fenced['home/pve1'] = { at: w.now, othersOnline: ['pve3'] };
    },
  ],
];
for (const [what, why, change] of alive)
  test(`not started: ${what}`, () => {
    const w = ready();
    change(w);
    assert.match(problems(w).join('; '), why);
  });

test('not started: the reads are old, and there is no other copy that has to be proven stopped', () => {
  const w = world().stops('pve1', 101).answers('dns', 'silent');
  w.now += MINUTE;
  assert.match(problems(w, ORIGINAL, null).join('; '), /reads are 60 s old/);
});

const dead: readonly (readonly [string, RegExp, (w: World) => unknown])[] = [
  ['only P1', /only P1 .* P2 is demanded/, (w) => (w.view.fences = [])],
  [
    'the fence was read long ago',
    /only P1/,
    (w) => (w.view.fences = w.view.fences.map((f) => ({ ...f, at: 0 }))),
  ],
  ['the guard is not in place', /the guard .* is not in place/, (w) => (w.view.ha = [])],
  [
    'the guard has been started',
    /there is an HA entry/,
    (w) => (w.view.ha = w.view.ha.map((e) => ({ ...e, state: 'started' }))),
  ],
  [
    'no guard is possible',
    /may not write HA entries/,
    (w) => {
      w.view.ha = [];
      w.view.mayGuard = false;
    },
  ],
  ['an address of it answers', /something answers/, (w) => w.answers('dns', 'refused')],
  [
    'fenced is demanded',
    /only P1 .* P3 is demanded/,
    (w) => {
      w.entry('dns', { failover: { proof: 'fenced' } });
      w.view.fences = [];
    },
  ],
];
for (const [what, why, change] of dead)
  test(`not started while the original’s node is dead: ${what}`, () => {
    const w = deadReady();
    change(w);
    assert.match(problems(w).join('; '), why);
  });

test('what the inventory accepts by name is accepted, and only that', () => {
  const offline = deadReady().but((w) => void (w.view.fences = []));
  assert.deepEqual(problems(offline.entry('dns', { failover: { proof: 'offline-accepted' } })), []);
  const risky = deadReady().but((w) => {
    w.view.ha = [];
    w.view.mayGuard = false;
  });
  assert.deepEqual(problems(risky.entry('dns', { failover: { returnRisk: 'accepted' } })), []);
});

test('an original that has left the lists is looked at all the same, as the journal knows it', () => {
  const gone = ready().but((w) => {
    w.view.guests = w.view.guests.filter((g) => g.vmid !== 101);
    w.view.details = w.view.details.filter((d) => d.vmid !== 101);
  });
  assert.match(problems(gone).join('; '), /pve1\/101@0 is not running .*was not read/);
  gone.node('pve3').netstat?.push(101);
  assert.match(problems(gone).join('; '), /netstat of pve3 shows CT 101/);
});

test('a start in place needs nobody’s proof but that of the superseded ones', () => {
  const alone = world().stops('pve1', 101).answers('dns', 'silent');
  assert.deepEqual(problems(alone, ORIGINAL, null), []);
  const copied = world().copy().stops('pve2', 1_000_101).stops('pve1', 101).answers('dns', 'silent');
  assert.deepEqual(problems(copied, at('pve2/1000101@1'), null), []);
  assert.match(
    problems(copied.changeDetail('pve1', 101, { status: 'running' }), at('pve2/1000101@1'), null).join(),
    /pve1\/101@0 is not running/,
  );
});

test('the original is never started beside its copy', () => {
  const w = world().copy().stops('pve2', 1_000_101).stops('pve1', 101).answers('dns', 'silent');
  assert.match(problems(w, ORIGINAL, null).join(), /there is a later copy: pve2\/1000101@1/);
});
