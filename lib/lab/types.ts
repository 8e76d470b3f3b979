/**
 * The simulated cluster's vocabulary. The lab is one object, `Lab` (lab.ts), that holds the world and answers API
 * requests; server.ts puts real sockets in front of it, dispatcher.ts an in-memory one for virtual time.
 */
import type { Clock } from '../clock.ts';
import type { Shelves } from './shelf.ts';

export interface ServiceSpec {
  readonly kind: 'tcp' | 'http' | 'dns';
  /** Where the service answers. In the lab every address is a loopback one. */
  readonly host: string;
  readonly port: number;
  /** Body of an http answer; default: the hostname and the vmid. */
  readonly body?: string;
}

export interface ContainerSpec {
  readonly vmid: number;
  readonly node: string;
  readonly hostname: string;
  readonly onboot?: boolean;
  readonly running?: boolean;
  readonly memoryMiB?: number;
  readonly diskMiB?: number;
  /** Storage of its root disk. Default `local`. */
  readonly storage?: string;
  readonly mac?: string;
  /** `10.88.0.101/24`, or `dhcp`: then `lease` is what its interface gets. */
  readonly ip?: string;
  readonly gateway?: string;
  /** The address that DHCP gives to its MAC, `10.88.0.150/24`; copies keep the MAC, and with it the address. */
  readonly lease?: string;
  readonly tags?: readonly string[];
  readonly description?: string;
  readonly template?: boolean;
  readonly services?: readonly ServiceSpec[];
  /** Further config lines, for example `mp0: /srv/data,mp=/data`; an empty one takes a line away. */
  readonly config?: Readonly<Record<string, string>>;
}

export interface StorageSpec {
  readonly id: string;
  /** Default `dir`. nfs, cifs, pbs and the like are shared by themselves; a pbs holds backups only. */
  readonly type?: string;
  readonly path: string;
  readonly content: readonly string[];
  readonly shared?: boolean;
  readonly nodes?: readonly string[];
  readonly sizeMiB?: number;
  /** `keep-last=3`. Default `keep-all=1`. */
  readonly pruneBackups?: string;
  /** Labs with the same shelves see the same archives on storages that export the same. */
  readonly export?: string;
  /** Host of a network storage. */
  readonly server?: string;
  /** How many protected backups a guest may have there; -1: any number. Default: as PVE, 5 without Datastore.Allocate. */
  readonly maxProtected?: number;
  /** pbs: in `storage.cfg`; volids don't show it. */
  readonly namespace?: string;
  /** pbs: the fingerprint of the cluster's key; backups made there are encrypted with it. */
  readonly encryptionKey?: string;
}

/** A scheduled backup: of the named vmids, or of all guests. */
export interface BackupJobSpec {
  readonly id: string;
  readonly storage: string;
  readonly schedule: string;
  readonly vmids?: readonly number[];
  /** Left out of `all`. */
  readonly exclude?: readonly number[];
  readonly enabled?: boolean;
  /** Only guests of this node. */
  readonly node?: string;
  /** `{ 'keep-last': 3 }` */
  readonly prune?: Readonly<Record<string, number>>;
}

export interface BackupSpec {
  readonly vmid: number;
  readonly storage: string;
  /** How old it is when the lab starts. */
  readonly ageSeconds: number;
  readonly notes?: string;
  /** A cut archive: listing shows it, restoring it fails half-way. */
  readonly truncated?: boolean;
  readonly protected?: boolean;
  /** pbs: the result of its last verification. */
  readonly verification?: 'ok' | 'failed';
  /** pbs: the fingerprint of the key that it is encrypted with. */
  readonly encrypted?: string;
  /** pbs: its writer was cut off; the server lists it all the same. */
  readonly unfinished?: boolean;
  /** Made by another cluster that shares the datastore: of a container with this name and MAC. */
  readonly foreign?: { readonly hostname: string; readonly mac: string };
}

export interface TokenSpec {
  /** `proxwarden@pve!cli` */
  readonly id: string;
  readonly secret: string;
  /** Privileges by path; `'*'` alone means all. Propagates to sub-paths. */
  readonly privileges: Readonly<Record<string, readonly string[]>>;
  /** Epoch seconds; 0 (the default): never. Not enforced. */
  readonly expire?: number;
  readonly privsep?: boolean;
}

export interface NodeSpec {
  readonly name: string;
  readonly ip: string;
  readonly memoryMiB?: number;
  /** How far its clock is off. */
  readonly clockOffsetSeconds?: number;
  /** SHA-256 of the certificate that its API shows, as GET /nodes lists it. */
  readonly fingerprint?: string;
  /** Another version than the cluster's. */
  readonly version?: string;
  /** Default: vmbr0 with a port, which knows no VLANs. */
  readonly bridges?: readonly BridgeSpec[];
  /** Its processor. Default `x86_64`. */
  readonly machine?: string;
}

/** A bridge of a node. */
export interface BridgeSpec {
  readonly name: string;
  /** `eth0`; empty: none. Default `eth0`. */
  readonly ports?: string;
  readonly vlanAware?: boolean;
  /** `2-4094`; only of a VLAN-aware one. */
  readonly vids?: string;
}

/** Somebody who logs in with a password. */
export interface UserSpec {
  /** `proxwarden@pve` */
  readonly id: string;
  readonly password: string;
  /** As a token's. */
  readonly privileges: TokenSpec['privileges'];
  readonly disabled?: boolean;
  /** A password alone gets half a ticket. */
  readonly secondFactor?: boolean;
}

export interface WorldSpec {
  /** Name of the cluster; null: one stand-alone node. */
  readonly cluster: string | null;
  readonly version?: string;
  readonly nodes: readonly NodeSpec[];
  /** A third vote outside of a cluster of two: host of its qnetd. */
  readonly qdevice?: { readonly host: string; readonly connected?: boolean };
  readonly storages: readonly StorageSpec[];
  readonly containers: readonly ContainerSpec[];
  readonly backups?: readonly BackupSpec[];
  readonly jobs?: readonly BackupJobSpec[];
  /** vmids with a storage replication job. */
  readonly replicated?: readonly number[];
  readonly tokens: readonly TokenSpec[];
  readonly users?: readonly UserSpec[];
  /** MiB per second for vzdump and restore. Default 100. */
  readonly throughputMiB?: number;
}

export interface LabRequest {
  readonly method: string;
  /** With query, for example `/api2/json/cluster/resources?type=vm`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

export interface LabResponse {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The endpoint's machine is off (`no-route`), its API is not up yet (`refused`), or no packet comes through (`timeout`). */
export class LabUnreachable extends Error {
  readonly how: 'refused' | 'no-route' | 'timeout';
  constructor(node: string, how: 'refused' | 'no-route' | 'timeout') {
    super(`${node}: ${how}`);
    this.how = how;
  }
}

/** Two copies of one container running together: what must never happen. */
export interface Violation {
  readonly at: number;
  readonly rule: 'never-two';
  readonly text: string;
  /** When it was over; null: they run together still. */
  readonly until: number | null;
}

export interface LabEvent {
  readonly at: number;
  /** `node pve1: power lost`, `pve2: CT 1000101 started`. Golden logs show them. */
  readonly text: string;
}

export interface LabOptions {
  readonly clock: Clock;
  readonly world: WorldSpec;
  /** Durations of everything that takes time in the lab are divided by it. The wall clock is not touched. Default 1. */
  readonly speed?: number;
  /** Deterministic ids (UPIDs' pids, digests) for golden logs. */
  readonly randomHex: (bytes: number) => string;
  /** Keep guests' config files in this folder (like /etc/pve), so that moving them is real. Default: in memory. */
  readonly configDir?: string;
  /** Storages beside several labs. Default: its storages are its own. */
  readonly shelves?: Shelves;
}

export interface NodeStatus {
  readonly name: string;
  readonly power: 'on' | 'off';
  readonly network: 'up' | 'cut';
  /** Booted and its API up. */
  readonly api: boolean;
  /** Its API accepts connections and answers nothing. */
  readonly hung: boolean;
  readonly quorate: boolean;
}

export interface RunningCopy {
  readonly vmid: number;
  readonly node: string;
  readonly hostname: string;
  /** Identity of the container behind it: the same for an original and every copy restored from it. */
  readonly mac: string;
  readonly services: readonly (ServiceSpec & { readonly up: boolean })[];
}

/** Ground truth, for `lab status`, the scenarios and the checker. */
export interface LabStatus {
  readonly nodes: readonly NodeStatus[];
  readonly containers: readonly {
    readonly vmid: number;
    readonly node: string;
    readonly hostname: string;
    readonly state: 'running' | 'stopped' | 'off-with-node';
    readonly onboot: boolean;
    readonly tags: readonly string[];
  }[];
  readonly backups: readonly {
    readonly volid: string;
    readonly vmid: number;
    readonly at: number;
    readonly size: number;
    readonly protected: boolean;
    readonly verification: 'ok' | 'failed' | null;
  }[];
  readonly violations: readonly Violation[];
}

/** What lab.ts exports as `class Lab`. */
export interface LabControl {
  /** Answers one API request that reached `node`'s port 8006. Rejects with LabUnreachable. */
  handle(node: string, request: LabRequest): Promise<LabResponse>;
  /** Dies: no power to its board, its plug still on. */
  kill(node: string): void;
  revive(node: string): void;
  /** A person shuts it down, or reboots it: its containers first, then the machine (some 20 s). */
  shutdown(node: string): void;
  reboot(node: string): void;
  /** Network only: the node lives on without quorum, its containers run on, but nothing reaches it. */
  cut(node: string): void;
  mendNetwork(node: string): void;
  /** Its API daemon hangs: connections are accepted, nothing is answered. The rest of the node goes on. */
  hang(node: string): void;
  /** The daemon goes on, and does what was asked of it meanwhile. */
  unhang(node: string): void;
  /** Makes a container's services fail (by hostname) while it runs on; or mends them. */
  breakService(hostname: string): void;
  mendService(hostname: string): void;
  fill(storage: string): void;
  drain(storage: string): void;
  /** A storage can't be reached any more, from `node` or from all nodes; lists go on calling it available for a while. */
  unmount(storage: string, node?: string): void;
  mount(storage: string, node?: string): void;
  /** What a verification job of the backup server finds. Throws for a backup that is on no pbs. */
  verify(volid: string, result: 'ok' | 'failed'): void;
  /** The smart plug of a node: what a fence reads and switches. Off is a power loss. */
  plug(node: string): 'on' | 'off';
  setPlug(node: string, power: 'on' | 'off'): void;
  /** A person at the GUI: start or stop a container on its node. */
  startByHand(vmid: number): Promise<void>;
  stopByHand(vmid: number): Promise<void>;
  /** Root at its node's shell: `pct unlock`. */
  unlockByHand(vmid: number): Promise<void>;
  /** Root at a node's shell: `pct restore …`, to its end. Rejects with LabUnreachable. */
  pct(node: string, args: readonly string[]): Promise<{ readonly exitCode: number; readonly output: string }>;
  running(): readonly RunningCopy[];
  /** Called whenever the set of running copies, their services or their reachability changes. */
  onChange(listener: () => void): void;
  status(): LabStatus;
  /** The nodes of `status` alone: containers and backups cost more. */
  nodeStatus(): LabStatus['nodes'];
  readonly violations: readonly Violation[];
  readonly events: readonly LabEvent[];
  /** Stops all timers. */
  close(): void;
}
export type { Clock };
