/**
 * Rule 1 over clusters: a cluster in which a container's copies may be, and that can't be seen, could hold a later copy
 * that another runner has made. Pure.
 */
import type { Container } from '../inventory/types.ts';
import type { ContainerState } from '../state/model.ts';
import { fail, pass } from './gates.ts';
import type { ClusterView, Gate, Incarnation, Observation } from './model.ts';
import { offRead } from './evidence.ts';
import { isSilentNode } from './remembered.ts';
import { clustersOf } from './reach.ts';

export interface UnseenInput {
  readonly container: Container;
  readonly observation: Observation;
  readonly cached: ContainerState | undefined;
  /** A stand-alone node that it is on is judged by the proof of that copy. */
  readonly current: Incarnation | null;
  readonly now: number;
}

/** Each of them that is neither seen nor, with all its nodes, read to be off. */
function unseen({ container, observation, cached, current, now }: UnseenInput): string[] {
  return clustersOf(container, cached).filter((name) => {
    const view = observation.clusters[name];
    if (view?.via != null) return false;
    if (name === current?.cluster && isSilentNode(view)) return false;
    return view === undefined || !allOff(view, now);
  });
}

/** It was known before, and every node of it reads "off" now. */
function allOff(view: ClusterView, now: number): boolean {
  return (
    view.remembered !== undefined &&
    view.nodes.length > 0 &&
    view.nodes.every(({ name }) => offRead(view, name, now) !== null)
  );
}

/** Why no copy may be started now, one sentence per cluster; empty: none of them hides one, or the inventory accepts that. */
export function unseenProblems(input: UnseenInput): string[] {
  if (input.container.failover.unseenRisk === 'accepted') return [];
  return unseen(input).map(
    (name) => `cluster ${name} can't be seen, and may hold a later copy of ${input.container.name}`,
  );
}

/** The same as a gate; null: its copies can be in one cluster only, and there is nothing to say. */
export function unseenGate(input: UnseenInput): Gate | null {
  const { container, observation, cached, current, now } = input;
  const clusters = clustersOf(container, cached);
  if (clusters.length < 2) return null;
  const hidden = unseen(input);
  if (hidden.length === 0) {
    const off = clusters.filter((name) => {
      const view = observation.clusters[name];
      return view?.via == null && name !== current?.cluster && view !== undefined && allOff(view, now);
    });
    return pass(
      'clusters',
      off.length === 0
        ? 'all clusters that a later copy could be in are accounted for'
        : `no later copy can run in ${off.join(', ')}: all of it is off`,
    );
  }
  const what = `${hidden.join(', ')} can't be seen, and may hold a later copy of ${container.name}`;
  if (container.failover.unseenRisk === 'accepted')
    return pass('clusters', `${what}; the inventory accepts that: unseenRisk: accepted`);
  const words = hidden.flatMap((name) =>
    (observation.clusters[name]?.nodes ?? []).map(
      (node) => `\`proxwarden fence confirm ${name}/${node.name}\``,
    ),
  );
  return fail(
    'clusters',
    what,
    [
      `make ${hidden.join(', ')} reachable`,
      ...(words.length === 0 ? [] : [`see that it is off and say so: ${words.join(', ')}`]),
      `set failover.unseenRisk: accepted for ${container.name}`,
    ].join('; or '),
  );
}
