/** Signs of life of a node that is believed dead: a container of it whose service answers. Pure. */
import type { Inventory } from '../inventory/types.ts';
import { leastEpochOf } from './incarnations.ts';
import { isAtHome } from './lineage.ts';
import type { ClusterView, Observation } from './model.ts';

/** A container on `node` that answers, with the probe that says so; null: all of them are silent, or answer from elsewhere. */
export function guestThatAnswers(
  { inventory, observation }: { inventory: Pick<Inventory, 'containers'>; observation: Observation },
  view: ClusterView,
  node: string,
): { readonly container: string; readonly probe: string } | null {
  const guests = view.guests.filter((g) => g.node === node).map((g) => g.vmid);
  for (const container of Object.values(inventory.containers)) {
    if (container.cluster !== view.cluster) continue;
    const epochs = guests.map((vmid) => leastEpochOf(container, vmid)).filter((epoch) => epoch !== null);
    if (epochs.length === 0) continue;
    const answering = (observation.probes[container.name] ?? []).find((p) => p.answered);
    // A later copy on another node is what answers, then.
    const elsewhere = view.lineages.some(
      ({ node: at, vmid, line }) =>
        line.container === container.name &&
        line.phase === 'live' &&
        at !== node &&
        isAtHome(line, { cluster: view.cluster, node: at, vmid }) &&
        epochs.every((epoch) => epoch < line.epoch),
    );
    if (answering !== undefined && !elsewhere) return { container: container.name, probe: answering.probe };
  }
  return null;
}
