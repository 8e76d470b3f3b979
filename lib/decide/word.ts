/** A person's word that a node is off: how long it holds, and of which outage it was said. Pure. */
import type { FenceConfig } from '../inventory/types.ts';
import type { State } from '../state/model.ts';

/** A cluster lists a node as online for some nine seconds after its death (facts, section 6). */
const SEEN_LATE_MS = 10_000;

export interface WordState {
  readonly by: string;
  readonly at: number;
  /** How long it still holds, ms; 0: it is void. */
  readonly leftMs: number;
  /** Why it is void; empty: it holds. */
  readonly void: string;
}

/** What the word about `place` (`cluster/node`) is worth now; null: nobody has given one, or the inventory takes none. */
export function wordOn(
  place: string,
  fences: readonly FenceConfig[],
  { fenceConfirmed, lastSeenOnline }: Pick<State, 'fenceConfirmed' | 'lastSeenOnline'>,
  now: number,
): WordState | null {
  const word = fenceConfirmed[place];
  const manual = fences.find((fence) => fence.driver === 'manual');
  if (word === undefined || manual?.driver !== 'manual') return null;
  const age = now - word.at;
  const verdict = (leftMs: number, why: string): WordState => ({ ...word, leftMs, void: why });
  // It was said of that outage: a node that has been seen since may be running now, cut off or not.
  if ((lastSeenOnline[place] ?? 0) > word.at + SEEN_LATE_MS)
    return verdict(0, 'the node has been seen since');
  if (age <= -SEEN_LATE_MS) return verdict(0, 'it is from the future: the clock was set back');
  if (age >= manual.validMs) return verdict(0, 'its time is over');
  return verdict(manual.validMs - age, '');
}
