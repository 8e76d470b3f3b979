/** What one attempt of one probe gets and gives. probe.ts runs attempts; the other files here make one each. */
import type { Clock } from '../../clock.ts';
import type { Runtime } from '../../runtime.ts';
import type { addressesOf } from './lookup.ts';

export interface ProbeDeps {
  readonly clock: Clock;
  readonly exec: Runtime['exec'];
  /** The search path for `ping`, `fping` and for what exec probes call; the only variable that they inherit. */
  readonly path: string;
}

export interface Attempt {
  readonly deps: ProbeDeps;
  /** Aborts at the attempt's deadline. Nothing of the attempt may be left running after that. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** To be called at the first sign of life from the probed address, even if the attempt fails later. */
  readonly alive: () => void;
  /** With a sentence: something on this side is waited for, and an attempt that ends now has asked nobody. */
  readonly waits: (why: string | undefined) => void;
  /** Looks a name up, and says meanwhile that it waits. */
  readonly lookUp: typeof addressesOf;
}

export interface Outcome {
  readonly ok: boolean;
  /** It failed, but says nothing of the service. */
  readonly unknown?: boolean | undefined;
  /** Undefined: `answered in N ms`. */
  readonly reason?: string | undefined;
  /** When the probe measures better than the stop watch around it. */
  readonly latencyMs?: number | undefined;
}

/** A failed attempt whose sentence is known already. */
export class ProbeError extends Error {
  /** Whether what happened shows that something lives at that address. */
  readonly alive: boolean;
  /** Nothing could be asked, for reasons on this side: no name server, no network, no program. */
  readonly unknown: boolean;
  constructor(reason: string, alive: boolean, unknown = false) {
    super(reason);
    this.name = 'ProbeError';
    this.alive = alive;
    this.unknown = unknown;
  }
}
