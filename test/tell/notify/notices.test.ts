import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { State } from '../../../lib/state/model.ts';
import { composeMessage, fillTemplate, plainText } from '../../../lib/tell/notify/message.ts';
import { foldNeeds, noticeOf, type Need } from '../../../lib/tell/notify/notices.ts';
import { EVENTS } from '../events.ts';
import { about, NOW } from './about.ts';

const HOUR = 3_600_000;
const REPEAT = 4 * HOUR;

test('people hear of transitions, and never of single probes and steps', () => {
  const told = Object.values(EVENTS).flatMap((event) => {
    const notice = noticeOf(event, NOW);
    return notice === null
      ? []
      : [`${event.kind}: ${notice.topic} ${notice.urgency}: ${notice.title} | ${notice.text}`];
  });
  assert.deepEqual(told, [
    'availability: down warning: dns is down | no answer',
    'operation-started: failover warning: dns: failover started | move it',
    'operation-ended: failover urgent: dns: failover FAILED | disk full',
    'reconciled: returned warning: dns: put in order | kept down',
    'brake: brake info: dns: in maintenance | ',
  ]);
});

test('backups and cleaning up wake nobody', () => {
  for (const of of ['backup', 'prune', 'restore', 'reconcile', 'cleanup'] as const) {
    assert.equal(noticeOf({ ...EVENTS['operation-started'], of }, NOW), null);
    assert.equal(noticeOf({ ...EVENTS['operation-ended'], of }, NOW), null);
  }
});

/** Runs of a minute each: which needs there are in each; returns `minute title` of what is told. */
function runs(needs: readonly (readonly Need[])[], unsettled: readonly string[] = []): string[] {
  let known: State['needs'] = {};
  return needs.flatMap((list, minute) => {
    const { ledger, notices } = foldNeeds(known, list, {
      now: NOW + minute * 60_000,
      repeatMs: REPEAT,
      unsettled: new Set(unsettled),
    });
    known = ledger;
    return notices.map((notice) => `${minute} ${notice.title}`);
  });
}

const blocked: Need = { key: 'blocked web', container: 'web', text: 'no backup' };

test('what needs a person is said at once, again on a schedule, and when it is over', () => {
  const day = Array.from({ length: 300 }, (_, minute) => (minute >= 1 && minute < 290 ? [blocked] : []));
  assert.deepEqual(runs(day), [
    '1 web needs you',
    '241 web still needs you, for 4 h',
    '290 web needs you no more, after 4 h 49 min',
  ]);
});

test('that failures are counted anew is no end of a need', () => {
  const day = Array.from({ length: 300 }, (_, minute) => (minute % 60 < 3 ? [] : [blocked]));
  assert.deepEqual(runs(day, ['web']), ['3 web needs you', '243 web still needs you, for 4 h']);
});

test('what may mend itself is said only when it lasts, and then it is not said to be over', () => {
  const patient: Need = { key: 'net', container: null, text: 'nothing can be seen', patienceMs: 600_000 };
  assert.deepEqual(runs(Array.from({ length: 9 }, () => [patient])), []);
  assert.deepEqual(runs(Array.from({ length: 30 }, (_, n) => (n < 9 ? [patient] : []))), []);
  assert.deepEqual(runs(Array.from({ length: 30 }, () => [patient])), ['10 ProxWarden needs you']);
});

test('a need is told at most once per schedule, whatever comes and goes, and clocks may jump', () => {
  const need = fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    container: fc.constantFrom('web', null),
    text: fc.string(),
    patienceMs: fc.constantFrom(0, 600_000),
  });
  const steps = fc.array(
    fc.record({
      needs: fc.uniqueArray(need, { selector: (n) => n.key }),
      passes: fc.integer({ min: -HOUR, max: HOUR }),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (list) => {
      let known: State['needs'] = {};
      let now = NOW;
      for (const { needs, passes } of list) {
        now += passes;
        const { ledger, notices } = foldNeeds(known, needs, { now, repeatMs: REPEAT, unsettled: new Set() });
        for (const { key, patienceMs = 0 } of needs) {
          const before = Object.hasOwn(known, key) ? known[key] : undefined;
          const said = notices.some((n) => n.key === `${key} ${now}`);
          const toldAt = before?.toldAt ?? null;
          if (toldAt !== null) assert.equal(said, now - Math.min(toldAt, now) >= REPEAT);
          else assert.equal(said, now - Math.min(before?.since ?? now, now) >= patienceMs);
        }
        assert.deepEqual(Object.keys(ledger).toSorted(), needs.map((n) => n.key).toSorted());
        known = ledger;
      }
    }),
  );
});

test('several notices are one message, with the most urgent on top and all of them in order', () => {
  const message = composeMessage([
    about('web is down', { text: 'no answer' }),
    about('web: failover FAILED', {
      at: NOW + 90_000,
      urgency: 'urgent',
      topic: 'failover',
      text: 'disk full',
    }),
    about('dns is up again', { at: NOW + 30_000, urgency: 'info', container: 'dns' }),
  ]);
  assert.deepEqual(message, {
    title: 'web: failover FAILED (and 2 more)',
    text: '12:00 web is down: no answer\n12:00 dns is up again\n12:01 web: failover FAILED: disk full',
    topic: 'failover',
    urgency: 'urgent',
    containers: ['web', 'dns'],
    at: NOW + 90_000,
  });
  assert.equal(composeMessage([about('web is down')]).text, '');
});

test('a template is filled, and no text can break out of its JSON', () => {
  const message = composeMessage([about('a "quoted" title', { text: 'back\\slash\nand {{title}}' })]);
  const filled: unknown = JSON.parse(
    fillTemplate('{"msg": "{{title}}: {{text}}", "x": "{{unknown}}"}', message),
  );
  assert.deepEqual(filled, { msg: 'a "quoted" title: back\\slash\nand {{title}}', x: '{{unknown}}' });
  assert.equal(
    fillTemplate('{{urgency}}|{{containers}}|{{at}}', message),
    'warning|web|2026-11-22T12:00:00.000Z',
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const one = composeMessage([about('t', { text })]);
      assert.deepEqual(JSON.parse(fillTemplate('{"a":"{{text}}"}', one)), { a: text });
    }),
  );
});

test('a long text is cut at a character', () => {
  const message = composeMessage([about('😀'.repeat(10))]);
  assert.equal(plainText(message, 5), '😀😀😀😀…');
});
