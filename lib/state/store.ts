/** state.json: what is kept between runs, by lowdb. Read without the lock, changed under it. */
import { existsSync, lstatSync, type Stats } from 'node:fs';
import { join, resolve } from 'node:path';
import { LowSync } from 'lowdb';
import type { Clock } from '../clock.ts';
import { InputError, StateError } from '../errors.ts';
import { isOnClusterFs } from './cluster-fs.ts';
import { DurableJson, errnoOf, fileFailure, sweepTemps } from './durable.ts';
import { withLock } from './lock.ts';
import { assertQuorum } from './members.ts';
import { emptyState, ITSELF, State } from './model.ts';
import { assertFit, assertOnClusterFs, placeOf } from './place.ts';
import { makeFolder } from '../folder.ts';

export interface StateStore {
  /** Absolute path of the state folder. */
  readonly dir: string;
  /** Where this machine keeps what other runners don't need (place.ts). */
  readonly local: string;
  /** Throws InputError when its file system is known not to hold a state safely. */
  assertFit(): void;
  /** The same, and StandbyError when it can't be written here now: on pmxcfs without quorum. */
  assertWritable(): void;
  /**
   * The state as it was last written, frozen; the empty one when there is none yet, and a paused one where it was lost. Throws
   * StateError when it can't be trusted, or has vanished since this process has seen it.
   */
  read(): State;
  /**
   * Reads, lets `mutate` change it, and writes it, all under the lock; returns what was written. Nothing is written when
   * `mutate` throws. `mutate` must be synchronous and must not use anything else that takes the lock. Throws LockedError,
   * StateError, and InputError as assertFit.
   */
  update(mutate: (state: State) => void): Promise<State>;
}

/**
 * Opens the state folder and makes it (mode 0700) when it is not there. Throws InputError when it can't be trusted, or is
 * where this user or this program has no business, FailedError when it can't be had.
 */
export function openState(dir: string, { clock }: { readonly clock: Clock }): StateStore {
  refuseLink(resolve(dir));
  const place = placeOf(dir);
  const { dir: folder, local } = place;
  if (isOnClusterFs(folder)) {
    assertOnClusterFs(place);
    refuseLink(local);
    openFolder(local);
  }
  openFolder(folder);
  const file = stateFile(folder);
  let seen = false;
  /** What there is where there is no file. Throws StateError when there has been one. */
  const instead = (): State => {
    if (seen)
      throw new StateError(
        `state file ${file.path} has vanished while this run was using it — nothing is written in its place; see who removed it, or whether ${folder} is still mounted`,
      );
    return wasUsed(local) ? lostState(file.path, clock.now()) : emptyState();
  };
  const open = (assertHeld: () => void): LowSync<State> => {
    // A new one each time: another process may have written since.
    const adapter = { read: () => file.read(), write: (data: State) => file.write(data, assertHeld) };
    const there = existsSync(file.path);
    if (there) seen = true;
    const database = new LowSync<State>(adapter, there ? emptyState() : instead());
    database.read();
    return database;
  };
  return {
    dir: folder,
    local,
    assertFit: () => assertFit(folder),
    assertWritable() {
      assertFit(folder);
      if (isOnClusterFs(folder)) assertQuorum();
    },
    read() {
      const state = file.peek();
      if (state === null) return instead();
      seen = true;
      return state;
    },
    async update(mutate) {
      assertFit(folder);
      return withLock(folder, { clock }, (assertHeld) => {
        for (const part of ['.', 'operations', 'plans']) sweepTemps(join(folder, part), clock.now());
        const database = open(assertHeld);
        database.update(mutate);
        seen = true;
        return database.data;
      });
    },
  };
}

/** On pmxcfs it is packed: it grows with the fleet, and each 4 KiB of it are a message to all nodes. */
function stateFile(folder: string): DurableJson<State> {
  const packed = isOnClusterFs(folder);
  if (packed && look(join(folder, 'state.json')) !== undefined)
    throw new InputError(
      `there is a state.json in ${folder}, where it is kept packed: run gzip ${join(folder, 'state.json')}, or move it away`,
    );
  return new DurableJson(join(folder, packed ? 'state.json.gz' : 'state.json'), {
    schema: State,
    version: 1,
    packed,
    what: 'state file',
    advice:
      "restore it from a backup or move it away: the next run then begins paused, and the cluster's lineage lines rebuild what matters; counts, brakes and acknowledgements are lost",
  });
}

/** A run writes its first state before its first observation, so that one without the other has lost it. */
function wasUsed(local: string): boolean {
  return existsSync(join(local, 'observation.json'));
}

/** Whose files are that belong to nobody that is known here: on NFS, in containers. */
const NOBODY = 65_534;

/**
 * Instead of a state that was lost. Which copies are current, the cluster says; what it can't say is what people have
 * said: a pause, a maintenance, hands off. So nothing is done by itself until somebody has looked.
 */
function lostState(path: string, now: number): State {
  const reason = `${path} is gone: put a backup of it back, or see that no pause, maintenance or error in it still matters`;
  return { ...emptyState(), paused: { since: now, until: null, by: ITSELF, reason } };
}

/** A link is refused because what it points to can be exchanged between two reads. */
function refuseLink(folder: string): void {
  if (look(folder)?.isSymbolicLink() === true)
    throw new InputError(
      `the state folder ${folder} is a symbolic link; name the folder itself with --state`,
    );
}

/** Who can write into the folder can make a run fail over, or keep it from doing so. */
function openFolder(folder: string): void {
  const found = look(folder);
  if (found === undefined) {
    try {
      makeFolder(folder, 0o700);
    } catch (error) {
      throw fileFailure(`make the state folder ${folder}`, error);
    }
    return;
  }
  if (!found.isDirectory())
    throw new InputError(`the state folder ${folder} is not a folder; name another one with --state`);
  // Root's files in there could no longer be read by the user whose cron job it is. (65534: not known here.)
  if (process.geteuid?.() === 0 && found.uid !== 0 && found.uid !== NOBODY)
    throw new InputError(
      `the state folder ${folder} belongs to user ${found.uid}, and this is root: what root writes there that user could not read any more`,
      { hint: `run it as that user: sudo -u '#${found.uid}' …, or make the folder root's` },
    );
  if ((found.mode & 0o022) !== 0)
    throw new InputError(
      `the state folder ${folder} can be written by other users (mode ${(found.mode & 0o777).toString(8)}), who could cause or prevent failovers; run chmod go-w ${folder}`,
    );
}

function look(folder: string): Stats | undefined {
  try {
    return lstatSync(folder, { throwIfNoEntry: false });
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR') return undefined;
    throw fileFailure(`look at the state folder ${folder}`, error);
  }
}
