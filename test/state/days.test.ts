import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { StateError } from '../../lib/errors.ts';
import { DAYS_KEPT, readDays, updateDay, type ContainerDay } from '../../lib/state/days.ts';
import { scratchFolder } from '../scratch.ts';

const NOW = Date.UTC(2026, 10, 30, 23, 59);
const DAY = 86_400_000;
const RECORD: ContainerDay = {
  runs: 1,
  healthy: 1,
  seenMs: 60_000,
  downMs: 0,
  lastAt: NOW,
  latency: { 36: 1 },
  maxMs: 3,
};

function folder(t: TestContext): string {
  const dir = scratchFolder('days');
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test('each day (UTC) has a file of its own, and is read back, oldest first', (t) => {
  const dir = folder(t);
  assert.deepEqual(readDays(dir, NOW), { days: [], problems: [] });
  updateDay(dir, NOW, (day) => void (day.containers['dns'] = RECORD));
  updateDay(dir, NOW, (day) => void (day.containers['web'] = RECORD));
  updateDay(dir, NOW + 2 * 60_000, (day) => void (day.containers['dns'] = { ...RECORD, runs: 7 }));
  assert.deepEqual(readdirSync(join(dir, 'days')), ['2026-11-30.json', '2026-12-01.json']);
  const { days, problems } = readDays(dir, NOW + 2 * 60_000);
  assert.deepEqual(problems, []);
  assert.deepEqual(
    days.map(({ date, containers }) => [date, Object.keys(containers), containers['dns']?.runs]),
    [
      ['2026-11-30', ['dns', 'web'], 1],
      ['2026-12-01', ['dns'], 7],
    ],
  );
  assert.equal(statSync(join(dir, 'days', '2026-11-30.json')).mode & 0o777, 0o600);
});

test('thirty days are kept, and what is not ours is left alone; a run that was killed leaves nothing for ever', (t) => {
  const dir = folder(t);
  for (let n = 0; n < DAYS_KEPT + 3; n += 1) updateDay(dir, NOW + n * DAY, () => undefined);
  const last = NOW + (DAYS_KEPT + 2) * DAY;
  assert.equal(readdirSync(join(dir, 'days')).length, DAYS_KEPT);
  assert.equal(readDays(dir, last).days.length, DAYS_KEPT);
  writeFileSync(join(dir, 'days', 'notes.txt'), 'mine');
  const temp = join(dir, 'days', '.2026-11-30.json.1.abcd.tmp');
  writeFileSync(temp, '{');
  utimesSync(temp, NOW / 1000, NOW / 1000);
  updateDay(dir, last + DAY, () => undefined);
  assert.deepEqual(
    readdirSync(join(dir, 'days')).filter((name) => !/^\d/.test(name)),
    ['notes.txt'],
  );
});

test('a day that can’t be trusted is told, left as it is, and costs only its own figures', (t) => {
  const dir = folder(t);
  for (const [text, said] of [
    ['{"version":1,"date":', /corrupt.*move it away: the figures of that day are lost, all else goes on/],
    ['{"version":2,"date":"2026-11-30","containers":{}}', /written by a newer ProxWarden/],
    ['{"version":1,"date":"2026-11-30","containers":{"dns":{"runs":-1}}}', /corrupt/],
  ] as const) {
    updateDay(dir, NOW - DAY, (day) => void (day.containers['dns'] = RECORD));
    const file = join(dir, 'days', '2026-11-30.json');
    writeFileSync(file, text);
    assert.throws(
      () => updateDay(dir, NOW, () => undefined),
      (error) => error instanceof StateError && said.test(error.message) && error.message.includes(file),
    );
    assert.equal(readFileSync(file, 'utf8'), text);
    const { days, problems } = readDays(dir, NOW);
    assert.deepEqual(
      days.map((day) => day.date),
      ['2026-11-29'],
    );
    assert.match(problems.join('\n'), said);
  }
});

test('where no folder can be made it is said', (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'days'), '');
  assert.throws(() => updateDay(dir, NOW, () => undefined), StateError);
  rmSync(join(dir, 'days'));
  mkdirSync(join(dir, 'days'));
  updateDay(dir, NOW, () => undefined);
});
