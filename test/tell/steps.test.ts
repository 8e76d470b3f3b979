import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import type { Event } from '../../lib/tell/events.ts';
import { EVENTS } from './events.ts';

let dir = '';
before(async () => {
  // In here, so that the packages are found.
  mkdirSync('.build', { recursive: true });
  dir = mkdtempSync('.build/drawing-');
  await build({
    entryPoints: ['test/tell/drawing.ts'],
    outfile: join(dir, 'drawing.mjs'),
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'warning',
  });
});
after(() => rmSync(dir, { recursive: true, force: true }));

/** Draws in a process of its own; what was told as lines (without times), and what was on the screen. */
function draw(
  events: readonly Event[],
  look: { columns?: number; ascii?: boolean } = {},
): { lines: string[]; screen: string } {
  const child = spawnSync(
    process.execPath,
    [join(dir, 'drawing.mjs'), JSON.stringify(events), JSON.stringify(look)],
    {
      encoding: 'utf8',
      timeout: 20_000,
      env: { PATH: process.env['PATH'], NO_COLOR: '1' },
    },
  );
  const lines = child.stderr.trimEnd().split('\n');
  assert.equal(child.status, 0, child.stderr);
  assert.equal(lines.pop(), 'ended');
  return { lines: lines.map((l) => l.slice(20)), screen: child.stdout };
}

function step(name: string, kind: 'step-started' | 'step-done' | 'step-failed', operation = 'op-1'): Event {
  return { ...EVENTS[kind], step: name, operation };
}

const STARTED = 'dns: op-1 started: move it';
const NOTE = 'warning: dns: look here';
const ENDED = 'dns: op-1 failed: disk full';

test('steps are drawn, and what is told meanwhile waits for the end of the list', () => {
  const { lines, screen } = draw([
    EVENTS['operation-started'],
    step('restore', 'step-started'),
    EVENTS.note,
    EVENTS['step-progress'],
    step('restore', 'step-done'),
    step('start', 'step-started'),
    step('start', 'step-done'),
    EVENTS['operation-ended'],
    { ...EVENTS.note, text: 'later' },
  ]);
  assert.deepEqual(lines, [NOTE, ENDED, 'warning: dns: later']);
  assert.ok(screen.includes(STARTED));
  assert.match(screen, /restore: restored/);
  assert.match(screen, /start: restored/);
});

test('a failed step and further ones that nobody planned; what did not begin is left out', () => {
  const { lines, screen } = draw([
    EVENTS['operation-started'],
    step('restore', 'step-started'),
    step('restore', 'step-failed'),
    step('undo: copy', 'step-started'),
    step('undo: copy', 'step-done'),
    EVENTS['operation-ended'],
  ]);
  assert.match(lines[0] ?? '', /^dns: op-1 failed: /);
  assert.match(screen, /restore: disk full/);
  assert.match(screen, /undo: copy: restored/);
  assert.doesNotMatch(screen, /start: /);
});

test('an interrupted operation says so and does not hang', () => {
  const { lines, screen } = draw([EVENTS['operation-started'], step('restore', 'step-started'), EVENTS.note]);
  assert.deepEqual(lines, [NOTE]);
  assert.match(screen, /restore: interrupted/);
});

/** The last frame, which stays on the screen. */
function lastFrame(screen: string): string[] {
  // oxlint-disable-next-line no-control-regex -- what moves the cursor is not looked at
  const plain = screen.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '\n');
  const from = plain.lastIndexOf('dns: op-1 started');
  return plain
    .slice(plain.lastIndexOf('\n', from) + 1)
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
}

const BATCH: readonly Event[] = [
  EVENTS['operation-started'],
  step('restore', 'step-started'),
  { ...EVENTS['operation-started'], operation: 'op-2', container: 'web' },
  step('restore', 'step-started', 'op-2'),
  step('restore', 'step-failed', 'op-2'),
  step('undo: copy', 'step-started', 'op-2'),
  step('undo: copy', 'step-done', 'op-2'),
  { ...EVENTS['operation-ended'], operation: 'op-2', container: 'web' },
  step('restore', 'step-done'),
  step('start', 'step-started'),
  step('start', 'step-done'),
  { ...EVENTS['operation-ended'], status: 'done', text: 'it runs' },
];

test('operations of a batch are drawn in one list, the steps of each below it', () => {
  const { lines, screen } = draw(BATCH);
  assert.deepEqual(lastFrame(screen), [
    '✔ dns: op-1 started: move it',
    '  ✔ restore: restored',
    '  ✔ start: restored',
    '⚠ web: op-2 started: move it',
    '  ✖ restore: disk full',
    '  ↓ start (not needed)',
    '  ✔ undo: copy: restored',
  ]);
  assert.deepEqual(lines, ['web: op-2 failed: disk full', 'dns: op-1 done: it runs']);
  assert.ok(screen.indexOf('web: op-2') < screen.indexOf('start: restored'), 'seen while the other goes on');
});

test('one that begins when all others have ended gets a list of its own', () => {
  const { lines, screen } = draw([
    ...BATCH,
    { ...EVENTS['operation-started'], operation: 'op-3', container: 'db' },
    { ...EVENTS['operation-ended'], operation: 'op-3', container: 'db' },
  ]);
  assert.ok(screen.lastIndexOf('db: op-3') > screen.lastIndexOf('web: op-2'));
  assert.deepEqual(lines.at(-1), 'db: op-3 failed: disk full');
});

test('nothing is wider than a narrow terminal, and one without UTF-8 gets ASCII', () => {
  const long = [
    { ...EVENTS['operation-started'], what: 'from pve1 → pve2, “with” all that belongs to it' },
    ...BATCH.slice(1),
  ];
  const { screen } = draw(long, { columns: 30, ascii: true });
  for (const line of lastFrame(screen)) assert.ok(line.length <= 30, line);
  // oxlint-disable-next-line no-control-regex -- it is ASCII that is looked for
  assert.doesNotMatch(screen, /[^\u0000-\u007f]/);
  assert.match(screen, /x restore: disk full/);
});

test('what is passed over for an unplanned step and comes after it is drawn', () => {
  const { screen } = draw([
    EVENTS['operation-started'],
    step('restore', 'step-started'),
    step('restore', 'step-failed'),
    step('restore #2', 'step-started'),
    step('restore #2', 'step-done'),
    step('start', 'step-started'),
    step('start', 'step-done'),
    EVENTS['operation-ended'],
  ]);
  assert.match(lastFrame(screen).join('\n'), /✔ restore #2: restored\n {2}✔ start: restored$/);
});

test('a resumed operation shows what was done earlier', () => {
  const { lines, screen } = draw([
    EVENTS['operation-resumed'],
    step('start', 'step-started'),
    step('start', 'step-done'),
    EVENTS['operation-ended'],
  ]);
  assert.deepEqual(lines, [ENDED]);
  assert.match(screen, /dns: op-1 goes on after restore/);
  assert.match(screen, /restore: done earlier/);
});

test('steps of an operation that nobody has announced are no crash', () => {
  const { lines } = draw([EVENTS['step-started'], EVENTS['step-done'], EVENTS['operation-ended']]);
  assert.deepEqual(lines, [ENDED]);
});
