import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event } from '../../lib/tell/events.ts';
import { createTeller, stamp, type TellerOptions } from '../../lib/tell/teller.ts';
import { stepsTeller } from '../../lib/tell/steps.ts';
import { NOW } from '../decide/parts.ts';
import { EVENTS, IDLE } from './events.ts';

function recorder(patch: Partial<Omit<TellerOptions, 'io'>> & { tty?: boolean; columns?: number } = {}) {
  const { tty = false, columns = 80, ...options } = patch;
  const lines: string[] = [];
  const time = { now: NOW };
  const teller = createTeller({
    io: { err: (text) => void lines.push(text), tty, columns },
    clock: { now: () => time.now, sleep: () => Promise.resolve() },
    level: 'info',
    json: false,
    steps: false,
    ...options,
  });
  return { teller, lines, time };
}

test('plain lines carry the time in UTC', () => {
  const { teller, lines } = recorder();
  teller.tell(EVENTS.note);
  assert.deepEqual(lines, ['2026-11-22 12:00:00 warning: dns: look here']);
  assert.equal(stamp(0), '1970-01-01 00:00:00');
});

const levels: readonly (readonly [TellerOptions['level'], readonly Event['kind'][]])[] = [
  ['error', []],
  ['warn', ['note', 'step-failed']],
  [
    'info',
    [
      'note',
      'counted',
      'verdict',
      'decision',
      'operation-started',
      'operation-resumed',
      'step-done',
      'step-failed',
      'operation-ended',
      'reconciled',
    ],
  ],
];
for (const [level, kinds] of levels)
  test(`level ${level}`, () => {
    const shown = Object.values(EVENTS).filter((event) => {
      const { teller, lines } = recorder({ level });
      teller.tell(event);
      return lines.length > 0;
    });
    assert.deepEqual(
      shown.map((e) => e.kind),
      kinds,
    );
  });

test('that nothing is to be done is for debug', () => {
  for (const level of ['info', 'debug'] as const) {
    const { teller, lines } = recorder({ level });
    teller.tell(IDLE);
    assert.equal(lines.length, level === 'debug' ? 1 : 0);
  }
});

test('progress of one step is shown every ten seconds, and not at its beginning', () => {
  const { teller, lines, time } = recorder();
  for (let second = 0; second <= 25; second += 1) {
    time.now = NOW + second * 1000;
    teller.tell({ ...EVENTS['step-progress'], text: `${second} s` });
  }
  assert.deepEqual(
    lines.map((l) => l.slice(-4)),
    ['10 s', '20 s'],
  );
});

test('as JSON: one event per line, with its time', () => {
  const { teller, lines } = recorder({ json: true });
  teller.tell(EVENTS.verdict);
  assert.deepEqual(JSON.parse(lines[0] ?? ''), { at: NOW, ...EVENTS.verdict });
});

test('as JSON on a terminal there is no drawing either', async () => {
  const { teller, lines } = recorder({ json: true, tty: true, steps: true });
  teller.tell(EVENTS['operation-started']);
  teller.tell(EVENTS['step-done']);
  await teller.end();
  assert.equal(lines.length, 2);
});

test('the end of an operation does not repeat why its step failed', () => {
  const { teller, lines } = recorder();
  teller.tell(EVENTS['step-failed']);
  teller.tell(EVENTS['operation-ended']);
  assert.match(lines[1] ?? '', /dns: op-1 failed: see above$/);
});

test('on a terminal long lines are broken, in a log they are not', () => {
  const text = Array.from({ length: 30 }, () => 'word').join(' ');
  for (const tty of [true, false]) {
    const { teller, lines } = recorder({ tty, columns: 40 });
    teller.tell({ ...EVENTS.note, text });
    assert.equal(lines.join('\n').includes('\n'), tty);
  }
});

test('on a terminal what needs no steps is told at once', () => {
  const { teller, lines } = recorder({ tty: true, steps: true });
  teller.tell(EVENTS.note);
  assert.equal(lines.length, 1);
});

/** What the list of steps lets through as lines, with Listr2 drawing for real. */
function drawn() {
  const lines: string[] = [];
  return { lines, teller: stepsTeller({ columns: 80, line: (event) => void lines.push(event.kind) }) };
}

test('drawn: what is told meanwhile waits for the end of the list', async () => {
  const { lines, teller } = drawn();
  teller.tell(EVENTS['operation-started']);
  teller.tell(EVENTS['step-started']);
  teller.tell(EVENTS.note);
  teller.tell(EVENTS['step-progress']);
  teller.tell(EVENTS['step-done']);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(lines, ['operation-started']);
  teller.tell({ ...EVENTS['step-started'], step: 'start' });
  teller.tell({ ...EVENTS['step-done'], step: 'start' });
  teller.tell(EVENTS['operation-ended']);
  await teller.end();
  assert.deepEqual(lines, ['operation-started', 'note', 'operation-ended']);
  teller.tell(EVENTS.note);
  assert.equal(lines.at(-1), 'note', 'afterwards it is told at once');
});

test('drawn: a failed step, and further ones that nobody planned, end the list all the same', async () => {
  const { lines, teller } = drawn();
  teller.tell(EVENTS['operation-started']);
  teller.tell(EVENTS['step-started']);
  teller.tell(EVENTS['step-failed']);
  for (const step of ['undo: copy', 'undo: source']) {
    teller.tell({ ...EVENTS['step-started'], step });
    teller.tell({ ...EVENTS['step-done'], step });
  }
  teller.tell(EVENTS['operation-ended']);
  await teller.end();
  assert.deepEqual(lines, ['operation-started', 'operation-ended']);
});

test('drawn: an interrupted operation does not hang the end', async () => {
  const { lines, teller } = drawn();
  teller.tell(EVENTS['operation-started']);
  teller.tell(EVENTS['step-started']);
  teller.tell(EVENTS.note);
  await teller.end();
  assert.deepEqual(lines, ['operation-started', 'note']);
});

test('drawn: two operations at a time, one below the other, and a resumed one', async () => {
  const { lines, teller } = drawn();
  teller.tell(EVENTS['operation-started']);
  teller.tell({ ...EVENTS['operation-resumed'], operation: 'op-2' });
  for (const operation of ['op-2', 'op-1']) {
    teller.tell({ ...EVENTS['step-started'], operation, step: 'start' });
    teller.tell({ ...EVENTS['step-done'], operation, step: 'start' });
    teller.tell({ ...EVENTS['operation-ended'], operation });
  }
  await teller.end();
  assert.deepEqual(lines.toSorted(), [
    'operation-ended',
    'operation-ended',
    'operation-resumed',
    'operation-started',
  ]);
  assert.ok(lines.indexOf('operation-started') < lines.indexOf('operation-resumed'));
});

test('drawn: events of an operation that nobody has announced are no crash', async () => {
  const { lines, teller } = drawn();
  for (const event of Object.values(EVENTS)) if (event.kind.startsWith('step-')) teller.tell(event);
  teller.tell(EVENTS['operation-ended']);
  await teller.end();
  assert.deepEqual(lines, ['operation-ended']);
});
