/**
 * The lock between processes that share a state folder. It is held for a read-modify-write, milliseconds, never for the
 * length of a restore.
 *
 * Node has no flock, and neither a lock file with an age nor a folder can be taken from a dead owner safely: two
 * contenders that both find it stale can delete and make it in turn, and the second deletes the first one's fresh lock.
 * Here nothing that can be somebody's lock is ever deleted. In `<state>/lock/` are numbered tickets; the highest is the
 * lock. When it is released, or its owner is dead, the next number is free, and making that file, which only one can do,
 * takes the lock. A dead owner's ticket stays where it is, below.
 *
 * - Two see ticket 7 released: one makes 8, the other gets EEXIST and looks again.
 * - The owner is killed: it is dead for everyone on its host, at once. Killed between any two calls, it leaves its
 *   ticket or not, but no half ticket (tickets.ts).
 * - The owner is suspended: it lives, so nobody takes the lock; the others give up after the timeout.
 * - A contender is suspended for so long that the number it wants is free again: see makeTicket.
 * - The owner is on another host: whether it lives can't be known from here, so its lock is never taken.
 * - Two acquisitions in one process cannot meet: from making the ticket to releasing it nothing is awaited. So a ticket
 *   of our own that we find is one that we could not release (a disk error), and we may go on from it.
 */
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { LockedError, messageOf, StateError } from '../errors.ts';
import { fileFailure } from './durable.ts';
import { describeOwner, isAlive, sameOwner, thisProcess } from './owner.ts';
import {
  highestTicket,
  makeTicket,
  pruneTickets,
  readTicket,
  releaseTicket,
  ticketPath,
  type Holder,
} from './tickets.ts';
import { makeSubfolder } from '../folder.ts';

const POLL_MS = 20;
const TIMEOUT_MS = 10_000;
/** A lost race is tried again at once, this often, before it is waited. */
const RACES = 5;

export interface LockOptions {
  readonly clock: Clock;
  /** How long to wait for the lock. Default 10 s. */
  readonly timeoutMs?: number;
}

/** Folders whose lock this process holds right now. */
const holding = new Set<string>();

/**
 * Runs `work` while this process holds the lock of the state folder `dir`. `work` must be synchronous and must not ask
 * for the lock itself. Throws LockedError when another process keeps it longer than the timeout, StateError when
 * the folder can't be written.
 */
export async function withLock<T>(dir: string, options: LockOptions, work: () => T): Promise<T> {
  const folder = openFolder(dir);
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  // The waits are added up: the machine's clock may be set while we wait.
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const taken = tryTake(folder);
    if (taken.mine) return runHolding(folder, taken.number, work);
    if (waitedMs >= timeoutMs) throw lockedError(folder, taken, timeoutMs);
    await options.clock.sleep(POLL_MS);
  }
}

/**
 * The same for callers that must not await (an operation's journal is written between two statements). It blocks the
 * process while it waits, in real time; the lock is only ever held for milliseconds.
 */
export function withLockSync<T>(dir: string, work: () => T, timeoutMs = TIMEOUT_MS): T {
  const folder = openFolder(dir);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const taken = tryTake(folder);
    if (taken.mine) return runHolding(folder, taken.number, work);
    if (waitedMs >= timeoutMs) throw lockedError(folder, taken, timeoutMs);
    Atomics.wait(pause, 0, 0, POLL_MS);
  }
}

interface Attempt {
  readonly mine: boolean;
  readonly number: number;
  /** Who has it, as far as it could be seen. */
  readonly holder: Holder;
}

function openFolder(dir: string): string {
  const folder = join(dir, 'lock');
  if (holding.has(folder)) throw new Error(`bug: the lock of ${dir} was asked for by its holder`);
  try {
    // Never with its parents: a state folder that has vanished must not come back empty.
    makeSubfolder(folder, 0o700);
  } catch (error) {
    throw fileFailure(`take the lock in ${folder}`, error);
  }
  return folder;
}

function tryTake(folder: string): Attempt {
  const self = thisProcess();
  let seen: Attempt = { mine: false, number: 0, holder: 'gone' };
  try {
    for (let race = 0; race < RACES; race += 1) {
      const number = highestTicket(folder);
      seen = { mine: false, number, holder: number === 0 ? 'released' : readTicket(folder, number) };
      if (seen.holder === 'gone') continue;
      if (!isFree(seen.holder)) return seen;
      if (makeTicket(folder, number + 1, self)) return { mine: true, number: number + 1, holder: self };
    }
    return seen;
  } catch (error) {
    throw fileFailure(`take the lock in ${folder}`, error);
  }
}

function isFree(holder: Holder): boolean {
  if (typeof holder === 'string') return holder === 'released';
  return sameOwner(holder, thisProcess()) || isAlive(holder) === 'dead';
}

function runHolding<T>(folder: string, number: number, work: () => T): T {
  holding.add(folder);
  let result: T;
  try {
    prune(folder, number);
    result = work();
    if (result instanceof Promise) throw new Error('bug: the work under the lock must be synchronous');
  } catch (error) {
    release(folder, number, error);
    throw error;
  }
  release(folder, number);
  return result;
}

function prune(folder: string, number: number): void {
  try {
    pruneTickets(folder, number);
  } catch (error) {
    throw fileFailure(`delete old tickets in ${folder}`, error);
  }
}

/** `failure`: what the work has thrown, so that it isn't lost when releasing fails too. */
function release(folder: string, number: number, failure?: unknown): void {
  holding.delete(folder);
  try {
    releaseTicket(folder, number);
  } catch (error) {
    const trouble = fileFailure(
      `release the lock in ${folder}`,
      error,
      'others can go on as soon as this process has ended',
    );
    if (failure === undefined) throw trouble;
    throw new StateError(`${messageOf(failure)}; also: ${messageOf(trouble)}`, { cause: failure });
  }
}

function lockedError(folder: string, { number, holder }: Attempt, timeoutMs: number): LockedError {
  const ticket = ticketPath(folder, number);
  const free = `ln -sfn released ${ticket}`;
  const waited = `waited ${timeoutMs / 1000} s`;
  if (holder === 'unreadable')
    return new LockedError(`the lock ${ticket} was not made by ProxWarden, so nobody can say whose it is`, {
      hint: `when nothing else uses the state folder, free it: ${free}`,
    });
  if (typeof holder === 'string')
    return new LockedError(`the state folder's lock ${folder} is in great demand (${waited})`, {
      hint: 'try again',
    });
  if (isAlive(holder) === 'unknown')
    return new LockedError(
      `the state folder is locked by ${describeOwner(holder)}, which cannot be seen from ${thisProcess().host}, so the lock is not taken from it (${waited})`,
      { hint: `when that process is gone for good, free it: ${free}` },
    );
  return new LockedError(
    `the state folder is locked by ${describeOwner(holder)}, which is alive (${waited})`,
    {
      hint: 'the next run will try again; if it stays like that, look at that process',
    },
  );
}
