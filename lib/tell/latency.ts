/**
 * How long answers took, in few numbers: runs by buckets that each reach a tenth further than the one before, so that any
 * percentile is right within a tenth, and those of several days can be added up. Pure.
 */

const GROWTH = 1.1;
/** Nothing is told apart below this, milliseconds. */
const LEAST_MS = 0.1;

/** By bucket, how many. */
export type Latencies = Readonly<Record<string, number>>;

/** The bucket of a latency in milliseconds. */
export function bucketOf(ms: number): string {
  return String(Math.max(Math.ceil(Math.log(Math.max(ms, LEAST_MS) / LEAST_MS) / Math.log(GROWTH)), 0));
}

/** All of them together. */
export function sumOf(many: readonly Latencies[]): Latencies {
  const sum: Record<string, number> = {};
  for (const one of many)
    for (const [bucket, count] of Object.entries(one)) sum[bucket] = (sum[bucket] ?? 0) + count;
  return sum;
}

/** The latency in milliseconds that a share (0 to 1) of the runs did not exceed; null: there are none. */
export function percentile(latencies: Latencies, share: number): number | null {
  const buckets = Object.entries(latencies)
    .map(([bucket, count]) => [Number(bucket), count] as const)
    .toSorted(([a], [b]) => a - b);
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  let before = 0;
  for (const [bucket, count] of buckets) {
    before += count;
    // The middle of the bucket: half a tenth off at most.
    if (before >= share * total) return LEAST_MS * GROWTH ** (bucket - 0.5);
  }
  return null;
}
