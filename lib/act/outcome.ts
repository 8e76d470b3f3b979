import type { Operation } from '../state/model.ts';

/** Thrown by a step to end the operation quietly: nothing (more) needs to be done. */
export class Cancelled extends Error {}

/** What an operation ended as, with one sentence. */
export interface Outcome {
  readonly status: Exclude<Operation['status'], 'running'>;
  readonly text: string;
}
