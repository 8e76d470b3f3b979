import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Observation, Plan } from '../../lib/decide/model.ts';
import { appendEvents, EVENTS_MAX_BYTES, readEvents } from '../../lib/state/events.ts';
import { readObservation, writeObservation } from '../../lib/state/observation.ts';
import { loadPlan, savePlan } from '../../lib/state/plans.ts';
import { scratch } from './children.ts';

const root = scratch();
const MINUTE = 60_000;

function newDir(): string {
  return mkdtempSync(join(root, 'records-'));
}

describe('the observation', () => {
  const observation: Observation = {
    version: 2,
    at: 10 * MINUTE,
    inventory: 'd',
    canaries: [],
    probes: {},
    clusters: {},
    backups: [],
  };

  test('is read back while it is fresh', () => {
    const dir = newDir();
    const read = (now: number): Observation => readObservation(dir, { now, maxAgeMs: 2 * MINUTE });
    assert.throws(() => read(0), { name: 'InconclusiveError', exitCode: 5, message: /run `check` first/ });
    writeObservation(dir, observation);
    assert.deepEqual(read(12 * MINUTE), observation);
    assert.deepEqual(read(10 * MINUTE - 5_000), observation);
    assert.throws(() => read(12 * MINUTE + 1), {
      name: 'InconclusiveError',
      message: /120 s old, more than the 120 s.*run `check` first/,
    });
    assert.throws(() => read(9 * MINUTE), {
      name: 'InconclusiveError',
      message: /60 s in the future.*run `check` first/,
    });
    writeFileSync(join(dir, 'observation.json'), '{');
    assert.throws(() => read(12 * MINUTE), {
      name: 'StateError',
      message: /observation .* is corrupt .*run `check`/,
    });
    writeObservation(dir, observation);
    assert.deepEqual(read(12 * MINUTE), observation);
  });
});

describe('plans', () => {
  const plan: Plan = {
    version: 1,
    id: 'abc123def456',
    at: 0,
    expiresAt: 30 * MINUTE,
    inventory: 'd',
    decisions: [],
  };

  test('hold until they expire', () => {
    const dir = newDir();
    assert.throws(() => loadPlan(dir, plan.id, 0), {
      name: 'BlockedError',
      exitCode: 4,
      message: /there is no plan abc123def456/,
    });
    savePlan(dir, plan, 0);
    assert.deepEqual(loadPlan(dir, plan.id, 30 * MINUTE - 1), plan);
    assert.throws(() => loadPlan(dir, plan.id, 30 * MINUTE), {
      name: 'BlockedError',
      message: /is stale: it expired 0 min ago/,
    });
    assert.throws(() => loadPlan(dir, plan.id, -MINUTE), {
      name: 'BlockedError',
      message: /stale.*in the future/,
    });
    savePlan(dir, { ...plan, at: 20 * MINUTE, expiresAt: 50 * MINUTE }, 20 * MINUTE);
    assert.equal(loadPlan(dir, plan.id, 40 * MINUTE).at, 20 * MINUTE);
  });

  test('an id is no path', () => {
    const dir = newDir();
    savePlan(dir, plan, 0);
    for (const id of [
      '../plans/abc123def456',
      '..',
      'abc123def456.json',
      '',
      'a/b',
      'ABC123',
      'x'.repeat(65),
    ])
      assert.throws(() => loadPlan(dir, id, 0), {
        name: 'InputError',
        exitCode: 2,
        message: /is not a plan id/,
      });
    assert.throws(() => savePlan(dir, { ...plan, id: '../../x' }, 0), /^Error: bug/);
  });

  test('of another id, or corrupt, are refused', () => {
    const dir = newDir();
    savePlan(dir, plan, 0);
    writeFileSync(join(dir, 'plans', 'other1.json'), JSON.stringify(plan));
    assert.throws(() => loadPlan(dir, 'other1', 0), {
      name: 'StateError',
      message: /is that of another id, abc123def456/,
    });
    writeFileSync(join(dir, 'plans', 'other1.json'), '');
    assert.throws(() => loadPlan(dir, 'other1', 0), {
      name: 'StateError',
      message: /plan .*other1\.json is corrupt \(it is empty\)/,
    });
  });

  test('old ones are deleted, what can not be read is not', () => {
    const dir = newDir();
    const day = 24 * 60 * MINUTE;
    savePlan(dir, { ...plan, id: 'old1' }, 0);
    savePlan(dir, { ...plan, id: 'old2', expiresAt: 40 * MINUTE }, 0);
    writeFileSync(join(dir, 'plans', 'broken.json'), '{');
    savePlan(dir, { ...plan, at: day, expiresAt: day }, day + 35 * MINUTE);
    assert.deepEqual(readdirSync(join(dir, 'plans')), ['abc123def456.json', 'broken.json', 'old2.json']);
    for (let i = 0; i < 105; i += 1) savePlan(dir, { ...plan, id: `many${i}`, expiresAt: day + i }, day);
    const names = readdirSync(join(dir, 'plans'));
    assert.equal(names.length, 101, '100 and the broken one');
    assert.ok(names.includes('many104.json') && !names.includes('many0.json'));
  });
});

describe('events', () => {
  const event = (at: number, text = 'x'): { at: number; kind: string; container: string; text: string } => ({
    at,
    kind: 'verdict',
    container: 'dns',
    text,
  });
  const times = (dir: string, limit?: number): number[] => readEvents(dir, limit).events.map((e) => e.at);

  test('are read back in order', () => {
    const dir = newDir();
    assert.deepEqual(readEvents(dir), { events: [], skipped: 0 });
    appendEvents(dir, [event(1), event(2, 'two\nlines')]);
    appendEvents(dir, []);
    appendEvents(dir, [event(3)]);
    assert.deepEqual(readEvents(dir), { events: [event(1), event(2, 'two\nlines'), event(3)], skipped: 0 });
    assert.deepEqual(times(dir, 2), [2, 3]);
    assert.deepEqual(times(dir, 0), []);
    assert.equal(statSync(join(dir, 'events.ndjson')).mode & 0o777, 0o600);
  });

  test('a line that a crash has cut costs that line only', () => {
    const dir = newDir();
    const path = join(dir, 'events.ndjson');
    appendEvents(dir, [event(1), event(2)]);
    truncateSync(path, statSync(path).size - 9);
    assert.deepEqual(readEvents(dir), { events: [event(1)], skipped: 1 });
    appendEvents(dir, [event(3)]);
    appendFileSync(path, '{"at":"yesterday"}\nnull\n');
    appendEvents(dir, [event(4)]);
    assert.deepEqual(times(dir), [1, 3, 4]);
    assert.equal(readEvents(dir).skipped, 3);
  });

  test('are put aside at 5 MiB; two old files are kept', () => {
    const dir = newDir();
    const path = join(dir, 'events.ndjson');
    const full = (): void => appendFileSync(path, `${' '.repeat(EVENTS_MAX_BYTES)}\n`);
    for (let at = 1; at <= 5; at += 1) {
      appendEvents(dir, [event(at)]);
      if (at < 5) full();
    }
    assert.deepEqual(readdirSync(dir).toSorted(), [
      'events.1.ndjson',
      'events.2.ndjson',
      'events.ndjson',
      'lock',
    ]);
    assert.deepEqual(times(dir), [3, 4, 5]);
    assert.deepEqual(times(dir, 2), [4, 5]);
  });
});
