import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Decision } from '../../lib/decide/model.ts';
import { HOUR, MINUTE, NOW, probeOf } from './parts.ts';
import { dueWorld, failedGates, world, type World } from './world.ts';

const stopTask = { type: 'vzstop', user: 'root@pam', endedAt: NOW - MINUTE, ok: true };

const rows: readonly (readonly [string, Decision['kind'], RegExp, World])[] = [
  ['healthy', 'none', /probes pass/, world()],
  ['below the threshold', 'wait', /2 of 3 consecutive failures/, world().dies('pve1').failed('dns', 2)],
  ['auto is not allowed', 'blocked', /auto: /, dueWorld().entry('dns', { failover: { auto: false } })],
  ['mode: observe', 'none', /mode: observe never acts/, dueWorld().entry('dns', { mode: 'observe' })],
  ['dead node', 'failover', /restore it on pve2 as CT 1000101, in place of pve1\/101@0/, dueWorld()],
  [
    'stopped by itself',
    'start',
    /is started there once/,
    world().answers('dns', 'silent').stops('pve1', 101).failed(),
  ],
  ['its service hangs', 'restart', /is restarted there once/, world().answers('dns', 'refused').failed()],
  [
    'it hangs again after a restart',
    'failover',
    /stop and back up CT 101/,
    world()
      .answers('dns', 'refused')
      .failed()
      .record('dns', { restartedAt: NOW - HOUR }),
  ],
  [
    'restart: 0',
    'failover',
    /stop and back up/,
    world()
      .entry('dns', { failover: { restart: 0 } })
      .answers('dns', 'refused')
      .failed(),
  ],
  [
    'its state is not known, on a living node',
    'failover',
    /stop and back up/,
    world().answers('dns', 'refused').failed().changeDetail('pve1', 101, { status: null }),
  ],
  [
    'stopped by hand, however often it failed before',
    'none',
    /left alone/,
    world().answers('dns', 'silent').stops('pve1', 101, { lastTask: stopTask }).failed(),
  ],
  [
    'inconclusive, however often it failed before',
    'wait',
    /canaries/,
    dueWorld().but((w) => w.observation.canaries.splice(0, 2, probeOf('silent'), probeOf('silent'))),
  ],
  [
    'an operation is in hand',
    'none',
    /operation op-1 is in hand/,
    dueWorld().but((w) => w.busy.set('dns', 'op-1')),
  ],
  [
    'a start in place passes the same gates',
    'blocked',
    /cooldown/,
    world()
      .answers('dns', 'refused')
      .failed()
      .record('dns', { lastFailoverAt: NOW - MINUTE }),
  ],
];
for (const [what, kind, why, w] of rows)
  test(`${kind}: ${what}`, () => {
    const decision = w.decides();
    assert.equal(decision.kind, kind, decision.why);
    assert.match(decision.why, why);
    assert.equal(decision.action !== null, kind === 'failover');
  });

test('by hand, an operation in hand still means hands off', () => {
  const w = dueWorld().but((x) => x.busy.set('dns', 'op-1'));
  assert.equal(w.decides('dns', { mode: 'by-hand' }).kind, 'none');
});

test('by hand, counts and verdict do not matter', () => {
  assert.equal(dueWorld().failed('dns', 0).decides('dns', { mode: 'by-hand' }).action?.mode, 'by-hand');
  const blind = dueWorld().but((w) =>
    w.observation.canaries.splice(0, 2, probeOf('silent'), probeOf('silent')),
  );
  assert.equal(blind.decides('dns', { mode: 'by-hand' }).kind, 'failover');
});

test('by hand, mode: observe still never acts', () => {
  const decision = dueWorld().entry('dns', { mode: 'observe' }).decides('dns', { mode: 'by-hand' });
  assert.equal(decision.kind, 'blocked');
  assert.deepEqual(failedGates(decision), ['mode']);
});

test('by hand, a container of mode: observe without vmids for copies is blocked, and not a crash', () => {
  const w = dueWorld().entry('dns', {
    mode: 'observe',
    nodes: [],
    failover: { vmids: [], restoreStorage: '' },
  });
  assert.equal(w.decides('dns', { mode: 'by-hand' }).kind, 'blocked');
});

test('a request decides on its container alone', () => {
  const w = dueWorld().has({ name: 'web', vmid: 102 }, 'pve2');
  assert.deepEqual(
    w.decisions({ container: 'web', mode: 'planned' }).map((d) => d.container),
    ['web'],
  );
});

test('every blocked decision names what would flip it', () => {
  for (const change of [
    (w: World) => w.entry('dns', { failover: { auto: false } }),
    (w: World) => w.but((x) => void (x.view.storages = [])),
    (w: World) => w.but((x) => void (x.observation.backups = [])),
    (w: World) => w.but((x) => void (x.view.mayGuard = false)),
    (w: World) => w.but((x) => void (x.view.fences = [])).but((x) => void (x.fences['pve1'] = [])),
  ]) {
    const decision = change(dueWorld()).decides();
    assert.equal(decision.kind, 'blocked');
    for (const gate of decision.gates) assert.equal(gate.flip === null, gate.ok, gate.gate);
  }
});

test('one decision per container that is not off, by priority and then by name', () => {
  const w = world();
  for (const [name, priority] of [
    ['b', 5],
    ['a', 5],
    ['z', 1],
  ] as const)
    w.has({ name, priority, vmid: 110 + name.charCodeAt(0) }, 'pve2');
  w.entry('b', { mode: 'off' });
  assert.deepEqual(
    w.decisions().map((d) => d.container),
    ['z', 'a', 'dns'],
  );
});
