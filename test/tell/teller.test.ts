import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event } from '../../lib/tell/events.ts';
import { createTeller, stamp, type TellerOptions } from '../../lib/tell/teller.ts';
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
      'brake',
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

test('progress of one step is shown after ten seconds, and then ever more rarely', () => {
  const { teller, lines, time } = recorder();
  for (let second = 0; second <= 80; second += 1) {
    time.now = NOW + second * 1000;
    teller.tell({ ...EVENTS['step-progress'], text: `${second} s` });
  }
  assert.deepEqual(
    lines.map((l) => l.slice(-4)),
    ['10 s', '30 s', '70 s'],
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

test('nor what failed when it was undone; what is new in the end is said', () => {
  const { teller, lines } = recorder();
  const failed = EVENTS['step-failed'];
  const ended = EVENTS['operation-ended'];
  teller.tell({ ...failed, note: 'pve1 is silent (595)' });
  teller.tell({ ...failed, step: 'undo: source', note: 'no route to pve1' });
  const text = 'pve1 is silent (595); and it could not be undone: undo: source: no route to pve1';
  teller.tell({ ...ended, text });
  assert.match(lines[2] ?? '', /: see above; and it could not be undone: undo: source$/);
  teller.tell({ ...ended, text: 'pve1 is silent (595); if it goes on failing, it is failed over' });
  assert.match(lines[3] ?? '', /: see above; if it goes on failing, it is failed over$/);
  teller.tell({ ...ended, text: 'all targets failed: pve2: pve1 is silent (595)' });
  assert.match(lines[4] ?? '', /: all targets failed: pve2: pve1 is silent \(595\)$/);
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
