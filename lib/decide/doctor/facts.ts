/** What `doctor` has read, and what it says. Plain, read-only. Times are epoch milliseconds. */
import type { Fitness } from '../../state/fitness.ts';
import type { State } from '../../state/model.ts';
import type { Observation } from '../model.ts';

/** Kept backups by rule, `keep-last: 3`; `keep-all: 1` keeps all. Empty: nothing is said. */
export type Retention = Readonly<Record<string, number>>;

export interface BackupJob {
  readonly id: string;
  readonly enabled: boolean;
  readonly storage: string | null;
  /** A calendar event as systemd's, `mon..fri 22:30`. */
  readonly schedule: string | null;
  /** It names its guests one by one, so that a copy under another vmid isn't covered. */
  readonly byVmid: boolean;
  /** The guests that it names, virtual machines among them; empty: it names none. */
  readonly vmids: readonly number[];
  /** It backs up a pool; null: it does not. */
  readonly pool: string | null;
  /** Null: it has none of its own, the storage's holds. */
  readonly retention: Retention | null;
  /** vmids of the containers that it backs up. */
  readonly guests: readonly number[];
}

export interface StorageDefinition {
  readonly storage: string;
  readonly type: string;
  readonly shared: boolean;
  readonly disabled: boolean;
  readonly retention: Retention;
  /** Proxmox Backup Server: the fingerprint of the cluster's key for it, or `1`; null: it has none. */
  readonly encryptionKey: string | null;
}

/** The certificate that an endpoint shows. */
export interface Certificate {
  /** SHA-256, upper case with colons. */
  readonly fingerprint: string;
  readonly expires: number;
}

export interface EndpointFacts {
  readonly endpoint: string;
  readonly ok: boolean;
  /** The node that it is. */
  readonly node: string | null;
  readonly failure: 'auth' | 'tls' | 'network' | 'other' | null;
  readonly error: string | null;
  /** Null: no TLS connection could be had. */
  readonly certificate: Certificate | null;
}

export interface NodeFacts {
  readonly name: string;
  readonly ip: string | null;
  /** The node's clock minus the runner's; null: it could not be read. Good to a second. */
  readonly clockOffsetMs: number | null;
  readonly version: string | null;
}

export interface ClusterFacts {
  /** Why there is no token to ask with; null: there is one. */
  readonly credentialProblem: { readonly text: string; readonly fix: string | null } | null;
  /** `proxwarden@pve!cli`, or the user who logs in with a password; null: not known. */
  readonly tokenId: string | null;
  /** Null: the token may not read itself. */
  readonly token: { readonly expires: number | null; readonly separated: boolean } | null;
  readonly endpoints: readonly EndpointFacts[];
  readonly nodes: readonly NodeFacts[];
  /** By path; true: they hold for the paths below it as well. Null: not read. */
  readonly privileges: Readonly<Record<string, Readonly<Record<string, boolean>>>> | null;
  readonly jobs: readonly BackupJob[] | null;
  readonly storages: readonly StorageDefinition[] | null;
  /** By node, of corosync's configuration; null: not read. */
  readonly votes: Readonly<Record<string, number>> | null;
  /** `null`: there is none; `unread`: it could not be asked for, and counts as absent. */
  readonly qdevice: { readonly state: string; readonly host: string } | null | 'unread';
  /** Whether a root shell can be had, by node that answers; null: nothing needs one. */
  readonly shells:
    | readonly { readonly node: string; readonly why: string | null; readonly hint: string | null }[]
    | null;
  /** vmids with a storage replication job; null: not read. */
  readonly replicated: readonly number[] | null;
  /** What could not be read, in sentences. */
  readonly unread: readonly string[];
}

export interface RunnerFacts {
  readonly addresses: readonly string[];
  /** Upper case, with colons. */
  readonly macs: readonly string[];
  readonly stateDir: string;
  /** Why it can't be used; null: it can. */
  readonly stateProblem: string | null;
  /** What the file system is good for that it is on, and its name (null: not known). */
  readonly stateFs: Fitness & { readonly type: string | null };
}

export interface Facts {
  readonly at: number;
  readonly runner: RunnerFacts;
  /** Everything in full: details, backups and fences of all containers and nodes. */
  readonly observation: Observation;
  readonly state: State;
  readonly clusters: Readonly<Record<string, ClusterFacts>>;
}

/** `note`: worth knowing, nothing is wrong. `warn`, `fail`: a failover would be worse, or blocked. */
export type Level = 'note' | 'warn' | 'fail';

export type SubjectKind =
  | 'runner'
  | 'canaries'
  | 'cluster'
  | 'endpoint'
  | 'credential'
  | 'storage'
  | 'node'
  | 'container';

/** What a finding is about. `cluster` null: the runner as a whole. */
export interface Subject {
  readonly cluster: string | null;
  readonly kind: SubjectKind;
  readonly name: string;
}

export interface Finding extends Subject {
  /** Stable: scripts may rely on it. */
  readonly id: FindingId;
  readonly level: Level;
  /** One sentence: what is so. */
  readonly text: string;
  /** What a person does; null: nothing can be done, or nothing needs to be. */
  readonly fix: string | null;
  /** Commands to type for that, on a node unless they begin with `proxwarden`. */
  readonly commands: readonly string[];
}

/** All findings that there are, and what each means. */
export const FINDINGS = {
  'state-unusable': 'the state folder cannot be read or written',
  'state-unsafe': 'the state folder is on a file system that is known not to hold it safely',
  'state-volatile': 'the state folder goes with a container or at the next boot',
  'state-untried': 'nobody has tried the file system of the state folder',
  'state-shared': 'runners on several machines may share the state folder',
  'runner-alone': 'the nodes share the state, and only one of them runs check-and-failover',
  'cron-silent': 'check-and-failover has not run for more than three intervals',
  'cron-never': 'check-and-failover has never run',
  'runner-on-node': 'the runner is a node that it would have to survive',
  'runner-in-container': 'the runner is in a container that it protects',
  'canaries-none': 'there is no canary',
  'canaries-one': 'there is only one canary',
  'canary-silent': 'a canary does not answer',
  'canary-inside': 'too many canaries fall silent together with a node',
  'credential-unusable': 'the token cannot be read',
  'token-refused': 'the API refuses the token',
  'token-expires': 'the token expires soon',
  'privilege-missing': 'the token lacks a privilege that a failover needs',
  'privilege-excess': 'the token may do more than it needs',
  'endpoint-silent': 'an endpoint does not answer',
  'endpoint-no-quorum': 'an endpoint answers and has no quorum',
  'endpoint-missing': 'a node of the cluster is not among the endpoints',
  'endpoint-foreign': 'an endpoint belongs to another cluster',
  'tls-insecure': 'certificates are not checked',
  'tls-mismatch': 'an endpoint shows a certificate that is not accepted',
  'tls-fingerprint-shared': 'certificates of some endpoints are pinned, those of others are not',
  'tls-expires': 'a certificate expires soon, or has',
  'cluster-unseen': 'no quorate view of the cluster can be had',
  'quorum-fragile': 'when one node dies the others have no quorum',
  'qdevice-lost': 'the QDevice is configured and does not vote',
  'version-unsupported': 'this Proxmox VE is too old',
  'version-unmeasured': 'this Proxmox VE is newer than what has been measured',
  'version-mixed': 'the nodes run different major versions',
  standalone: 'a stand-alone node',
  unread: 'something could not be read, so it was not checked',
  'node-offline': 'a node is offline',
  'clock-off': 'the clocks of runner and node differ',
  'fence-missing': 'a node has no fence, and the demanded proof needs one',
  'fence-manual': 'the fence of a node is a person',
  'fence-not-armed': 'the watchdog that is to fence a node is not armed',
  'fence-silent': 'a fence cannot be read',
  'fence-reads-off': 'a fence says off, and the node is on',
  'fence-shared': 'two nodes have the same plug',
  'fence-of-nobody': 'a fence is configured for a node that the cluster does not have',
  bystanders: 'guests that nobody protects would go down with a fenced node',
  'limits-low': 'a node has more containers than may be failed over in an hour',
  'storage-missing': 'a storage of backups is not there, not active, or not seen by a node that needs it',
  'storage-content': 'a storage of backups does not take backups',
  'backup-storage-local': 'backups are kept on the disk of the node that they are for',
  'container-missing': 'the vmid is not in the cluster',
  'container-template': 'it is a template',
  'container-locked': 'it is locked',
  'container-stopped': 'it is stopped',
  drift: 'inventory and lineage lines disagree',
  'hands-off': 'an earlier operation failed and nobody has looked',
  'ha-managed': 'Proxmox VE’s own HA manager runs it',
  replicated: 'it has storage replication, which Proxmox VE’s own HA serves better',
  'disk-shared': 'its disks are on shared storage, which Proxmox VE’s own HA serves better',
  'auto-off': 'it is not failed over automatically',
  'shell-silent': 'a root shell that something needs cannot be had on a node',
  'same-vmid-blocked': 'its config cannot be moved aside, so a failover with its vmid is blocked',
  'onboot-unguarded': 'its original could start when its node returns, and that cannot be prevented',
  'two-copies': 'two copies could run together as long as a node is cut off',
  'autostart-ours': 'ProxWarden starts it after a boot of its node, and nothing else does',
  'candidate-unknown': 'the inventory sends it to a node that is not there',
  'candidate-none': 'no node can take it',
  'vmid-taken': 'the vmid of its next copy is taken',
  'restore-blocked': 'a restore would fail, on a node or on all',
  'restore-loses': 'a restore would leave something out or drop it',
  'check-fails': 'its checks do not pass now',
  'check-elsewhere': 'a check does not go to its own address',
  'backup-missing': 'there is no backup',
  'backup-old': 'the newest backup is older than the RPO',
  'backup-unusable': 'there are backups, and none may be used',
  'backup-job-missing': 'no scheduled job backs it up',
  'backup-job-disabled': 'the job that backs it up is disabled',
  'backup-job-elsewhere': 'the job that backs it up writes to another storage',
  'backup-job-rare': 'the job that backs it up runs less often than the RPO demands',
  'backup-job-prunes': 'retention leaves one backup, so a bad one can replace the last good one',
  'backup-job-not-copies': 'the job names vmids, so a copy would not be backed up',
} as const;
export type FindingId = keyof typeof FINDINGS;
