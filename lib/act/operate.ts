/** Operations from the outside: beginning one, going on with one that was cut, and what its end means for the state. */
import { stoppedKey } from '../decide/stopped-by-hand.ts';
import type { Decision, FailoverAction, Incarnation } from '../decide/model.ts';
import { BlockedError, FailedError, LockedError, messageOf, StateError } from '../errors.ts';
import { ResolvedContainer } from '../inventory/resolved.ts';
import type { Container } from '../inventory/types.ts';
import { emptyContainerState, type Operation } from '../state/model.ts';
import { describeOwner } from '../state/owner.ts';
import { formatDuration } from '../units.ts';
import type { ActContext } from './context.ts';
import { forgetHandOver } from './hand-over.ts';
import { keepingLease, watchOwner } from './heartbeat.ts';
import { finishCut, goingOn } from './by-hand.ts';
import { actionOf, runFailover, stepNames } from './failover.ts';
import { inPlaceSteps, runInPlace } from './in-place.ts';
import type { OperationContext } from './journal.ts';
import { newOperation } from './new-operation.ts';
import { NotYet, staysInHand, type Outcome } from './outcome.ts';
import { NotItsTurn, takesTurnLater, waitingFor } from './turn.ts';

/** A resumed operation older than this goes to `error`: the world has moved on too far. Not one that has succeeded. */
const RESUME_LIMIT_MS = 2 * 3_600_000;

/** Kinds of operations that end well only when the service answers. */
const VERIFIED: ReadonlySet<Operation['kind']> = new Set(['failover', 'start', 'restart']);

/** What a decision leads to. */
export interface Begin {
  readonly container: Container;
  readonly decision: Decision;
}

/** Journals a new operation for a decision that acts. Throws LockedError when the container has one already, NotItsTurn. */
export async function begin(context: ActContext, { container, decision }: Begin): Promise<Operation> {
  const { runtime, state } = context;
  const kind = decision.kind;
  if (kind !== 'failover' && kind !== 'start' && kind !== 'restart')
    throw new FailedError(`${container.name}: nothing to do (${kind})`);
  const record = state.read().containers[container.name] ?? emptyContainerState();
  const { action } = decision;
  const data = {
    detectedAt: record.firstFailureAt,
    inPlace: kind === 'failover' ? null : decision.current,
    turn: action === null || !takesTurnLater(action),
  };
  const op = newOperation(context, container, { kind, reason: decision.why, action, data }, (running) => {
    const why = action === null ? null : waitingFor(context, action, running);
    if (why !== null) throw new NotItsTurn(`${container.name} waits for its turn: ${why}`);
  });
  const steps = kind === 'failover' ? stepNames(actionOf(op)) : inPlaceSteps(kind);
  context.teller.tell({
    kind: 'operation-started',
    operation: op.id,
    of: op.kind,
    container: op.container,
    what: decision.why,
    steps,
  });
  if (kind !== 'failover')
    await state.update((s) => {
      const current = s.containers[container.name] ?? emptyContainerState();
      s.containers[container.name] = {
        ...current,
        restartedAt: runtime.clock.now(),
        failures: 0,
        firstFailureAt: current.firstFailureAt,
      };
    });
  return op;
}

/** Takes over an operation whose owner is dead, or goes on with our own. Throws LockedError when its owner lives. */
export async function takeOver(context: ActContext, op: Operation): Promise<void> {
  await watchOwner(context, op);
  if (!context.operations.claim(op))
    throw new LockedError(
      `${op.id} (${op.container}) is being worked on by ${describeOwner(op.lease)}, or has just ended`,
      { hint: `\`proxwarden history ${op.container}\` shows how far it is` },
    );
  const last = op.steps.findLast((s) => s.status === 'done')?.name ?? 'its beginning';
  const steps =
    op.kind === 'failover'
      ? stepNames(actionOf(op))
      : op.kind === 'start' || op.kind === 'restart'
        ? inPlaceSteps(op.kind)
        : [];
  context.teller.tell({
    kind: 'operation-resumed',
    operation: op.id,
    container: op.container,
    after: last,
    steps,
  });
}

/** The inventory's entry that it was begun with. Throws StateError: nothing can be done with a journal that lost it. */
function entryOf(op: Operation): Container {
  const entry = ResolvedContainer.safeParse(op.entry);
  if (entry.success) return entry.data;
  throw new StateError(
    `${op.id} (${op.container}) can't be gone on with: its journal does not hold the inventory's entry any more — ${op.container} is not touched meanwhile`,
    {
      hint: 'restore the journal from a backup or, once you have seen in the cluster how far it got, move it away',
    },
  );
}

/** Carries an operation to its end, and records that. The signal leaves it in the journal, to be resumed. */
export async function carryOut(context: ActContext, op: Operation): Promise<Outcome> {
  const operation: OperationContext = { ...context, op, container: entryOf(op) };
  let outcome: Outcome;
  try {
    outcome = await context.turns.carrying(op.id, () => run(operation));
  } catch (error) {
    if (context.signal?.aborted === true) {
      context.operations.save(op);
      const more = goingOn(operation);
      throw new FailedError(
        `${op.id} (${op.container}) was interrupted after ${lastDone(op)}; its progress is in the journal${more === null ? '' : `, ${more}`}`,
        { hint: goOnHint(op), cause: error },
      );
    }
    if (error instanceof StateError)
      throw new StateError(
        `${op.id} (${op.container}) has stopped after ${lastDone(op)}: ${messageOf(error)}; nothing more of it was asked for`,
        { hint: goOnHint(op), cause: error },
      );
    if (error instanceof NotYet) forgetHandOver(operation, op);
    if (staysInHand(error, context)) throw error;
    outcome = { status: 'error', text: messageOf(error) };
  }
  await end(operation, outcome);
  return outcome;
}

function lastDone(op: Operation): string {
  return op.steps.findLast((s) => s.status === 'done')?.name ?? 'no step';
}

function goOnHint(op: Operation): string {
  return `the next \`proxwarden check-and-failover\` goes on with it, or \`proxwarden failover ${op.container} --resume ${op.id}\``;
}

async function run(context: OperationContext): Promise<Outcome> {
  const { op, runtime } = context;
  switch (op.kind) {
    case 'backup':
    case 'prune':
    case 'restore':
    case 'reconcile':
    case 'cleanup':
      return keepingLease(context, () => finishCut(context));
    case 'failover':
    case 'start':
    case 'restart':
      break;
  }
  const age = runtime.clock.now() - op.createdAt;
  // A copy whose service has answered is a success, however late the rest of it is done (rule 8); nothing of that starts anything.
  const succeeded = op.kind === 'failover' && op.data.verifiedAt !== null;
  if (age > RESUME_LIMIT_MS && !succeeded)
    return {
      status: 'error',
      text: `it was begun ${formatDuration(age)} ago: look what is there (\`proxwarden status\`), then \`proxwarden ack ${op.container}\``,
    };
  return op.kind === 'failover' ? runFailover(context, actionOf(op)) : runInPlace(context, op.kind);
}

async function end(context: OperationContext, outcome: Outcome): Promise<void> {
  const { op, operations, state, runtime, teller } = context;
  const now = runtime.clock.now();
  op.status = outcome.status;
  op.endedAt = now;
  const copy = newHome(op, outcome);
  await state.update((s) => {
    const before = s.containers[op.container] ?? emptyContainerState();
    const after = { ...before };
    if (outcome.status === 'failed' || outcome.status === 'error')
      after.error = { at: now, reason: outcome.text, operation: op.id };
    if (copy !== null && outcome.status === 'done')
      Object.assign(after, {
        current: copy,
        failures: 0,
        successes: 0,
        firstFailureAt: null,
        restartedAt: null,
        lastFailoverAt: now,
        // What went wrong before has been settled by this success.
        error: null,
        // The copy has the same MACs: known until its own config is read in the next run, in case its node dies first.
        identity:
          before.identity === null
            ? null
            : { ...before.identity, cluster: copy.cluster, vmid: copy.vmid, readAt: 0 },
        // Whoever stopped the original has stopped the copy of it that was not started.
        ...(op.action?.stopped === 'by-hand' ? { stoppedCopy: stoppedKey(copy) } : {}),
      });
    if (op.kind === 'failover' && outcome.status === 'error') after.lastFailoverAt = now;
    // Its probes have just passed: the table need not wait for the next run to say so.
    if (outcome.status === 'done' && VERIFIED.has(op.kind) && op.action?.stopped === undefined)
      Object.assign(after, {
        verdict: { kind: 'healthy', reason: `verified by ${op.id}` },
        lastHealthyAt: op.data.verifiedAt ?? now,
      });
    s.containers[op.container] = after;
  });
  operations.save(op);
  teller.tell({
    kind: 'operation-ended',
    operation: op.id,
    of: op.kind,
    container: op.container,
    status: outcome.status,
    text: outcome.text,
  });
}

/** Where the container lives after a failover that has ended well. */
function newHome(op: Operation, outcome: Outcome): Incarnation | null {
  const action: FailoverAction | null = op.action;
  if (
    op.kind !== 'failover' ||
    outcome.status !== 'done' ||
    action === null ||
    op.data.target === null ||
    op.data.live === null
  )
    return null;
  return {
    ...op.data.target,
    vmid: op.data.live.vmid,
    epoch: op.data.live.epoch,
    phase: 'live',
    since: op.data.live.since ?? op.data.verifiedAt ?? op.createdAt,
    operation: op.id,
  };
}

/** What an outcome means for the process: throws for everything but done. */
export function assertDone(op: Operation, outcome: Outcome): void {
  const text = `${op.container}: ${op.id} ${outcome.status}: ${outcome.text}`;
  if (outcome.status === 'failed' || outcome.status === 'error')
    throw new FailedError(text, {
      hint: `\`proxwarden status ${op.container}\`; when it is mended, \`proxwarden ack ${op.container}\``,
    });
  if (outcome.status === 'cancelled') throw new BlockedError(text);
}
