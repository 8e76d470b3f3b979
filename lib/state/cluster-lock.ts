/**
 * The lock of a state folder on pmxcfs: the cluster's own, as PVE::Cluster's cfs_lock takes it. A folder in `priv/lock`:
 * `mkdir` is a mutex of all nodes (measured), and without quorum it fails. There is no telling whether its holder lives.
 * Instead pmxcfs removes such a folder 120 s after it was made, when somebody asks for that (`utime(0, 0)`), by its own
 * measure of time: no node's clock matters. So:
 *
 * - The holder is killed, or its node dies: others get the lock two minutes later.
 * - The holder wakes up late, or its writes were held up: it has only half of that time. What it writes is put in its
 *   place (a rename) only if the lock is younger than that, and still the folder that it has made.
 * - It doesn't release what may be another's by now.
 * - Membership changes: pmxcfs holds up each write for some 8 s, `mkdir` too. So others are waited for longer than
 *   elsewhere.
 */
import { lstatSync, mkdirSync, rmdirSync, utimesSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from '../clock.ts';
import { LockedError } from '../errors.ts';
import { CLUSTER_FS } from './cluster-fs.ts';
import { errnoOf, fileFailure } from './durable.ts';
import type { Busy, Held, Lock } from './lock.ts';

/** When pmxcfs gives it to others; unless its holder is at work for less than half of that, it changes nothing more. */
const EXPIRY_MS = 120_000;
const MINE_MS = EXPIRY_MS / 2;
/** Whether it has expired is asked for this often: that is a message to all nodes. To see that it is there is none. */
const ASK_MS = 1_000;
const POLL_MS = 100;

/** The lock of the state folder `dir` on pmxcfs. */
export function clusterLock(dir: string, clock: Pick<Clock, 'now'>): Lock {
  const name = dir.slice(CLUSTER_FS.length + 1).replaceAll('/', '-');
  return lockAt(`${CLUSTER_FS}/priv/lock/${name}`, clock);
}

/** The same for any path. `ask`: asks for its end, should it have expired; an ordinary file system has no such thing. */
export function lockAt(
  path: string,
  clock: Pick<Clock, 'now'>,
  ask: (path: string) => void = askForExpiry,
): Lock {
  let asked = 0;
  let polls = 0;
  return {
    pollMs: POLL_MS,
    timeoutMs: 30_000,
    tryTake() {
      polls += 1;
      const takenAt = clock.now();
      try {
        if (make(path)) return held(path, clock, takenAt);
        if (polls * POLL_MS - asked >= ASK_MS) {
          asked = polls * POLL_MS;
          ask(path);
        }
      } catch (error) {
        throw fileFailure(`take the lock ${path}`, error);
      }
      return busy(path);
    },
  };
}

/** False: it is there. */
function make(path: string): boolean {
  const made = makeHere(path);
  if (made !== null) return made;
  // A cluster in which nothing has ever been locked.
  makeHere(dirname(path));
  return makeHere(path) ?? false;
}

/** False: it is there; null: its parent is not. */
function makeHere(path: string): boolean | null {
  try {
    mkdirSync(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
}

function askForExpiry(path: string): void {
  try {
    utimesSync(path, 0, 0);
  } catch (error) {
    // Held (EACCES), or gone.
    if (errnoOf(error) !== 'EACCES' && errnoOf(error) !== 'ENOENT') throw error;
  }
}

function held(path: string, clock: Pick<Clock, 'now'>, takenAt: number): Held {
  const made = madeAt(path);
  const assertHeld = (): void => {
    const age = clock.now() - takenAt;
    // A clock that has gone back doesn't say how old it is.
    if (age >= 0 && age < MINE_MS && made !== undefined && madeAt(path) === made) return;
    throw new LockedError(
      `the lock ${path} has been held for too long (${Math.round(age / 1000)} s), and may be another's by now: nothing was changed`,
      { hint: 'the next run tries again' },
    );
  };
  return {
    mine: true,
    assertHeld,
    release() {
      try {
        assertHeld();
      } catch (error) {
        // It expires by itself.
        if (error instanceof LockedError) return;
        throw error;
      }
      try {
        rmdirSync(path);
      } catch (error) {
        throw fileFailure(`release the lock ${path}`, error, 'others can go on in two minutes');
      }
    },
  };
}

function madeAt(path: string): number | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.mtimeMs;
  } catch (error) {
    throw fileFailure(`look at the lock ${path}`, error);
  }
}

function busy(path: string): Busy {
  return {
    mine: false,
    refusal: (waitedMs) =>
      new LockedError(
        `the state folder is locked by another run, here or on another node (${path}, waited ${waitedMs / 1000} s)`,
        {
          hint: 'the next run tries again; a lock whose holder is gone is given up two minutes after it was taken',
        },
      ),
  };
}
