/**
 * Copies that somebody has migrated with Proxmox VE's own means: same cluster, same vmid, and another node than their
 * line names. Pure.
 *
 * A vmid's config is unique in a cluster, so there is one such container. What isn't certain is that nothing of it runs
 * where it was: a config can be moved away from a node that is merely cut off, and the copy there runs on (facts,
 * section 10). So it is followed only when that node itself answers and its netstat shows nothing of the vmid.
 */
import type { Container } from '../inventory/types.ts';
import type { ClusterView, Lineage, Observation } from './model.ts';

export interface Migrated {
  readonly cluster: string;
  readonly from: string;
  readonly to: string;
  readonly vmid: number;
  readonly line: Lineage;
  /** Why its line may not be brought up to date; null: it may. */
  readonly hindrance: string | null;
}

/** All of them, of one container. */
export function migratedCopies(container: Container, observation: Observation): Migrated[] {
  const all = Object.values(observation.clusters)
    .flatMap((view) => view.lineages)
    .filter(({ line }) => line.container === container.name);
  const newest = Math.max(...all.map(({ line }) => line.epoch));
  return Object.values(observation.clusters).flatMap((view) => {
    const lines = view.lineages.filter(({ line }) => line.container === container.name);
    return lines.flatMap(({ node: to, vmid, line }): Migrated[] => {
      if (line.cluster !== view.cluster || line.vmid !== vmid || line.node === to) return [];
      const rivals = all.filter((l) => l.line.epoch === line.epoch);
      const hindrance =
        line.phase !== 'live'
          ? 'it has never been started'
          : line.epoch !== newest || rivals.length > 1
            ? 'there is a later copy, or another of its epoch'
            : whatKeeps(view, { from: line.node, to, vmid });
      return [{ cluster: view.cluster, from: line.node, to, vmid, line, hindrance }];
    });
  });
}

function whatKeeps(
  view: ClusterView,
  { from, to, vmid }: Pick<Migrated, 'from' | 'to' | 'vmid'>,
): string | null {
  const old = view.nodes.find((n) => n.name === from);
  if (old?.apiAnswers !== true || old.netstat === null)
    return `${from} does not answer, so the copy may still run there`;
  if (old.netstat.includes(vmid)) return `the netstat of ${from} still shows an interface of it`;
  const detail = view.details.find((d) => d.node === to && d.vmid === vmid);
  if (detail === undefined) return `it can't be read on ${to}`;
  return detail.lock === null ? null : `it is locked (${detail.lock})`;
}

/** A sentence for people; the drift lasts until its line is brought up to date. */
export function driftOf({ from, to, vmid, line, hindrance }: Migrated): string {
  return `drift: CT ${vmid} (epoch ${line.epoch}) was restored on ${from} and is on ${to} now${hindrance === null ? '' : `, and is not followed there: ${hindrance}; migrate it back`}`;
}
