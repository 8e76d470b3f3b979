/** Everything that is told while a command runs. A new kind without a formatter does not compile (format.ts). */
import type { Decision, Verdict } from '../decide/model.ts';
import type { Operation } from '../state/model.ts';

export type Event =
  | {
      readonly kind: 'note';
      readonly level: 'debug' | 'info' | 'warn';
      readonly container: string | null;
      readonly text: string;
    }
  | {
      readonly kind: 'counted';
      readonly container: string;
      readonly failures: number;
      readonly threshold: number;
      readonly reason: string;
    }
  | {
      readonly kind: 'verdict';
      readonly container: string;
      readonly from: Verdict['kind'] | null;
      readonly to: Verdict;
    }
  | {
      /** It has failed often enough to count as down, or has been well long enough to count as up again. */
      readonly kind: 'availability';
      readonly container: string;
      readonly down: boolean;
      readonly reason: string;
      /** Of what has ended; null: not known. */
      readonly lastedMs: number | null;
    }
  | {
      readonly kind: 'decision';
      readonly decision: Decision;
      /** As in the run before. */ readonly repeated: boolean;
    }
  | {
      readonly kind: 'operation-started';
      readonly operation: string;
      readonly of: Operation['kind'];
      readonly container: string;
      readonly what: string;
      readonly steps: readonly string[];
    }
  | {
      readonly kind: 'operation-resumed';
      readonly operation: string;
      readonly container: string;
      readonly after: string;
      readonly steps: readonly string[];
    }
  | {
      readonly kind: 'step-started';
      readonly operation: string;
      readonly container: string;
      readonly step: string;
    }
  | {
      readonly kind: 'step-progress';
      readonly operation: string;
      readonly container: string;
      readonly step: string;
      readonly percent: number | null;
      readonly remainingMs: number | null;
      /** By the time it took earlier, and not by what it says itself. */
      readonly estimated: boolean;
      readonly text: string;
    }
  | {
      readonly kind: 'step-done';
      readonly operation: string;
      readonly container: string;
      readonly step: string;
      readonly note: string;
    }
  | {
      readonly kind: 'step-failed';
      readonly operation: string;
      readonly container: string;
      readonly step: string;
      readonly note: string;
    }
  | {
      readonly kind: 'operation-ended';
      readonly operation: string;
      readonly of: Operation['kind'];
      readonly container: string;
      readonly status: Operation['status'];
      readonly text: string;
    }
  | { readonly kind: 'reconciled'; readonly container: string; readonly text: string }
  | {
      /** A pause or a maintenance begins or ends. */
      readonly kind: 'brake';
      readonly container: string | null;
      readonly text: string;
    };

/** Kinds that are kept in state/events.ndjson: transitions, never single probes. */
export function isTransition(event: Event): boolean {
  switch (event.kind) {
    case 'verdict':
    case 'availability':
    case 'operation-started':
    case 'operation-resumed':
    case 'operation-ended':
    case 'reconciled':
    case 'brake':
      return true;
    case 'decision':
      return !event.repeated && event.decision.kind !== 'none' && event.decision.kind !== 'wait';
    case 'note':
      return event.level === 'warn';
    case 'counted':
    case 'step-started':
    case 'step-progress':
    case 'step-done':
    case 'step-failed':
      return false;
  }
}

export interface Teller {
  tell(event: Event): void;
  /** Waits until everything is on the screen. */
  end(): Promise<void>;
}
