/** Availability and latency of a container over days. Pure. */
import { dateOf, DAYS_KEPT, type ContainerDay, type Day } from '../../state/days.ts';
import { percentile, sumOf, type Latencies } from '../latency.ts';

const DAY_MS = 86_400_000;

export interface Averages {
  /** Share of the time that was watched in which it was healthy, 0 to 1; null: nothing was watched. */
  readonly availability: number | null;
  readonly downMs: number;
  readonly runs: number;
  readonly healthy: number;
  /** Of its slowest probe, milliseconds; null: it was never healthy. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly maxMs: number | null;
}

/** Of one day, with what is needed to add it to others. */
export interface DayFigures extends Averages {
  readonly seenMs: number;
  readonly latency: Latencies;
}

/** Every day that may be kept up to that of `now`, oldest first. */
export function lastDays(
  days: readonly Day[],
  container: string,
  now: number,
): { readonly date: string; readonly figures: DayFigures | null }[] {
  return Array.from({ length: DAYS_KEPT }, (_, index) => {
    const date = dateOf(now - (DAYS_KEPT - 1 - index) * DAY_MS);
    const { containers = {} } = days.find((day) => day.date === date) ?? {};
    const record = Object.hasOwn(containers, container) ? containers[container] : undefined;
    return { date, figures: record === undefined ? null : figuresOf(record) };
  });
}

function figuresOf({ runs, healthy, seenMs, downMs, latency, maxMs }: ContainerDay): DayFigures {
  return { ...shared(latency, seenMs, downMs), downMs, runs, healthy, maxMs, seenMs, latency };
}

/** Several days as one. */
export function averages(days: readonly (DayFigures | null)[]): Averages {
  const known = days.filter((day) => day !== null);
  const total = (of: (day: DayFigures) => number): number => known.reduce((sum, day) => sum + of(day), 0);
  const highest = known.map((day) => day.maxMs).filter((ms) => ms !== null);
  const downMs = total((day) => day.downMs);
  return {
    ...shared(
      sumOf(known.map((day) => day.latency)),
      total((day) => day.seenMs),
      downMs,
    ),
    downMs,
    runs: total((day) => day.runs),
    healthy: total((day) => day.healthy),
    maxMs: highest.length === 0 ? null : Math.max(...highest),
  };
}

function shared(
  latency: Latencies,
  seenMs: number,
  downMs: number,
): Pick<Averages, 'availability' | 'p50Ms' | 'p95Ms'> {
  return {
    availability: seenMs === 0 ? null : 1 - downMs / seenMs,
    p50Ms: percentile(latency, 0.5),
    p95Ms: percentile(latency, 0.95),
  };
}

/** `99.95 %`: rounded down, so that what was down is never shown as 100 %; null: `–`. */
export function percentText(share: number | null): string {
  return share === null ? '–' : `${Math.floor(share * 10_000) / 100} %`;
}

/** `3 ms`, `0.4 ms`, `1.2 s`; null: `–`. */
export function latencyText(ms: number | null): string {
  if (ms === null) return '–';
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 10 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`;
}
