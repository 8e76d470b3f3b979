/** What a benchmark gives: measures, each a figure of ours over one of a peer's, taken in the same run. */
export interface Measure {
  /** `start-up: --version`. */
  readonly what: string;
  /** What it is held against, with its figure: `node -e 0: 98 ms`. */
  readonly against: string;
  /** Ours, as people read it: `126 ms`. */
  readonly ours: string;
  /** The figure that the goal is about, mostly a ratio. */
  readonly value: number;
  /** At most this; null: for the record only. */
  readonly goal: number | null;
  /** Of value and goal. */
  readonly unit: '×' | 'ms' | 'MB' | 'calls';
  /** The reason, where the goal is known to be out of reach; said only when it is missed. */
  readonly limit?: string | undefined;
}

export interface BenchOptions {
  /** Small sizes, to see that it works; nothing is judged by it. */
  readonly quick: boolean;
  /** With what takes minutes. */
  readonly long: boolean;
}

/** A benchmark; `skipped`: which programs of the peer are missing on this machine. */
export type Bench = (options: BenchOptions) => Promise<readonly Measure[] | { readonly skipped: string }>;

export function isMet({ value, goal }: Measure): boolean {
  return goal === null || value <= goal;
}

/** The middle one of several runs: a machine that does something else for a moment does not move it. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low = NaN, high = NaN] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return (low + high) / 2;
}

/** `126 ms`, `4.2 s`. */
export function ms(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
  return value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}
