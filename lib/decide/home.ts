/** Where a container belongs, and whether going back there is wanted now. Pure. */
import type { Container, Target } from '../inventory/types.ts';
import { claimsOf } from './claims.ts';
import type { Assessment } from './decide.ts';
import { fail, pass } from './gates.ts';
import { incarnationKey, parseIncarnationKey, type Incarnations } from './incarnations.ts';
import type { Gate, Observation, Verdict } from './model.ts';

/**
 * The node that the inventory calls its home, else the one of its original: as it is seen, or as a copy's line names it.
 * Null: nothing says so (the original has been removed, and with it the copy that took over from it).
 */
export function homeOf(
  container: Container,
  { current, superseded }: Incarnations,
  observation: Observation,
): Target | null {
  if (container.home !== null) return { cluster: container.cluster, node: container.home };
  const original = [...(current === null ? [] : [current]), ...superseded].find((i) => i.epoch === 0);
  if (original !== undefined) return { cluster: original.cluster, node: original.node };
  for (const { line } of claimsOf(container, observation, undefined).believed) {
    const before = parseIncarnationKey(line.supersedes);
    if (before?.epoch === 0) return { cluster: container.cluster, node: before.node };
  }
  return null;
}

/**
 * Nothing urges a way home, and a copy that has been started is not taken back: a service that does not answer here
 * would not answer there, and be down.
 */
export function wantedGate({ name }: Container, { kind, reason }: Verdict, home: Target): Gate {
  return kind === 'healthy' || kind === 'stopped-by-hand'
    ? pass(
        'home',
        `it belongs on ${home.node}, and ${kind === 'healthy' ? 'answers' : 'is to stay stopped'}: ${reason}`,
      )
    : fail(
        'home',
        `${name} is ${kind} (${reason}): only what answers goes home`,
        `mend it first, or move it all the same: \`proxwarden failover ${name} --planned --to ${home.node}\``,
      );
}

export interface Moved {
  readonly container: string;
  /** Where it runs: `pve2/1000101@1`. */
  readonly current: string;
  readonly at: Target;
  /** Null: nothing says where it belongs. */
  readonly home: Target | null;
}

/** Containers that live elsewhere than where they belong. */
export function movedFromHome(found: readonly Assessment[], observation: Observation): Moved[] {
  return found.flatMap(({ container, incarnations }) => {
    const { current } = incarnations;
    if (current === null) return [];
    const home = homeOf(container, incarnations, observation);
    if (home?.cluster === current.cluster && home.node === current.node) return [];
    const at = { cluster: current.cluster, node: current.node };
    return [{ container: container.name, current: incarnationKey(current, container.cluster), at, home }];
  });
}
