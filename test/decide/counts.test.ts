import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fold } from '../../lib/decide/counts.ts';
import type { VerdictKind } from '../../lib/decide/model.ts';
import { emptyContainerState, type ContainerState } from '../../lib/state/model.ts';
import { containerOf, MINUTE, NOW } from './parts.ts';

const container = containerOf();

/** Folds verdicts, each so many seconds after the one before. */
function run(
  steps: readonly (readonly [VerdictKind, number])[],
  from = emptyContainerState(),
): ContainerState {
  let now = from.countedAt ?? NOW;
  return steps.reduce((record, [kind, seconds]) => {
    now += seconds * 1000;
    return fold(record, { kind, reason: 'because' }, container, now);
  }, from);
}

const unhealthy = (times: number, seconds = 60) =>
  Array.from({ length: times }, () => ['unhealthy', seconds] as const);

const rows: readonly (readonly [
  string,
  readonly (readonly [VerdictKind, number])[],
  Partial<ContainerState>,
])[] = [
  ['the first failure counts at once', unhealthy(1), { failures: 1, down: false }],
  ['consecutive failures add up to the threshold', unhealthy(3), { failures: 3, down: true }],
  ['below the threshold it is not down', unhealthy(2), { failures: 2, down: false }],
  [
    'a success in between starts anew',
    [...unhealthy(2), ['healthy', 60], ['unhealthy', 60]],
    { failures: 1 },
  ],
  ['a run within half an interval moves nothing', [...unhealthy(1), ['unhealthy', 29]], { failures: 1 }],
  ['a run after half an interval counts', [...unhealthy(1), ['unhealthy', 30]], { failures: 2 }],
  ['many quick runs are no more than the slow ones', [...unhealthy(1), ...unhealthy(9, 3)], { failures: 1 }],
  ['a gap of three intervals still is consecutive', [...unhealthy(2), ['unhealthy', 180]], { failures: 3 }],
  ['a longer gap starts anew', [...unhealthy(2), ['unhealthy', 181]], { failures: 1 }],
  ['a clock set back starts anew', [...unhealthy(2), ['unhealthy', -3600]], { failures: 1 }],
  [
    'another runner whose clock is a little behind moves nothing',
    [...unhealthy(2), ['unhealthy', -2]],
    { failures: 2 },
  ],
  ['a clock set forward starts anew', [...unhealthy(2), ['unhealthy', 3600]], { failures: 1 }],
  ['an inconclusive run moves nothing', [...unhealthy(2), ['inconclusive', 60]], { failures: 2 }],
  [
    'after inconclusive runs it goes on, within three intervals',
    [...unhealthy(2), ['inconclusive', 60], ['inconclusive', 60], ['unhealthy', 60]],
    { failures: 3 },
  ],
  [
    'after inconclusive runs for longer it starts anew',
    [...unhealthy(2), ['inconclusive', 100], ['inconclusive', 100], ['unhealthy', 60]],
    { failures: 1 },
  ],
  ['a stop by hand moves nothing', [...unhealthy(2), ['stopped-by-hand', 60]], { failures: 2 }],
  [
    'one success does not end a trouble of two',
    [...unhealthy(3), ['healthy', 60]],
    { failures: 0, down: true },
  ],
  [
    'as many successes as recoveryThreshold end it',
    [...unhealthy(3), ['healthy', 60], ['healthy', 60]],
    { failures: 0, successes: 2, down: false },
  ],
  [
    'a failure between the successes does not let it end',
    [...unhealthy(3), ['healthy', 60], ['unhealthy', 60], ['healthy', 60]],
    { successes: 1, down: true },
  ],
];
for (const [what, steps, expected] of rows)
  test(what, () => {
    const record = run(steps);
    assert.deepEqual({ ...record, ...expected }, record);
  });

test('the first failure of a series is remembered, and forgotten with it', () => {
  const series = run(unhealthy(3));
  assert.equal(series.firstFailureAt, NOW + MINUTE);
  assert.equal(run([['healthy', 60]], series).firstFailureAt, null);
});

test('a restart in place is forgotten only when the container has recovered', () => {
  const restarted = { ...run(unhealthy(3)), restartedAt: NOW };
  assert.equal(run([['healthy', 60]], restarted).restartedAt, NOW);
  assert.equal(
    run(
      [
        ['healthy', 60],
        ['healthy', 60],
      ],
      restarted,
    ).restartedAt,
    null,
  );
});

test('who stopped it is remembered while nothing can be seen, and forgotten with the next sight of it', () => {
  const stopped = run([['stopped-by-hand', 60]]);
  assert.equal(stopped.stoppedByHand, 'because');
  assert.equal(run([['inconclusive', 60]], stopped).stoppedByHand, 'because');
  assert.equal(run([['unhealthy', 60]], stopped).stoppedByHand, null);
  assert.equal(run([['healthy', 60]], stopped).stoppedByHand, null);
});

const kinds = fc.constantFrom<VerdictKind>('healthy', 'unhealthy', 'stopped-by-hand', 'inconclusive');
const steps = fc.array(fc.tuple(kinds, fc.integer({ min: -7200, max: 7200 })), { maxLength: 30 });

test('an inconclusive run or a stop by hand never moves a count, at whatever time', () => {
  fc.assert(
    fc.property(
      steps,
      fc.constantFrom<VerdictKind>('inconclusive', 'stopped-by-hand'),
      fc.integer({ min: -7200, max: 7200 }),
      (before, kind, seconds) => {
        const record = run(before);
        const after = run([[kind, seconds]], record);
        const shown = {
          verdict: null,
          stoppedByHand: null,
          stoppedCopy: null,
          stoppedSince: null,
          stoppedToldAt: null,
        };
        assert.deepEqual({ ...after, ...shown }, { ...record, ...shown });
      },
    ),
  );
});

test('failures never exceed the unhealthy runs, nor what fits into the time at half an interval each', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(kinds, fc.integer({ min: 0, max: 170 })), { maxLength: 40 }), (all) => {
      const record = run(all);
      const sick = all.filter(([kind]) => kind === 'unhealthy').length;
      const seconds = all.reduce((sum, [, gap]) => sum + gap, 0);
      assert.ok(record.failures <= sick);
      assert.ok(record.failures <= 1 + seconds / 30);
      assert.ok(record.failures === 0 || record.successes === 0);
    }),
  );
});
