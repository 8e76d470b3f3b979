/**
 * The inventory after defaults and inheritance have been applied: what the rest of the program works with.
 * Durations are milliseconds, sizes bytes, paths absolute. The schema of the files is in schema.ts.
 */

/** Where a secret is to be found; never the secret itself. `file` is an absolute path. */
export type SecretRef =
  | { readonly kind: 'env'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string };

/** How a cluster's API is logged into: by an API token (`user@realm!name=secret`), or as a user (`user@realm`). */
export type Credentials =
  | { readonly kind: 'token'; readonly token: SecretRef }
  | { readonly kind: 'password'; readonly user: string; readonly password: SecretRef };

/**
 * How an API endpoint's certificate is checked. `fingerprint`: it is one of these (SHA-256, upper case with colons; each
 * node has a certificate of its own); `ca`: a PEM file.
 */
export type Tls =
  | { readonly kind: 'system' }
  | { readonly kind: 'ca'; readonly path: string }
  | { readonly kind: 'fingerprint'; readonly sha256: readonly string[] }
  | { readonly kind: 'insecure' };

interface ProbeCommon {
  /** How it is called in tables and reasons, for example `tcp 10.0.0.53:53`. */
  readonly label: string;
  readonly timeoutMs: number;
  /** How often it is tried within one run before it counts as failed. */
  readonly attempts: number;
}

export type ProbeSpec =
  | (ProbeCommon & { readonly kind: 'tcp'; readonly host: string; readonly port: number })
  | (ProbeCommon & {
      readonly kind: 'http';
      readonly url: string;
      readonly method: 'GET' | 'HEAD';
      /** Inclusive ranges of acceptable status codes. */
      readonly status: readonly (readonly [number, number])[];
      /** Plain text that the body must contain; only the first MiB is looked at. */
      readonly body?: string | undefined;
      /** true: the certificate is not checked (a probe sends no secret). */
      readonly insecure: boolean;
    })
  | (ProbeCommon & { readonly kind: 'ping'; readonly host: string })
  | (ProbeCommon & {
      readonly kind: 'dns';
      readonly server: string;
      readonly port: number;
      readonly name: string;
      readonly type: 'A' | 'AAAA' | 'TXT' | 'MX' | 'NS' | 'SOA' | 'CNAME' | 'PTR';
    })
  | (ProbeCommon & { readonly kind: 'exec'; readonly path: string; readonly args: readonly string[] });

export interface HttpCall {
  readonly url: string;
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly body?: string | undefined;
}

/** What switches a node's power, and says afterwards whether it is off. */
export type SwitchConfig =
  | {
      readonly driver: 'http';
      /** The device it was written as; undefined: as `http`. */
      readonly device?: 'shelly' | 'tasmota' | undefined;
      readonly off: HttpCall;
      /** For people; undefined: none. */
      readonly on?: HttpCall | undefined;
      /** Read-back: the JSON answer's `field` (dots go deeper) equals `off` when the power is off. */
      readonly status: HttpCall & { readonly field: string; readonly off: string | number | boolean };
      readonly user?: string | undefined;
      readonly password?: SecretRef | undefined;
      /** How user and password are shown; undefined: basic. */
      readonly auth?: 'basic' | 'digest' | undefined;
      readonly timeoutMs: number;
    }
  | {
      readonly driver: 'agent';
      /** A program of the fence-agents packages in /usr/sbin: `fence_ipmilan`. */
      readonly agent: string;
      /** As the agent's manual names them, without secrets. */
      readonly options: Readonly<Record<string, string>>;
      /** Further options whose values are secrets. */
      readonly secrets: Readonly<Record<string, SecretRef>>;
      readonly timeoutMs: number;
    }
  | {
      readonly driver: 'redfish';
      /** Origin of the management controller. */
      readonly url: string;
      /** Id of the machine below /redfish/v1/Systems; undefined: there is exactly one. */
      readonly system?: string | undefined;
      readonly user: string;
      readonly password: SecretRef;
      readonly tls: Tls;
      readonly timeoutMs: number;
    };

export type FenceConfig =
  | SwitchConfig
  /** A node with several power supplies: it is off only when every one of them is. */
  | { readonly driver: 'all'; readonly of: readonly SwitchConfig[] }
  /** A node whose HA manager has armed its watchdog resets itself without quorum. It can't be asked to. */
  | { readonly driver: 'ha-watchdog' }
  /** For people: the node's own API shuts it down while it answers. Proves nothing. */
  | { readonly driver: 'pve' }
  /** For people: a root shell on the node (`shell`) powers it off. Proves nothing. */
  | { readonly driver: 'ssh' }
  | {
      readonly driver: 'manual';
      /** How long a person's `fence confirm` holds. */
      readonly validMs: number;
    };

/** How a copy that runs on a node without a config there is ended: by a person, by lxc-stop over a root shell, by a reboot. */
export type OrphanWay = 'tell' | 'stop' | 'reboot';

export interface NodeConfig {
  readonly fence: readonly FenceConfig[];
  /** Undefined: as the cluster has it. */
  readonly orphans?: OrphanWay | undefined;
}

/** How a command is run as root on a node of the cluster. */
export type ShellConfig =
  /** The runner is a node of the cluster; it reaches the others as the nodes reach each other. */
  | { readonly kind: 'local' }
  | {
      readonly kind: 'ssh';
      readonly user: string;
      readonly port: number;
      /** Private key, absolute; null: ssh's own choice. */
      readonly key: string | null;
      /** Absolute; null: ssh's own files. */
      readonly knownHosts: string | null;
    };

export interface Cluster {
  readonly name: string;
  readonly file: string;
  readonly endpoints: readonly string[];
  readonly credentials: Credentials;
  readonly tls: Tls;
  /** Deadline of one API request. */
  readonly timeoutMs: number;
  readonly canaries: readonly ProbeSpec[];
  readonly nodes: Readonly<Record<string, NodeConfig>>;
  /** Null: none, so `restoreVia: shell` and `identity: same-vmid` are not possible. */
  readonly shell: ShellConfig | null;
  /** Of nodes that say nothing else. Undefined: tell. */
  readonly orphans?: Exclude<OrphanWay, 'reboot'> | undefined;
}

export interface Hook {
  readonly path: string;
  readonly args: readonly string[];
  readonly timeoutMs: number;
}

/** A node that a container may go to. `cluster` is the container's own unless written `cluster/node`. */
export interface Target {
  readonly cluster: string;
  readonly node: string;
}

/** What is different for a container's copies in another cluster. */
export interface Elsewhere {
  /** vmids that they may take there, in order. */
  readonly vmids: readonly number[];
  /** What `backup.storage` is called there. */
  readonly backupStorage: string;
  /** As in `failover`. */
  readonly restoreStorage: string;
  readonly mountStorage: Readonly<Record<string, string>>;
}

/** The proof that is demanded before a copy is started: at least P3, P2 or P1. */
export type RequiredProof = 'fenced' | 'stopped' | 'offline-accepted';

/** How many backups are kept, as PVE's `prune-backups` counts. At least one of them is above 0. */
export interface KeepPolicy {
  readonly last: number;
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly yearly: number;
}

export interface Container {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  readonly cluster: string;
  readonly vmid: number;
  readonly mode: 'protect' | 'observe' | 'off';
  /** 1 is first. */
  readonly priority: number;
  readonly nodes: readonly Target[];
  readonly require: 'all' | 'any';
  readonly checks: readonly ProbeSpec[];
  readonly intervalMs: number;
  readonly failureThreshold: number;
  readonly recoveryThreshold: number;
  /** After its node was shut down or rebooted on purpose its failures are not counted for so long. */
  readonly rebootGraceMs: number;
  /** The node that it goes home to; null: its original's. */
  readonly home: string | null;
  /** MAC addresses that identify its backups; empty: those that were last seen in its config. */
  readonly macs: readonly string[];
  readonly backup: {
    readonly storage: string;
    readonly maxAgeMs: number;
    readonly beforeFailover: 'when-source-alive' | 'never';
    readonly requireVerified: boolean;
    /** auto: snapshot where all of its volumes can, else suspend. */
    readonly mode: 'auto' | 'snapshot' | 'suspend' | 'stop';
    /** What `backup prune` keeps; null: it removes nothing. */
    readonly keep: KeepPolicy | null;
  };
  readonly failover: {
    readonly auto: boolean;
    /** `same-vmid`: the original's config is moved aside first, so that the copy can have its vmid. */
    readonly identity: 'new-vmid' | 'same-vmid';
    readonly proof: RequiredProof;
    readonly returnRisk: 'refused' | 'accepted';
    /** proxwarden: its onboot is kept 0, and ProxWarden starts the current copy after a boot of its node. */
    readonly autostart: 'pve' | 'proxwarden';
    /** accepted: a cluster of its list that can't be seen is taken to hold no later copy of it. */
    readonly unseenRisk: 'refused' | 'accepted';
    readonly cooldownMs: number;
    /** Automatic failovers within 24 hours; before one more, a person has to look. */
    readonly maxPerDay: number;
    /** For the root disk, and for the mount points that `mountStorage` doesn't name. */
    readonly restoreStorage: string;
    /** By mount point (`mp0`). */
    readonly mountStorage: Readonly<Record<string, string>>;
    /** `shell`: `pct restore` as root on the target, for what a token cannot restore. */
    readonly restoreVia: 'api' | 'shell';
    /** Mount points (and `lxc.mount.entry`) whose content no backup holds, and that a copy may do without. */
    readonly acceptLoss: readonly string[];
    /** vmids of the copies at home, by epoch: epoch n takes the (n-1 modulo length)-th. */
    readonly vmids: readonly number[];
    /** Which of its nodes that can take it: the first of its list, or the one with the most memory free. */
    readonly placement: 'order' | 'spread';
    readonly maxAttempts: number;
    /** How long a started copy has until its probes pass. */
    readonly verifyMs: number;
    /** Times a failing service on a living node is restarted in place before it is moved: 0 or 1. */
    readonly restart: number;
  };
  /** By cluster, for each other one of its `nodes`. */
  readonly elsewhere: Readonly<Record<string, Elsewhere>>;
  readonly hooks: { readonly before: readonly Hook[]; readonly after: readonly Hook[] };
}

export interface Limits {
  readonly failoversPerRun: number;
  readonly failoversPerHour: number;
  /** Failovers to one node that may be at their restore at the same time. */
  readonly restoresPerNode: number;
  /** The same from one storage of backups. */
  readonly restoresPerStorage: number;
}

/** What people are told of. */
export type Topic = 'down' | 'up' | 'failover' | 'restart' | 'returned' | 'needs-person' | 'brake';

/** A URL as it is written, or where it is kept because it is a secret itself. */
export type UrlRef = { readonly kind: 'url'; readonly url: string } | SecretRef;

/** A way to tell people. `exec`: the program's path is absolute. */
export type NotifyVia =
  | {
      readonly kind: 'email';
      readonly server: {
        readonly host: string;
        readonly port: number;
        /** From the first byte on; else STARTTLS is demanded, unless `plaintext`. */
        readonly tls: boolean;
        readonly plaintext: boolean;
      };
      readonly user?: string;
      readonly password?: SecretRef;
      readonly from: string;
      readonly to: readonly string[];
    }
  | { readonly kind: 'ntfy'; readonly url: UrlRef; readonly token?: SecretRef }
  | { readonly kind: 'slack' | 'discord'; readonly url: SecretRef }
  | { readonly kind: 'telegram'; readonly url: string; readonly token: SecretRef; readonly chat: string }
  | { readonly kind: 'gotify'; readonly url: string; readonly token: SecretRef }
  | {
      readonly kind: 'webhook';
      readonly url: UrlRef;
      readonly method: 'POST' | 'PUT';
      readonly headers: Readonly<Record<string, string | SecretRef>>;
      /** A template; undefined: everything as JSON. */
      readonly body?: string;
    }
  | ({ readonly kind: 'exec' } & Hook);

export interface NotifyTarget {
  /** Unique. */
  readonly name: string;
  readonly topics: readonly Topic[];
  readonly via: NotifyVia;
}

export interface Notify {
  readonly to: readonly NotifyTarget[];
  /** While a person is needed, it is said again after this time. */
  readonly repeatMs: number;
}

export interface Inventory {
  /** Absolute path of the folder. */
  readonly dir: string;
  readonly files: readonly string[];
  /** SHA-256 of the resolved inventory; changes whenever anything in it does. */
  readonly digest: string;
  readonly clusters: Readonly<Record<string, Cluster>>;
  readonly containers: Readonly<Record<string, Container>>;
  readonly limits: Limits;
  /** Groups of containers of which no two are put on the same node: names by group. */
  readonly keepApart: Readonly<Record<string, readonly string[]>>;
  readonly notify: Notify;
  /** Told of every run of check-and-failover; whoever listens there misses them when they stop. */
  readonly heartbeat: UrlRef | null;
  /** Sentences about things that are allowed but unwise (insecure TLS, a proof that no node can give). */
  readonly warnings: readonly string[];
}
