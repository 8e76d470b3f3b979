import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import * as z from 'zod';
import { formatNotes } from '../../lib/decide/notes.ts';
import { keptBy, prunePlan, type PruneRules } from '../../lib/decide/prune.ts';
import type { BackupView } from '../../lib/decide/model.ts';
import type { KeepPolicy } from '../../lib/inventory/types.ts';
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

const NOTHING: KeepPolicy = { last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
const DAY = 24 * HOUR;

function keep(patch: Partial<KeepPolicy>): KeepPolicy {
  return { ...NOTHING, ...patch };
}

/** The times (ISO, minutes) that a policy keeps. */
function kept(times: readonly string[], policy: Partial<KeepPolicy>): string[] {
  const marks = keptBy(
    times.map((text) => Date.parse(`${text}Z`)),
    keep(policy),
  );
  return times.filter((_, index) => marks[index] !== null);
}

test('last: the newest, whatever their distance', () => {
  assert.deepEqual(kept(['2026-11-22T12:00', '2026-11-22T11:59', '2026-11-01T00:00'], { last: 2 }), [
    '2026-11-22T12:00',
    '2026-11-22T11:59',
  ]);
});

test('daily: the newest of each day; days without backups do not count', () => {
  const times = [
    '2026-11-22T23:59',
    '2026-11-22T01:00',
    '2026-11-20T12:00',
    '2026-11-10T12:00',
    '2026-11-10T00:00',
  ];
  assert.deepEqual(kept(times, { daily: 3 }), ['2026-11-22T23:59', '2026-11-20T12:00', '2026-11-10T12:00']);
});

test('hourly, monthly, yearly', () => {
  const times = [
    '2026-11-22T12:30',
    '2026-11-22T12:00',
    '2026-11-22T11:59',
    '2026-10-31T23:59',
    '2025-12-31T23:59',
  ];
  assert.deepEqual(kept(times, { hourly: 2 }), ['2026-11-22T12:30', '2026-11-22T11:59']);
  assert.deepEqual(kept(times, { monthly: 2 }), ['2026-11-22T12:30', '2026-10-31T23:59']);
  assert.deepEqual(kept(times, { yearly: 9 }), ['2026-11-22T12:30', '2025-12-31T23:59']);
});

test('weekly: weeks begin on Monday, also across the end of a year (ISO week 53 of 2026)', () => {
  // Sunday 3 January 2027 and Monday 28 December 2026 are of one week, Monday 4 January 2027 is of the next.
  const times = ['2027-01-04T00:00', '2027-01-03T23:59', '2026-12-28T00:00', '2026-12-27T23:59'];
  assert.deepEqual(kept(times, { weekly: 3 }), ['2027-01-04T00:00', '2027-01-03T23:59', '2026-12-27T23:59']);
});

test('a period that holds a kept backup does not count for the next rule', () => {
  const times = ['2026-11-22T12:00', '2026-11-22T11:00', '2026-11-21T11:00', '2026-11-20T11:00'];
  // The two newest are of one day: the two daily ones are those of the days before it.
  assert.deepEqual(kept(times, { last: 2, daily: 2 }), times);
  assert.deepEqual(kept(times, { last: 1, daily: 1 }), ['2026-11-22T12:00', '2026-11-21T11:00']);
});

const Recorded = z.array(
  z.looseObject({
    name: z.string(),
    body: z.unknown(),
  }),
);
const Preview = z.object({ data: z.array(z.looseObject({ ctime: z.number(), mark: z.string() })) });

test('the same as a genuine PVE marks (recording 05)', (t) => {
  const file = '../shared/pve/recordings/05-restore.json';
  if (!existsSync(file)) return t.skip(`${file} is not here`);
  const entry = Recorded.parse(JSON.parse(readFileSync(file, 'utf8'))).find(
    ({ name }) => name === 'prunebackups dry-run',
  );
  const { body } = entry ?? {};
  const { data } = Preview.parse(typeof body === 'string' ? JSON.parse(body) : body);
  const newestFirst = data.toSorted((a, b) => b.ctime - a.ctime);
  const marks = keptBy(
    newestFirst.map(({ ctime }) => ctime * 1000),
    keep({ last: 2 }),
  );
  assert.ok(data.length > 2);
  assert.deepEqual(
    newestFirst.map(({ mark }) => mark),
    marks.map((mark) => (mark === null ? 'remove' : 'keep')),
  );
});

const anyPolicy = fc.record({
  last: fc.nat(4),
  hourly: fc.nat(4),
  daily: fc.nat(4),
  weekly: fc.nat(3),
  monthly: fc.nat(3),
  yearly: fc.nat(2),
});
const anyTimes = fc
  .uniqueArray(fc.integer({ min: 0, max: 400 * 24 }), { maxLength: 60 })
  .map((hours) => hours.toSorted((a, b) => a - b).map((h) => NOW - h * HOUR));

test('whatever the times: no more than the policy’s sum, the newest always, and a second pruning removes nothing', () => {
  fc.assert(
    fc.property(anyTimes, anyPolicy, (times, policy) => {
      const marks = keptBy(times, policy);
      const sum = Object.values(policy).reduce((a, b) => a + b, 0);
      const left = times.filter((_, index) => marks[index] !== null);
      assert.ok(left.length <= sum);
      assert.equal(left.length > 0, sum > 0 && times.length > 0);
      if (left.length > 0) assert.equal(left[0], times[0]);
      assert.ok(keptBy(left, policy).every((mark) => mark !== null));
      // A new backup never takes away the newest of before while two may be kept.
      if (policy.last >= 2)
        assert.notEqual(keptBy([NOW + MINUTE, ...times], policy)[Math.min(1, times.length)], null);
    }),
  );
});

test('days are counted as a person would: the newest of the newest N days', () => {
  fc.assert(
    fc.property(anyTimes, fc.integer({ min: 1, max: 9 }), (times, daily) => {
      const marks = keptBy(times, keep({ daily }));
      const days = [...new Set(times.map((time) => new Date(time).toISOString().slice(0, 10)))].slice(
        0,
        daily,
      );
      const expected = days.map((day) => times.find((time) => new Date(time).toISOString().startsWith(day)));
      assert.deepEqual(
        times.filter((_, index) => marks[index] !== null),
        expected,
      );
    }),
  );
});

const OURS = formatNotes({
  container: 'dns',
  epoch: 0,
  purpose: 'by hand',
  operation: 'op-20261122T100000-aaaaaa',
});

function ours(minutes: number, patch: Partial<BackupView> = {}): BackupView {
  return backupOf({ minutes, notes: OURS, ...patch });
}

function rules(patch: Partial<PruneRules> = {}): PruneRules {
  return {
    container: containerOf(),
    current: incarnationOf(),
    macs: [MAC],
    now: NOW,
    keep: keep({ last: 1 }),
    all: false,
    inUse: new Set(),
    ...patch,
  };
}

function whyKept(backup: BackupView, patch: Partial<PruneRules> = {}): string {
  const entry = prunePlan([ours(10), ours(20), backup], rules(patch)).find((e) => e.backup === backup);
  assert.equal(entry?.remove, false, entry?.why);
  return entry.why;
}

test('what the policy does not keep is removed', () => {
  const entries = prunePlan([ours(60), ours(10), ours(30)], rules());
  assert.deepEqual(
    entries.map((e) => [e.backup.volid, e.remove]),
    [
      ['nas:backup/ct101-10min', false],
      ['nas:backup/ct101-30min', true],
      ['nas:backup/ct101-60min', true],
    ],
  );
});

const copy = at('pve2/1000101@1', { since: NOW - 2 * HOUR });
const spared: readonly (readonly [string, RegExp, BackupView, Partial<PruneRules>?])[] = [
  ['protected', /^protected$/, ours(90, { protected: true })],
  ['in use', /in use by an operation/, ours(90), { inUse: new Set(['nas:backup/ct101-90min']) }],
  ['not finished', /not finished: x/, ours(90, { unfinished: 'x' })],
  ['of the future', /in the future/, ours(-90)],
  ['of a retired copy', /retired copy \(epoch 0\)/, ours(90), { current: copy }],
  ['of another container', /of another container/, ours(90, { archived: archivedOf({ macs: ['AA'] }) })],
  [
    'of whom is not known: not read',
    /cannot be read/,
    ours(90, { archived: null, problem: 'it cannot be read' }),
  ],
  ['of whom is not known: no MAC known', /no MAC address is known/, ours(90), { macs: [] }],
  ['failed its verification', /its verification failed/, ours(90, { verification: 'failed' })],
  ['made by others', /not made by ProxWarden/, backupOf({ minutes: 90, notes: 'nightly' })],
  [
    'with our notes of another container',
    /not made by ProxWarden/,
    ours(90, { notes: OURS.replace('dns', 'web') }),
  ],
  [
    'a person’s restore of our copy, backed up',
    /it is of dns, epoch 1 \(CT 1000101\)/,
    ours(90, { archived: archivedOf({ lineage: lineOf() }) }),
  ],
];
for (const [what, why, backup, patch] of spared)
  test(`never removed: ${what}`, () => assert.match(whyKept(backup, patch), why));

test('with --all what others made counts and is removed by the same policy', () => {
  const nightly = [15, 25].map((minutes) => backupOf({ minutes, notes: 'nightly' }));
  const removed = prunePlan([...nightly, ours(10), ours(20)], rules({ all: true, keep: keep({ last: 2 }) }))
    .filter((e) => e.remove)
    .map((e) => e.backup.at);
  assert.deepEqual(removed, [NOW - 20 * MINUTE, NOW - 25 * MINUTE]);
});

test('what is spared does not count: the policy keeps its number of the others', () => {
  const entries = prunePlan([ours(10, { protected: true }), ours(20), ours(30)], rules());
  assert.deepEqual(
    entries.map((e) => e.remove),
    [false, false, true],
  );
});

test('the one that a failover would use stays, although the policy does not keep it', () => {
  const container = containerOf({ backup: { requireVerified: true } });
  const entries = prunePlan([ours(10), ours(20, { verification: 'ok' }), ours(30)], rules({ container }));
  assert.deepEqual(
    entries.map((e) => e.why),
    ['kept: last', 'the newest sound one: a failover would use it', 'the policy does not keep it'],
  );
});

test('too old for a failover, it is still the newest sound one: a person may accept its age', () => {
  const container = containerOf({ backup: { requireVerified: true } });
  const old = ours(60 * 60, { verification: 'ok' });
  const entries = prunePlan([ours(10), old], rules({ container }));
  assert.equal(entries.find((e) => e.backup === old)?.remove, false);
});

test('without a sound backup nothing is removed', () => {
  const container = containerOf({ backup: { requireVerified: true } });
  const entries = prunePlan([ours(10), ours(20), ours(30)], rules({ container }));
  assert.ok(entries.every((e) => !e.remove));
});

const anyBackup = fc
  .record({
    minutes: fc.integer({ min: -100, max: 40 * 24 * 60 }),
    vmid: fc.constantFrom(101, 1_000_101),
    mine: fc.boolean(),
    protected: fc.boolean(),
    unfinished: fc.constantFrom(null, null, 'being written'),
    verification: fc.constantFrom('ok', 'failed', null),
    macs: fc.constantFrom<string[]>([MAC], [MAC], ['AA'], []),
    line: fc.constantFrom(null, null, lineOf()),
  })
  .map(({ macs, line: lineage, mine, ...rest }) =>
    backupOf({ ...rest, notes: mine ? OURS : '', archived: archivedOf({ macs, lineage }) }),
  );

test('whatever there is: only our own, sound or not, of the current copy, unprotected; the newest sound one stays', () => {
  fc.assert(
    fc.property(fc.array(anyBackup, { maxLength: 25 }), anyPolicy, fc.boolean(), (backups, policy, all) => {
      const entries = prunePlan(backups, rules({ keep: policy, all }));
      assert.equal(entries.length, backups.length);
      const gone = entries.filter((e) => e.remove).map((e) => e.backup);
      for (const b of gone) {
        assert.ok(!b.protected && b.unfinished === null && b.vmid === 101 && b.at <= NOW + MINUTE);
        assert.ok(b.archived?.macs[0] === MAC && b.archived.lineage === null && b.verification !== 'failed');
        assert.ok(all || b.notes === OURS);
      }
      const sound = (list: readonly BackupView[]): number =>
        Math.max(
          -Infinity,
          ...list
            .filter(
              (b) =>
                b.vmid === 101 &&
                b.unfinished === null &&
                b.verification !== 'failed' &&
                b.archived?.macs[0] === MAC &&
                b.archived.lineage === null &&
                b.at <= NOW + MINUTE,
            )
            .map((b) => b.at),
        );
      const left = entries.filter((e) => !e.remove).map((e) => e.backup);
      assert.equal(sound(left), sound(backups));
      assert.ok(gone.length < backups.length || backups.length === 0);
    }),
  );
});

test('a day in the policy is a UTC day', () => {
  const midnight = Math.floor(NOW / DAY) * DAY;
  assert.deepEqual(keptBy([midnight, midnight - 1], keep({ daily: 2 })), ['kept: daily', 'kept: daily']);
});
