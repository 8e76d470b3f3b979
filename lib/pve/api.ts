/** What the rest of the program may ask a Proxmox VE cluster for. One object per cluster; implemented in client.ts. */
import type { Inspection } from './inspect.ts';
import type { Survey } from './survey.ts';
import type {
  BackupView,
  EndpointView,
  GuestDetail,
  GuestView,
  HaEntry,
  HaGroup,
  HaRule,
  PowerTask,
  LrmWord,
  StorageView,
} from '../decide/model.ts';
import type { Bridge } from '../decide/guest-config.ts';
import type { Volume } from '../decide/old-disks.ts';

export interface TaskStatus {
  readonly upid: string;
  readonly node: string;
  readonly running: boolean;
  /** `OK`, `WARNINGS: 1`, `job errors` or the error text; null while running. */
  readonly exitstatus: string | null;
}

export interface TaskListEntry {
  readonly upid: string;
  readonly node: string;
  readonly type: string;
  readonly id: string;
  readonly user: string;
  /** Epoch ms. */
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** null while running. */
  readonly exitstatus: string | null;
  /** Asked for by the very token (or user) that reads the list. */
  readonly ours: boolean;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Deadline of this call instead of the cluster's own. */
  readonly timeoutMs?: number | undefined;
}

export interface NodeResource {
  readonly name: string;
  readonly status: string;
  readonly memTotal: number | null;
  readonly memUsed: number | null;
  readonly uptimeSeconds: number | null;
}

/** Always `onboot=0`, never `force`, `start` or `unique`. */
export interface RestoreRequest {
  readonly vmid: number;
  readonly volid: string;
  /** For all disks, unless `mounts` is given. */
  readonly storage: string;
  readonly description: string;
  readonly tags: readonly string[];
  /** All mount points with their values, when the archive's own are not to hold; null: they do. */
  readonly mounts: Readonly<Record<string, string>> | null;
}

/** A disabled one always has a group: a plain one would have its container moved to a living node (facts, section 9). */
export type NewHaResource = { readonly comment: string } & (
  | { readonly state: 'disabled'; readonly group: string }
  | { readonly state: 'ignored' }
);

/** All methods throw PveError. Reads rotate over the endpoints on network errors; writes go to `useEndpoint`'s choice. */
export interface PveApi {
  readonly cluster: string;
  readonly endpoints: readonly string[];
  /** Reads go to this endpoint first, writes only there. Set by observe to one whose view is quorate. */
  useEndpoint(endpoint: string): void;
  /** How the cluster is set up: what `doctor` reads. */
  readonly inspect: Inspection;
  /** How a cluster that is not in an inventory yet looks: what `init` reads. */
  readonly survey: Survey;

  /** One endpoint's own view; never throws for a failing endpoint (`ok: false` and the reason). */
  endpointView(
    endpoint: string,
    options?: CallOptions,
  ): Promise<
    EndpointView & {
      standalone: boolean;
      nodes: readonly { name: string; online: boolean; ip: string | null }[];
      failure: 'auth' | 'tls' | 'network' | 'other' | null;
    }
  >;
  version(options?: CallOptions): Promise<string>;
  resources(
    options?: CallOptions,
  ): Promise<{ nodes: NodeResource[]; guests: GuestView[]; storages: StorageView[] }>;
  /** True when the node's API answers through the used endpoint. False on 595/596, a refused or timed-out call. */
  nodeAnswers(node: string, options?: CallOptions): Promise<boolean>;
  netstat(node: string, options?: CallOptions): Promise<number[]>;
  /** What a copy would meet on a node: its bridges (those that the token may use), its processor. */
  nodeFacts(node: string, options?: CallOptions): Promise<{ bridges: Bridge[]; machine: string | null }>;
  guestDetail(node: string, vmid: number, options?: CallOptions): Promise<GuestDetail>;
  /** Privileges by path, as `/access/permissions` lists them for this token. */
  permissions(options?: CallOptions): Promise<Record<string, string[]>>;

  haResources(options?: CallOptions): Promise<HaEntry[]>;
  haGroups(options?: CallOptions): Promise<HaGroup[]>;
  /** What the LRMs have last written of themselves. `masterAt`: when the manager wrote its own state, epoch ms; null: never. */
  haLrms(options?: CallOptions): Promise<{ masterAt: number | null; words: LrmWord[] }>;
  /** Nodes that Proxmox VE has in maintenance mode, or was asked to. */
  haMaintenance(options?: CallOptions): Promise<string[]>;
  createHaGroup(group: string, nodes: string[], options?: CallOptions): Promise<void>;
  /** 9.x only: an older one answers 501. */
  haRules(options?: CallOptions): Promise<HaRule[]>;
  /** Strict: the resources run on these nodes or not at all. 9.x only. */
  createHaRule(
    rule: string,
    settings: { nodes: string[]; resources: string[]; comment: string },
    options?: CallOptions,
  ): Promise<void>;
  deleteHaRule(rule: string, options?: CallOptions): Promise<void>;
  createHaResource(sid: string, settings: NewHaResource, options?: CallOptions): Promise<void>;
  setHaState(sid: string, state: 'ignored' | 'disabled', options?: CallOptions): Promise<void>;
  deleteHaResource(sid: string, options?: CallOptions): Promise<void>;
  deleteHaGroup(group: string, options?: CallOptions): Promise<void>;

  /** Disks of a guest on a storage, whether a config names them or not. Datastore.Audit. */
  volumes(node: string, storage: string, vmid: number, options?: CallOptions): Promise<Volume[]>;
  backups(node: string, storage: string, options?: CallOptions & { vmid?: number }): Promise<BackupView[]>;
  /** The config inside an archive; null when it can't be extracted, with the reason. */
  archivedConfig(
    node: string,
    volid: string,
    options?: CallOptions,
  ): Promise<NonNullable<BackupView['archived']>>;
  protectBackup(node: string, volid: string, on: boolean, options?: CallOptions): Promise<void>;
  /** The UPID of its removal, or null when it is over already. One that isn't there counts as removed. */
  deleteBackup(node: string, volid: string, options?: CallOptions): Promise<string | null>;

  /** Each returns the UPID. */
  vzdump(
    node: string,
    request: {
      vmid: number;
      storage: string;
      mode: 'snapshot' | 'suspend' | 'stop';
      notes: string;
      /** Lets PVE prune by the storage's own retention afterwards. Default false. */
      prune?: boolean;
    },
    options?: CallOptions,
  ): Promise<string>;
  restore(node: string, request: RestoreRequest, options?: CallOptions): Promise<string>;
  start(node: string, vmid: number, options?: CallOptions): Promise<string>;
  stop(node: string, vmid: number, options?: CallOptions): Promise<string>;
  shutdown(node: string, vmid: number, seconds: number, options?: CallOptions): Promise<string>;
  destroy(node: string, vmid: number, options?: CallOptions): Promise<string>;
  setConfig(
    node: string,
    vmid: number,
    changes: { onboot?: boolean; protection?: boolean; tags?: string[]; description?: string },
    options?: CallOptions,
  ): Promise<void>;

  /** Asks a node that answers to restart or to shut down, guests first; it acts some seconds later. Sys.PowerMgmt on the node. */
  powerNode(node: string, command: 'reboot' | 'shutdown', options?: CallOptions): Promise<void>;
  /** Asks the node to interrupt a task of this token (another's: Sys.Modify). It ends by itself, soon. */
  stopTask(upid: string, options?: CallOptions): Promise<void>;
  taskStatus(upid: string, options?: CallOptions): Promise<TaskStatus>;
  taskLog(upid: string, options?: CallOptions & { start?: number }): Promise<string[]>;
  /** Tasks on a node of one vmid, running ones included, that were started at or after `since` (epoch ms). */
  tasks(
    node: string,
    filter: { vmid: number; since: number; type?: string },
    options?: CallOptions,
  ): Promise<TaskListEntry[]>;
  /** The newest tasks that start or stop containers, of every node, also of one that has died since (recording 09). */
  powerTasks(options?: CallOptions): Promise<PowerTask[]>;
  /** The newest `stopall`s and `startall`s in a node's own log: its shutdowns and boots. */
  nodePowerTasks(node: string, options?: CallOptions): Promise<PowerTask[]>;
  /** Tasks of a type that run on a node now, whatever guest they are about (a job of several names none). */
  runningTasks(node: string, type: string, options?: CallOptions): Promise<TaskListEntry[]>;
  close(): Promise<void>;
}
