/** The backups on a storage, through a node that is alive and sees it, and what is inside the newest ones. Reads only. */
import pLimit from 'p-limit';
import { keyProblem } from '../decide/encryption.ts';
import type { BackupView, ClusterView } from '../decide/model.ts';
import { isSnapshot } from '../decide/volid.ts';
import { otherMacs } from '../decide/whose.ts';
import { messageOf, PveError } from '../errors.ts';
import type { StorageDefinition } from '../decide/doctor/facts.ts';
import type { PveApi, TaskListEntry } from '../pve/api.ts';

/** How many archives of a vmid are looked into at once, newest first, and at most while none of them is the container's. */
const ARCHIVES_READ = 10;
const ARCHIVES_MAX = 50;
const CONCURRENCY = 4;
/** A storage that is in trouble on three nodes is so on the others. */
const NODES_ASKED = 3;
/** A task's start and the time of the backup that it makes are of one clock, and may differ by a moment. */
const TASK_SLACK_MS = 5_000;

export interface StoreInput {
  readonly api: Pick<PveApi, 'backups' | 'archivedConfig' | 'runningTasks'> & {
    readonly inspect: Pick<PveApi['inspect'], 'storages'>;
  };
  readonly view: ClusterView;
  readonly storage: string;
  /** By vmid, the MACs that are to be found inside; none: not known. */
  readonly wanted: ReadonlyMap<number, readonly string[]>;
  /** Look into all of them, however many there are. */
  readonly all?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface StoreRead {
  readonly backups: BackupView[];
  /** Through which node; null: none. */
  readonly node: string | null;
  /** Why there is no list, in one sentence that names the nodes that were tried. */
  readonly problem: string | null;
}

/** The backups of the wanted vmids, in one listing. */
export async function readStore(input: StoreInput): Promise<StoreRead> {
  const { api, view, storage, wanted, signal } = input;
  const { nodes, others } = nodesThatSee(view, storage);
  if (nodes.length === 0) {
    const why = others.length === 0 ? '' : ` (${others.join('; ')})`;
    const problem = `no node of cluster ${view.cluster} that answers sees the backup storage ${storage}${why}`;
    return { backups: [], node: null, problem };
  }
  try {
    const { node, listed } = await listThrough(api, nodes, storage, signal);
    const ours = listed.filter((b) => wanted.has(b.vmid));
    return { backups: await lookInside(input, node, await markRunning(input, ours)), node, problem: null };
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    const problem = [`backups on ${storage}: ${messageOf(error)}`, ...others].join('; ');
    return { backups: [], node: null, problem };
  }
}

/** The list of a storage, through the first of `nodes` that gives it. Throws PveError that says what each of them said. */
export async function listThrough(
  api: Pick<PveApi, 'backups'>,
  nodes: readonly string[],
  storage: string,
  signal: AbortSignal | undefined,
): Promise<{ node: string; listed: BackupView[] }> {
  const failures: PveError[] = [];
  const tried = nodes.slice(0, NODES_ASKED);
  for (const node of tried)
    try {
      return { node, listed: await api.backups(node, storage, { signal }) };
    } catch (error) {
      if (!(error instanceof PveError) || signal?.aborted === true) throw error;
      failures.push(error);
    }
  const [first] = failures;
  if (first === undefined) throw new Error(`bug: no node to list ${storage} through`);
  if (failures.length === 1) throw first;
  throw new PveError(tried.map((node, i) => `through ${node}: ${messageOf(failures[i])}`).join('; '), {
    outcome: first.outcome,
    status: first.status,
    hint: first.hint,
    cause: first,
  });
}

/** The nodes that answer and on which the storage is active, and why the others don't count. */
export function nodesThatSee(view: ClusterView, storage: string): { nodes: string[]; others: string[] } {
  const nodes: string[] = [];
  const others: string[] = [];
  for (const { name, online, apiAnswers } of view.nodes) {
    const there = view.storages.find((s) => s.node === name && s.storage === storage);
    if (!online || apiAnswers !== true) others.push(`${name} does not answer`);
    else if (there === undefined) others.push(`it is not set up for ${name}`);
    else if (!there.active) others.push(`it is not active on ${name}`);
    else nodes.push(name);
  }
  return { nodes, others };
}

/**
 * Snapshots that a running vzdump is about, on the node of their container. (A file is listed only when it is whole; of a
 * node that is silent nothing is known, and what its writer has left has no manifest.)
 */
async function markRunning(
  { api, view, signal }: StoreInput,
  listed: readonly BackupView[],
): Promise<BackupView[]> {
  const running = new Map<string, readonly TaskListEntry[]>();
  for (const vmid of new Set(listed.filter((b) => isSnapshot(b.volid)).map((b) => b.vmid))) {
    const node = view.guests.find((g) => g.vmid === vmid)?.node;
    if (node === undefined || running.has(node)) continue;
    if (view.nodes.find((n) => n.name === node)?.apiAnswers !== true) continue;
    running.set(node, await runningDumps(api, node, signal));
  }
  return listed.map((backup) => {
    const guest = view.guests.find((g) => g.vmid === backup.vmid);
    // A job of several guests names none: the lock says which one it is at.
    const locked = (d: { vmid: number; lock: string | null }): boolean =>
      d.vmid === backup.vmid && d.lock === 'backup';
    const task = (running.get(guest?.node ?? '') ?? []).find(
      (t) =>
        backup.at >= t.startedAt - TASK_SLACK_MS &&
        (t.id === String(backup.vmid) ||
          (t.id === '' && (view.details.some(locked) || view.guests.some(locked)))),
    );
    return task === undefined || !isSnapshot(backup.volid)
      ? backup
      : { ...backup, unfinished: `a vzdump of it runs on ${task.node}` };
  });
}

/** A second opinion beside the manifest: without an answer there is none. */
async function runningDumps(
  api: StoreInput['api'],
  node: string,
  signal: AbortSignal | undefined,
): Promise<readonly TaskListEntry[]> {
  try {
    return await api.runningTasks(node, 'vzdump', { signal });
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    return [];
  }
}

async function lookInside(
  input: StoreInput,
  node: string,
  listed: readonly BackupView[],
): Promise<BackupView[]> {
  const newestFirst = listed.toSorted((a, b) => b.at - a.at);
  const keys = new Keys(input);
  const limit = pLimit(CONCURRENCY);
  const read = [...input.wanted].map(async ([vmid, macs]): Promise<BackupView[]> => {
    const all = newestFirst.filter((b) => b.vmid === vmid);
    const most = input.all === true ? all.length : ARCHIVES_MAX;
    const done: BackupView[] = [];
    // Several clusters may share a datastore: the newest ones of a vmid may all be another's.
    while (done.length < Math.min(all.length, most)) {
      const batch = all.slice(done.length, Math.min(done.length + ARCHIVES_READ, most));
      done.push(...(await Promise.all(batch.map((b) => limit(() => archivedOf(input, node, b, keys))))));
      if (input.all !== true && (macs.length === 0 || done.some((b) => isOf(b, macs)))) break;
    }
    const rest = all
      .slice(done.length)
      .map((b) => ({ ...b, problem: 'not looked into: too many newer ones' }));
    return [...done, ...rest];
  });
  return (await Promise.all(read)).flat();
}

function isOf({ archived, verification }: BackupView, macs: readonly string[]): boolean {
  return archived !== null && verification !== 'failed' && otherMacs(archived.macs, macs) === null;
}

async function archivedOf(
  { api, signal }: StoreInput,
  node: string,
  entry: BackupView,
  keys: Keys,
): Promise<BackupView> {
  if (entry.unfinished !== null) return entry;
  try {
    return { ...entry, archived: await api.archivedConfig(node, entry.volid, { signal }) };
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    const key = entry.encrypted === null ? null : await keys.problem(entry);
    return {
      ...entry,
      problem: `its config can't be read: ${key === null ? messageOf(error) : `${key} (${messageOf(error)})`}`,
    };
  }
}

/** The storages' keys, read when the first encrypted backup can't be. */
class Keys {
  readonly #input: StoreInput;
  #read: Promise<readonly StorageDefinition[]> | null = null;

  constructor(input: StoreInput) {
    this.#input = input;
  }

  async problem({ encrypted, storage }: BackupView): Promise<string | null> {
    const { api, signal } = this.#input;
    try {
      this.#read ??= api.inspect.storages({ signal });
      const definition = (await this.#read).find((d) => d.storage === storage);
      return definition === undefined ? null : keyProblem(encrypted, definition);
    } catch (error) {
      if (!(error instanceof PveError)) throw error;
      return null;
    }
  }
}
