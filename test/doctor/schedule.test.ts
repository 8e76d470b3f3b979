import assert from 'node:assert/strict';
import { test } from 'node:test';
import { longestGap } from '../../lib/decide/doctor/schedule.ts';

const HOUR = 3_600_000;

test('the longest time between two runs of a calendar event', () => {
  const cases: readonly (readonly [string, number | null])[] = [
    ['21:00', 24],
    ['daily', 24],
    ['hourly', 1],
    ['weekly', 168],
    ['mon..fri 22:30', 72],
    ['mon-fri 22:30', 72],
    ['sun 03:00', 168],
    ['sat,sun 03:00', 144],
    ['sat..mon 00:00', 120],
    ['monday 5:00', 168],
    ['*/6:00', 6],
    ['0/6:15', 6],
    ['8,20:00', 12],
    ['8..18/2:00', 14],
    ['*:30', 1],
    ['*/30', 0.5],
    ['22:00 ', 24],
    ['*-*-01 02:00', null],
    ['sometimes', null],
    ['25:00', null],
    ['', null],
  ];
  for (const [schedule, hours] of cases)
    assert.equal(longestGap(schedule), hours === null ? null : hours * HOUR, JSON.stringify(schedule));
});
