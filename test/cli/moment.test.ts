import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endOf } from '../../lib/cli/moment.ts';
import { personName } from '../../lib/cli/person.ts';
import { HOUR, MINUTE, NOW } from '../decide/parts.ts';

test('no flag: no end', () => assert.equal(endOf({}, NOW), null));

const good: readonly (readonly [Parameters<typeof endOf>[0], number])[] = [
  [{ for: '90m' }, NOW + 90 * MINUTE],
  [{ until: '2026-11-22T13:00Z' }, NOW + HOUR],
  [{ until: '2026-11-22 13:00:30Z' }, NOW + HOUR + 30_000],
  [{ until: '2026-11-22T14:00+01:00' }, NOW + HOUR],
];
for (const [flags, end] of good) test(JSON.stringify(flags), () => assert.equal(endOf(flags, NOW), end));

test('a time of day is the next one, by this machine’s clock', () => {
  const now = new Date(2026, 10, 22, 12, 0, 0).getTime();
  assert.equal(endOf({ until: '13:30' }, now), new Date(2026, 10, 22, 13, 30).getTime());
  assert.equal(endOf({ until: '6:00' }, now), new Date(2026, 10, 23, 6, 0).getTime());
  assert.equal(endOf({ until: '12:00' }, now), new Date(2026, 10, 23, 12, 0).getTime());
});

const bad: readonly (readonly [Parameters<typeof endOf>[0], RegExp])[] = [
  [{ for: '2' }, /^--for 2 is not a duration$/],
  [{ for: '0s' }, /^--for 0s is over already$/],
  [{ until: '25:00' }, /^--until 25:00 is no time$/],
  [{ until: 'tomorrow' }, /is no time$/],
  [{ until: '2026-11-22T11:59Z' }, /is over already$/],
  [{ until: '2026-13-22T11:59Z' }, /is no time$/],
  [{ for: '2h', until: '13:00' }, /don't go together/],
];
for (const [flags, message] of bad)
  test(`refused: ${JSON.stringify(flags)}`, () => assert.throws(() => endOf(flags, NOW), { message }));

test('who types is who is behind sudo, when that is a name', () => {
  assert.equal(personName({ SUDO_USER: 'anna' }), 'anna');
  assert.notEqual(personName({ SUDO_USER: 'a b\n' }), 'a b\n');
  assert.equal(personName({}), personName({ SUDO_USER: '' }));
});
