/** The clusters that the copies of a container may be in, and the vmids that they may have there. Pure. */
import type { Container, Target } from '../inventory/types.ts';
import type { ContainerState } from '../state/model.ts';
import type { ClusterView, Incarnation, Observation } from './model.ts';
import { volidOn } from './volid.ts';

/** Its home, those of its targets, and where it was last known to be. Each once, the home first. */
export function clustersOf(
  container: Pick<Container, 'cluster' | 'nodes'>,
  cached: Pick<ContainerState, 'current' | 'attempt'> | undefined,
): string[] {
  const targets = container.nodes.map((target) => target.cluster);
  const known = [cached?.current, cached?.attempt].flatMap((i) => (i == null ? [] : [i.cluster]));
  return [...new Set([container.cluster, ...targets, ...known])];
}

/** The views of those clusters, as far as they have been looked at. */
export function viewsOf(
  container: Pick<Container, 'cluster' | 'nodes'>,
  observation: Observation,
  cached: Pick<ContainerState, 'current' | 'attempt'> | undefined,
): ClusterView[] {
  return clustersOf(container, cached).flatMap((name) => {
    const view = observation.clusters[name];
    return view === undefined ? [] : [view];
  });
}

/** The vmids that copies of the container may take in a cluster. At home the original's own is none of them. */
export function copyVmids(
  { cluster: home, failover, elsewhere }: Pick<Container, 'cluster' | 'failover' | 'elsewhere'>,
  cluster: string,
): readonly number[] {
  return cluster === home ? failover.vmids : (elsewhere[cluster]?.vmids ?? []);
}

/** The container as a cluster has it: the same backup storage by its name there, its disks on that cluster's storages. */
export function containerIn(container: Container, cluster: string): Container {
  const there = cluster === container.cluster ? undefined : container.elsewhere[cluster];
  if (there === undefined) return container;
  const { backupStorage, restoreStorage, mountStorage } = there;
  return {
    ...container,
    backup: { ...container.backup, storage: backupStorage },
    failover: { ...container.failover, restoreStorage, mountStorage },
  };
}

/** All vmids that belong to the container in a cluster, the original's included; none where no copy of it may be. */
export function ownVmids(container: Container, cluster: string): readonly number[] {
  if (cluster === container.cluster) return [container.vmid, ...container.failover.vmids];
  return clustersOf(container, undefined).includes(cluster) ? copyVmids(container, cluster) : [];
}

/** Whether two say the same place: nodes of different clusters may have one name. */
export function samePlace(
  a: Pick<Incarnation, 'cluster' | 'node' | 'vmid'>,
  b: Pick<Incarnation, 'cluster' | 'node' | 'vmid'>,
): boolean {
  return a.cluster === b.cluster && a.node === b.node && a.vmid === b.vmid;
}

/** `pve2`, or `attic/pve2` where that is not at home. */
export function placeOf({ cluster, node }: Target, home: string): string {
  return cluster === home ? node : `${cluster}/${node}`;
}

/** The volid that the same archive has in a cluster. */
export function volidIn(container: Container, cluster: string, volid: string): string {
  return volidOn(containerIn(container, cluster).backup.storage, volid);
}

/** The target that a person means: `CLUSTER/NODE`, or a node's name alone: that of its list, else one at home. */
export function targetNamed({ cluster, nodes }: Pick<Container, 'cluster' | 'nodes'>, text: string): Target {
  const slash = text.indexOf('/');
  if (slash !== -1) return { cluster: text.slice(0, slash), node: text.slice(slash + 1) };
  const listed = nodes.filter((target) => target.node === text);
  const [only] = listed;
  return only !== undefined && listed.length === 1 ? only : { cluster, node: text };
}
