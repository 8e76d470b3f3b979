/** The start that ProxWarden makes in place of PVE's autostart (autostart: proxwarden). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { detailOf, MINUTE, NOW } from './parts.ts';
import { world, type World } from './world.ts';

const BOOTED = NOW - 2 * MINUTE;
const task = (type: string, endedAt: number, more: object = {}) => ({
  type,
  user: 'root@pam',
  endedAt,
  ok: true,
  ...more,
});

/** Its node has booted two minutes ago, and it is stopped there. */
function booted(autostart: 'pve' | 'proxwarden' = 'proxwarden', uptimeSeconds: number | null = 120): World {
  const w = world().entry('dns', { failover: { autostart } }).answers('dns', 'silent');
  w.stops('pve1', 101, { lastTask: task('vzstart', BOOTED - 9 * MINUTE) });
  w.node('pve1').uptimeSeconds = uptimeSeconds;
  return w.record('dns', { lastHealthyAt: BOOTED - MINUTE });
}

test('after a boot the current copy is started at once, whatever automatic failovers are forbidden by', () => {
  for (const w of [
    booted(),
    booted().entry('dns', { failover: { autostart: 'proxwarden', auto: false, restart: 0 } }),
    booted().record('dns', {
      lastFailoverAt: NOW - MINUTE,
      lastHealthyAt: null,
      restartedAt: NOW - 9 * MINUTE,
    }),
    booted().but((one) => void (one.limits = { ...one.limits, failoversPerHour: 0 })),
  ]) {
    const decision = w.decides();
    assert.equal(decision.kind, 'start', decision.why);
    assert.match(decision.why, /^pve1 has booted, and CT 101 is started there/);
  }
});

const not: readonly (readonly [string, World])[] = [
  ['PVE does it', booted('pve')],
  ['its node has not reported yet', booted('proxwarden', null)],
  ['the boot was before it last answered', booted('proxwarden', 86_400)],
  [
    'it was started since the boot',
    booted().changeDetail('pve1', 101, { lastTask: task('vzstart', NOW - MINUTE) }),
  ],
  [
    'a start since the boot failed',
    booted().changeDetail('pve1', 101, {
      lastTask: task('vzstart', NOW - MINUTE, { ok: false, ours: true }),
    }),
  ],
  ['a start is under way', booted().changeDetail('pve1', 101, { starting: 'vzstart' })],
  [
    'a person had stopped it',
    booted().changeDetail('pve1', 101, { lastTask: task('vzstop', BOOTED - MINUTE) }),
  ],
  ['it runs', booted().changeDetail('pve1', 101, { status: 'running' })],
  ['it can’t be read', booted().but((w) => void w.view.details.splice(0))],
  ['its node does not answer', booted().but((w) => void (w.node('pve1').apiAnswers = false))],
  ['an earlier failure', booted().record('dns', { error: { at: NOW, reason: 'no', operation: 'op-1' } })],
  ['it is locked', booted().changeDetail('pve1', 101, { lock: 'backup' })],
  ['the lineage is in doubt', booted().but((w) => w.view.details.push(detailOf('pve2', 1_000_101)))],
  ['it is only observed', booted().entry('dns', { mode: 'observe', failover: { autostart: 'proxwarden' } })],
];
for (const [what, w] of not)
  test(`after a boot nothing is started at once: ${what}`, () => {
    assert.notEqual(w.decides().kind, 'start');
  });
