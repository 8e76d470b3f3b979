/** How long nodes have been silent, as the runs of this runner have seen it. Pure. */
import type { Inventory } from '../inventory/types.ts';
import type { State } from '../state/model.ts';
import type { ClusterView, NodeView } from './model.ts';
import { SKEW_MS } from './skew.ts';

/** More than so many intervals between two looks: what was in between, nobody has seen. */
const GAP_INTERVALS = 3;
const LEAST_INTERVAL_MS = 5 * 60_000;

type Kept = Pick<State, 'silent' | 'lastSeenOnline'>;

/** Any sign of life of the machine itself. */
function isSeen(node: NodeView): boolean {
  return node.online || node.apiAnswers === true || node.pingAnswers === true;
}

/** Notes in the state which nodes of a view were seen, and which were silent, at `now`: the time that its observation bears. */
export function noteSights(
  kept: Kept,
  view: ClusterView,
  inventory: Pick<Inventory, 'containers'>,
  now: number,
): void {
  if (view.via === null) return;
  for (const node of view.nodes) {
    const place = `${view.cluster}/${node.name}`;
    const before = kept.silent[place];
    if (isSeen(node)) {
      kept.lastSeenOnline[place] = now;
      delete kept.silent[place];
    } else {
      const unbroken = before !== undefined && holds(before, gapMs(inventory, view.cluster), now);
      kept.silent[place] = unbroken
        ? { since: before.since, at: Math.max(before.at, now) }
        : { since: now, at: now };
    }
  }
}

/** For how long (ms) the node has been silent without a sight of it in between; null: that has not been watched. */
export function silentFor(
  { silent }: Pick<State, 'silent'>,
  inventory: Pick<Inventory, 'containers'>,
  { cluster, node }: { readonly cluster: string; readonly node: string },
  now: number,
): number | null {
  const record = silent[`${cluster}/${node}`];
  return record === undefined || !holds(record, gapMs(inventory, cluster), now) ? null : now - record.since;
}

/** A look in the future was made before the clock was set back, and one too long ago before it jumped, or runs ceased. */
function holds({ since, at }: State['silent'][string], gap: number, now: number): boolean {
  return since <= at && at <= now + SKEW_MS && now - at <= gap;
}

function gapMs({ containers }: Pick<Inventory, 'containers'>, cluster: string): number {
  const intervals = Object.values(containers)
    .filter((c) => c.cluster === cluster)
    .map((c) => c.intervalMs);
  return GAP_INTERVALS * Math.max(LEAST_INTERVAL_MS, ...intervals);
}
