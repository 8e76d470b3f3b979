/**
 * The lock of a folder on an ordinary file system: numbered tickets (tickets.ts).
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
import { LockedError, StateError } from '../errors.ts';
import { makeSubfolder } from '../folder.ts';
import { fileFailure } from './durable.ts';
import type { Busy, Held, Lock } from './lock.ts';
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

/** A lost race is tried again at once, this often, before it is waited. */
const RACES = 5;
/** It is held for milliseconds: whoever has had it for so long has died with it, and only a person can say so. */
const LEFT_MS = 15 * 60_000;

/** The lock of the folder `dir`. Throws StateError when that can't be written. */
export function ticketLock(dir: string): Lock {
  const folder = join(dir, 'lock');
  try {
    // Never with its parents: a state folder that has vanished must not come back empty.
    makeSubfolder(folder, 0o700);
  } catch (error) {
    throw fileFailure(`take the lock in ${folder}`, error);
  }
  return { pollMs: 20, timeoutMs: 10_000, tryTake: () => tryTake(folder) };
}

function tryTake(folder: string): Held | Busy {
  const self = thisProcess();
  let seen: { number: number; holder: Holder } = { number: 0, holder: 'gone' };
  try {
    for (let race = 0; race < RACES; race += 1) {
      const number = highestTicket(folder);
      seen = { number, holder: number === 0 ? 'released' : readTicket(folder, number) };
      if (seen.holder === 'gone') continue;
      if (!isFree(seen.holder)) break;
      if (makeTicket(folder, number + 1, self)) return held(folder, number + 1);
    }
  } catch (error) {
    throw fileFailure(`take the lock in ${folder}`, error);
  }
  return { mine: false, refusal: (waitedMs) => refusal(folder, seen, waitedMs) };
}

function isFree(holder: Holder): boolean {
  if (typeof holder === 'string') return holder === 'released';
  return sameOwner(holder, thisProcess()) || isAlive(holder) === 'dead';
}

function held(folder: string, number: number): Held {
  return {
    mine: true,
    begin() {
      try {
        pruneTickets(folder, number);
      } catch (error) {
        throw fileFailure(`delete old tickets in ${folder}`, error);
      }
    },
    // A live owner's ticket is never taken.
    assertHeld: () => undefined,
    release() {
      try {
        releaseTicket(folder, number);
      } catch (error) {
        throw fileFailure(
          `release the lock in ${folder}`,
          error,
          'others can go on as soon as this process has ended',
        );
      }
    },
  };
}

function refusal(
  folder: string,
  { number, holder }: { number: number; holder: Holder },
  waitedMs: number,
): LockedError | StateError {
  const ticket = ticketPath(folder, number);
  const free = `ln -sfn released ${ticket}`;
  const waited = `waited ${waitedMs / 1000} s`;
  if (holder === 'unreadable')
    return new LockedError(`the lock ${ticket} was not made by ProxWarden, so nobody can say whose it is`, {
      hint: `when nothing else uses the state folder, free it: ${free}`,
    });
  if (typeof holder === 'string')
    return new LockedError(`the state folder's lock ${folder} is in great demand (${waited})`, {
      hint: 'try again',
    });
  if (isAlive(holder) === 'unknown') {
    const text = `the state folder is locked by ${describeOwner(holder)}, which cannot be seen from ${thisProcess().host}, so the lock is not taken from it (${waited})`;
    const hint = `when that process is gone for good, free it: ${free}`;
    // The former is normal under cron, the latter a failure that somebody has to hear of.
    return Date.now() - holder.heartbeatAt < LEFT_MS
      ? new LockedError(text, { hint })
      : new StateError(`${text}; it has been so for more than 15 minutes`, { hint });
  }
  return new LockedError(
    `the state folder is locked by ${describeOwner(holder)}, which is alive (${waited})`,
    { hint: 'the next run will try again; if it stays like that, look at that process' },
  );
}
