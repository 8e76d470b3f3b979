/** Rule 5: when a node may be powered off, and when again. Pure. */
import type { Inventory } from '../inventory/types.ts';
import type { State } from '../state/model.ts';
import { formatDuration } from '../units.ts';
import { disagreement } from './agreement.ts';
import { guestThatAnswers } from './life.ts';
import type { ClusterView, Observation } from './model.ts';
import { switchesPower } from './power.ts';

/** Why a node may not be powered off automatically, or null when it may. */
export function fenceable(
  { inventory, observation }: { readonly inventory: Inventory; readonly observation: Observation },
  view: ClusterView,
  name: string,
): string | null {
  const drivers = (inventory.clusters[view.cluster]?.nodes[name]?.fence ?? []).filter(switchesPower);
  if (drivers.length === 0) return `no fence driver is configured for ${name}`;
  const node = view.nodes.find((n) => n.name === name);
  if (view.standalone || !view.quorate || node?.online !== false)
    return `no quorate view says that ${name} is offline, so it is not powered off`;
  if (node.apiAnswers !== false || view.endpoints.some((e) => e.ok && e.node === name))
    return `the API of ${name} answers, so it is not powered off`;
  const split = disagreement(view);
  if (split !== null) return `${split}, so ${name} is not powered off`;
  if (node.pingAnswers === true)
    return `${name} answers a ping (${node.ip ?? 'its own address'}), so it is not powered off`;
  const alive = guestThatAnswers({ inventory, observation }, view, name);
  if (alive !== null)
    return `${alive.container} on ${name} answers (${alive.probe}), so ${name} is not powered off`;
  return null;
}

/** A device may be restarting; one that still does nothing after so many runs needs a person more than another order. */
const FREE_TRIES = 3;
const BACKOFF_FIRST_MS = 120_000;
const BACKOFF_MAX_MS = 900_000;

/** Why an automatic fence of `place` (`cluster/node`) that has failed lately is not repeated yet, or null when it may be. */
export function fenceBackoff(
  { fenced, lastSeenOnline }: Pick<State, 'fenced' | 'lastSeenOnline'>,
  place: string,
  now: number,
): string | null {
  const last = fenced[place];
  const failed = last?.failed ?? 0;
  // Seen since: another outage.
  if (last === undefined || failed < FREE_TRIES || (lastSeenOnline[place] ?? 0) > last.at) return null;
  const pauseMs = Math.min(BACKOFF_FIRST_MS * 2 ** (failed - FREE_TRIES), BACKOFF_MAX_MS);
  const waitMs = last.at + pauseMs - now;
  // A clock that was set back must not make it longer.
  if (waitMs <= 0 || waitMs > pauseMs) return null;
  return `its fence has failed in ${failed} runs, and is tried again in ${formatDuration(waitMs)}`;
}
