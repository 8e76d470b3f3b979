/** Where a copy goes, and why not elsewhere. Pure. */
import type { Container, Target } from '../inventory/types.ts';
import type { ArchivedConfig } from './guest-config.ts';
import type { BackupView, Incarnation, Observation, StorageView } from './model.ts';
import { restoreTarget, type RestoreIssue } from './restorable.ts';
import { targetIssues } from './restorable-there.ts';
import { storageFor } from './restore-mounts.ts';

/** Bytes that failovers of this run have already been given: memory by `cluster/node`, disk by `diskKey`. */
export type Reservations = Map<string, number>;

/** A storage of one node, or the shared one that all nodes of the cluster see. */
function diskKey(cluster: string, { node, storage, shared }: StorageView): string {
  return `${cluster}/${shared ? '' : node}/${storage}`;
}

export interface PlacementInput {
  readonly container: Container;
  readonly current: Incarnation;
  readonly observation: Observation;
  readonly backup: BackupView | null;
  /** Of the container, bytes; null: unknown. */
  readonly memory: number | null;
  /** What will be restored; null: unknown. */
  readonly config: ArchivedConfig | null;
  readonly vmid: number;
  readonly reserved: Reservations;
  /** A person's choice: only this node. */
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
}

/** The nodes that can take the copy, in the inventory's order, with a reason for every one that can't. */
export function place(input: PlacementInput): Placement {
  const rejected: { what: string; why: string; fix?: string }[] = [];
  const targets: Target[] = [];
  let losses: readonly RestoreIssue[] = [];
  const candidates = input.only === undefined ? input.container.nodes : [input.only];
  for (const target of candidates) {
    const what = `${target.cluster}/${target.node}`;
    const issues = issuesThere(target, input);
    const barred =
      unfit(target, input) ?? issues.find((issue) => issue.severity === 'blocks') ?? taken(target, input);
    if (barred !== null) {
      rejected.push({ what, why: barred.what, ...(barred.fix === null ? {} : { fix: barred.fix }) });
      continue;
    }
    if (targets.length === 0) losses = issues;
    targets.push(target);
  }
  return { targets, rejected, losses };
}

/** Books what a failover will take of its target, for those that are decided on after it. */
export function reserve(input: PlacementInput, target: Target): void {
  const { reserved, config, container, observation } = input;
  const add = (key: string, bytes: number): void => void reserved.set(key, (reserved.get(key) ?? 0) + bytes);
  add(`${target.cluster}/${target.node}`, input.memory ?? 0);
  for (const mount of config?.mounts ?? []) {
    const name = storageFor(container.failover, mount.key);
    const storage = observation.clusters[target.cluster]?.storages.find(
      (s) => s.node === target.node && s.storage === name,
    );
    if (mount.kind === 'volume' && storage !== undefined)
      add(diskKey(target.cluster, storage), mount.bytes ?? 0);
  }
}

function issuesThere({ cluster, node }: Target, input: PlacementInput): RestoreIssue[] {
  const { container, config, memory, observation, reserved } = input;
  const view = observation.clusters[cluster];
  if (view === undefined) return [];
  const there = restoreTarget(view, node, {
    memory: reserved.get(`${cluster}/${node}`) ?? 0,
    disk: (storage) => reserved.get(diskKey(cluster, storage)) ?? 0,
  });
  return targetIssues(container, config, there, memory);
}

type Bar = Pick<RestoreIssue, 'what' | 'fix'>;

function bar(what: string): Bar {
  return { what, fix: null };
}

/** Whether it is a node at all that can be asked. */
function unfit(target: Target, { container, current, observation }: PlacementInput): Bar | null {
  if (target.cluster !== container.cluster) return bar('failover to another cluster is not available yet');
  if (target.cluster === current.cluster && target.node === current.node) return bar('it is there already');
  const view = observation.clusters[target.cluster];
  if (view === undefined || view.via === null || !view.quorate)
    return bar(`no quorate view of cluster ${target.cluster}`);
  const node = view.nodes.find((n) => n.name === target.node);
  if (node === undefined) return bar(`there is no node ${target.node} in cluster ${target.cluster}`);
  if (!node.online) return bar('it is offline');
  return node.apiAnswers === true ? null : bar('its API does not answer');
}

/** Whether the backup and the vmid can be had there. */
function taken({ cluster, node }: Target, { container, observation, vmid }: PlacementInput): Bar | null {
  const view = observation.clusters[cluster];
  const { storage } = container.backup;
  if (view?.storages.some((s) => s.node === node && s.storage === storage && s.active) !== true)
    return bar(`it can't see the backup storage ${storage}`);
  const there = view.guests.find((g) => g.vmid === vmid);
  return there === undefined
    ? null
    : bar(`vmid ${vmid} is taken by ${there.name || 'a guest'} on ${there.node}`);
}
