/** Of which copy of a container a backup is, by what is inside it. Pure. */
import type { Container } from '../inventory/types.ts';
import type { ContainerState } from '../state/model.ts';
import type { BackupView, Incarnation, Observation } from './model.ts';
import { clustersOf } from './reach.ts';

/** `unknown`: its inside could not be read, or proves nothing. */
export type Whose =
  | { readonly kind: 'current'; readonly epoch: number }
  | { readonly kind: 'retired'; readonly epoch: number }
  | { readonly kind: 'foreign' | 'unknown'; readonly why: string };

export interface WhoseRules {
  readonly container: Container;
  readonly current: Incarnation;
  /** MACs by which its backups are known; empty: not known. */
  readonly macs: readonly string[];
}

/** The MACs inside are the proof: vmid, hostname and notes may be those of another cluster on the same datastore. */
export function whoseIs(backup: BackupView, { container, current, macs }: WhoseRules): Whose {
  const { archived } = backup;
  if (archived === null)
    return { kind: 'unknown', why: backup.problem ?? backup.unfinished ?? 'its config has not been read' };
  const { lineage } = archived;
  if (lineage !== null && (lineage.container !== container.name || lineage.vmid !== backup.vmid))
    return {
      kind: 'foreign',
      why: `it is of ${lineage.container}, epoch ${lineage.epoch} (CT ${lineage.vmid})`,
    };
  // A cluster that its copies can't be in is another world with the same names.
  if (lineage !== null && ![backup.cluster, ...clustersOf(container, undefined)].includes(lineage.cluster))
    return { kind: 'foreign', why: `it is of a ${container.name} in cluster ${lineage.cluster}` };
  if (macs.length === 0) return { kind: 'unknown', why: NO_MACS };
  const other = otherMacs(archived.macs, macs);
  if (other !== null) return { kind: 'foreign', why: other };
  const epoch = lineage?.epoch ?? (backup.vmid === container.vmid ? 0 : null);
  if (epoch === null)
    return { kind: 'unknown', why: `CT ${backup.vmid} is no original, and it lacks a lineage line` };
  if (epoch < current.epoch) return { kind: 'retired', epoch };
  const there = lineage === null || lineage.cluster === current.cluster;
  if (there && epoch === current.epoch && backup.vmid === current.vmid && backup.at >= current.since)
    return { kind: 'current', epoch };
  return { kind: 'unknown', why: `it is of epoch ${epoch}, and not of the current copy` };
}

/** MACs by which a container's backups are known: the inventory's word, else what its config says, else what it last said. */
export function knownMacs(
  container: Container,
  current: Incarnation,
  observation: Pick<Observation, 'clusters'>,
  cached: ContainerState | undefined,
): string[] {
  if (container.macs.length > 0) return [...container.macs];
  const detail = observation.clusters[current.cluster]?.details.find(
    (d) => d.vmid === current.vmid && d.node === current.node,
  );
  const identity = cached?.identity ?? null;
  return detail?.macs ?? (identity?.vmid === current.vmid ? identity.macs : []);
}

export const NO_MACS =
  "whether it is of this container can't be said: no MAC address is known (name them with `macs:` in the inventory)";

/** Why archived interfaces aren't those of a container with `known` MACs, or null when they are. */
export function otherMacs(archived: readonly string[], known: readonly string[]): string | null {
  const wanted = new Set(known.map((mac) => mac.toUpperCase()));
  const inside = archived.map((mac) => mac.toUpperCase());
  return inside.length > 0 && inside.every((mac) => wanted.has(mac))
    ? null
    : `it is of another container: MAC ${inside.join(', ') || 'none'}, wanted ${[...wanted].join(', ')}`;
}
