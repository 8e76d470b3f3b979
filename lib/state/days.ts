/**
 * days/<date>.json: what a day was like for each container, in numbers that `report` shows. One small file per day (UTC), so
 * that a run writes only today's; what one run adds may be lost to another's at the same instant, for which no lock is
 * taken. Nothing that is decided rests on it.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { StateError } from '../errors.ts';
import { makeSubfolder } from '../folder.ts';
import { DurableJson, errnoOf, fileFailure, sweepTemps } from './durable.ts';

const DAY_MS = 86_400_000;
/** Today and so many days before it, less one. */
export const DAYS_KEPT = 30;
const NAME = /^(\d{4}-\d{2}-\d{2})\.json$/;

export const ContainerDay = z.object({
  /** Runs that have seen it healthy or unhealthy; what is stopped by hand, in maintenance or out of sight is not counted. */
  runs: z.number().int().min(0),
  healthy: z.number().int().min(0),
  /** Milliseconds between such runs, and how many of them ended in an unhealthy one. */
  seenMs: z.number().min(0),
  downMs: z.number().min(0),
  /** Of the last such run, epoch ms. */
  lastAt: z.number(),
  /** Its slowest probe in healthy runs, milliseconds: runs by bucket (tell/latency.ts), and the highest. */
  latency: z.record(z.string(), z.number().int().min(1)),
  maxMs: z.number().nullable(),
});
export type ContainerDay = z.infer<typeof ContainerDay>;

const Day = z.object({
  version: z.literal(1),
  /** `2026-11-30`, UTC. */
  date: z.string(),
  containers: z.record(z.string(), ContainerDay),
});
export type Day = z.infer<typeof Day>;

/** `2026-11-30`, in UTC, as all times that are shown. */
export function dateOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

function fileOf(dir: string, date: string): DurableJson<Day> {
  return new DurableJson(join(dir, 'days', `${date}.json`), {
    schema: Day,
    version: 1,
    what: 'summary of a day',
    advice: 'move it away: the figures of that day are lost, all else goes on',
    indent: 0,
  });
}

/**
 * Changes what is kept of the day of `at` in the state folder `dir`, durably, and removes what is older than the days
 * that are kept. Throws StateError: the file is then as it was.
 */
export function updateDay(dir: string, at: number, change: (day: Day) => void): void {
  const date = dateOf(at);
  const file = fileOf(dir, date);
  const known = file.read();
  if (known === null) prepare(dir, at);
  const day = known ?? { version: 1, date, containers: {} };
  change(day);
  file.write(day);
}

/** The first run of a day tidies up. */
function prepare(dir: string, now: number): void {
  const folder = join(dir, 'days');
  try {
    makeSubfolder(folder, 0o700);
    const oldest = dateOf(now - (DAYS_KEPT - 1) * DAY_MS);
    for (const [name, date] of filesIn(folder))
      if (date < oldest) rmSync(join(folder, name), { force: true });
  } catch (error) {
    throw fileFailure(`tidy up ${folder}`, error);
  }
  sweepTemps(folder, now);
}

export interface ReadDays {
  /** Oldest first; days without a run are missing. */
  readonly days: readonly Day[];
  /** Why the figures of a day can't be had. */
  readonly problems: readonly string[];
}

/** The days up to that of `now` that are kept in the state folder `dir`. */
export function readDays(dir: string, now: number): ReadDays {
  const [oldest, newest] = [dateOf(now - (DAYS_KEPT - 1) * DAY_MS), dateOf(now)];
  const days: Day[] = [];
  const problems: string[] = [];
  try {
    for (const [, date] of filesIn(join(dir, 'days'))) {
      if (date < oldest || date > newest) continue;
      try {
        const day = fileOf(dir, date).read();
        if (day !== null) days.push(day);
      } catch (error) {
        if (!(error instanceof StateError)) throw error;
        problems.push(error.message);
      }
    }
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw fileFailure(`read ${join(dir, 'days')}`, error);
  }
  return { days, problems };
}

/** Names and dates, oldest first. */
function filesIn(folder: string): (readonly [name: string, date: string])[] {
  return readdirSync(folder)
    .toSorted()
    .flatMap((name) => {
      const date = NAME.exec(name)?.[1];
      return date === undefined ? [] : [[name, date] as const];
    });
}
