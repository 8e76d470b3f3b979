import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseBackup, type BackupRules } from '../../lib/decide/backups.ts';
import type { BackupView } from '../../lib/decide/model.ts';
import {
  archivedOf,
  at,
  backupOf,
  containerOf,
  HOUR,
  incarnationOf,
  lineOf,
  MAC,
  MINUTE,
  NOW,
} from './parts.ts';

function rules(patch: Partial<BackupRules> = {}): BackupRules {
  return { container: containerOf(), current: incarnationOf(), macs: [MAC], now: NOW, ...patch };
}

test('the newest sound one is chosen, and the older ones say so', () => {
  const { chosen, rejected, tooOld } = chooseBackup(
    [180, 60, 120].map((minutes) => backupOf({ minutes })),
    rules(),
  );
  assert.equal(chosen?.volid, 'nas:backup/ct101-60min');
  assert.deepEqual(
    rejected.map((r) => `${r.what}: ${r.why}`),
    [120, 180].map((m) => `nas:backup/ct101-${m}min: older than nas:backup/ct101-60min`),
  );
  assert.equal(tooOld, null);
});

const verified = containerOf({ backup: { requireVerified: true } });
const copy = at('pve2/1000101@1', { since: NOW - 2 * HOUR });
const ofCopy = { vmid: 1_000_101, archived: archivedOf({ lineage: lineOf() }) };

const rejections: readonly (readonly [string, RegExp, BackupView, Partial<BackupRules>?])[] = [
  ['on another storage', /not on nas/, backupOf({ storage: 'local' })],
  ['of the future', /in the future: check the clocks/, backupOf({ minutes: -2 })],
  ['failed its verification', /verification failed/, backupOf({ verification: 'failed' })],
  ['not verified where that is demanded', /not verified/, backupOf(), { container: verified }],
  ['its config was not read', /has not been read/, backupOf({ archived: null })],
  ['its config could not be read', /truncated/, backupOf({ archived: null, problem: 'truncated archive' })],
  ['another MAC', /of another container: MAC AA/, backupOf({ archived: archivedOf({ macs: ['AA'] }) })],
  [
    'one MAC of ours, one not',
    /of another container/,
    backupOf({ archived: archivedOf({ macs: [MAC, 'AA'] }) }),
  ],
  ['no MAC', /MAC none/, backupOf({ archived: archivedOf({ macs: [] }) })],
  ['no MAC is known', /no MAC address is known/, backupOf(), { macs: [] }],
  ['older than the RPO', /older than the RPO of 1 d/, backupOf({ minutes: 24 * 60 + 1 })],
  ['another one was named', /another one was named/, backupOf(), { named: { volid: 'x', acceptAgeMs: 0 } }],
  [
    'a copy’s, without its line',
    /lacks the lineage line of epoch 1/,
    backupOf({ vmid: 1_000_101 }),
    { current: copy },
  ],
  [
    'of the vmid’s occupant before this copy',
    /before this copy \(epoch 1\) came into being/,
    backupOf({ ...ofCopy, minutes: 121 }),
    { current: copy },
  ],
  [
    'of an earlier epoch',
    /it is of dns, epoch 1/,
    backupOf({ vmid: 2_000_101, archived: archivedOf({ lineage: lineOf() }) }),
    { current: at('pve3/2000101@2') },
  ],
  [
    'of another container’s copy',
    /it is of web, epoch 1/,
    backupOf({ vmid: 1_000_101, archived: archivedOf({ lineage: lineOf({ container: 'web' }) }) }),
    { current: copy },
  ],
  [
    'of the copy of that name in a clone of the whole cluster',
    /it is of a dns in cluster lab/,
    backupOf({ vmid: 1_000_101, archived: archivedOf({ lineage: lineOf({ cluster: 'lab' }) }) }),
    { current: copy },
  ],
  [
    'a copy’s archive under the original’s vmid',
    /it is of dns, epoch 1/,
    backupOf({ archived: archivedOf({ lineage: lineOf() }) }),
  ],
];
for (const [what, why, backup, patch] of rejections)
  test(`rejected: ${what}`, () => {
    const { chosen, rejected } = chooseBackup([backup], rules(patch));
    assert.equal(chosen, null);
    assert.match(rejected[0]?.why ?? '', why);
  });

const accepted: readonly (readonly [string, BackupView, Partial<BackupRules>?])[] = [
  ['exactly as old as the RPO', backupOf({ minutes: 24 * 60 })],
  ['clocks differ by a minute', backupOf({ minutes: -1 })],
  ['not verified, where that is not demanded', backupOf()],
  ['verified', backupOf({ verification: 'ok' }), { container: verified }],
  ['MACs in another case', backupOf({ archived: archivedOf({ macs: [MAC.toLowerCase()] }) })],
  ['a copy’s own', backupOf(ofCopy), { current: copy }],
  ['named, older, its age accepted', backupOf({ minutes: 1500 }), named(1500, 26)],
  ['named, its MAC not known', backupOf(), { ...named(60, 1), macs: [] }],
];
for (const [what, backup, patch] of accepted)
  test(`accepted: ${what}`, () => assert.equal(chooseBackup([backup], rules(patch)).chosen, backup));

function named(minutes: number, hours: number): Partial<BackupRules> {
  return { named: { volid: `nas:backup/ct101-${minutes}min`, acceptAgeMs: hours * HOUR } };
}

test('a name does not make up for a wrong identity, a failed verification or an age beyond what is accepted', () => {
  for (const wrong of [
    backupOf({ archived: archivedOf({ macs: ['AA'] }) }),
    backupOf({ verification: 'failed' }),
    backupOf({ archived: archivedOf({ lineage: lineOf() }) }),
  ])
    assert.equal(chooseBackup([wrong], rules(named(60, 24))).chosen, null);
  assert.equal(chooseBackup([backupOf({ minutes: 1800 })], rules(named(1800, 29))).chosen, null);
});

test('backups of other vmids and clusters are not even mentioned', () => {
  const others = [backupOf({ vmid: 102 }), backupOf({ cluster: 'office' })];
  assert.deepEqual(chooseBackup(others, rules()), { chosen: null, rejected: [], tooOld: null });
});

test('what a person could accept is the newest that is only too old', () => {
  const { chosen, tooOld } = chooseBackup(
    [
      backupOf({ minutes: 3000 }),
      backupOf({ minutes: 2000 }),
      backupOf({ minutes: 1600, verification: 'failed' }),
    ],
    rules(),
  );
  assert.equal(chosen, null);
  assert.equal(tooOld?.volid, 'nas:backup/ct101-2000min');
});

const anyBackup = fc
  .record({
    minutes: fc.integer({ min: -100, max: 4000 }),
    vmid: fc.constantFrom(101, 102),
    storage: fc.constantFrom('nas', 'local'),
    verification: fc.constantFrom('ok', 'failed', null),
    macs: fc.constantFrom<string[]>([MAC], ['AA'], []),
    line: fc.constantFrom(null, lineOf()),
  })
  .map(({ macs, line: lineage, ...rest }) => backupOf({ ...rest, archived: archivedOf({ macs, lineage }) }));

test('whatever there is: the chosen one is sound, no sound one is newer, and each other has its reason', () => {
  fc.assert(
    fc.property(fc.array(anyBackup, { maxLength: 12 }), (backups) => {
      const { chosen, rejected } = chooseBackup(backups, rules());
      const sound = backups.filter(
        (b) =>
          b.vmid === 101 &&
          b.storage === 'nas' &&
          b.verification !== 'failed' &&
          b.archived?.macs[0] === MAC &&
          b.archived.lineage === null &&
          b.at <= NOW + MINUTE &&
          NOW - b.at <= 24 * HOUR,
      );
      assert.equal(chosen?.at, sound.length === 0 ? undefined : Math.max(...sound.map((b) => b.at)));
      const mine = backups.filter((b) => b.vmid === 101).length;
      assert.equal(rejected.length, chosen === null ? mine : mine - 1);
      assert.ok(rejected.every((r) => r.why !== ''));
    }),
  );
});
