/** observation.json: everything that the last `check` has read, for `decide` to work on. */
import { join } from 'node:path';
import { Observation } from '../decide/model.ts';
import { InconclusiveError } from '../errors.ts';
import type { Inventory } from '../inventory/types.ts';
import { DurableJson } from './durable.ts';

/** Clocks are adjusted by little; an observation further in the future than this was made before the clock was set. */
const AHEAD_MS = 5_000;

function observationFile(dir: string): DurableJson<Observation> {
  return new DurableJson(join(dir, 'observation.json'), {
    schema: Observation,
    version: 2,
    what: 'observation',
    advice: 'run `check`, which makes a new one',
    indent: 0,
  });
}

/**
 * Replaces the observation, also one that can't be read: it holds nothing that the next `check` doesn't read anew. Throws
 * StateError, also when a newer version has written the one that is there.
 */
export function writeObservation(dir: string, observation: Observation): void {
  observationFile(dir).write(observation);
}

/** The last observation, however old; null when there is none that can be dated. */
export function lastObservation(dir: string, now: number): Observation | null {
  try {
    return readObservation(dir, { now, maxAgeMs: Number.POSITIVE_INFINITY });
  } catch (error) {
    if (error instanceof InconclusiveError) return null;
    throw error;
  }
}

/**
 * The last observation. Throws InconclusiveError when there is none, when it is older than `maxAgeMs` or lies in the
 * future (the clock was set back), StateError when it can't be read.
 */
export function readObservation(
  dir: string,
  options: { readonly now: number; readonly maxAgeMs: number },
): Observation {
  const observation = observationFile(dir).read();
  if (observation === null)
    throw new InconclusiveError(`there is no observation in ${dir} yet; run \`check\` first`);
  const ageMs = options.now - observation.at;
  if (ageMs > options.maxAgeMs)
    throw new InconclusiveError(
      `the last observation is ${Math.round(ageMs / 1000)} s old, more than the ${Math.round(options.maxAgeMs / 1000)} s it may be; run \`check\` first`,
    );
  if (ageMs < -AHEAD_MS)
    throw new InconclusiveError(
      `the last observation is dated ${Math.round(-ageMs / 1000)} s in the future (the clock was set back); run \`check\` first`,
    );
  return observation;
}

/** The last observation of this very inventory, no older than two intervals. Throws as readObservation does. */
export function freshObservation(
  dir: string,
  { containers, digest }: Pick<Inventory, 'containers' | 'digest'>,
  now: number,
): Observation {
  const intervals = Object.values(containers).map((c) => c.intervalMs);
  const observation = readObservation(dir, { now, maxAgeMs: 2 * Math.max(60_000, ...intervals) });
  if (observation.inventory !== digest)
    throw new InconclusiveError('the inventory has changed since the last observation; run `check` first');
  return observation;
}
