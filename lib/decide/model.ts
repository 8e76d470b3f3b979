/**
 * The data that flows from observe to decide to act. Plain, serialisable, read-only. Times are epoch milliseconds
 * unless the name says otherwise; sizes are bytes. zod schemas, because observations and plans are read back from disk.
 */
import * as z from 'zod';
import { ArchivedConfig, Bridge } from './guest-config.ts';

export const ProbeResult = z.object({
  /** The probe's label, `tcp 10.0.0.53:53`. */
  probe: z.string(),
  ok: z.boolean(),
  /**
   * Anything at that address gave a sign of life: an answer, a refused connection, a reset. It keeps a node that is
   * believed dead from being taken for dead. (A refusal from a loopback address is the runner's own kernel: no sign.)
   */
  answered: z.boolean(),
  /**
   * It failed without having asked the service: no name server, no network on this side, a plugin that says UNKNOWN.
   * That is no word about the service, and no silence of its address.
   */
  unknown: z.boolean().optional(),
  /** Of the last attempt; null when nothing answered. */
  latencyMs: z.number().nullable(),
  /** What a person understands: `answered in 3 ms`, `connection refused`, `status 502, wanted 200-399`. */
  reason: z.string(),
  attempts: z.number().int(),
});
export type ProbeResult = z.infer<typeof ProbeResult>;

/** What the lineage line in a copy's description says. See lineage.ts. */
export const Lineage = z.object({
  container: z.string(),
  cluster: z.string(),
  node: z.string(),
  vmid: z.number().int(),
  epoch: z.number().int().min(0),
  /** The incarnation it takes over from: `pve1/101@0`. */
  supersedes: z.string(),
  operation: z.string(),
  /** volid of the backup it was restored from. */
  source: z.string(),
  /**
   * `restored`: not started yet, an original that returns wins. `live`: its start has been asked for, or it has taken
   * over from a stopped one, stopped: it wins.
   */
  phase: z.enum(['restored', 'live']),
  at: z.number().int(),
  /** It has taken over from a container that a person had stopped. It counts until somebody starts the copy. */
  stopped: z.literal('by-hand').optional(),
});
export type Lineage = z.infer<typeof Lineage>;

export const NodeView = z.object({
  name: z.string(),
  /** As corosync sees it (`/cluster/status`). */
  online: z.boolean(),
  /** Whether the node's own API answered just now, directly or proxied; null: not asked. */
  apiAnswers: z.boolean().nullable(),
  /** Its own address, as the cluster knows it; null or undefined: not said. */
  ip: z.string().nullish(),
  /** Whether that address answers a ping; null or undefined: not asked (only of offline nodes), or not to be asked. */
  pingAnswers: z.boolean().nullish(),
  memTotal: z.number().nullable(),
  memUsed: z.number().nullable(),
  uptimeSeconds: z.number().nullable(),
  /** vmids that have a network interface on the node's host side (`netstat`); null: not asked or no answer. */
  netstat: z.array(z.number().int()).nullable(),
  /** Its bridges and vnets; null: not asked (only of nodes that may take a copy soon), or no answer. */
  bridges: z.array(Bridge).nullable(),
  /** Its processor, as `uname -m` says; null: as `bridges`. */
  machine: z.string().nullable(),
  /** Its own Proxmox VE, `8.4.21`, and when it said so: a silent node's is remembered. Undefined: not known. */
  version: z.object({ text: z.string(), readAt: z.number() }).optional(),
  /** Proxmox VE's HA manager has it in maintenance mode; undefined: not so, or it can't be known (`haProblem`). */
  maintenance: z.boolean().optional(),
});
export type NodeView = z.infer<typeof NodeView>;

export const GuestView = z.object({
  vmid: z.number().int(),
  type: z.enum(['lxc', 'qemu']),
  node: z.string(),
  name: z.string(),
  /** running, stopped, unknown … as `/cluster/resources` says; up to five minutes old for a dead node's. */
  status: z.string(),
  tags: z.array(z.string()),
  lock: z.string().nullable(),
  template: z.boolean(),
  memMax: z.number().nullable(),
  /** Bytes of memory that it uses, as its node last reported; null or undefined: not said. */
  memUsed: z.number().nullish(),
  /** Bytes of its root disk that are in use, as its node last reported; null or undefined: not said. */
  diskUsed: z.number().nullish(),
});
export type GuestView = z.infer<typeof GuestView>;

export const StorageView = z.object({
  storage: z.string(),
  node: z.string(),
  active: z.boolean(),
  shared: z.boolean(),
  content: z.array(z.string()),
  total: z.number().nullable(),
  used: z.number().nullable(),
  /** dir, nfs, lvmthin, pbs …; null or undefined: not said. */
  type: z.string().nullish(),
});
export type StorageView = z.infer<typeof StorageView>;

/** Read from the node itself (config and `status/current`), never from a cached list. */
export const GuestDetail = z.object({
  vmid: z.number().int(),
  node: z.string(),
  readAt: z.number(),
  /** `status/current`; null when the node did not answer. */
  status: z.string().nullable(),
  onboot: z.boolean(),
  lock: z.string().nullable(),
  protection: z.boolean(),
  template: z.boolean(),
  hostname: z.string(),
  macs: z.array(z.string()),
  /** Static addresses of its interfaces, without prefix length. */
  ips: z.array(z.string()),
  description: z.string(),
  tags: z.array(z.string()),
  memMax: z.number().nullable(),
  /** Where its root disk and mount points are; undefined: an observation of an older version. */
  storages: z.array(z.string()).optional(),
  /** What a restore of it would trip over. */
  config: ArchivedConfig,
  /** The last start/stop/shutdown task of it, when it was stopped: who asked for it. Null: not read or none. */
  lastTask: z
    .object({
      type: z.string(),
      user: z.string(),
      /** By the node's own clock, as `endedAt`. */
      startedAt: z.number().optional(),
      endedAt: z.number(),
      ok: z.boolean(),
      /** Asked for with the very token that reads it: our own doing, and no person's wish. */
      ours: z.boolean().optional(),
    })
    .nullable(),
  /** A task under way that starts it, when it was stopped: it may run any moment. Absent: not read or none. */
  starting: z.string().optional(),
});
export type GuestDetail = z.infer<typeof GuestDetail>;

export const HaEntry = z.object({
  sid: z.string(),
  state: z.string(),
  group: z.string().nullable(),
  /** Names the operation that set it, when it is a guard of ours. */
  comment: z.string(),
});
export type HaEntry = z.infer<typeof HaEntry>;

export const HaGroup = z.object({ group: z.string(), nodes: z.array(z.string()), restricted: z.boolean() });
export type HaGroup = z.infer<typeof HaGroup>;

/** Of 9.x, where rules have taken the place of groups (schema; unmeasured). */
export const HaRule = z.object({
  rule: z.string(),
  type: z.string(),
  /** Of a node-affinity rule. */
  nodes: z.array(z.string()),
  resources: z.array(z.string()),
  strict: z.boolean(),
  disabled: z.boolean(),
});
export type HaRule = z.infer<typeof HaRule>;

/** What the LRM of a node has last written of itself; it stays as it was when the node falls silent. */
export const LrmWord = z.object({
  node: z.string(),
  /** `active`, `wait_for_agent_lock` … */
  state: z.string(),
  /** `active`, or how it is going down: `shutdown`, `restart`, `maintenance`. */
  mode: z.string(),
  /** When it was written, seconds by the node's clock. */
  timestamp: z.number(),
});
export type LrmWord = z.infer<typeof LrmWord>;

/** One endpoint's own `/cluster/status`. */
export const EndpointView = z.object({
  endpoint: z.string(),
  ok: z.boolean(),
  /** Why it gave no answer. */
  error: z.string().nullable(),
  /** Of which kind that was. */
  failure: z.enum(['auth', 'tls', 'network', 'other']).nullish(),
  /** Nothing at all was heard of it, not even a refusal; a daemon that hangs looks the same. */
  silent: z.boolean().optional(),
  /** The node that this endpoint is. */
  node: z.string().nullable(),
  quorate: z.boolean(),
  online: z.array(z.string()),
});
export type EndpointView = z.infer<typeof EndpointView>;

/** A fence driver's status read, or a person's word. */
export const FenceStatus = z.object({
  node: z.string(),
  driver: z.string(),
  power: z.enum(['on', 'off', 'unknown']),
  at: z.number(),
  detail: z.string(),
  /** When it will say off by itself, if nothing is heard of the node until then. */
  dueAt: z.number().optional(),
});
export type FenceStatus = z.infer<typeof FenceStatus>;

/** A task that starts or stops containers, as a list of tasks shows it; times are the node's own. */
export const PowerTask = z.object({
  node: z.string(),
  /** `stopall` and `startall` are about a whole node. */
  type: z.enum(['stopall', 'startall', 'vzstart', 'vzstop', 'vzshutdown', 'vzreboot']),
  vmid: z.number().int().nullable(),
  user: z.string(),
  startedAt: z.number(),
  /** null: under way, or its node died in the middle of it. */
  endedAt: z.number().nullable(),
  ok: z.boolean(),
  /** As `GuestDetail.lastTask`. */
  ours: z.boolean().optional(),
});
export type PowerTask = z.infer<typeof PowerTask>;

export const ClusterView = z.object({
  cluster: z.string(),
  at: z.number(),
  endpoints: z.array(EndpointView),
  /** The quorate endpoint that the rest was read from; null: there is none, and the lists are empty. */
  via: z.string().nullable(),
  /** With `via: null`: all of it is silent, and nodes and guests are what was known of it at this time. */
  remembered: z.number().optional(),
  version: z.string().nullable(),
  standalone: z.boolean(),
  quorate: z.boolean(),
  nodes: z.array(NodeView),
  guests: z.array(GuestView),
  storages: z.array(StorageView),
  ha: z.array(HaEntry),
  haGroups: z.array(HaGroup),
  /** Only read from 9.x. */
  haRules: z.array(HaRule).default([]),
  /** Why the HA entries could not be read, so that their absence says nothing; undefined: they were. */
  haProblem: z.string().optional(),
  /** The HA manager's own state: only where a fence is `ha-watchdog`. `masterAt`: when it was written, epoch ms by its own clock. */
  lrms: z
    .object({ masterAt: z.number().nullable(), words: z.array(LrmWord) })
    .nullable()
    .default(null),
  /** Whether the token may write HA entries (Sys.Console on `/`); null: not read. */
  mayGuard: z.boolean().nullable(),
  /** Whether the token has Sys.Modify on `/`, which a restore of a privileged container needs; null: not read. */
  maySysModify: z.boolean().nullable(),
  /** Whether it has VM.Config.Disk on `/vms`, which a restore that names its mount points needs; null: not read. */
  mayNameDisks: z.boolean().nullable().default(null),
  /** Lineage lines of all guests tagged `proxwarden`, with where they were found. */
  lineages: z.array(z.object({ node: z.string(), vmid: z.number().int(), line: Lineage })),
  /** Guests tagged `proxwarden` whose config could not be read (their node is down). */
  unread: z.array(z.object({ node: z.string(), vmid: z.number().int() })),
  details: z.array(GuestDetail),
  fences: z.array(FenceStatus),
  /** Of nodes that failing containers are on; undefined: not read. */
  powerTasks: z.array(PowerTask).optional(),
  /** Why the view is incomplete, in sentences. */
  problems: z.array(z.string()),
});
export type ClusterView = z.infer<typeof ClusterView>;

export const BackupView = z.object({
  cluster: z.string(),
  storage: z.string(),
  volid: z.string(),
  vmid: z.number().int(),
  /** When the backup was started, epoch ms. */
  at: z.number(),
  size: z.number(),
  notes: z.string(),
  protected: z.boolean(),
  /** PBS verification: `ok`, `failed`, or null when there is none. */
  verification: z.string().nullable(),
  /** PBS: the fingerprint of the key it is encrypted with, or `1` when that isn't known; null: not encrypted. */
  encrypted: z.string().nullable().default(null),
  /** Why it counts as not finished (it is being written, or its writer died); null: it is whole as far as a list tells. */
  unfinished: z.string().nullable().default(null),
  /** From the config inside (`extractconfig`); null: not read. */
  archived: z
    .object({
      macs: z.array(z.string()),
      hostname: z.string(),
      onboot: z.boolean(),
      lineage: Lineage.nullable(),
      description: z.string(),
      tags: z.array(z.string()),
      bridges: z.array(z.string()),
      ips: z.array(z.string()),
      config: ArchivedConfig,
    })
    .nullable(),
  /** Why `archived` is null although it was asked for. */
  problem: z.string().nullable(),
});
export type BackupView = z.infer<typeof BackupView>;

export const Observation = z.object({
  /** 1 lacked much of what decisions rest on now. */
  version: z.literal(2),
  at: z.number(),
  inventory: z.string(),
  canaries: z.array(ProbeResult),
  /** By container name. */
  probes: z.record(z.string(), z.array(ProbeResult)),
  clusters: z.record(z.string(), ClusterView),
  /** Only of containers in trouble. */
  backups: z.array(BackupView),
});
export type Observation = z.infer<typeof Observation>;

/** One copy of a container in a cluster. */
export const Incarnation = z.object({
  cluster: z.string(),
  node: z.string(),
  vmid: z.number().int(),
  epoch: z.number().int(),
  phase: z.enum(['original', 'restored', 'live']),
  /** When it came into being; 0 for the original. */
  since: z.number(),
  operation: z.string().nullable(),
});
export type Incarnation = z.infer<typeof Incarnation>;

export type VerdictKind = 'healthy' | 'unhealthy' | 'stopped-by-hand' | 'inconclusive';
export const Verdict = z.object({
  kind: z.enum(['healthy', 'unhealthy', 'stopped-by-hand', 'inconclusive']),
  reason: z.string(),
  /** Of `stopped-by-hand`: its node was shut down or rebooted, and from then on (epoch ms) it counts. */
  until: z.number().optional(),
});
export type Verdict = z.infer<typeof Verdict>;

export type ProofLevel = 0 | 1 | 2 | 3;
export interface Proof {
  /** The row of the truth table (proof.ts) that decided. */
  readonly row: string;
  readonly level: ProofLevel;
  /** What it rests on. */
  readonly rests: readonly string[];
  /** What would raise it. */
  readonly raise: readonly string[];
}

/** One condition of a decision. `flip` is the smallest change that would turn it. */
export const Gate = z.object({
  gate: z.string(),
  ok: z.boolean(),
  evidence: z.string(),
  flip: z.string().nullable(),
  /** It passes by itself after a while. */
  waits: z.literal(true).optional(),
});
export type Gate = z.infer<typeof Gate>;

/** What a copy takes of its target, and of the storage that its backup is read from. */
export const Takes = z.object({
  /** Bytes; null: not known. */
  memory: z.number().nullable(),
  /** Bytes by storage of the target: what its disks may grow to. */
  disks: z.record(z.string(), z.number()),
  /** Storage of the backups, in the source's cluster. */
  backups: z.string(),
});
export type Takes = z.infer<typeof Takes>;

/** What exactly will be done. Everything that `failover --plan ID` must find unchanged. */
export const FailoverAction = z.object({
  container: z.string(),
  mode: z.enum(['automatic', 'by-hand', 'planned']),
  from: Incarnation,
  target: z.object({ cluster: z.string(), node: z.string() }),
  /** Further targets, tried in order when the first fails. */
  alternatives: z.array(z.object({ cluster: z.string(), node: z.string() })),
  vmid: z.number().int(),
  epoch: z.number().int(),
  /** null: a fresh backup of the living source is made first and used. */
  volid: z.string().nullable(),
  backupAt: z.number().nullable(),
  /** The source's node answers: stop it, back it up. Else its node is dead. */
  sourceAlive: z.boolean(),
  /** Nodes (`cluster/node`) that will be powered off first; empty: the proof is there already. */
  fence: z.array(z.string()),
  /** How the original is kept from starting again. */
  retire: z.enum([
    'onboot-off',
    'ha-guard',
    'risk-accepted',
    'risk-and-guard',
    'onboot-known-off',
    'config-moved',
    'nothing-to-do',
  ]),
  /** A planned move of a stopped container: restored, not started. Who stopped it decides whether it may be started later. */
  stopped: z.enum(['by-hand', 'by-itself']).optional(),
  /** Counted for as long as it is under way. Journals of an earlier version lack it. */
  takes: Takes.optional(),
});
export type FailoverAction = z.infer<typeof FailoverAction>;

export const Decision = z.object({
  container: z.string(),
  kind: z.enum(['none', 'wait', 'start', 'restart', 'failover', 'blocked']),
  /** One sentence. */
  why: z.string(),
  verdict: Verdict,
  current: Incarnation.nullable(),
  gates: z.array(Gate),
  /** Rejected nodes and backups, each with its reason. */
  rejected: z.array(z.object({ what: z.string(), why: z.string() })),
  action: FailoverAction.nullable(),
});
export type Decision = z.infer<typeof Decision>;

/** What a person asked for; it stands in for the verdict, the counts and the automatic gates, never for the others. */
export const Request = z.object({
  container: z.string(),
  mode: z.enum(['by-hand', 'planned']),
  to: z.object({ cluster: z.string(), node: z.string() }).optional(),
  backup: z.object({ volid: z.string(), acceptAgeMs: z.number() }).optional(),
  /** Whoever asks knows that somebody has paused everything. */
  despitePause: z.boolean().optional(),
});
export type Request = z.infer<typeof Request>;

export const Plan = z.object({
  version: z.literal(1),
  /** Hash of what would be done and to what, without times. */
  id: z.string(),
  at: z.number(),
  expiresAt: z.number(),
  inventory: z.string(),
  decisions: z.array(Decision),
  /** What it was made for; undefined: what is due by itself. An older version takes it for that, and so for stale. */
  request: Request.optional(),
});
export type Plan = z.infer<typeof Plan>;
