/** The heartbeat of an operation: its lease is renewed for as long as something of it goes on. */
import { LockedError, StateError } from '../errors.ts';
import type { Operation } from '../state/model.ts';
import type { ActContext } from './context.ts';

/** Two of them, with time to spare: whoever lives has shown it by then. */
const WATCH_MS = 75_000;

/** Well within what an owner that can't be seen is given (state/owner.ts). */
const HEARTBEAT_MS = 30_000;

/**
 * Does `work`, and renews the lease beside it, whatever is waited for: a task, a hook, a fence. A heartbeat that can't be
 * written is tried again: what is asked of the cluster is journalled first anyway, and fails by itself.
 */
export async function keepingLease<T>(
  { op, operations, runtime }: Pick<ActContext, 'operations' | 'runtime'> & { readonly op: Operation },
  work: () => Promise<T>,
): Promise<T> {
  const ended = new AbortController();
  const beat = async (): Promise<void> => {
    for (;;) {
      try {
        await runtime.clock.sleep(HEARTBEAT_MS, ended.signal);
      } catch (error) {
        if (ended.signal.aborted) return;
        throw error;
      }
      try {
        operations.renew(op);
      } catch (error) {
        if (!(error instanceof StateError || error instanceof LockedError)) throw error;
      }
    }
  };
  const beating = beat();
  try {
    return await work();
  } finally {
    ended.abort(DONE);
    await beating;
  }
}

/**
 * Before an operation is taken over from an owner that can't be seen and seems to have fallen silent: lets so much time
 * pass that a living one would have had a heartbeat, whatever its clock says and ours. `claim` then looks for it.
 */
export async function watchOwner({ operations, runtime, signal }: ActContext, op: Operation): Promise<void> {
  if (operations.isUnheard(op)) await runtime.clock.sleep(WATCH_MS, signal);
}

/** One for all: abort() without a reason makes an exception each time. */
const DONE = new Error('its work is done');
