/** Which copies of a container there are, rebuilt from the cluster view in every run. Pure. */
import type { Container } from '../inventory/types.ts';
import type { ContainerState } from '../state/model.ts';
import { detailOf, detailsAt, guestsAt, lineagesAt } from './at-vmid.ts';
import { claimsOf } from './claims.ts';
import { isAtHome } from './lineage.ts';
import { driftOf, migratedCopies } from './migrated.ts';
import type { ClusterView, Incarnation, Observation } from './model.ts';
import { copyVmids, samePlace, viewsOf } from './reach.ts';

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

/** Identifies an incarnation in tables and lines: `pve1/101@0`; seen from another cluster, `attic/pve1/101@0`. */
export function incarnationKey(
  i: Pick<Incarnation, 'node' | 'vmid' | 'epoch'> & { readonly cluster?: string },
  seenFrom = i.cluster,
): string {
  const where = i.cluster === undefined || i.cluster === seenFrom ? '' : `${i.cluster}/`;
  return `${where}${i.node}/${i.vmid}@${i.epoch}`;
}

/** The parts of an incarnation key, or null. `cluster` null: the one that it was written in. */
export function parseIncarnationKey(
  key: string,
): { cluster: string | null; node: string; vmid: number; epoch: number } | null {
  const match = /^(?:([^/@\s]+)\/)?([^/@\s]+)\/(\d{3,9})@(\d{1,6})$/.exec(key);
  const [, cluster = null, node, vmid, epoch] = match ?? [];
  if (node === undefined || vmid === undefined || epoch === undefined) return null;
  return { cluster, node, vmid: Number(vmid), epoch: Number(epoch) };
}

/**
 * All copies of `container`, from the lineage lines and the inventory's vmid in the view.
 * The cached current incarnation only helps while its node is down, when its config cannot be read.
 * `onlyLines`: the entry itself was made of those lines, so there is nothing to hold them against.
 */
export function incarnationsOf(
  container: Container,
  observation: Observation,
  cached: ContainerState | undefined,
  { onlyLines = false }: { readonly onlyLines?: boolean } = {},
): Incarnations {
  const { believed, doubts } = claimsOf(container, observation, cached, { all: onlyLines });
  const problems = [...migratedCopies(container, observation).map(driftOf), ...doubts];
  const found: Incarnation[] = believed.map(({ cluster, node, vmid, line }) => ({
    cluster,
    node,
    vmid,
    epoch: line.epoch,
    phase: line.phase,
    since: line.at,
    operation: line.operation,
  }));
  const home = observation.clusters[container.cluster];
  const views = viewsOf(container, observation, cached);
  const drift = driftProblems(container, observation, found);
  problems.push(...drift);
  const taken = found.some((i) => i.cluster === container.cluster && i.vmid === container.vmid);
  const original = home && guestsAt(home, container.vmid).find((guest) => guest.type === 'lxc');
  // Beside copies, a guest that the lineage doesn't know as their original is somebody else's: it is not touched.
  const known = cached?.current ?? null;
  // With `same-vmid` the copy has the original's vmid: what the state knows to be a later copy there is none.
  const knownThere =
    known !== null &&
    known.epoch > 0 &&
    original !== undefined &&
    samePlace(known, { ...original, cluster: container.cluster });
  if (original !== undefined && !taken && !knownThere && (drift.length === 0 || found.length === 0)) {
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
  if (known !== null && known.epoch > 0 && !found.some((i) => i.epoch === known.epoch)) {
    addUnread(container, known, observation.clusters[known.cluster], found, problems);
  }
  // Its restore was cut short, so that it lacks its line, or its node is silent.
  const attempt = cached?.attempt ?? null;
  if (attempt !== null && isListed(attempt, observation) && !found.some((i) => i.epoch === attempt.epoch))
    found.push(attempt);
  const macs = macsOf(container, observation, found, cached);
  for (const view of views)
    problems.push(
      ...unreadProblems(container, view, observation, found),
      ...unlinedProblems(container, view, found, macs),
    );
  problems.push(...sameVmidProblems(container, home, known, taken));
  return arrange(container, found, problems);
}

/** The inventory and the lineage lines must speak of the same vmid, and nobody else's line may have taken it over. */
function driftProblems(
  container: Container,
  observation: Observation,
  found: readonly Incarnation[],
): string[] {
  const { name, cluster: home, failover } = container;
  const problems: string[] = [];
  const copies = found.filter((i) => i.epoch > 0);
  const taken = found.some((i) => i.cluster === home && i.vmid === container.vmid);
  const originals = new Set<number>();
  for (const { cluster, lineages } of Object.values(observation.clusters))
    for (const { node, vmid, line } of lineages) {
      if (!isAtHome(line, { cluster, node, vmid })) continue;
      const before = parseIncarnationKey(line.supersedes);
      if (line.container === name) {
        if (before?.epoch === 0) originals.add(before.vmid);
      } else if (before?.vmid === container.vmid && (before.cluster ?? cluster) === home && !taken)
        problems.push(
          `drift: CT ${container.vmid} has been taken over by ${line.container} (${node}/${vmid}, epoch ${line.epoch}); was ${line.container} renamed in the inventory?`,
        );
      else if (cluster === home && (vmid === container.vmid || failover.vmids.includes(vmid)))
        problems.push(
          `drift: CT ${vmid} on ${node}, which the inventory gives to ${name}, is ${line.container}, epoch ${line.epoch}; was ${line.container} renamed in the inventory?`,
        );
    }
  const said = originals.size > 0 ? [...originals] : copies.map((i) => i.vmid);
  const ours =
    originals.size > 0
      ? originals.has(container.vmid)
      : copies.every(
          ({ cluster, vmid }) => vmid === container.vmid || copyVmids(container, cluster).includes(vmid),
        );
  if (copies.length > 0 && !ours)
    problems.push(
      `drift: the inventory says vmid ${container.vmid}, the lineage of ${name} says ${said.join(', ')}`,
    );
  return problems;
}

/**
 * Containers on vmids that only copies of this one take, and whose description could not be read: perhaps a later copy.
 * Their tag says nothing: a list drops it when their node has been dead for five minutes, and a person can remove it.
 */
function unreadProblems(
  container: Container,
  view: ClusterView,
  observation: Observation,
  found: readonly Incarnation[],
): string[] {
  const { cluster } = view;
  const vmids = copyVmids(container, cluster);
  const highest = Math.max(0, ...found.map((i) => i.epoch));
  const listed = [
    ...vmids.flatMap((vmid) => guestsAt(view, vmid).filter((g) => g.type === 'lxc')),
    ...view.unread.filter((g) => vmids.includes(g.vmid)),
  ];
  const unread = new Map(
    listed
      .filter((g) => !found.some((i) => samePlace(i, { ...g, cluster })) && detailOf(view, g) === undefined)
      .map((g) => [`${g.node}/${g.vmid}`, g]),
  );
  if (unread.size === 0) return [];
  const superseded = supersededBy(container.name, observation);
  return [...unread.values()].flatMap(({ node, vmid }) => {
    const index = vmids.indexOf(vmid);
    const before = superseded.some((one) => samePlace(one, { cluster, node, vmid }));
    const what = `CT ${vmid} on ${node}`;
    // Elsewhere a vmid says nothing of its copy's epoch.
    if (cluster !== container.cluster)
      return before
        ? []
        : [
            `${what} in cluster ${cluster} may be a later copy of ${container.name}, and its config can't be read`,
          ];
    // Its epoch is at least index + 1; after one round through the list the next epoch takes its vmid again.
    const older = index + 1 <= highest && (index !== highest % vmids.length || before);
    return older ? [] : [`${what} may be a later copy of ${container.name}, and its config can't be read`];
  });
}

/** What the lines of a container's copies name as the ones that they have taken over from. */
function supersededBy(
  name: string,
  observation: Observation,
): { cluster: string; node: string; vmid: number }[] {
  return Object.values(observation.clusters).flatMap(({ cluster: here, lineages }) =>
    lineages.flatMap(({ line }) => {
      const before = line.container === name ? parseIncarnationKey(line.supersedes) : null;
      return before === null ? [] : [{ ...before, cluster: before.cluster ?? here }];
    }),
  );
}

/**
 * Containers on vmids that only copies of this one take, without a line that says so: perhaps a copy whose notes somebody
 * has changed, one of before the cluster was renamed in the inventory, or one that another runner is making right now.
 * Another MAC means that they are somebody else's.
 */
function unlinedProblems(
  container: Container,
  view: ClusterView,
  found: readonly Incarnation[],
  known: ReadonlySet<string>,
): string[] {
  const { cluster } = view;
  const home = cluster === container.cluster;
  const vmids = copyVmids(container, cluster);
  const there = vmids.flatMap((each) => detailsAt(view, each));
  return there.flatMap(({ node, vmid, lock, macs }) => {
    if (found.some((i) => samePlace(i, { cluster, node, vmid }))) return [];
    // Lines of other containers, and of copies that were migrated, have been told of as drift; elsewhere they are no matter.
    const line = lineagesAt(view, vmid).find((l) => l.node === node)?.line;
    if (
      line !== undefined &&
      (line.container !== container.name || line.vmid === vmid) &&
      line.cluster === view.cluster
    )
      return [];
    if (lock === 'create')
      return [`CT ${vmid} is being made on ${node} right now, perhaps by another runner`];
    // The original's own vmid is elsewhere anybody's: there only its MACs say that it is a copy.
    if (known.size === 0 ? vmid === container.vmid : !macs.some((mac) => known.has(mac))) return [];
    return [
      home
        ? `CT ${vmid} on ${node} has a vmid that only copies of ${container.name} take, and its notes lack the line that says what it is`
        : `CT ${vmid} on ${node} in cluster ${cluster} may be a copy of ${container.name}, and its notes lack the line that says what it is`,
    ];
  });
}

/** The addresses that only copies of the container have, as far as they are known. */
function macsOf(
  container: Container,
  observation: Observation,
  found: readonly Incarnation[],
  cached: ContainerState | undefined,
): ReadonlySet<string> {
  const { cluster, vmid } = container;
  const home = observation.clusters[cluster];
  const original =
    home &&
    detailsAt(home, vmid).find(({ node }) => found.some((i) => samePlace(i, { cluster, node, vmid })));
  return new Set([...container.macs, ...(cached?.identity?.macs ?? []), ...(original?.macs ?? [])]);
}

/**
 * With `same-vmid` original and copies have one vmid, and only a line tells them apart. A config that can't be read says
 * nothing, then, unless the state knows which one was there; and one that has been read must have its line.
 */
function sameVmidProblems(
  container: Container,
  view: ClusterView | undefined,
  known: Incarnation | null,
  taken: boolean,
): string[] {
  const { name, cluster, vmid, failover } = container;
  const guest = view && guestsAt(view, vmid).find((g) => g.type === 'lxc');
  if (view === undefined || guest === undefined || taken) return [];
  const read = detailOf(view, guest) !== undefined;
  const wasThere = known !== null && samePlace(known, { cluster, node: guest.node, vmid });
  if (read)
    return wasThere && known.epoch > 0
      ? [
          `CT ${vmid} on ${guest.node} is known as ${incarnationKey(known)}, and its notes lack the line that says what it is`,
        ]
      : [];
  const silent = view.nodes.find((n) => n.name === guest.node)?.apiAnswers !== true;
  return failover.identity === 'same-vmid' && !wasThere && silent
    ? [
        `whether CT ${vmid} on ${guest.node} is the original of ${name} or a later copy with its vmid can't be read, and this state has never seen it there`,
      ]
    : [];
}

/** A copy that we know of and whose config can't be read now: kept while its vmid is still listed on its node. */
function addUnread(
  { name, cluster }: Pick<Container, 'name' | 'cluster'>,
  known: Incarnation,
  view: ClusterView | undefined,
  found: Incarnation[],
  problems: string[],
): void {
  // Its config has been moved aside for the copy that has its vmid now.
  const movedAside = found.some(
    (i) =>
      i.cluster === known.cluster &&
      i.vmid === known.vmid &&
      view?.lineages.some(
        ({ node, vmid, line }) =>
          node === i.node && vmid === i.vmid && line.supersedes === incarnationKey(known),
      ) === true,
  );
  if (movedAside) return;
  if (view !== undefined && holds(view, known)) found.push(known);
  else if (view?.quorate === true)
    problems.push(
      `the state knows ${name} as ${incarnationKey(known, cluster)}, and the cluster does not: if that copy was removed on purpose, forget it with \`proxwarden ack ${name} --forget-copy\``,
    );
}

function holds(view: ClusterView, { node, vmid }: Pick<Incarnation, 'node' | 'vmid'>): boolean {
  return guestsAt(view, vmid).some((guest) => guest.node === node);
}

/** Whether its cluster lists a guest of that vmid on that node. */
export function isListed(one: Incarnation, observation: Observation): boolean {
  const view = observation.clusters[one.cluster];
  return view !== undefined && holds(view, one);
}

function arrange(
  { name, cluster }: Pick<Container, 'name' | 'cluster'>,
  found: readonly Incarnation[],
  problems: string[],
): Incarnations {
  const sorted = found.toSorted((a, b) => b.epoch - a.epoch);
  for (const [index, one] of sorted.entries()) {
    const next = sorted[index + 1];
    if (next !== undefined && next.epoch === one.epoch)
      problems.push(
        `two copies of ${name} have the epoch ${one.epoch}: ${incarnationKey(one, cluster)} and ${incarnationKey(next, cluster)}`,
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

/** The lowest epoch that the container's copy on a cluster's `vmid` can have; null: no copy of it takes that vmid. */
export function leastEpochOf(container: Container, cluster: string, vmid: number): number | null {
  if (cluster !== container.cluster) return copyVmids(container, cluster).includes(vmid) ? 1 : null;
  if (vmid === container.vmid) return 0;
  const index = container.failover.vmids.indexOf(vmid);
  return index === -1 ? null : index + 1;
}

/** The vmid that the copy of `epoch` takes over from `current`. */
export function nextVmid(container: Container, current: Pick<Incarnation, 'vmid'>, epoch: number): number {
  return container.failover.identity === 'same-vmid' ? current.vmid : vmidOfEpoch(container, epoch);
}

/** The vmid that the copy of `epoch` takes from the pool. The same for every runner: PVE refusing a taken vmid is their mutex. */
export function vmidOfEpoch(container: Container, epoch: number): number {
  const { vmids } = container.failover;
  const vmid = vmids[(epoch - 1) % vmids.length];
  if (vmid === undefined) throw new RangeError(`${container.name} has no failover vmids`);
  return vmid;
}

/**
 * The vmid that a copy takes in another cluster with these guests; null: none of its vmids is free there. The first one
 * that is free, its own before others. Two runners that see different guests may choose two: then both find two copies
 * of one epoch at the start gate, and neither starts.
 */
export function vmidElsewhere(
  container: Container,
  cluster: string,
  guests: readonly { readonly vmid: number }[],
): number | null {
  return copyVmids(container, cluster).find((vmid) => !guests.some((g) => g.vmid === vmid)) ?? null;
}
