/**
 * Every recorded request of the genuine cluster for which the lab has an endpoint is sent to a lab in the same state;
 * status, reason phrase and body must be equal once times, pids, sizes and the like are taken out. What is left out
 * is listed in replay-parts.ts, each with its reason, and counted in the output.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { count } from './count.ts';
import { recordingFiles, recorded, SKIP_WITHOUT } from './recordings.ts';
import { LEFT_OUT, PARTS } from './replay-parts.ts';
import { Replay } from './replay.ts';

const total = { equal: 0, entries: 0 };
const reasons = new Map<string, number>();

function notApplicable(reason: string, times: number): void {
  reasons.set(reason, (reasons.get(reason) ?? 0) + times);
}

for (const [name, part] of Object.entries(PARTS))
  test(
    `the lab answers as the genuine cluster did: ${name} (${part.files.join(', ')})`,
    SKIP_WITHOUT,
    async (t) => {
      const outcomes = await new Replay(part).run();
      const equal = outcomes.filter((one) => one.result === 'equal').length;
      for (const one of outcomes) if (one.result === 'skipped') notApplicable(one.detail, 1);
      total.equal += equal;
      total.entries += outcomes.length;
      t.diagnostic(`${equal} of ${outcomes.length} entries replayed equal`);
      const different = outcomes.filter((one) => one.result === 'different');
      assert.ok(equal > 0, 'nothing was compared');
      assert.deepEqual(
        different.map((one) => one.where + one.detail),
        [],
      );
    },
  );

test('every recording is replayed, or left out for a reason', SKIP_WITHOUT, (t) => {
  const replayed = new Set(Object.values(PARTS).flatMap((part) => part.files));
  for (const file of recordingFiles()) {
    const why = LEFT_OUT[file];
    assert.notEqual(replayed.has(file), why !== undefined, `${file}: replayed or left out, one of the two`);
    if (why !== undefined) {
      notApplicable(why, recorded(file).length);
      total.entries += recorded(file).length;
    }
  }
  const left = [...reasons.values()].reduce((sum, times) => sum + times, 0);
  count(t, `${total.equal} of ${total.entries} recorded entries replayed equal, ${left} not applicable:`);
  for (const [reason, times] of [...reasons].toSorted((a, b) => b[1] - a[1]))
    count(t, `  ${times} ${reason}`);
  assert.equal(total.equal + left, total.entries);
});
