import type { Dispatcher } from 'undici';
import type { Clock } from './clock.ts';
import type { ProbeResult } from './decide/model.ts';
import type { ProbeSpec, ShellConfig, Tls } from './inventory/types.ts';
import type { Slots } from './observe/prober.ts';
import type { OperationDeps } from './state/operations.ts';

/** Everything outside the program that the commands touch, so that scenarios can put the lab in its place. */
export interface Runtime {
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `bytes` random bytes as hexadecimal digits. */
  randomHex(bytes: number): string;
  /** A dispatcher for one HTTPS API endpoint. `tls` is enforced here: on a mismatch nothing is sent. */
  dispatcher(endpoint: string, tls: Tls): Promise<Dispatcher>;
  /** A dispatcher for plain HTTP(S) calls that are not to a PVE API (smart plugs). */
  httpDispatcher(): Promise<Dispatcher>;
  /** Runs one probe, all its attempts included; never rejects except when `signal` aborts. */
  probe(spec: ProbeSpec, signal?: AbortSignal): Promise<ProbeResult>;
  /** How many probes of a kind it can run at once, where that is not what anybody can (prober.ts). */
  slots?(): Promise<Partial<Slots>>;
  /** Runs a hook: an executable with an argument array, no shell. */
  exec(request: ExecRequest): Promise<ExecResult>;
  /** Hands a mail to its server; rejects when it was not taken within `limitMs`. */
  mail(request: MailRequest, limitMs: number, signal?: AbortSignal): Promise<void>;
  /**
   * Starts this very program with these words in a process that outlives the present one, and with these variables beside
   * the present ones. Rejects when it could not be started.
   */
  detach(words: readonly string[], variables: Readonly<Record<string, string>>): Promise<void>;
  /** Gives an order to a root shell on a node; never rejects except when `signal` aborts. */
  shell(request: ShellRequest): Promise<ShellResult>;
  /** Whose leases of operations are ours. Default: this process; scenarios run several runners in one. */
  readonly runner?: Pick<OperationDeps, 'self' | 'liveness'>;
}

export interface MailRequest {
  readonly server: {
    readonly host: string;
    readonly port: number;
    readonly tls: boolean;
    readonly plaintext: boolean;
  };
  readonly login: { readonly user: string; readonly password: string } | null;
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly urgent: boolean;
}

/** What a root shell on a node is to do. Paths without a leading slash are below /etc/pve. */
export type ShellOrder =
  /** A `pct` that may take long. `args`: what follows `pct`; `paths` of the node must be there. */
  | { readonly kind: 'pct'; readonly args: readonly string[]; readonly paths: readonly string[] }
  /** Prints the SHA-1 of a config, then the config. */
  | { readonly kind: 'read-config'; readonly path: string }
  /**
   * Moves a config inside the cluster's file system, if the node has quorum, nothing is at `to`, and the file is still
   * the one with this SHA-1. Asked for again when it has been moved, it says so.
   */
  | { readonly kind: 'move-config'; readonly from: string; readonly to: string; readonly sha1: string }
  /** Ends at once a container that runs there and whose config is on another node. */
  | { readonly kind: 'stop-orphan'; readonly vmid: number }
  /** Powers the node off, in order, right after it has answered. */
  | { readonly kind: 'power-off' }
  /** Nothing: whether a root shell can be had at all. */
  | { readonly kind: 'greet' };

export interface ShellRequest {
  readonly shell: ShellConfig;
  readonly node: string;
  /** Where ssh reaches it: an address or a name. */
  readonly host: string;
  readonly order: ShellOrder;
  readonly signal?: AbortSignal | undefined;
}

/**
 * `begun`: it goes on by itself, whatever becomes of us. `ended`: it was over at once; what it said. `not-sent`: it is
 * certain that nothing was done. `unknown`: it may have been.
 */
export type ShellResult =
  | { readonly kind: 'begun' }
  | { readonly kind: 'ended'; readonly exitCode: number; readonly output: string }
  | { readonly kind: 'not-sent' | 'unknown'; readonly why: string; readonly hint?: string | undefined };

export interface ExecRequest {
  readonly file: string;
  readonly args: readonly string[];
  /** The complete environment of the child; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ExecResult {
  /** Exit code, or null when it was killed or could not be started. */
  readonly exitCode: number | null;
  /** First 4096 bytes each. */
  readonly stdout: string;
  readonly stderr: string;
  /** Why there is no exit code (`timed out after 30 s`, `not executable`), else undefined. */
  readonly failure?: string | undefined;
}
