/** Which copies of a container there are, rebuilt from the cluster view in every run. Pure. */
import type { Container } from '../inventory/types.ts';
import type { ContainerState } from '../state/model.ts';
import { isAtHome } from './lineage.ts';
import type { ClusterView, Incarnation, Observation } from './model.ts';

export interface Incarnations {
  /** The highest epoch whose start has been asked for; null: neither original nor copy is to be seen. */
  readonly current: Incarnation | null;
  /** Lower epochs: originals that must stay down. */
  readonly superseded: readonly Incarnation[];
  /** Restored, not yet started. Higher than current; of an operation under way, or left by one that died. */
  readonly pending: readonly Incarnation[];
  /** Why they can't be trusted: two copies of one epoch, a copy we know of that can't be read. */
  readonly problems: readonly string[];
}

/** Identifies an incarnation in tables and lines: `pve1/101@0`. */
export function incarnationKey(i: Pick<Incarnation, 'node' | 'vmid' | 'epoch'>): string {
  return `${i.node}/${i.vmid}@${i.epoch}`;
}

/** The parts of an incarnation key, or null. */
export function parseIncarnationKey(key: string): { node: string; vmid: number; epoch: number } | null {
  const match = /^([^/@\s]+)\/(\d{3,9})@(\d{1,6})$/.exec(key);
  const [, node, vmid, epoch] = match ?? [];
  if (node === undefined || vmid === undefined || epoch === undefined) return null;
  return { node, vmid: Number(vmid), epoch: Number(epoch) };
}

/**
 * All copies of `container`, from the lineage lines and the inventory's vmid in the view.
 * The cached current incarnation only helps while its node is down, when its config cannot be read.
 */
export function incarnationsOf(
  container: Container,
  observation: Observation,
  cached: ContainerState | undefined,
): Incarnations {
  const problems: string[] = [];
  const found: Incarnation[] = [];
  for (const view of Object.values(observation.clusters)) {
    for (const { node, vmid, line } of view.lineages) {
      if (line.container !== container.name || !isAtHome(line, { cluster: view.cluster, node, vmid }))
        continue;
      found.push({
        cluster: view.cluster,
        node,
        vmid,
        epoch: line.epoch,
        phase: line.phase,
        since: line.at,
        operation: line.operation,
      });
    }
  }
  const home = observation.clusters[container.cluster];
  const taken = found.some((i) => i.cluster === container.cluster && i.vmid === container.vmid);
  const original = home?.guests.find((guest) => guest.vmid === container.vmid && guest.type === 'lxc');
  if (original !== undefined && !taken) {
    found.push({
      cluster: container.cluster,
      node: original.node,
      vmid: original.vmid,
      epoch: 0,
      phase: 'original',
      since: 0,
      operation: null,
    });
  }
  const known = cached?.current ?? null;
  problems.push(...driftProblems(container, home, found, taken, known));
  if (known !== null && known.epoch > 0 && !found.some((i) => i.epoch === known.epoch)) {
    addUnread(known, observation.clusters[known.cluster], found, problems, container.name);
  }
  return arrange(found, problems, container.name);
}

/** The inventory and the lineage lines must speak of the same vmid, and nobody else's line may have taken it over. */
function driftProblems(
  container: Container,
  view: ClusterView | undefined,
  found: readonly Incarnation[],
  taken: boolean,
  known: Incarnation | null,
): string[] {
  if (view === undefined) return [];
  const problems: string[] = [];
  const mine = new Set(found.map((i) => i.vmid));
  for (const { node, vmid, line } of view.lineages) {
    if (!isAtHome(line, { cluster: view.cluster, node, vmid })) continue;
    const before = parseIncarnationKey(line.supersedes);
    if (line.container === container.name && before !== null) mine.add(before.vmid);
    else if (before?.vmid === container.vmid && !taken)
      problems.push(
        `drift: CT ${container.vmid} has been taken over by ${line.container} (${node}/${vmid}, epoch ${line.epoch}); was ${line.container} renamed in the inventory?`,
      );
  }
  const epochs = found.filter((i) => i.epoch > 0);
  if (epochs.length > 0 && !mine.has(container.vmid))
    problems.push(
      `drift: the inventory says vmid ${container.vmid}, the lineage of ${container.name} says ${[...mine].join(', ')}`,
    );
  for (const { node, vmid } of view.unread)
    if (known?.vmid !== vmid && epochs.length === 0 && container.failover.vmids.includes(vmid))
      problems.push(
        `CT ${vmid} on ${node} may be a later copy of ${container.name}, and its config can't be read`,
      );
  return problems;
}

/** A copy that we know of and whose config can't be read now: kept while its vmid is still listed on its node. */
function addUnread(
  known: Incarnation,
  view: ClusterView | undefined,
  found: Incarnation[],
  problems: string[],
  name: string,
): void {
  const listed =
    view?.guests.some((guest) => guest.vmid === known.vmid && guest.node === known.node) ?? false;
  if (listed) found.push(known);
  else if (view?.quorate === true)
    problems.push(
      `the state knows ${name} as ${incarnationKey(known)}, and the cluster does not: if that copy was removed on purpose, forget it with \`proxwarden ack ${name}\``,
    );
}

function arrange(found: readonly Incarnation[], problems: string[], name: string): Incarnations {
  const sorted = found.toSorted((a, b) => b.epoch - a.epoch);
  for (const [index, one] of sorted.entries()) {
    const next = sorted[index + 1];
    if (next !== undefined && next.epoch === one.epoch)
      problems.push(
        `two copies of ${name} have the epoch ${one.epoch}: ${incarnationKey(one)} and ${incarnationKey(next)}`,
      );
  }
  const current = sorted.find((i) => i.phase !== 'restored') ?? null;
  const epoch = current?.epoch ?? -1;
  return {
    current,
    superseded: sorted.filter((i) => i !== current && i.epoch <= epoch),
    pending: sorted.filter((i) => i.phase === 'restored' && i.epoch > epoch),
    problems,
  };
}

/** The vmid that the copy of `epoch` takes. The same for every runner: PVE refusing a taken vmid is their mutex. */
export function vmidOfEpoch(container: Container, epoch: number): number {
  const { vmids } = container.failover;
  const vmid = vmids[(epoch - 1) % vmids.length];
  if (vmid === undefined) throw new RangeError(`${container.name} has no failover vmids`);
  return vmid;
}
