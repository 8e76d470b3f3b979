import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isTransition } from '../../lib/tell/events.ts';
import { bar, explainDecision, formatEvent } from '../../lib/tell/format.ts';
import { table } from '../../lib/tell/tables.ts';
import { fill, wrapLines } from '../../lib/tell/wrap.ts';
import { dueWorld, world } from '../decide/world.ts';
import { EVENTS, IDLE } from './events.ts';

test('one line per event', () => {
  const lines = Object.fromEntries(
    Object.values(EVENTS)
      .filter((e) => e.kind !== 'decision')
      .map((e) => [e.kind, formatEvent(e)]),
  );
  assert.deepEqual(lines, {
    note: 'warning: dns: look here',
    counted: 'dns: unhealthy 2/3: refused',
    verdict: 'dns: healthy → unhealthy (refused)',
    availability: 'dns is down: no answer',
    'operation-started': 'dns: op-1 started: move it',
    'operation-resumed': 'dns: op-1 goes on after restore',
    'step-started': null,
    'step-progress': 'dns: restore [##########----------]  50% 5 s',
    'step-done': 'dns: restore: restored',
    'step-failed': 'dns: restore failed: disk full',
    'operation-ended': 'dns: op-1 failed: disk full',
    reconciled: 'dns: kept down',
    brake: 'dns: in maintenance',
  });
});

test('a failover is explained in full, anything else in one sentence', () => {
  assert.equal(formatEvent(EVENTS.decision), explainDecision(EVENTS.decision.decision).join('\n'));
  assert.match(formatEvent(IDLE) ?? '', /^dns: none: [^\n]+$/);
});

test('what is blocked says the way out in its one sentence', () => {
  const decision = dueWorld()
    .entry('dns', { failover: { auto: false } })
    .decides();
  assert.equal(
    formatEvent({ kind: 'decision', decision, repeated: false }),
    'dns: blocked: auto: the inventory does not allow automatic failover → set failover.auto: true, or run `proxwarden failover dns`',
  );
});

test('an explanation shows every gate, what failed, and what would flip it', () => {
  const lines = explainDecision(
    dueWorld()
      .entry('dns', { failover: { auto: false } })
      .decides(),
  );
  assert.match(lines[0] ?? '', /^dns: blocked: auto: /);

  assert.match(lines[1] ?? '', /^ {2}verdict +unhealthy \(node pve1 is offline/);
  const failed = lines.findIndex((l) => l.startsWith('  FAIL  auto '));
  assert.ok(failed > 1);
  assert.match(lines[failed + 1] ?? '', /^ {8}to change that: set failover\.auto: true/);
  assert.ok(lines.some((l) => l.startsWith('  pass  error ')));
  const full = dueWorld()
    .but((w) => (w.view.storages = w.view.storages.filter((s) => s.node !== 'pve2')))
    .decides();
  assert.ok(explainDecision(full).some((l) => /^ {2}not {3}home\/pve2: storage local is not there/.test(l)));
});

test('bars', () => {
  assert.deepEqual([0, 50, 100].map(bar), [
    `[${'-'.repeat(20)}]   0% `,
    `[${'#'.repeat(10)}${'-'.repeat(10)}]  50% `,
    `[${'#'.repeat(20)}] 100% `,
  ]);
  assert.equal(bar(null), '');
  fc.assert(
    fc.property(fc.double({ min: -50, max: 500, noNaN: true }), (p) => assert.match(bar(p), /^\[#*-*\] /)),
  );
});

test('transitions are kept, single probes and steps are not', () => {
  const kept = Object.values(EVENTS).filter(isTransition);
  assert.deepEqual(kept.map((e) => e.kind).toSorted(), [
    'availability',
    'brake',
    'decision',
    'note',
    'operation-ended',
    'operation-resumed',
    'operation-started',
    'reconciled',
    'verdict',
  ]);
  assert.equal(isTransition(IDLE), false);
  assert.equal(isTransition({ ...EVENTS.decision, repeated: true }), false);
  assert.equal(isTransition({ ...EVENTS.note, level: 'info' }), false);
  const waiting = world().dies('pve1').failed('dns', 1).decides();
  assert.equal(isTransition({ kind: 'decision', decision: waiting, repeated: false }), false);
});

test('a table: columns aligned, no blanks at the ends, long lines cut', () => {
  const text = table(
    ['NAME', 'V'],
    [
      ['a', 'one'],
      ['longer', ''],
    ],
  );
  assert.equal(text, 'NAME    V\na       one\nlonger');
  assert.equal(table(['A'], [['0123456789']], 5), 'A\n0123…');
  assert.equal(table(['A', 'B'], [['x']]), 'A  B\nx');
});

test('breaking lines loses no word, and respects the width where words allow it', () => {
  const words = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(words, fc.integer({ min: 20, max: 60 }), (list, columns) => {
      const text = `  ${list.join(' ')}`;
      for (const broken of [wrapLines(text, columns), fill(text, columns, '    ').join('\n')]) {
        assert.deepEqual(
          broken.split(/\s+/).filter((w) => w !== ''),
          list,
        );
        for (const line of broken.split('\n')) assert.ok(line.length <= columns, line);
      }
    }),
  );
});

test('a short line stays as it is, blanks and all; a single long word is not cut', () => {
  assert.equal(wrapLines('a   b\n  c', 40), 'a   b\n  c');
  assert.equal(wrapLines('x'.repeat(50), 20), 'x'.repeat(50));
});
