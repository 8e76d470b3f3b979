/**
 * The errors that may cross a module border. Each message is one sentence that a person reads: what happened, to
 * which container/node/storage, why, and what to do next. Everything else that is thrown is a bug.
 */

/** Exit codes, as documented in the README. Unknown codes must be treated as failure. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unhealthy: 3,
  blocked: 4,
  inconclusive: 5,
  locked: 75,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Base of all expected errors. `exitCode` is what the process ends with; `hint` says what to do next. */
export class ProxwardenError extends Error {
  readonly exitCode: ExitCode;
  readonly hint: string | undefined;
  constructor(message: string, options: { exitCode: ExitCode; hint?: string | undefined; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.exitCode = options.exitCode;
    this.hint = options.hint;
  }
}

type Extra = { hint?: string | undefined; cause?: unknown };

/** Something that was asked for could not be done. Exit 1. */
export class FailedError extends ProxwardenError {
  constructor(message: string, extra: Extra = {}) {
    super(message, { exitCode: EXIT.failed, ...extra });
  }
}

/**
 * A file of the runner's own state can't be read, trusted or written. It says nothing of any container: whatever is in
 * hand stops where it is, asks for nothing more, and is gone on with by the next run. Exit 1.
 */
export class StateError extends FailedError {}

/** Wrong flags, an invalid inventory, an unknown container. Nothing was changed. Exit 2. */
export class InputError extends ProxwardenError {
  constructor(message: string, extra: Extra = {}) {
    super(message, { exitCode: EXIT.usage, ...extra });
  }
}

/** Acting would be unsafe, or a plan is stale: a person is needed. Exit 4. */
export class BlockedError extends ProxwardenError {
  constructor(message: string, extra: Extra = {}) {
    super(message, { exitCode: EXIT.blocked, ...extra });
  }
}

/** The world could not be seen well enough to say anything. Exit 5. */
export class InconclusiveError extends ProxwardenError {
  constructor(message: string, extra: Extra = {}) {
    super(message, { exitCode: EXIT.inconclusive, ...extra });
  }
}

/** Another run holds the lock or the operation's lease. Normal under cron. Exit 75. */
export class LockedError extends ProxwardenError {
  constructor(message: string, extra: Extra = {}, exitCode: ExitCode = EXIT.locked) {
    super(message, { exitCode, ...extra });
  }
}

/**
 * This runner must not act now, because nothing could be journalled; others may. What it has in hand is not ended by
 * that: it stays in its journal, for whoever goes on. Exit 5.
 */
export class StandbyError extends LockedError {
  constructor(message: string, extra: Extra = {}) {
    super(message, extra, EXIT.inconclusive);
  }
}

/**
 * What is known of a request that failed. `not-sent`: the server has seen nothing of it. `refused`: the server
 * answered that it won't. `unknown`: it may have been carried out; the world must be read back before the next move.
 */
export type Outcome = 'not-sent' | 'refused' | 'unknown';

/** A request to a Proxmox VE API failed. Exit 1. */
export class PveError extends ProxwardenError {
  readonly outcome: Outcome;
  /** HTTP status, or undefined when there was no answer. */
  readonly status: number | undefined;
  constructor(
    message: string,
    options: { outcome: Outcome; status?: number | undefined; hint?: string | undefined; cause?: unknown },
  ) {
    super(message, { exitCode: EXIT.failed, hint: options.hint, cause: options.cause });
    this.outcome = options.outcome;
    this.status = options.status;
  }
}

/** The sentence of any thrown value; never a stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
