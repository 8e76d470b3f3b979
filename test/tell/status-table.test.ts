import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusRows, statusTable, type StatusRow } from '../../lib/tell/status-table.ts';
import { draftOperation } from '../state/fixtures.ts';
import { HOUR, incarnationOf, MINUTE, NOW } from '../decide/parts.ts';
import { world, type World } from '../decide/world.ts';

const healthy = { kind: 'healthy', reason: '1 of 1 probes pass' } as const;
const lease = { host: 'here', pid: 1, started: null, heartbeatAt: NOW };
const running = [{ ...draftOperation('op-20261122T120000-aaaaaa', 'dns'), lease }];

function row(w: World, busy: Parameters<typeof statusRows>[3] = []): StatusRow {
  const [first] = statusRows(w.inventory, w.state, w.observation, busy, NOW);
  assert.ok(first !== undefined);
  return first;
}

test('a healthy container: where it is, how fast it answers, why', () => {
  assert.deepEqual(row(world().record('dns', { verdict: healthy })), {
    container: 'dns',
    mode: 'protect',
    verdict: 'healthy',
    failures: '0/3',
    where: 'pve1/101@0',
    latencyMs: 3,
    cooldownUntil: null,
    failoversWithinDay: 0,
    maintenance: null,
    error: null,
    detail: '1 of 1 probes pass',
  });
});

const details: readonly (readonly [string, RegExp, StatusRow])[] = [
  [
    'an operation in hand',
    /^failover in hand: beginning \(op-20261122T120000-aaaaaa\)$/,
    row(world(), running),
  ],
  [
    'an error',
    /^HANDS OFF since 5 min \(op-1\): it broke$/,
    row(world().record('dns', { error: { at: NOW - 5 * MINUTE, reason: 'it broke', operation: 'op-1' } })),
  ],
  [
    'a failover not long ago',
    /^failed over 1 h ago; 1 of 1 probes pass$/,
    row(world().record('dns', { verdict: healthy, lastFailoverAt: NOW - HOUR })),
  ],
  [
    'what still holds after a failover',
    /^failed over 5 min ago; 1 of 1 probes pass; cooldown for another 55 min; 1 of 2 automatic failovers within 24 h$/,
    row(
      world().record('dns', {
        verdict: healthy,
        lastFailoverAt: NOW - 5 * MINUTE,
        autoFailovers: [NOW - 6 * MINUTE],
      }),
    ),
  ],
  [
    'maintenance',
    /^node pve1 is in maintenance by anna, for another 1 h \(new disk\); 1 of 1 probes pass$/,
    row(
      world()
        .record('dns', { verdict: healthy })
        .but(
          (w) =>
            (w.state.maintenance['home/pve1'] = {
              since: NOW,
              until: NOW + HOUR,
              by: 'anna',
              reason: 'new disk',
            }),
        ),
    ),
  ],
  ['nothing known', /^never checked$/, row(world().but((w) => (w.state.containers = {})))],
];
for (const [what, detail, { detail: said }] of details) test(what, () => assert.match(said, detail));

test('what is not known is said so, in every column', () => {
  const w = world().but((x) => {
    x.state.containers = {};
    x.observation.probes = {};
  });
  const { verdict, where, latencyMs } = row(w);
  assert.deepEqual([verdict, where, latencyMs], ['unknown', 'home/?', null]);
  assert.match(statusTable([row(w)], 200), / - +never checked$/);
});

test('`off` has no row', () => {
  const w = world().entry('dns', { mode: 'off' });
  assert.deepEqual(statusRows(w.inventory, w.state, null, [], NOW), []);
});

test('the table has a header and a line per container, no wider than it may be', () => {
  const w = world()
    .has({ name: 'web', vmid: 102 }, 'pve2')
    .record('web', { current: incarnationOf({ node: 'pve2', vmid: 102 }) });
  const text = statusTable(statusRows(w.inventory, w.state, w.observation, [], NOW), 60);
  const lines = text.split('\n');
  assert.equal(lines.length, 3);
  assert.match(lines[0] ?? '', /^CONTAINER +VERDICT/);
  assert.ok(lines.every((l) => l.length <= 60));
  assert.match(statusTable([], 200), /^CONTAINER +MODE +VERDICT +FAILURES +WHERE +LATENCY +DETAIL$/);
});
