import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketOf, percentile, sumOf } from '../../lib/tell/latency.ts';
import { numbers } from '../numbers.ts';

function counted(times: readonly number[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const ms of times) found[bucketOf(ms)] = (found[bucketOf(ms)] ?? 0) + 1;
  return found;
}

test('a percentile is right within a tenth, from a tenth of a millisecond to a minute', () => {
  const random = numbers(1);
  for (let round = 0; round < 50; round += 1) {
    const times = Array.from({ length: 200 }, () => 0.1 * 600_000 ** random());
    const sorted = times.toSorted((a, b) => a - b);
    for (const share of [0.5, 0.95, 1]) {
      const exact = sorted[Math.ceil(share * 200) - 1] ?? 0;
      const found = percentile(counted(times), share) ?? 0;
      assert.ok(Math.abs(found / exact - 1) < 0.1, `${share}: ${found}, exactly ${exact}`);
    }
  }
});

test('two days together are as one; of nothing there is no percentile', () => {
  const [a, b] = [
    [1, 2, 3],
    [100, 200, 300, 400],
  ];
  assert.deepEqual(sumOf([counted(a), counted(b)]), counted([...a, ...b]));
  assert.equal(percentile({}, 0.5), null);
  assert.equal(bucketOf(0), '0');
});

test('a day of a service takes few buckets, however its answers vary', () => {
  const random = numbers(2);
  const buckets = Object.keys(counted(Array.from({ length: 1440 }, () => 60_000 * random())));
  assert.ok(buckets.length < 100, `${buckets.length}`);
});
