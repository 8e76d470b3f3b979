import assert from 'node:assert/strict';
import { test } from 'node:test';
import { progressOf } from '../../lib/tell/progress.ts';

test('by its own word', () => {
  assert.deepEqual(progressOf({ elapsedMs: 30_000, expectedMs: 1_000, percent: 25 }), {
    percent: 25,
    remainingMs: 90_000,
    estimated: false,
    text: '30 s, about 1 min 30 s left',
  });
});

test('by the time that earlier ones took: it says that it is an estimate', () => {
  assert.deepEqual(progressOf({ elapsedMs: 12_000, expectedMs: 48_000, doing: 'extracting' }), {
    percent: 25,
    remainingMs: 36_000,
    estimated: true,
    text: '12 s, extracting, about 36 s left (estimated)',
  });
});

test('never above 99 % before the end, whoever says so', () => {
  assert.equal(progressOf({ elapsedMs: 1_000, expectedMs: null, percent: 100 }).percent, 99);
  const late = progressOf({ elapsedMs: 90_000, expectedMs: 60_000 });
  assert.deepEqual(
    [late.percent, late.remainingMs, late.text],
    [99, 0, '1 min 30 s, longer than the estimated 1 min'],
  );
});

test('nothing known: the time, what it does, and how fast', () => {
  assert.deepEqual(progressOf({ elapsedMs: 5_000, expectedMs: null, bytes: 2 ** 30 }), {
    percent: null,
    remainingMs: null,
    estimated: false,
    text: '5 s, 1 GiB read at 205 MiB/s',
  });
});

test('in the first second nobody knows how fast', () => {
  assert.equal(progressOf({ elapsedMs: 10, expectedMs: null, bytes: 2 ** 20 }).text, '10 ms, 1 MiB read');
});

test('what has not begun is not measured by time', () => {
  const waiting = progressOf({
    elapsedMs: 9_000,
    expectedMs: 10_000,
    waiting: true,
    doing: 'waiting for another backup on the node',
  });
  assert.deepEqual([waiting.percent, waiting.text], [null, '9 s, waiting for another backup on the node']);
});
