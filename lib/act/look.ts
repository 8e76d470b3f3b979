/** After a write whose fate is not known the world is read back, before anything else is done. */
import { FailedError, messageOf, PveError, StateError } from '../errors.ts';
import type { Operation } from '../state/model.ts';
import type { PveApi } from '../pve/api.ts';
import type { ActContext } from './context.ts';
import { quorateApi } from './journal.ts';

/**
 * A request may be under way for as long as the daemons between here and the node hold it: PVE's own proxy gives a
 * silent node up after 30 s, and a write waits some 8 s for the cluster's file system (facts, sections 2 and 8).
 * What has not shown up after twice as long is not there.
 */
const ARRIVED_MS = 60_000;
const LOOK_EVERY_MS = 2_000;
/** A single look may fall into the moment before a task is listed. */
const LOOKS_MIN = 2;
/** Reads that fail prove nothing; after so long without one that succeeds it is not waited for any more. */
const SILENT_MS = 60_000;

interface Look<T> {
  /** When the write was sent, epoch ms of the runner. */
  readonly sentAt: number;
  /** What it would have led to: `vzstart of CT 101 on pve1`. */
  readonly what: string;
  /** Why its fate is not known. */
  readonly cause?: unknown;
  /** Reads the world; null: there is nothing of it. */
  readonly look: () => Promise<T | null>;
}

/**
 * What came of a write, or null when it is proven that nothing did.
 * Throws PveError (`unknown`) when the world could not be read for a minute, what `look` throws when it is refused,
 * and at once when the signal aborts.
 */
export async function lookUntil<T>(
  { runtime, signal }: Pick<ActContext, 'runtime' | 'signal'>,
  { sentAt, what, cause, look }: Look<T>,
): Promise<T | null> {
  const { clock } = runtime;
  const begun = clock.now();
  // A clock that was set back meanwhile must not make it longer than it is after a fresh request.
  const until = Math.min(sentAt + ARRIVED_MS, begun + ARRIVED_MS);
  let answered = begun;
  for (let looks = 0; ;) {
    try {
      const found = await look();
      if (found !== null) return found;
      looks += 1;
      answered = clock.now();
      if (looks >= LOOKS_MIN && clock.now() >= until) return null;
    } catch (error) {
      if (signal?.aborted === true || !isSilence(error)) throw error;
      if (clock.now() - answered >= SILENT_MS)
        throw new PveError(
          `whether the ${what} was carried out is not known${cause === undefined ? '' : ` (${messageOf(cause)})`}: ${messageOf(error)}`,
          { outcome: 'unknown', hint: 'look there before anything else is done', cause: error },
        );
    }
    await clock.sleep(LOOK_EVERY_MS, signal);
  }
}

/** Nothing was learnt: no answer, or nobody with quorum to ask. */
function isSilence(error: unknown): boolean {
  if (error instanceof PveError) return error.outcome !== 'refused';
  return error instanceof FailedError && !(error instanceof StateError);
}

interface Setting {
  readonly api: PveApi;
  readonly what: string;
  readonly write: () => Promise<void>;
  /** Whether the world is as the write would have made it. */
  readonly holds: () => Promise<boolean>;
}

/** Who writes: an operation, whose lease is read right before each request, or a person's single step. */
export type Writer = ActContext & { readonly op?: Operation };

/**
 * Sends a write that leads to no task, and reads back what came of it when its answer is lost. Where it is proven that
 * nothing did, it is sent a second time, perhaps through another endpoint, and no third: it sets a state, or is refused where that is there already.
 * Throws PveError: what the write was answered, or that its fate can't be learnt; LockedError when the operation has been
 * taken over meanwhile.
 */
export async function settle(context: Writer, { api, what, write, holds }: Setting): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const sentAt = context.runtime.clock.now();
    if (context.op !== undefined) context.operations.assertLease(context.op);
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof PveError) || error.outcome === 'refused') throw error;
      const look = async (): Promise<true | null> => ((await holds()) ? true : null);
      const found =
        error.outcome === 'unknown' && (await lookUntil(context, { sentAt, what, cause: error, look }));
      if (found === true) return;
      if (attempt > 1) throw error;
    }
    // Its endpoint may be the trouble.
    await quorateApi(context, api.cluster);
  }
}

/** Changes a container's configuration, and reads it back when the answer is lost. Throws PveError. */
export async function setConfig(
  context: Writer,
  api: PveApi,
  { node, vmid }: { readonly node: string; readonly vmid: number },
  changes: Parameters<PveApi['setConfig']>[2],
): Promise<void> {
  const { signal } = context;
  await settle(context, {
    api,
    what: `change of the configuration of CT ${vmid} on ${node}`,
    write: () => api.setConfig(node, vmid, changes, { signal }),
    holds: async () => {
      const now = await api.guestDetail(node, vmid, { signal });
      return (
        (changes.onboot === undefined || changes.onboot === now.onboot) &&
        (changes.protection === undefined || changes.protection === now.protection) &&
        (changes.tags === undefined || tagsOf(changes.tags) === tagsOf(now.tags)) &&
        // PVE ends it with a line break.
        (changes.description === undefined || changes.description.trimEnd() === now.description.trimEnd())
      );
    },
  });
}

/** PVE sorts them, and writes them in small letters. */
function tagsOf(tags: readonly string[]): string {
  return [...new Set(tags.map((tag) => tag.toLowerCase()))].toSorted().join(';');
}

/** Protects a backup or lifts its protection, and reads it back when the answer is lost. Throws PveError. */
export async function setProtection(
  context: Writer,
  api: PveApi,
  { node, storage, volid }: { readonly node: string; readonly storage: string; readonly volid: string },
  on: boolean,
): Promise<void> {
  const { signal } = context;
  await settle(context, {
    api,
    what: `${on ? 'protection' : 'release'} of ${volid}`,
    write: () => api.protectBackup(node, volid, on, { signal }),
    holds: async () =>
      (await api.backups(node, storage, { signal })).some((b) => b.volid === volid && b.protected === on),
  });
}
