/**
 * Whose turn it is: the limits on restores at the same time, held over all processes by the journals themselves. What comes
 * before its restore a failover does while others restore, and then waits here.
 */
import * as z from 'zod';
import { brakeOn } from '../decide/brakes.ts';
import type { FailoverAction } from '../decide/model.ts';
import { beginOf, preparesAhead, turnOf, underWayOf } from '../decide/under-way.ts';
import { LockedError } from '../errors.ts';
import type { Operation } from '../state/model.ts';
import { sameOwner } from '../state/owner.ts';
import { formatDuration } from '../units.ts';
import type { ActContext } from './context.ts';
import { runStep, type OperationContext } from './journal.ts';
import { Cancelled, NotYet } from './outcome.ts';

/** Whether another's restore is over is looked up in the journals this often, */
const TURN_POLL_MS = 2_000;
/** and where all of them are this process's own, which says so itself, only in case. */
const OWN_POLL_MS = 30_000;
/** What was found out before it had to wait is found out again this often: cron would look as often. */
const LOOK_AGAIN_MS = 60_000;
/** Then it is given up, and decided anew. */
const WAIT_MAX_MS = 3_600_000;

/** So long nobody carries it out: it is not just being handed over. */
const LEFT_MS = 10_000;
/** Two of its heartbeats, with time to spare. */
const SILENT_MS = 75_000;

/** Another failover has to get further first; nothing is wrong. */
export class NotItsTurn extends LockedError {}

/** Whether a failover is prepared while others restore, and takes its turn right before its own restore. */
export function takesTurnLater(action: FailoverAction): boolean {
  return action.mode === 'automatic' && action.takes !== undefined && preparesAhead(action);
}

/** Why a failover has to wait for those that are under way before it begins; null: it may. A person's wish waits for nobody. */
export function waitingFor(
  { inventory }: Pick<ActContext, 'inventory'>,
  action: FailoverAction,
  running: readonly Operation[],
): string | null {
  const { mode, target, from, takes } = action;
  if (mode !== 'automatic' || takes === undefined) return null;
  const others = running.map(underWayOf).filter((one) => one !== null);
  const mayBegin = preparesAhead(action) ? beginOf : turnOf;
  return mayBegin(inventory.limits, others, target, `${from.cluster}/${takes.backups}`);
}

/**
 * Waits until this failover may restore, and journals that it does, in the order of their beginning. `look` is called again
 * and again while it waits, and throws when it is not to be done any more. Throws Cancelled when a brake has been put on
 * meanwhile, or nothing has come of an hour of waiting.
 */
export async function takeTurn(
  context: OperationContext,
  action: FailoverAction,
  look: () => Promise<unknown>,
): Promise<void> {
  if (context.op.data.turn || tryTurn(context, action).why === null) return;
  await runStep(context, {
    name: 'wait for turn',
    run: (c) => waitForTurn(c, action, look),
  });
}

async function waitForTurn(
  context: OperationContext,
  action: FailoverAction,
  look: () => Promise<unknown>,
): Promise<string> {
  const { op, state, runtime } = context;
  const { clock } = runtime;
  const from = clock.now();
  let lookedAt = from;
  let leftAt: number | null = null;
  for (;;) {
    const now = clock.now();
    const brake = brakeOn(state.read(), op, now);
    if (brake !== null) throw new Cancelled(`ended before anything was restored: ${brake.evidence}`);
    const { why, alone, left } = tryTurn(context, action);
    if (why === null) return `others were being restored for ${formatDuration(now - from)}`;
    leftAt = left ? (leftAt ?? now) : null;
    // What has stopped in this process can only be gone on with when that has ended.
    if (leftAt !== null && now - leftAt >= LEFT_MS)
      throw new NotYet(`${op.container}: ${why}, and nobody goes on with it in this run`);
    if (now - from >= WAIT_MAX_MS)
      throw new Cancelled(`its turn has not come within ${formatDuration(WAIT_MAX_MS)}: ${why}`);
    if (now - lookedAt >= LOOK_AGAIN_MS) {
      await look();
      lookedAt = clock.now();
    } else await nextTurn(context, alone);
  }
}

interface Look {
  /** Why it can't take its place; null: it has. */
  readonly why: string | null;
  /** All that are under way are this process's own, */
  readonly alone: boolean;
  /** and none of those that are before it is being carried out any more. */
  readonly left: boolean;
}

/** Takes its place, or says why it can't yet. */
function tryTurn(context: OperationContext, { target, from, takes }: FailoverAction): Look {
  const { op, operations, inventory, runtime, turns } = context;
  let [alone, left] = [true, false];
  op.data.turn = true;
  try {
    operations.save(op, (running) => {
      const now = runtime.clock.now();
      alone = running.every((one) => sameOwner(one.lease, op.lease));
      const others = running
        .filter((one) => one.id !== op.id && (one.data.turn || (isAlive(one, now) && inOrder(one, op) < 0)))
        .toSorted(inOrder)
        .map(underWayOf)
        .filter((one) => one !== null);
      left = alone && !others.some((one) => one.restoring && turns.isCarried(one.operation));
      const why =
        takes === undefined
          ? null
          : turnOf(inventory.limits, others, target, `${from.cluster}/${takes.backups}`);
      if (why !== null) throw new NotItsTurn(why);
    });
    return { why: null, alone, left };
  } catch (error) {
    op.data.turn = false;
    if (error instanceof NotItsTurn) return { why: error.message, alone, left };
    throw error;
  }
}

/** A place is kept for one that was begun before, ready or about to be; not for one that waits for its next run. */
function isAlive({ lease }: Operation, now: number): boolean {
  return now - lease.heartbeatAt < SILENT_MS;
}

/** By their beginning; by priority where that is the same. */
function inOrder(a: Operation, b: Operation): number {
  return a.createdAt - b.createdAt || priorityOf(a) - priorityOf(b) || (a.id < b.id ? -1 : 1);
}

const Entry = z.object({ priority: z.number() });

function priorityOf({ entry }: Operation): number {
  return Entry.safeParse(entry).data?.priority ?? Infinity;
}

/** Waits until it is worth looking again whose turn it is. Rejects when the signal aborts. */
export function nextTurn({ turns, runtime, signal }: ActContext, alone: boolean): Promise<void> {
  return turns.next(runtime.clock, alone ? OWN_POLL_MS : TURN_POLL_MS, signal);
}
