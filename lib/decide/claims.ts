/**
 * Which lines are believed to be of a container's copies. A line is text in a guest's notes, so whoever may edit the notes
 * of some other guest can write one there. It counts where it is at home, and where its guest can be a copy at all: a copy
 * keeps the MAC addresses of its original, and takes a vmid of the container's list. Pure.
 */
import type { Container } from '../inventory/types.ts';
import type { ContainerState } from '../state/model.ts';
import { isAtHome } from './lineage.ts';
import type { Lineage, Observation } from './model.ts';
import { ownVmids, samePlace } from './reach.ts';

export interface Claim {
  readonly cluster: string;
  readonly node: string;
  readonly vmid: number;
  readonly line: Lineage;
}

type Cached = Pick<ContainerState, 'current' | 'attempt' | 'identity'>;

/**
 * Lines that are believed, and a sentence for each that is at home and is not. `cached`: what the state knows. `all`:
 * each is believed where it is at home.
 */
export function claimsOf(
  container: Container,
  observation: Observation,
  cached: Cached | undefined,
  { all = false }: { readonly all?: boolean } = {},
): { readonly believed: readonly Claim[]; readonly doubts: readonly string[] } {
  const believed: Claim[] = [];
  const doubts: string[] = [];
  for (const { cluster, lineages } of Object.values(observation.clusters))
    for (const { node, vmid, line } of lineages) {
      if (line.container !== container.name || !isAtHome(line, { cluster, node, vmid })) continue;
      const claim = { cluster, node, vmid, line };
      const doubt = all ? null : doubtOf(claim, container, observation, cached);
      if (doubt === null) believed.push(claim);
      else
        doubts.push(
          `the notes of CT ${vmid} on ${cluster === container.cluster ? node : `${cluster}/${node}`} say that it is a copy of ${container.name} (epoch ${line.epoch}), which is not believed: ${doubt}`,
        );
    }
  return { believed, doubts };
}

/** Why a guest can't be the copy that its notes say it is, with the way out; null: it can. */
function doubtOf(
  claim: Claim,
  container: Container,
  observation: Observation,
  cached: Cached | undefined,
): string | null {
  const { cluster, node, vmid, line } = claim;
  // Made, or taken over, by ourselves; a person may have changed its interfaces since.
  const remembered = [cached?.current, cached?.attempt].some(
    (known) => known != null && known.epoch === line.epoch && samePlace(known, claim),
  );
  if (remembered) return null;
  const macs = observation.clusters[cluster]?.details.find((d) => d.node === node && d.vmid === vmid)?.macs;
  const known = knownMacs(container, observation, cached);
  if (macs !== undefined && macs.length > 0 && known.size > 0)
    return macs.some((mac) => known.has(mac.toUpperCase()))
      ? null
      : `its MAC is ${macs.join(', ')}, that of ${container.name} ${[...known].join(', ')}; remove the line from its notes, or name its MAC with macs: in the inventory`;
  return ownVmids(container, cluster).includes(vmid)
    ? null
    : `${vmid} is none of its vmids (failover.vmids), and no MAC address says so; remove the line from its notes, or name the MAC of ${container.name} with macs: in the inventory`;
}

/** What the inventory, the state and the guest on the original's vmid say. */
function knownMacs(
  { macs, cluster: home, vmid, name }: Container,
  observation: Observation,
  cached: Cached | undefined,
): ReadonlySet<string> {
  const view = observation.clusters[home];
  const original = view?.details.find((d) => {
    const line = view.lineages.find((l) => l.node === d.node && l.vmid === d.vmid)?.line;
    return d.vmid === vmid && (line === undefined || line.container === name);
  });
  return new Set(
    [...macs, ...(cached?.identity?.macs ?? []), ...(original?.macs ?? [])].map((mac) => mac.toUpperCase()),
  );
}
