/**
 * Every recorded request of the genuine cluster for which the lab has an endpoint is sent to a lab in the same state;
 * status, reason phrase and body must be equal once times, pids, sizes and the like are taken out. What is left out
 * is listed in replay-parts.ts, each with its reason, and counted in the output.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PARTS } from './replay-parts.ts';
import { Replay, haveRecordings } from './replay.ts';

for (const [name, part] of Object.entries(PARTS))
  test(
    `the lab answers as the genuine cluster did: ${name} (${part.files.join(', ')})`,
    { skip: haveRecordings ? false : 'the recordings (../shared/pve) are not here' },
    async (context) => {
      const outcomes = await new Replay(part).run();
      const count = (result: string): number => outcomes.filter((one) => one.result === result).length;
      const reasons = new Map<string, number>();
      for (const one of outcomes)
        if (one.result === 'skipped') reasons.set(one.detail, (reasons.get(one.detail) ?? 0) + 1);
      context.diagnostic(`replayed ${count('equal') + count('different')}, equal ${count('equal')}`);
      for (const [reason, times] of reasons) context.diagnostic(`not applicable ${times}: ${reason}`);
      const different = outcomes.filter((one) => one.result === 'different');
      assert.ok(count('equal') > 0, 'nothing was compared');
      assert.deepEqual(
        different.map((one) => one.where + one.detail),
        [],
      );
    },
  );
