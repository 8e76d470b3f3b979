import { BlockedError, LockedError, StateError } from '../errors.ts';
import type { Operation } from '../state/model.ts';

/** Thrown by a step to end the operation quietly: nothing (more) needs to be done. */
export class Cancelled extends Error {}

/**
 * Thrown when an operation can neither go on nor be undone now. It stays in hand: each of the next runs tries again, until
 * it is older than what is resumed at all.
 */
export class NotYet extends BlockedError {}

/**
 * What ends this process's part of an operation and says nothing of the world: it was interrupted, its lease or the lock
 * is another's, its journal can't be written, or it can't be undone yet. It is neither failed nor undone: it stays in
 * the journal as it is, and the next run goes on.
 */
export function staysInHand(
  error: unknown,
  { signal }: { readonly signal: AbortSignal | undefined },
): boolean {
  return (
    signal?.aborted === true ||
    error instanceof LockedError ||
    error instanceof StateError ||
    error instanceof NotYet
  );
}

/** What an operation ended as, with one sentence. */
export interface Outcome {
  readonly status: Exclude<Operation['status'], 'running'>;
  readonly text: string;
}
