import assert from 'node:assert/strict';
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import type { Event } from '../../lib/tell/events.ts';
import { EVENTS } from './events.ts';

/** One process draws them all: each costs a third of a second. */
let dir = '';
let child: ChildProcessWithoutNullStreams;
before(async () => {
  // In here, so that the packages are found.
  mkdirSync('.build', { recursive: true });
  dir = mkdtempSync('.build/drawing-');
  const outfile = join(dir, 'drawing.mjs');
  await build({
    entryPoints: ['test/tell/drawing.ts'],
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'warning',
  });
  child = spawn(process.execPath, [outfile], { env: { PATH: process.env['PATH'], NO_COLOR: '1' } });
});
after(() => {
  child.kill();
  rmSync(dir, { recursive: true, force: true });
});

/** What was told as lines (without times), and what was on the screen. */
async function draw(
  events: readonly Event[],
  { columns = 80, ascii = false }: { columns?: number; ascii?: boolean } = {},
): Promise<{ lines: string[]; screen: string }> {
  const said = [untilZero(child.stdout), untilZero(child.stderr)] as const;
  child.stdin.write(`${JSON.stringify({ events, columns, ascii })}\n`);
  const [screen, lines] = await Promise.all(said);
  return {
    screen,
    lines: lines
      .trimEnd()
      .split('\n')
      .map((line) => line.slice(20)),
  };
}

function untilZero(stream: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const take = (part: string): void => {
      text += part;
      if (!text.endsWith('\0')) return;
      stream.off('data', take);
      resolve(text.slice(0, -1));
    };
    stream.setEncoding('utf8').on('data', take);
    stream.once('end', () => reject(new Error(`it has ended: ${text}`)));
  });
}

function step(name: string, kind: 'step-started' | 'step-done' | 'step-failed', operation = 'op-1'): Event {
  return { ...EVENTS[kind], step: name, operation };
}

const STARTED = 'dns: op-1 started: move it';
const NOTE = 'warning: dns: look here';
const ENDED = 'dns: op-1 failed: disk full';

test('steps are drawn, and what is told meanwhile waits for the end of the list', async () => {
  const { lines, screen } = await draw([
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

test('a failed step and further ones that nobody planned; what did not begin is left out', async () => {
  const { lines, screen } = await draw([
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

test('an interrupted operation says so and does not hang', async () => {
  const { lines, screen } = await draw([
    EVENTS['operation-started'],
    step('restore', 'step-started'),
    EVENTS.note,
  ]);
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

test('operations of a batch are drawn in one list, the steps of each below it', async () => {
  const { lines, screen } = await draw(BATCH);
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

test('one that begins when all others have ended gets a list of its own', async () => {
  const { lines, screen } = await draw([
    ...BATCH,
    { ...EVENTS['operation-started'], operation: 'op-3', container: 'db' },
    { ...EVENTS['operation-ended'], operation: 'op-3', container: 'db' },
  ]);
  assert.ok(screen.lastIndexOf('db: op-3') > screen.lastIndexOf('web: op-2'));
  assert.deepEqual(lines.at(-1), 'db: op-3 failed: disk full');
});

test('nothing is wider than a narrow terminal, and one without UTF-8 gets ASCII', async () => {
  const long = [
    { ...EVENTS['operation-started'], what: 'from pve1 → pve2, “with” all that belongs to it' },
    ...BATCH.slice(1),
  ];
  const { screen } = await draw(long, { columns: 30, ascii: true });
  for (const line of lastFrame(screen)) assert.ok(line.length <= 30, line);
  // oxlint-disable-next-line no-control-regex -- it is ASCII that is looked for
  assert.doesNotMatch(screen, /[^\u0000-\u007f]/);
  assert.match(screen, /x restore: disk full/);
});

test('what is passed over for an unplanned step and comes after it is drawn', async () => {
  const { screen } = await draw([
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

test('a resumed operation shows what was done earlier', async () => {
  const { lines, screen } = await draw([
    EVENTS['operation-resumed'],
    step('start', 'step-started'),
    step('start', 'step-done'),
    EVENTS['operation-ended'],
  ]);
  assert.deepEqual(lines, [ENDED]);
  assert.match(screen, /dns: op-1 goes on after restore/);
  assert.match(screen, /restore: done earlier/);
});

test('steps of an operation that nobody has announced are no crash', async () => {
  const { lines } = await draw([EVENTS['step-started'], EVENTS['step-done'], EVENTS['operation-ended']]);
  assert.deepEqual(lines, [ENDED]);
});
