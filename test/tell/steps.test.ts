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
function draw(events: readonly Event[]): { lines: string[]; screen: string } {
  const child = spawnSync(process.execPath, [join(dir, 'drawing.mjs'), JSON.stringify(events)], {
    encoding: 'utf8',
    timeout: 20_000,
    env: { PATH: process.env['PATH'], NO_COLOR: '1' },
  });
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
  assert.deepEqual(lines, [STARTED, NOTE, ENDED, 'warning: dns: later']);
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
  assert.equal(lines[0], STARTED);
  assert.match(lines[1] ?? '', /^dns: op-1 failed: /);
  assert.match(screen, /restore: disk full/);
  assert.match(screen, /undo: copy: restored/);
  assert.doesNotMatch(screen, /start: /);
});

test('an interrupted operation says so and does not hang', () => {
  const { lines, screen } = draw([EVENTS['operation-started'], step('restore', 'step-started'), EVENTS.note]);
  assert.deepEqual(lines, [STARTED, NOTE]);
  assert.match(screen, /restore: interrupted/);
});

test('two operations at a time are drawn one below the other', () => {
  const second = { ...EVENTS['operation-started'], operation: 'op-2' };
  const { lines } = draw([
    EVENTS['operation-started'],
    second,
    ...['op-2', 'op-1'].flatMap((operation) => [
      step('restore', 'step-started', operation),
      step('restore', 'step-done', operation),
      { ...EVENTS['operation-ended'], operation },
    ]),
  ]);
  assert.equal(lines.length, 4);
  assert.ok(lines.indexOf(STARTED) < lines.indexOf('dns: op-2 started: move it'));
});

test('a resumed operation shows what was done earlier', () => {
  const { lines, screen } = draw([
    EVENTS['operation-resumed'],
    step('start', 'step-started'),
    step('start', 'step-done'),
    EVENTS['operation-ended'],
  ]);
  assert.deepEqual(lines, ['dns: op-1 goes on after restore', ENDED]);
  assert.match(screen, /restore: done earlier/);
});

test('steps of an operation that nobody has announced are no crash', () => {
  const { lines } = draw([EVENTS['step-started'], EVENTS['step-done'], EVENTS['operation-ended']]);
  assert.deepEqual(lines, [ENDED]);
});
