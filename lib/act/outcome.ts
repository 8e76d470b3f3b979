import { BlockedError } from '../errors.ts';
import type { Operation } from '../state/model.ts';

/** Thrown by a step to end the operation quietly: nothing (more) needs to be done. */
export class Cancelled extends Error {}

/**
 * Thrown when an operation can neither go on nor be undone now. It stays in hand: each of the next runs tries again, until
 * it is older than what is resumed at all.
 */
export class NotYet extends BlockedError {}

/** What an operation ended as, with one sentence. */
export interface Outcome {
  readonly status: Exclude<Operation['status'], 'running'>;
  readonly text: string;
}
