/** What is kept between runs. The cluster is the truth about incarnations; this only caches and counts. */
import * as z from 'zod';
import { FailoverAction, Incarnation, Verdict } from '../decide/model.ts';

export const ContainerState = z.object({
  /** Consecutive unhealthy (healthy) runs, each at least half an interval apart. */
  failures: z.number().int().min(0),
  successes: z.number().int().min(0),
  /** When a count last moved; null: never. */
  countedAt: z.number().nullable(),
  /** Start of the present series of failures. */
  firstFailureAt: z.number().nullable(),
  lastHealthyAt: z.number().nullable(),
  verdict: Verdict.nullable(),
  /** Who stopped it, as long as nothing has been seen of a start since; it outlasts its node. Null: nobody. */
  stoppedByHand: z.string().nullable().default(null),
  /** Which copy that was (`home/101@0`); null: the current one, in a state of an earlier version. */
  stoppedCopy: z.string().nullable().default(null),
  /** Since when it has been stopped by hand, and when that was last told. */
  stoppedSince: z.number().nullable().default(null),
  stoppedToldAt: z.number().nullable().default(null),
  /** Reached the failure threshold and has not yet reached the recovery threshold again. */
  down: z.boolean(),
  /** Since when it has been failing, as long as it is down. */
  downSince: z.number().nullable().default(null),
  /** When it was last restarted in place during the present trouble. */
  restartedAt: z.number().nullable(),
  lastFailoverAt: z.number().nullable(),
  /** When automatic failovers of it began to move it, those of the last 24 hours; `ack` empties it. */
  autoFailovers: z.array(z.number()).default([]),
  /** Hands off until `ack`: what went wrong. */
  error: z.object({ at: z.number(), reason: z.string(), operation: z.string() }).nullable(),
  current: Incarnation.nullable(),
  /** A copy that an operation of ours has restored, never asked to start, and can't take away: its node is silent. */
  attempt: Incarnation.nullable().default(null),
  /** Whether a backup job covers the current copy, when it was last looked at; a problem with its way out. */
  coverage: z
    .object({ vmid: z.number().int(), at: z.number(), problem: z.string().nullable() })
    .nullable()
    .default(null),
  /** By `cluster/node/vmid` of its copies: when that node last said onboot=0. One that has onboot=1 isn't in it. */
  onbootOff: z.record(z.string(), z.number()).default({}),
  /** Of the current incarnation, last read from its config while its node answered. */
  identity: z
    .object({
      cluster: z.string(),
      vmid: z.number().int(),
      macs: z.array(z.string()),
      ips: z.array(z.string()),
      onboot: z.boolean(),
      memMax: z.number().nullable(),
      readAt: z.number(),
    })
    .nullable(),
});
export type ContainerState = z.infer<typeof ContainerState>;

/** The last `stopall` of a node: somebody has shut it down or rebooted it, or has stopped its containers in bulk. */
export const NodeStop = z.object({
  /** By the node's own clock. */
  startedAt: z.number(),
  endedAt: z.number().nullable(),
  /** When this runner saw it first. */
  seenAt: z.number(),
  /** When the node was first seen to have gone with it, and to be back. */
  downAt: z.number().nullable(),
  backAt: z.number().nullable(),
});
export type NodeStop = z.infer<typeof NodeStop>;

/** What a person has said: hold still. It holds as long as it is in the state; decide/brakes.ts says when it is taken away. */
export const Brake = z.object({
  since: z.number(),
  /** null: until a person ends it. */
  until: z.number().nullable(),
  by: z.string(),
  reason: z.string(),
});
export type Brake = z.infer<typeof Brake>;

/** Who has paused when no person has: it was found that the state was lost. */
export const ITSELF = 'ProxWarden';

export const State = z.object({
  version: z.literal(1),
  lastRunAt: z.number().nullable(),
  /** By host: when check-and-failover last ran there, within the last week. */
  runners: z.record(z.string(), z.number()).default({}),
  /** Since when the whole view has been inconclusive, and whether that has been told. */
  inconclusive: z.object({ since: z.number(), told: z.boolean() }).nullable(),
  containers: z.record(z.string(), ContainerState),
  /** What a cluster was when it was last seen: all that is known of it once it is silent. */
  clusters: z
    .record(
      z.string(),
      z.object({
        at: z.number(),
        standalone: z.boolean(),
        nodes: z.array(z.object({ name: z.string(), ip: z.string().nullable() })),
      }),
    )
    .default({}),
  /** By `cluster/node`: a person's word that it is off. */
  fenceConfirmed: z.record(z.string(), z.object({ at: z.number(), by: z.string() })),
  /** By `cluster/node`: when a node was last seen online. */
  lastSeenOnline: z.record(z.string(), z.number()),
  /** By `cluster/node`: its Proxmox VE, and when it said so. A dead node can't be asked any more. */
  nodeVersions: z.record(z.string(), z.object({ text: z.string(), readAt: z.number() })).default({}),
  /** By `cluster/node`: since when every run has found it silent, and when the last one did. */
  silent: z.record(z.string(), z.object({ since: z.number(), at: z.number() })).default({}),
  /** By `cluster/node`. */
  nodeStops: z.record(z.string(), NodeStop).default({}),
  /** When a fence was last used, and which nodes were online right before. */
  fenced: z.record(
    z.string(),
    z.object({
      at: z.number(),
      othersOnline: z.array(z.string()),
      /** Runs in a row, of one outage, in which no driver has got it off. */
      failed: z.number().int().optional(),
      /** Whose failover is at it, and until when it is waited for. */
      trying: z.object({ container: z.string(), until: z.number() }).optional(),
    }),
  ),
  /** By `cluster/node`: armed watchdogs of its HA manager (decide/watchdog.ts). */
  watchdogs: z
    .record(
      z.string(),
      z.object({
        /** When its LRM was last seen active, with a resource, while the node was online. */
        armedAt: z.number(),
        /** Since when it has been seen offline, the HA manager's own time then, and the LRM's last word; null: online. */
        offline: z.object({ since: z.number(), masterAt: z.number(), word: z.number() }).nullable(),
      }),
    )
    .default({}),
  /** Starts of automatic failovers within the last hour. */
  failovers: z.array(z.number()),
  /**
   * By name: the resolved entries (as in a journal) of containers that have been failed over. They are kept when the
   * inventory names them no more: see decide/followed.ts.
   */
  followed: z.record(z.string(), z.unknown()).default({}),
  /** By name: containers of which a person has said `forget`, with their highest epoch at that time. */
  forgotten: z.record(z.string(), z.object({ at: z.number(), epoch: z.number().int() })).default({}),
  /** Nothing is done by itself. */
  paused: Brake.nullable().default(null),
  /** By a container's name or `cluster/node`. */
  maintenance: z.record(z.string(), Brake).default({}),
  /** What was last told per subject, so that only transitions are told. */
  told: z.record(z.string(), z.string()),
  /** What needs a person, by subject: since when, and when that was last said (null: not yet). */
  needs: z
    .record(
      z.string(),
      z.object({
        since: z.number(),
        toldAt: z.number().nullable(),
        container: z.string().nullable(),
        text: z.string(),
      }),
    )
    .default({}),
});
export type State = z.infer<typeof State>;

export function emptyState(): State {
  return {
    version: 1,
    lastRunAt: null,
    runners: {},
    inconclusive: null,
    containers: {},
    clusters: {},
    fenceConfirmed: {},
    lastSeenOnline: {},
    nodeVersions: {},
    silent: {},
    nodeStops: {},
    fenced: {},
    watchdogs: {},
    failovers: [],
    followed: {},
    forgotten: {},
    paused: null,
    maintenance: {},
    told: {},
    needs: {},
  };
}

export function emptyContainerState(): ContainerState {
  return {
    failures: 0,
    successes: 0,
    countedAt: null,
    firstFailureAt: null,
    lastHealthyAt: null,
    verdict: null,
    stoppedByHand: null,
    stoppedCopy: null,
    stoppedSince: null,
    stoppedToldAt: null,
    down: false,
    downSince: null,
    restartedAt: null,
    lastFailoverAt: null,
    autoFailovers: [],
    error: null,
    current: null,
    attempt: null,
    onbootOff: {},
    coverage: null,
    identity: null,
  };
}

/** Who executes an operation. A dead owner's operation is resumed by the next run. */
export const Lease = z.object({
  host: z.string(),
  pid: z.number().int(),
  /** Start time of the process (clock ticks since boot, from /proc), so that a reused pid isn't taken for it. */
  started: z.string().nullable(),
  heartbeatAt: z.number(),
});
export type Lease = z.infer<typeof Lease>;

/** One asynchronous PVE task of a step. `upid` null: the request may or may not have reached the server. */
export const TaskRecord = z.object({
  node: z.string(),
  type: z.string(),
  vmid: z.number().int(),
  requestedAt: z.number(),
  /** UPIDs of that vmid and type that were there before the request: what tells ours from them, whatever the clocks. */
  before: z.array(z.string()),
  upid: z.string().nullable(),
  exitstatus: z.string().nullable(),
  /** Whose task it is when it isn't the token's own: `root@pam`, asked for over a shell. */
  owner: z.string().optional(),
  /** When it was seen to have ended, the storage of its archive and the archive's size: what estimates are made of. */
  endedAt: z.number().optional(),
  storage: z.string().optional(),
  bytes: z.number().optional(),
});
export type TaskRecord = z.infer<typeof TaskRecord>;

export const StepRecord = z.object({
  name: z.string(),
  status: z.enum(['started', 'done', 'failed', 'undone']),
  startedAt: z.number(),
  endedAt: z.number().nullable(),
  /** One sentence: the result, or why it failed. */
  note: z.string(),
  task: TaskRecord.nullable(),
});
export type StepRecord = z.infer<typeof StepRecord>;

/** Why something is being taken back; what it was decides what comes next, also after a cut. */
export const Cause = z.object({ cause: z.string(), kind: z.enum(['cancelled', 'blocked', 'failed']) });
export type Cause = z.infer<typeof Cause>;

export const Operation = z.object({
  version: z.literal(1),
  id: z.string(),
  kind: z.enum(['failover', 'backup', 'prune', 'restore', 'start', 'restart', 'reconcile', 'cleanup']),
  container: z.string(),
  createdAt: z.number(),
  endedAt: z.number().nullable(),
  /** running: to be resumed when its owner is dead. cancelled: undone, the original was left or put back. */
  status: z.enum(['running', 'done', 'cancelled', 'failed', 'error']),
  reason: z.string(),
  inventory: z.string(),
  /** The resolved inventory entry it started with (opaque here; inventory/resolved.ts reads it back). */
  entry: z.unknown(),
  action: FailoverAction.nullable(),
  lease: Lease,
  /** How often it was given to a process of its own since its last progress, and how many steps were done then. */
  handedOver: z.object({ times: z.number().int(), done: z.number().int() }).optional(),
  /** How many targets have been tried; as many as there may be when no other is to be. */
  attempt: z.number().int(),
  steps: z.array(StepRecord),
  /** What steps leave for later ones. All names are set by one step each; see act/steps. */
  data: z.object({
    target: z.object({ cluster: z.string(), node: z.string() }).nullable(),
    volid: z.string().nullable(),
    backupAt: z.number().nullable(),
    /** Bytes of the archive. */
    backupSize: z.number().nullable(),
    /** We set `protected` on that volid and have to lift it. */
    weProtected: z.boolean(),
    /** The original's onboot before we touched it. */
    onboot: z.boolean().nullable(),
    weStopped: z.boolean(),
    guard: z.object({ sid: z.string(), group: z.string() }).nullable(),
    /** The original's config was asked to be moved aside, from and to below /etc/pve; null: it is where it was. */
    moved: z
      .object({ from: z.string(), to: z.string(), sha1: z.string(), askedAt: z.number() })
      .nullable()
      .default(null),
    /** Of the copy that is being made; null: as the action says. */
    vmid: z.number().int().nullable().default(null),
    /** Its place among the restores at the same time is taken (journals of an earlier version: from their beginning). */
    turn: z.boolean().default(true),
    /** The copy exists (its restore has ended well). */
    restored: z.boolean(),
    startAsked: z.boolean(),
    /** vmids of earlier attempts whose copies were started, failed to verify, and were stopped and kept. */
    started: z.array(z.number().int()),
    /** The copy whose start was asked for last: where the container lives when it has been verified. */
    live: z
      .object({
        vmid: z.number().int(),
        epoch: z.number().int(),
        /** From when on its backups are its own, as its line says; journals of an earlier version lack it. */
        since: z.number().optional(),
      })
      .nullable(),
    /** The incarnation that is started or restarted in place. */
    inPlace: Incarnation.nullable(),
    /** Why it is being undone; null: it goes forward. */
    undoing: Cause.nullable(),
    /** Why the present attempt has failed, while its copy is being cleared away; null: it hasn't. */
    failed: Cause.nullable().default(null),
    detectedAt: z.number().nullable(),
    verifiedAt: z.number().nullable(),
    tried: z.array(z.string()),
  }),
});
export type Operation = z.infer<typeof Operation>;

/** One line of events.ndjson: transitions only. */
export const EventRecord = z.object({
  /** A line without one is of version 1. */
  version: z.literal(1).optional(),
  at: z.number(),
  kind: z.string(),
  container: z.string().nullable(),
  text: z.string(),
});
export type EventRecord = z.infer<typeof EventRecord>;
