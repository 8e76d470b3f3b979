/**
 * What of nodes and storages is promised to copies, beyond what is seen in use: of those decided on in this run, of
 * operations under way, and of copies that run for so short a time that they don't use all of it yet. Pure.
 */
import type { Target } from '../inventory/types.ts';
import type { ClusterView, GuestView, Observation, StorageView, Takes } from './model.ts';
import type { UnderWay } from './under-way.ts';

/** A copy has taken by then what it takes; until then its whole limit is kept for it. */
const SETTLED_MS = 3_600_000;
/** A node starts its guests one after the other, each with its own delay. */
const BOOTING_S = 300;

/** Bytes: memory by `cluster/node`, disk by `diskKey`. */
export type Reservations = Map<string, number>;

/** A storage of one node, or the shared one that all nodes of the cluster see. */
export function diskKey(cluster: string, { node, storage, shared }: StorageView): string {
  return `${cluster}/${shared ? '' : node}/${storage}`;
}

export function memoryKey({ cluster, node }: Target): string {
  return `${cluster}/${node}`;
}

/** Books what a copy will take of its target, for those that are decided on after it. */
export function reserve(
  reserved: Reservations,
  view: ClusterView | undefined,
  target: Target,
  takes: Pick<Takes, 'memory' | 'disks'>,
): void {
  add(reserved, memoryKey(target), takes.memory ?? 0);
  for (const [name, bytes] of Object.entries(takes.disks)) {
    const storage = view?.storages.find((s) => s.node === target.node && s.storage === name);
    if (storage !== undefined) add(reserved, diskKey(target.cluster, storage), bytes);
  }
}

/** What is promised before this run decides anything. */
export function promised(observation: Observation, underWay: readonly UnderWay[]): Reservations {
  const reserved: Reservations = new Map();
  for (const { target, vmid, restoring, takes } of underWay) {
    const view = observation.clusters[target.cluster];
    if (takes === null) continue;
    const copy = view?.guests.find((g) => g.vmid === vmid && g.node === target.node);
    reserve(reserved, view, target, {
      memory: Math.max((takes.memory ?? 0) - usedBy(copy), 0),
      disks: restoring ? takes.disks : {},
    });
  }
  for (const view of Object.values(observation.clusters))
    for (const guest of view.guests) {
      const target = { cluster: view.cluster, node: guest.node };
      const counted = underWay.some(
        (one) => one.takes !== null && one.vmid === guest.vmid && memoryKey(one.target) === memoryKey(target),
      );
      if (!counted && (isYoungCopy(view, guest) || mayBeStarting(view, guest)))
        add(reserved, memoryKey(target), Math.max((guest.memMax ?? 0) - usedBy(guest), 0));
    }
  return reserved;
}

function add(reserved: Reservations, key: string, bytes: number): void {
  if (bytes > 0) reserved.set(key, (reserved.get(key) ?? 0) + bytes);
}

function usedBy(guest: GuestView | undefined): number {
  return guest?.status === 'running' ? (guest.memUsed ?? 0) : 0;
}

/** A copy that we made within the hour. (After a jump of the clock it may seem to be of the future.) */
function isYoungCopy(view: ClusterView, { node, vmid, status }: GuestView): boolean {
  const line = view.lineages.find((l) => l.node === node && l.vmid === vmid)?.line;
  return (
    line !== undefined && line.phase === 'live' && status !== 'stopped' && view.at - line.at < SETTLED_MS
  );
}

/** Stopped, on a node that has just booted: unless its config says otherwise, it may be next. */
function mayBeStarting(view: ClusterView, { node, vmid, status, template }: GuestView): boolean {
  const uptime = view.nodes.find((n) => n.name === node)?.uptimeSeconds ?? null;
  const detail = view.details.find((d) => d.node === node && d.vmid === vmid);
  return (
    uptime !== null && uptime < BOOTING_S && status !== 'running' && !template && detail?.onboot !== false
  );
}
