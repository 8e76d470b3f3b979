/** Beginning a pause or a maintenance, in the state. Pure. */
import { InputError } from '../errors.ts';
import type { Inventory } from '../inventory/types.ts';
import { closest } from '../inventory/problems.ts';
import type { Brake, State } from '../state/model.ts';

/**
 * The brake that holds when `added` is said while `present` holds. Saying it twice never shortens it: who says `pause`
 * relies on it until the end that was named. A new reason replaces the old one.
 */
export function joined(present: Brake | null | undefined, added: Brake): Brake {
  if (present === null || present === undefined) return added;
  const until = present.until === null || added.until === null ? null : Math.max(present.until, added.until);
  return { ...present, until, reason: added.reason === '' ? present.reason : added.reason };
}

/** All nodes (`cluster/node`) that the inventory names or that have been seen. */
function knownNodes(inventory: Inventory, state: State): string[] {
  const named = Object.values(inventory.clusters).flatMap(({ name, nodes }) =>
    Object.keys(nodes).map((node) => `${name}/${node}`),
  );
  const targets = Object.values(inventory.containers).flatMap(({ nodes }) =>
    nodes.map(({ cluster, node }) => `${cluster}/${node}`),
  );
  return [...new Set([...named, ...targets, ...Object.keys(state.lastSeenOnline)])].toSorted();
}

/** `cluster/node` of a node by its name or in full. Throws InputError when there is none, or several. */
export function placeOf(inventory: Inventory, state: State, named: string): string {
  const known = knownNodes(inventory, state);
  const found = known.filter((place) => place === named || place.endsWith(`/${named}`));
  const [only, second] = found;
  if (second !== undefined)
    throw new InputError(`${named} is a node of several clusters: name it ${found.join(' or ')}`);
  if (only !== undefined) return only;
  const meant = closest(named, [...known, ...known.map((place) => place.slice(place.indexOf('/') + 1))]);
  throw new InputError(
    `there is no node ${named} (${known.join(', ') || 'none is known: run `proxwarden check` first'})`,
    meant === undefined ? {} : { hint: `did you mean ${meant}?` },
  );
}

/** How long ago a node was last seen online (ms), when others of its cluster have been seen since. Null: it is not known to be off. */
export function offlineFor(state: State, place: string, now: number): number | null {
  const cluster = `${place.slice(0, place.indexOf('/'))}/`;
  const seen = Object.entries(state.lastSeenOnline).filter(([other]) => other.startsWith(cluster));
  const last = state.lastSeenOnline[place] ?? 0;
  return seen.some(([, at]) => at > last) ? now - last : null;
}
