/**
 * How long two copies of a container could run together, at most, by the way that it is set up. The test of the same
 * name holds the figures against what the lab measures for each setup. Pure.
 */
import type { Container } from '../inventory/types.ts';
import { guardObstacle } from './guard.ts';
import type { ClusterView, Incarnation } from './model.ts';

/** Reads that are older prove nothing: what a run needs to see that an original is back. */
const LOOK_MS = 10_000;
/** A hard stop takes 1.9 s (facts, section 7 of the lab's times); a guard that has to go first a moment more. */
const STOP_MS = 5_000;

/** From the moment that a second copy runs until it is stopped: the next run sees it, and reconcile ends it. */
export function reactionMs({ intervalMs }: Pick<Container, 'intervalMs'>): number {
  return intervalMs + LOOK_MS + STOP_MS;
}

/**
 * When that could be. `returns`: a dead node comes back and starts its original, which nothing prevents. `cut-off`: a
 * node that is alive was taken for dead (P1), and goes on running its original until it is heard again.
 */
export interface Exposure {
  readonly when: 'returns' | 'cut-off';
  /** Of `cut-off`: from the moment that the node is back; how long it is away nobody knows. */
  readonly ms: number;
}

/** `onboot`: as its config says. Empty: never, unless somebody starts a superseded copy by hand (then for `reactionMs`, guard or not). */
export function exposures(
  container: Container,
  current: Incarnation,
  view: ClusterView,
  onboot: boolean | undefined,
): Exposure[] {
  const { identity, proof, returnRisk, autostart } = container.failover;
  const ms = reactionMs(container);
  const found: Exposure[] = [];
  // With same-vmid its config is moved away.
  const starts = identity === 'new-vmid' && autostart === 'pve' && onboot !== false;
  if (returnRisk === 'accepted' && starts && guardObstacle(view, current) !== null)
    found.push({ when: 'returns', ms });
  if (proof === 'offline-accepted' && !view.standalone) found.push({ when: 'cut-off', ms });
  return found;
}
