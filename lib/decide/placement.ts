/** Where a copy goes, and why not elsewhere. Pure. */
import type { Container, Target } from '../inventory/types.ts';
import type { State } from '../state/model.ts';
import { nodeInMaintenance } from './brakes.ts';
import type { ArchivedConfig } from './guest-config.ts';
import { apartBar, type Taken } from './apart.ts';
import type { BackupView, Incarnation, Observation, Takes } from './model.ts';
import { clustersOf, containerIn, copyVmids, samePlace } from './reach.ts';
import { diskKey, memoryKey, type Reservations } from './reservations.ts';
import {
  containerIssues,
  restoreTarget,
  UNREAD,
  type RestoreIssue,
  type RestoreRights,
} from './restorable.ts';
import { targetIssues } from './restorable-there.ts';
import { storageFor } from './restore-mounts.ts';
import { archiveOf } from './volid.ts';

export interface PlacementInput {
  readonly container: Container;
  readonly current: Incarnation;
  readonly observation: Observation;
  readonly backup: BackupView | null;
  /** Of the container, bytes; null: unknown. */
  readonly memory: number | null;
  /** What will be restored; null: unknown. */
  readonly config: ArchivedConfig | null;
  /** The vmid that it would take in a cluster; null: it has none there that is free. */
  readonly vmidIn: (cluster: string) => number | null;
  readonly reserved: Reservations;
  /** Nodes that others of its groups have. */
  readonly apart: readonly Taken[];
  /** Which nodes people have in maintenance; undefined: only Proxmox VE's own maintenance counts. */
  readonly state?: Pick<State, 'maintenance'> | undefined;
  /** Only this node: a person's choice, or one that was made before. */
  readonly only?: Target | undefined;
}

export interface Placement {
  /** In order of preference. */
  readonly targets: readonly Target[];
  readonly rejected: readonly {
    readonly what: string;
    readonly why: string;
    readonly fix?: string | undefined;
  }[];
  /** What a copy would lose on the first target. */
  readonly losses: readonly RestoreIssue[];
  /** What of its room could not be compared, because it isn't known. */
  readonly unsure: readonly string[];
}

interface Candidate {
  readonly target: Target;
  readonly issues: readonly RestoreIssue[];
  /** Bytes of memory that nobody uses or is promised; null: not known. */
  readonly free: number | null;
}

/**
 * The nodes that can take the copy, with a reason for every one that can't: in the inventory's order, or with
 * `placement: spread` those with the most memory free first (ties in that order, what is not known last).
 */
export function place(input: PlacementInput): Placement {
  const rejected: { what: string; why: string; fix?: string }[] = [];
  const found: Candidate[] = [];
  const candidates = input.only === undefined ? input.container.nodes : [input.only];
  for (const target of candidates) {
    const what = `${target.cluster}/${target.node}`;
    const issues = issuesThere(target, input);
    const barred =
      unfit(target, input) ??
      kept(target, input) ??
      issues.find((issue) => issue.severity === 'blocks') ??
      taken(target, input);
    if (barred !== null)
      rejected.push({ what, why: barred.what, ...(barred.fix === null ? {} : { fix: barred.fix }) });
    else found.push({ target, issues, free: memoryFree(target, input) });
  }
  if (input.container.failover.placement === 'spread') found.sort(byFreeMemory);
  const first = found[0];
  return {
    targets: found.map(({ target }) => target),
    rejected,
    losses: first?.issues ?? [],
    unsure: first === undefined ? [] : unsureOf(first, input),
  };
}

/** What a copy will take of its target: memory as far as its limit, disks as far as their size, not the archive's. */
export function takesOf({ container, current, memory, config }: PlacementInput, cluster: string): Takes {
  const { failover } = containerIn(container, cluster);
  const disks: Record<string, number> = {};
  for (const { kind, key, bytes } of config?.mounts ?? []) {
    if (kind !== 'volume') continue;
    const storage = storageFor(failover, key);
    disks[storage] = (disks[storage] ?? 0) + (bytes ?? 0);
  }
  return { memory, disks, backups: containerIn(container, current.cluster).backup.storage };
}

function byFreeMemory(a: Candidate, b: Candidate): number {
  return (b.free ?? -1) - (a.free ?? -1);
}

function memoryFree(target: Target, { observation, reserved }: PlacementInput): number | null {
  const node = observation.clusters[target.cluster]?.nodes.find((n) => n.name === target.node);
  const { memTotal = null, memUsed = null } = node ?? {};
  return memTotal === null || memUsed === null
    ? null
    : memTotal - memUsed - (reserved.get(memoryKey(target)) ?? 0);
}

/** Proxmox VE will say in the end; until then a person should know that nothing was compared. */
function unsureOf({ target, free }: Candidate, input: PlacementInput): string[] {
  const { memory, observation } = input;
  const storages = (observation.clusters[target.cluster]?.storages ?? []).filter(
    (s) =>
      s.node === target.node &&
      takesOf(input, target.cluster).disks[s.storage] !== undefined &&
      (s.total === null || s.used === null),
  );
  return [
    ...(memory === null ? ['what memory the container needs is not known'] : []),
    ...(free === null ? [`how much memory ${target.node} has free is not known`] : []),
    ...storages.map(({ storage }) => `how much room ${storage} has there is not known`),
  ];
}

function issuesThere({ cluster, node }: Target, input: PlacementInput): RestoreIssue[] {
  const { container, config, memory, observation, reserved } = input;
  const view = observation.clusters[cluster];
  if (view === undefined) return [];
  const there = restoreTarget(view, node, {
    memory: reserved.get(memoryKey({ cluster, node })) ?? 0,
    disk: (storage) => reserved.get(diskKey(cluster, storage)) ?? 0,
  });
  const own = containerIn(container, cluster);
  // What the token of another cluster may not do is that cluster's own; the rest has been said of the container itself.
  const barred = (rights: RestoreRights): RestoreIssue[] =>
    config === null ? [] : containerIssues(own, config, rights).filter((i) => i.severity === 'blocks');
  const known = new Set(barred(UNREAD).map((issue) => issue.what));
  const rights = cluster === input.current.cluster ? [] : barred(there);
  return [...rights.filter((issue) => !known.has(issue.what)), ...targetIssues(own, config, there, memory)];
}

type Bar = Pick<RestoreIssue, 'what' | 'fix'>;

function bar(what: string): Bar {
  return { what, fix: null };
}

/** Whether it is a node at all that can be asked. */
function unfit(
  target: Target,
  { container, current, observation, state = { maintenance: {} } }: PlacementInput,
): Bar | null {
  if (!clustersOf(container, undefined).includes(target.cluster))
    return {
      what: `nobody would look for a copy in cluster ${target.cluster}`,
      fix: `add ${target.cluster}/${target.node} to nodes of ${container.name}`,
    };
  if (target.cluster !== current.cluster && container.failover.identity === 'same-vmid')
    return {
      what: 'failover.identity: same-vmid moves it within its cluster only',
      fix: `set failover.identity: new-vmid for ${container.name}: elsewhere its copy has the same vmid where that is free`,
    };
  if (target.cluster === current.cluster && target.node === current.node) return bar('it is there already');
  const view = observation.clusters[target.cluster];
  if (view === undefined || view.via === null || !view.quorate)
    return bar(`no quorate view of cluster ${target.cluster}`);
  const node = view.nodes.find((n) => n.name === target.node);
  if (node === undefined) return bar(`there is no node ${target.node} in cluster ${target.cluster}`);
  if (!node.online) return bar('it is offline');
  if (node.apiAnswers !== true) return bar('its API does not answer');
  const resting = nodeInMaintenance({ state, observation, now: observation.at }, target);
  return resting === null ? null : { what: resting.why, fix: resting.flip };
}

/** Whether others of its groups leave it the node. */
function kept(target: Target, { apart }: PlacementInput): Bar | null {
  const why = apartBar(apart, target);
  return why === null
    ? null
    : { what: why, fix: 'name another node under nodes, or take it out of that group' };
}

/** Whether the backup and the vmid can be had there. */
function taken(
  { cluster, node }: Target,
  { container, current, observation, backup, vmidIn }: PlacementInput,
): Bar | null {
  const view = observation.clusters[cluster];
  const { storage } = containerIn(container, cluster).backup;
  if (view?.storages.some((s) => s.node === node && s.storage === storage && s.active) !== true)
    return bar(`it can't see the backup storage ${storage}`);
  const archive = backup === null ? null : archiveOf(backup.volid);
  const listed = observation.backups.some(
    (b) => b.cluster === cluster && b.storage === storage && archiveOf(b.volid) === archive,
  );
  // The same name on another storage is another storage, whatever it is called.
  if (archive !== null && cluster !== current.cluster && !listed)
    return {
      what: `its storage ${storage} does not list ${archive}`,
      fix: `let cluster ${cluster} see the same backups, and name that storage under backup.storageIn`,
    };
  const vmid = vmidIn(cluster);
  if (vmid === null)
    return {
      what: `all vmids that a copy may take there are taken (${copyVmids(container, cluster).join(', ') || 'it has none'})`,
      fix: `free one in cluster ${cluster}, or give the copies others under failover.vmids`,
    };
  const there = view.guests.find((g) => g.vmid === vmid);
  // With `same-vmid` the one that has it makes room.
  const itself = there !== undefined && samePlace({ ...there, cluster }, current);
  return there === undefined || itself
    ? null
    : bar(`vmid ${vmid} is taken by ${there.name || 'a guest'} on ${there.node}`);
}
