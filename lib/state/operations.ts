/**
 * operations/<id>.json: the journal of each operation, and who executes it. All writes are under the lock and synchronous:
 * a journal is written between the decision to ask for something and asking for it.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { BlockedError, FailedError, InputError, LockedError, messageOf, StateError } from '../errors.ts';
import { plainText } from '../text.ts';
import { isOnClusterFs } from './cluster-fs.ts';
import { DurableJson, errnoOf, fileFailure, readText } from './durable.ts';
import { withLockSync } from './lock.ts';
import { isOffline } from './members.ts';
import { Operation } from './model.ts';
import { placeOf } from './place.ts';
import {
  describeOwner,
  isAlive,
  leaseIsGood,
  sameOwner,
  thisProcess,
  type Liveness,
  type Owner,
} from './owner.ts';
import { makeSubfolder } from '../folder.ts';

/** Journals that are kept as the audit trail, when they have ended. */
const KEPT = 200;
/** Of those, the newest, whatever they are about. What is older makes room in two rounds: see pruneEnded. */
const NEWEST = 20;
const OPERATION_ID = /^op-\d{8}T\d{6}-[0-9a-f]{6}$/;

/** An operation before it has an owner. */
export type OperationDraft = Omit<Operation, 'lease'>;

/** A journal that can't be read. Until a person has seen to it, its container is not touched. */
export interface OperationProblem {
  readonly path: string;
  /** Whose it is, as far as that can be made out; null: any container's. */
  readonly container: string | null;
  /** One sentence that names the file. */
  readonly message: string;
}

export interface OperationStore {
  /**
   * Begins a journal with a lease of this process. Throws LockedError when another process executes an operation of
   * that container, BlockedError when one is to be resumed first or a journal can't be read, StateError on disk errors;
   * and what `admit` throws: it is shown all that are running, under the lock, so that limits hold over all processes.
   */
  create(draft: OperationDraft, admit?: (running: readonly Operation[]) => void): Operation;
  /**
   * Writes the journal and renews the lease (in `op`, too). Durable when it returns. Throws LockedError when the lease is
   * not ours any more (nothing is written then), StateError on disk errors; and what `admit` throws: it is shown all that
   * are running, this one as it was, under the lock, and nothing is written then.
   */
  save(op: Operation, admit?: (running: readonly Operation[]) => void): void;
  /** Renews the lease of an operation that runs, and nothing else. Throws as `save` does. */
  renew(op: Operation): void;
  /** Throws InputError for an id that isn't known, StateError for a journal that can't be read. */
  load(id: string): Operation;
  /** All, oldest first, and the files that can't be read. */
  list(): { readonly operations: readonly Operation[]; readonly problems: readonly OperationProblem[] };
  /**
   * Whether an operation could be taken over only because nothing has been heard of its owner for long, who can't be seen
   * from here. Clocks may be wrong: its heartbeat has to be watched between reading `op` and claiming it.
   */
  isUnheard(op: Operation): boolean;
  /**
   * Takes over a running operation whose owner is dead. True: it is ours, and `op` now holds what the journal says (the
   * owner may have gone on since `op` was read). False: it has ended, its owner lives, or one that can't be seen has had
   * a heartbeat since `op` was read.
   */
  claim(op: Operation): boolean;
  /**
   * To be called right before every request: throws LockedError unless the journal still names this process; on pmxcfs
   * StandbyError, too, when the lease can't be renewed there.
   */
  assertLease(op: Operation): void;
}

export interface OperationDeps {
  readonly clock: Clock;
  /** Whose leases are ours; a scenario runs several runners in one process. Default: this process. */
  readonly self?: Owner;
  readonly liveness?: (owner: Operation['lease']) => Liveness;
}

/**
 * On a node without quorum pmxcfs goes on to show an old journal, so there a lease is proven by writing: it has been
 * renewed no longer ago than this.
 */
const PROVEN_MS = 2_000;

/** `op-20261122T201647-a1b2c3`: sorts by time. `now` in epoch ms. */
export function newOperationId(now: number, randomHex: (bytes: number) => string): string {
  return `op-${new Date(now).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}-${randomHex(3)}`;
}

/** An original is kept down although its failover still has the copy to back up: from its start on, that never touches it. */
function mayRunBeside(draft: OperationDraft, running: Operation): boolean {
  return draft.kind === 'reconcile' && running.kind === 'failover' && running.data.live !== null;
}

/** The journals in the state folder `given`, which openState has checked. */
export function openOperations(given: string, deps: OperationDeps): OperationStore {
  const { clock, self = thisProcess() } = deps;
  const { dir } = placeOf(given);
  const onCluster = isOnClusterFs(dir);
  const folder = join(dir, 'operations');

  function liveness(owner: Operation['lease']): Liveness {
    const seen = (deps.liveness ?? isAlive)(owner);
    return seen === 'unknown' && onCluster && isOffline(owner.host) ? 'offline' : seen;
  }

  function ownLease(): Operation['lease'] {
    return { ...self, heartbeatAt: clock.now() };
  }

  function list(): { operations: Operation[]; problems: OperationProblem[] } {
    const operations: Operation[] = [];
    const problems: OperationProblem[] = [];
    for (const name of journalNames(folder)) {
      const path = join(folder, name);
      try {
        const operation = readJournal(path);
        if (operation !== null) operations.push(operation);
      } catch (error) {
        if (!(error instanceof StateError)) throw error;
        problems.push({ path, container: containerIn(path), message: messageOf(error) });
      }
    }
    // Ids of one second are in no order.
    operations.sort((a, b) => a.createdAt - b.createdAt || (a.container < b.container ? -1 : 1));
    return { operations, problems };
  }

  function readOwn(op: Operation): Operation {
    const found = readJournal(join(folder, `${op.id}.json`));
    if (found === null)
      throw new StateError(
        `the journal of operation ${op.id} of container ${op.container} is gone from ${folder}; this run stops, look in the cluster how far it got`,
      );
    if (!sameOwner(found.lease, self))
      throw new LockedError(
        `operation ${op.id} of container ${op.container} was taken over by ${describeOwner(found.lease)}; this run stops`,
      );
    return found;
  }

  function readOwnRunning(op: Operation): Operation {
    const found = readOwn(op);
    if (found.status !== 'running')
      throw new LockedError(`operation ${op.id} of container ${op.container} has ended; this run stops`);
    return found;
  }

  function renew(op: Operation): void {
    withLockSync(dir, { clock }, (assertHeld) => {
      const renewed: Operation = { ...readOwnRunning(op), lease: ownLease() };
      journal(join(folder, `${op.id}.json`)).write(renewed, assertHeld);
      op.lease = renewed.lease;
    });
  }

  /** Returns the operations that run; reading all journals is what the lock is held longest for, so it is done once. */
  function refuseSecond(draft: OperationDraft): readonly Operation[] {
    const { operations, problems } = list();
    const problem = problems.find((p) => p.container === null || p.container === draft.container);
    if (problem !== undefined)
      throw new BlockedError(`no operation of container ${draft.container} can begin: ${problem.message}`);
    const running = operations.find(
      (o) => o.container === draft.container && o.status === 'running' && !mayRunBeside(draft, o),
    );
    if (running !== undefined && leaseIsGood(running.lease, clock.now(), liveness))
      throw new LockedError(
        `operation ${running.id} of container ${draft.container} is being executed by ${describeOwner(running.lease)}`,
        { hint: 'wait for its end' },
      );
    if (running !== undefined)
      throw new BlockedError(
        `operation ${running.id} of container ${draft.container} was interrupted and has to be resumed before another begins; run \`failover ${draft.container} --resume ${running.id}\``,
      );
    if (operations.some((o) => o.id === draft.id))
      throw new FailedError(`there is an operation ${draft.id} already`);
    return operations.filter((o) => o.status === 'running');
  }

  /**
   * The first that were begun go first, and what has only tidied up before all others: when that fails, it is tried in
   * every run, and would push out the failovers. What runs or can't be read stays, however old, and so does `own`, just ended.
   */
  function pruneEnded(own: string): void {
    const names = journalNames(folder);
    let surplus = names.length - KEPT;
    if (surplus <= 0) return;
    const others = names.slice(0, -NEWEST).filter((name) => name !== `${own}.json`);
    try {
      for (const wanted of [(op: Operation) => op.kind === 'reconcile', () => true])
        for (const name of others) {
          if (surplus <= 0) return;
          const op = endedAt(join(folder, name));
          if (op === null || !wanted(op)) continue;
          rmSync(join(folder, name), { force: true });
          surplus -= 1;
        }
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      throw fileFailure(`delete old journals in ${folder}`, error, 'the operation itself is recorded');
    }
  }

  return {
    list,
    create(draft, admit) {
      if (!OPERATION_ID.test(draft.id)) throw new Error(`bug: ${draft.id} is not an operation id`);
      return withLockSync(dir, { clock }, (assertHeld) => {
        openFolder(folder);
        const running = refuseSecond(draft);
        admit?.(running);
        const operation: Operation = { ...draft, lease: ownLease() };
        journal(join(folder, `${draft.id}.json`)).write(operation, assertHeld);
        return operation;
      });
    },
    save(op, admit) {
      withLockSync(dir, { clock }, (assertHeld) => {
        const before = readOwn(op);
        admit?.(list().operations.filter((o) => o.status === 'running'));
        if (before.status !== 'running' && op.status === 'running')
          throw new Error(`bug: the ended operation ${op.id} was to run again`);
        const lease = ownLease();
        journal(join(folder, `${op.id}.json`)).write({ ...op, lease }, assertHeld);
        op.lease = lease;
        if (op.status !== 'running') pruneEnded(op.id);
      });
    },
    renew,
    load(id) {
      if (!OPERATION_ID.test(id))
        throw new InputError(
          `"${id.slice(0, 80)}" is not an operation id; \`proxwarden status\` lists the last ones`,
        );
      const found = readJournal(join(folder, `${id}.json`));
      if (found === null)
        throw new InputError(
          `there is no operation ${id} in ${folder}; \`proxwarden status\` lists the last ones`,
        );
      return found;
    },
    isUnheard: ({ lease }) =>
      liveness(lease) === 'unknown' && !sameOwner(lease, self) && !leaseIsGood(lease, clock.now(), liveness),
    claim(op) {
      // Whoever waits for the end of a living owner doesn't take the lock for it.
      const seen = readJournal(join(folder, `${op.id}.json`));
      if (seen === null || seen.status !== 'running') return false;
      if (!sameOwner(seen.lease, self) && leaseIsGood(seen.lease, clock.now(), liveness)) return false;
      return withLockSync(dir, { clock }, (assertHeld) => {
        const path = join(folder, `${op.id}.json`);
        const found = readJournal(path);
        if (found === null || found.status !== 'running') return false;
        if (!sameOwner(found.lease, self)) {
          if (leaseIsGood(found.lease, clock.now(), liveness)) return false;
          if (liveness(found.lease) === 'unknown' && found.lease.heartbeatAt !== op.lease.heartbeatAt)
            return false;
        }
        const claimed: Operation = { ...found, lease: ownLease() };
        journal(path).write(claimed, assertHeld);
        Object.assign(op, claimed);
        return true;
      });
    },
    assertLease(op) {
      readOwnRunning(op);
      if (!onCluster || clock.now() - op.lease.heartbeatAt < PROVEN_MS) return;
      renew(op);
    },
  };
}

function journal(path: string): DurableJson<Operation> {
  return new DurableJson(path, {
    schema: Operation,
    version: 1,
    what: 'operation journal',
    advice:
      'its container is not touched meanwhile; restore it from a backup or, once you have seen in the cluster that nothing of it is under way, move it away',
  });
}

function readJournal(path: string): Operation | null {
  const found = journal(path).read();
  if (found !== null && !path.endsWith(`/${found.id}.json`))
    throw new StateError(
      `operation journal ${path} is that of another operation, ${plainText(found.id, 80)} — it was left as it is; move the copy away`,
    );
  return found;
}

/** The operation in that file; null when it runs, can't be read, or is gone. */
function endedAt(path: string): Operation | null {
  try {
    const op = readJournal(path);
    return op === null || op.status === 'running' ? null : op;
  } catch (error) {
    if (!(error instanceof StateError)) throw error;
    return null;
  }
}

function journalNames(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
      .toSorted();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw fileFailure(`read ${folder}`, error);
  }
}

function openFolder(folder: string): void {
  try {
    makeSubfolder(folder, 0o700);
  } catch (error) {
    throw fileFailure(`make the folder ${folder}`, error);
  }
}

/** The container that a broken journal is about: it is among its first lines, which may have survived. */
function containerIn(path: string): string | null {
  let text: string | null;
  try {
    text = readText(path);
  } catch (error) {
    if (error instanceof StateError) return null;
    throw error;
  }
  const quoted = /^ {2}"container": ("(?:[^"\\]|\\.)*"),?$/m.exec(text ?? '')?.[1];
  if (quoted === undefined) return null;
  try {
    const name: unknown = JSON.parse(quoted);
    return typeof name === 'string' ? name : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
