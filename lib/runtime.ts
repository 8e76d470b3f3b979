import type { Dispatcher } from 'undici';
import type { Clock } from './clock.ts';
import type { ProbeResult } from './decide/model.ts';
import type { ProbeSpec, ShellConfig, Tls } from './inventory/types.ts';
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
  /** Runs a hook: an executable with an argument array, no shell. */
  exec(request: ExecRequest): Promise<ExecResult>;
  /** Begins a `pct restore` as root on a node; never rejects except when `signal` aborts. */
  pct(request: PctRequest): Promise<PctResult>;
  /** Whose leases of operations are ours. Default: this process; scenarios run several runners in one. */
  readonly runner?: Pick<OperationDeps, 'self' | 'liveness'>;
}

export interface PctRequest {
  readonly shell: ShellConfig;
  readonly node: string;
  /** Where ssh reaches it: an address or a name. */
  readonly host: string;
  /** What follows `pct`. */
  readonly args: readonly string[];
  /** Paths of the node that must be there. */
  readonly paths: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * `begun`: it goes on by itself, whatever becomes of us. `ended`: it was over at once; what it said. `not-sent`: it is
 * certain that it was not begun. `unknown`: it may have been.
 */
export type PctResult =
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
