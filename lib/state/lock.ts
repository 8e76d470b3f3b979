/**
 * The lock between processes that share a state folder. It is held for a read-modify-write, milliseconds, never for the
 * length of a restore. How it is made depends on the file system: ticket-lock.ts, cluster-lock.ts.
 */
import type { Clock } from '../clock.ts';
import { messageOf, StateError, type LockedError } from '../errors.ts';
import { isOnClusterFs } from './cluster-fs.ts';
import { clusterLock } from './cluster-lock.ts';
import { ticketLock } from './ticket-lock.ts';

export interface Lock {
  /** How soon it is tried again for the first time, and how long at most unless the caller says otherwise. */
  readonly pollMs: number;
  readonly timeoutMs: number;
  /** Tries once. Throws StateError when the folder can't be written, StandbyError without quorum. */
  tryTake(): Held | Busy;
}

export interface Held {
  readonly mine: true;
  /** Once, before the work: tidies up. */
  begin?(): void;
  /** Throws LockedError when others may have it by now: to be asked right before anything is changed under it. */
  assertHeld(): void;
  /** Throws StateError when it can't be given back, which says when others can go on. */
  release(): void;
}

export interface Busy {
  readonly mine: false;
  /** Who has it, and what can be done about it. */
  readonly refusal: (waitedMs: number) => LockedError | StateError;
}

export interface LockOptions {
  readonly clock: Clock;
  /** How long to wait for the lock. Default: 10 s, on pmxcfs 30 s. */
  readonly timeoutMs?: number;
}

const MOST_BETWEEN_TRIES_MS = 100;

/** Folders whose lock this process holds right now. */
const holding = new Set<string>();

/**
 * Runs `work` while this process holds the lock of the state folder `dir` (absolute, without symbolic links). `work`
 * must be synchronous and must not ask for the lock itself; what it is given throws LockedError when the lock has been
 * held for too long. Throws LockedError when another process keeps it longer than the timeout, StateError when the
 * folder can't be written, or when one that can't be seen must have left it behind.
 */
export async function withLock<T>(
  dir: string,
  options: LockOptions,
  work: (assertHeld: () => void) => T,
): Promise<T> {
  const lock = lockOf(dir, options.clock);
  const timeoutMs = options.timeoutMs ?? lock.timeoutMs;
  const waits = waitsOf(lock, timeoutMs);
  for (;;) {
    const taken = lock.tryTake();
    if (taken.mine) return runHolding(dir, taken, work);
    const { value: ms } = waits.next();
    if (ms === undefined) throw taken.refusal(timeoutMs);
    await options.clock.sleep(ms);
  }
}

/**
 * The same for callers that must not await (an operation's journal is written between two statements). It blocks the
 * process while it waits, in real time; the lock is only ever held for milliseconds.
 */
export function withLockSync<T>(dir: string, options: LockOptions, work: (assertHeld: () => void) => T): T {
  const lock = lockOf(dir, options.clock);
  const timeoutMs = options.timeoutMs ?? lock.timeoutMs;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const waits = waitsOf(lock, timeoutMs);
  for (;;) {
    const taken = lock.tryTake();
    if (taken.mine) return runHolding(dir, taken, work);
    const { value: ms } = waits.next();
    if (ms === undefined) throw taken.refusal(timeoutMs);
    Atomics.wait(pause, 0, 0, ms);
  }
}

/**
 * How long to wait between tries, in ms, until the timeout is used up. Longer and longer: a hundred that ask fifty times
 * a second take the processor from the one that holds it. They are added up: the machine's clock may be set meanwhile.
 */
function* waitsOf({ pollMs }: Lock, timeoutMs: number): Generator<number, undefined> {
  let next = pollMs;
  for (let left = timeoutMs; left > 0;) {
    const wait = Math.min(next, left);
    yield wait;
    left -= wait;
    next = Math.max(pollMs, Math.min(next * 2, MOST_BETWEEN_TRIES_MS));
  }
  return undefined;
}

function lockOf(dir: string, clock: Clock): Lock {
  if (holding.has(dir)) throw new Error(`bug: the lock of ${dir} was asked for by its holder`);
  return isOnClusterFs(dir) ? clusterLock(dir, clock) : ticketLock(dir);
}

function runHolding<T>(dir: string, held: Held, work: (assertHeld: () => void) => T): T {
  holding.add(dir);
  let result: T;
  try {
    held.begin?.();
    result = work(() => held.assertHeld());
    if (result instanceof Promise) throw new Error('bug: the work under the lock must be synchronous');
  } catch (error) {
    release(dir, held, error);
    throw error;
  }
  release(dir, held);
  return result;
}

/** `failure`: what the work has thrown, so that it isn't lost when releasing fails too. */
function release(dir: string, held: Held, failure?: unknown): void {
  holding.delete(dir);
  try {
    held.release();
  } catch (trouble) {
    if (failure === undefined) throw trouble;
    throw new StateError(`${messageOf(failure)}; also: ${messageOf(trouble)}`, { cause: failure });
  }
}
