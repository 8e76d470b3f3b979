/** Signs of life of a node that is believed dead: a container of it whose service answers. Pure. */
import type { Container, Inventory } from '../inventory/types.ts';
import { claimsOf } from './claims.ts';
import { leastEpochOf } from './incarnations.ts';
import type { ClusterView, Observation } from './model.ts';
import { clustersOf } from './reach.ts';

/** A container on `node` that answers, with the probe that says so; null: all of them are silent, or answer from elsewhere. */
export function guestThatAnswers(
  { inventory, observation }: { inventory: Pick<Inventory, 'containers'>; observation: Observation },
  view: ClusterView,
  node: string,
): { readonly container: string; readonly probe: string } | null {
  const guests = view.guests.filter((g) => g.node === node).map((g) => g.vmid);
  for (const container of Object.values(inventory.containers)) {
    if (!clustersOf(container, undefined).includes(view.cluster)) continue;
    const epochs = guests
      .map((vmid) => leastEpochOf(container, view.cluster, vmid))
      .filter((epoch) => epoch !== null);
    if (epochs.length === 0) continue;
    const answering = (observation.probes[container.name] ?? []).find((p) => p.answered);
    // A later copy on another node is what answers, then.
    const elsewhere = claimsOf(container, observation, undefined).believed.some(
      ({ cluster, node: at, line }) =>
        line.phase === 'live' &&
        (cluster !== view.cluster || at !== node) &&
        epochs.every((epoch) => epoch < line.epoch),
    );
    if (answering !== undefined && !elsewhere && !runsAtHome(container, observation, view))
      return { container: container.name, probe: answering.probe };
  }
  return null;
}

/** Seen from another cluster: the original is what answers. A guest there with its vmid need not be a copy at all. */
function runsAtHome(
  { cluster, vmid }: Pick<Container, 'cluster' | 'vmid'>,
  observation: Observation,
  seen: ClusterView,
): boolean {
  const home = observation.clusters[cluster];
  if (cluster === seen.cluster || home === undefined) return false;
  const alive = new Set(home.nodes.filter((n) => n.apiAnswers === true).map((n) => n.name));
  return home.guests.some((g) => g.vmid === vmid && g.status === 'running' && alive.has(g.node));
}
