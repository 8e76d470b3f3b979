/** Where a copy goes, and why not elsewhere. Pure. */
import type { Container, Target } from '../inventory/types.ts';
import { formatSize } from '../units.ts';
import type { BackupView, ClusterView, Incarnation, Observation } from './model.ts';

/** Memory that failovers of this run have already been given, by `cluster/node`. */
export type Reservations = Map<string, number>;

export interface PlacementInput {
  readonly container: Container;
  readonly current: Incarnation;
  readonly observation: Observation;
  readonly backup: BackupView | null;
  /** Of the container, bytes; null: unknown. */
  readonly memory: number | null;
  /** Root disk and mount points, bytes; null: unknown. */
  readonly disk: number | null;
  readonly vmid: number;
  readonly reserved: Reservations;
  /** A person's choice: only this node. */
  readonly only?: Target | undefined;
}

export interface Placement {
  /** In order of preference. */
  readonly targets: readonly Target[];
  readonly rejected: readonly { readonly what: string; readonly why: string }[];
}

/** The nodes that can take the copy, in the inventory's order, with a reason for every one that can't. */
export function place(input: PlacementInput): Placement {
  const rejected: { what: string; why: string }[] = [];
  const targets: Target[] = [];
  const candidates = input.only === undefined ? input.container.nodes : [input.only];
  for (const target of candidates) {
    const why = unfit(target, input);
    if (why === null) targets.push(target);
    else rejected.push({ what: `${target.cluster}/${target.node}`, why });
  }
  return { targets, rejected };
}

function unfit(target: Target, input: PlacementInput): string | null {
  const { container, current, observation } = input;
  if (target.cluster !== container.cluster) return 'failover to another cluster is not available yet';
  if (target.cluster === current.cluster && target.node === current.node) return 'it is there already';
  const view = observation.clusters[target.cluster];
  if (view === undefined || view.via === null || !view.quorate)
    return `no quorate view of cluster ${target.cluster}`;
  const node = view.nodes.find((n) => n.name === target.node);
  if (node === undefined) return `there is no node ${target.node} in cluster ${target.cluster}`;
  if (!node.online) return 'it is offline';
  if (node.apiAnswers !== true) return 'its API does not answer';
  return (
    storageProblem(view, target.node, input) ??
    memoryProblem(node, target, input) ??
    vmidProblem(view, input.vmid)
  );
}

function storageProblem(view: ClusterView, node: string, { container, disk }: PlacementInput): string | null {
  const restore = view.storages.find(
    (s) => s.node === node && s.storage === container.failover.restoreStorage,
  );
  if (restore === undefined) return `storage ${container.failover.restoreStorage} is not there`;
  if (!restore.active) return `storage ${restore.storage} is not active`;
  if (!restore.content.includes('rootdir'))
    return `storage ${restore.storage} does not take container disks (no rootdir content)`;
  const free = restore.total === null || restore.used === null ? null : restore.total - restore.used;
  if (free !== null && disk !== null && free < disk)
    return `storage ${restore.storage} has ${formatSize(free)} free, the container needs ${formatSize(disk)}`;
  const backup = view.storages.find((s) => s.node === node && s.storage === container.backup.storage);
  if (backup === undefined || !backup.active)
    return `it can't see the backup storage ${container.backup.storage}`;
  return null;
}

function memoryProblem(
  node: { memTotal: number | null; memUsed: number | null },
  target: Target,
  { memory, reserved }: PlacementInput,
): string | null {
  if (memory === null || node.memTotal === null || node.memUsed === null) return null;
  const free = node.memTotal - node.memUsed - (reserved.get(`${target.cluster}/${target.node}`) ?? 0);
  return free >= memory
    ? null
    : `it has ${formatSize(Math.max(free, 0))} of memory free, the container needs ${formatSize(memory)}`;
}

function vmidProblem(view: ClusterView, vmid: number): string | null {
  const taken = view.guests.find((g) => g.vmid === vmid);
  return taken === undefined ? null : `vmid ${vmid} is taken by ${taken.name || 'a guest'} on ${taken.node}`;
}
