import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseBackup } from '../../lib/decide/backups.ts';
import { CLEANUP_AFTER_MS, cleanupPlan, removable } from '../../lib/decide/cleanup.ts';
import { incarnationKey, incarnationsOf } from '../../lib/decide/incarnations.ts';
import type { GuestDetail, Verdict } from '../../lib/decide/model.ts';
import { backupOf, configOf, detailOf, lineOf, MAC, NOW } from './parts.ts';
import { world, type World } from './world.ts';

const LONG_AGO = NOW - CLEANUP_AFTER_MS - 1;
const COPY = lineOf({ epoch: 1, phase: 'live', at: LONG_AGO });

const mounts = (source: string) => ({
  config: configOf({
    mounts: [{ key: 'mp0', kind: 'volume', source, path: '/data', bytes: 1, backup: true, options: {} }],
  }),
});

interface Change {
  readonly old?: Partial<GuestDetail>;
  readonly copy?: Partial<GuestDetail>;
  readonly verdict?: Verdict['kind'];
  readonly macs?: readonly string[];
  readonly world?: (w: World) => void;
}

/** dns was failed over eight days ago, its original is stopped on its living node, and the copy was backed up an hour ago. */
function plan(change: Change = {}) {
  const w = world()
    .copy()
    .but((x) => {
      x.view.lineages = [{ node: 'pve2', vmid: 1_000_101, line: { ...COPY } }];
      x.view.details = [
        detailOf('pve1', 101, { status: 'stopped', onboot: false, ...change.old }),
        detailOf('pve2', 1_000_101, { ...mounts('local:1000101/vm-1000101-disk-0.raw'), ...change.copy }),
      ];
      x.node('pve1').netstat = [];
      x.observation.backups = [backupOf({ vmid: 1_000_101, at: NOW - 3_600_000, archived: archivedOf() })];
      change.world?.(x);
    });
  const container = w.container('dns');
  const incarnations = incarnationsOf(container, w.observation, w.state.containers['dns']);
  const { current } = incarnations;
  assert.ok(current !== null);
  const macs = change.macs ?? [MAC];
  const made = cleanupPlan({
    container,
    incarnations,
    verdict: { kind: change.verdict ?? 'healthy', reason: 'so' },
    observation: w.observation,
    inventory: w.inventory,
    state: w.state,
    backup: chooseBackup(w.observation.backups, { container, current, macs, now: NOW }),
    macs,
    now: NOW,
  });
  return {
    goes: removable(made).map((e) => incarnationKey(e.old)),
    fails: made.gates.filter((g) => !g.ok).map((g) => g.gate),
    stays: made.entries.map((e) => e.stays),
  };
}

function archivedOf() {
  const { archived } = backupOf();
  assert.ok(archived !== null);
  return { ...archived, lineage: COPY };
}

test('the original goes when the copy has lived for seven days, answers and is backed up', () => {
  assert.deepEqual(plan(), { goes: ['pve1/101@0'], fails: [], stays: [null] });
});

const gates: readonly (readonly [string, string, Change])[] = [
  ['a day too early', 'age', { world: (w) => void (w.view.lineages[0]!.line.at = LONG_AGO + 86_400_000) }],
  ['no backup of the copy', 'backup', { world: (w) => void (w.observation.backups = []) }],
  [
    'only a backup of the original',
    'backup',
    { world: (w) => void (w.observation.backups = [backupOf({ vmid: 101 })]) },
  ],
  ['the copy does not answer', 'service', { verdict: 'unhealthy' }],
  ['it can’t be said whether it answers', 'service', { verdict: 'inconclusive' }],
];
for (const [what, gate, change] of gates)
  test(`nothing goes: ${what}`, () => {
    const { goes, fails } = plan(change);
    assert.deepEqual({ goes, has: fails.includes(gate) }, { goes: [], has: true }, fails.join());
  });

const hindrances: readonly (readonly [string, RegExp, Change])[] = [
  ['it runs', /CT 101 is running/, { old: { status: 'running' } }],
  ['netstat shows it', /netstat there shows/, { world: (w) => void (w.node('pve1').netstat = [101]) }],
  ['it has onboot=1', /onboot=1/, { old: { onboot: true } }],
  ['it is locked', /locked \(backup\)/, { old: { lock: 'backup' } }],
  ['it is protected', /protected/, { old: { protection: true } }],
  ['it is a template', /template/, { old: { template: true } }],
  ['it is guarded', /HA entry ct:101/, { world: (w) => void w.guard('pve1', 101) }],
  ['its node is silent', /pve1 does not answer/, { world: (w) => void w.dies('pve1') }],
  ['it has other MACs', /another container/, { old: { macs: ['BC:24:11:99:99:99'] } }],
  ['no MAC is known', /no MAC address is known/, { macs: [] }],
  [
    'no line names it',
    /no copy's line says/,
    { world: (w) => void (w.view.lineages[0]!.line.supersedes = 'pve3/101@0') },
  ],
  ['the copy uses its disk', /uses its disk/, { copy: mounts('local:101/vm-101-disk-1.raw') }],
  ['the copy uses its disk on LVM', /uses its disk/, { copy: mounts('local-lvm:vm-101-disk-1') }],
];
for (const [what, why, change] of hindrances)
  test(`it stays: ${what}`, () => {
    const { goes, stays } = plan(change);
    assert.deepEqual(goes, []);
    assert.match(stays[0] ?? '', why);
  });
