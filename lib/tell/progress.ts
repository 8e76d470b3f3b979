/** How far a step is, in a share and in words. Pure. */
import { formatDuration, formatSize } from '../units.ts';

export interface Progress {
  /** Null: nothing is known of its length. Below 100 until it has ended. */
  readonly percent: number | null;
  readonly remainingMs: number | null;
  /** By the time it took earlier, and not by what it says itself. */
  readonly estimated: boolean;
  readonly text: string;
}

/** `percent` and `bytes` as the task says them, `expectedMs` as earlier ones took; each null when not known. */
export function progressOf(given: {
  readonly elapsedMs: number;
  readonly expectedMs: number | null;
  readonly percent?: number | null;
  readonly bytes?: number | null;
  /** What it is doing, or why nothing is heard of it. */
  readonly doing?: string | null;
  /** It has not begun: time says nothing. */
  readonly waiting?: boolean;
}): Progress {
  const { elapsedMs, percent: said = null, bytes = null, doing = null, waiting = false } = given;
  const expectedMs = waiting ? null : given.expectedMs;
  const words = [
    formatDuration(elapsedMs),
    ...(doing === null ? [] : [doing]),
    ...(bytes === null ? [] : [`${formatSize(bytes)} read${rateOf(bytes, elapsedMs)}`]),
  ];
  if (said !== null) {
    const remainingMs = said > 0 ? (elapsedMs / said) * (100 - said) : null;
    return {
      percent: Math.min(said, 99),
      remainingMs,
      estimated: false,
      text: [...words, ...(remainingMs === null ? [] : [`about ${formatDuration(remainingMs)} left`])].join(
        ', ',
      ),
    };
  }
  if (expectedMs === null)
    return { percent: null, remainingMs: null, estimated: false, text: words.join(', ') };
  const remainingMs = expectedMs - elapsedMs;
  const rest =
    remainingMs > 0
      ? `about ${formatDuration(remainingMs)} left (estimated)`
      : `longer than the estimated ${formatDuration(expectedMs)}`;
  return {
    percent: Math.min(Math.floor((elapsedMs / expectedMs) * 100), 99),
    remainingMs: Math.max(remainingMs, 0),
    estimated: true,
    text: [...words, rest].join(', '),
  };
}

/** ` at 62 MiB/s`, over all the time that it took; nothing in the first second. */
function rateOf(bytes: number, elapsedMs: number): string {
  return elapsedMs < 1000 ? '' : ` at ${formatSize(bytes / (elapsedMs / 1000))}/s`;
}
