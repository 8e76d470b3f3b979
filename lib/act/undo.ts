/** Undoing a failover: the original wins as long as the copy's start has not been asked for. */
import type { FailoverAction, Incarnation } from '../decide/model.ts';
import { incarnationKey } from '../decide/incarnations.ts';
import { requiredLevel } from '../decide/proof.ts';
import { BlockedError, FailedError, messageOf, ProxwardenError, PveError } from '../errors.ts';
import { emptyContainerState, type Cause, type StepRecord } from '../state/model.ts';
import { liftProtection, serviceAnswers } from './after.ts';
import { removeGuard } from './guard.ts';
import { destroyCopy, isOurs, readCopy, type Copy } from './copy.ts';
import { fenceNode } from './fence/fence.ts';
import { NoQuorum, quorateApi, runStep, type OperationContext, type Step } from './journal.ts';
import { moveConfigBack } from './move-config.ts';
import { Cancelled, NotYet, staysInHand, type Outcome } from './outcome.ts';
import { startSourceAgain } from './source.ts';
import { HiddenCluster } from './start-gate.ts';

/** What of an error goes into the journal. */
export function asCause(error: unknown): Cause {
  const kind =
    error instanceof Cancelled ? 'cancelled' : error instanceof BlockedError ? 'blocked' : 'failed';
  return { cause: messageOf(error), kind };
}

/** The cause as it was before a cut: what it was decides how the operation ends. */
export function causeOf({ cause, kind }: Cause): Error {
  switch (kind) {
    case 'cancelled':
      return new Cancelled(cause);
    case 'blocked':
      return new BlockedError(cause);
    case 'failed':
      return new FailedError(cause);
  }
}

/**
 * Puts back what was done, and says how the operation has ended. `copy`: restored perhaps, never asked to start. Throws
 * NotYet when a source that was stopped may not be started again as long as that copy's node is silent.
 */
export async function undo(
  context: OperationContext,
  action: FailoverAction,
  cause: unknown,
  copy: Copy,
): Promise<Outcome> {
  const { op, operations } = context;
  const begun = op.steps.some((s) => s.name.startsWith('restore'));
  op.data.undoing ??= asCause(cause);
  operations.save(op);
  const retired = action.sourceAlive && op.steps.some((s) => s.name === 'retire');
  // What is needed is asked when its turn comes: it depends on what became of the copy.
  const steps: readonly (Step & { readonly needed: () => boolean })[] = [
    { name: 'undo: copy', needed: () => begun, run: (c, r) => takeAway(c, r, copy, action) },
    {
      name: 'undo: config',
      needed: () => op.data.moved !== null,
      run: (c) => moveConfigBack(c, action.from),
    },
    { name: 'undo: guard', needed: () => op.data.guard !== null, run: (c) => undoGuard(c, action, copy) },
    {
      name: 'undo: fence',
      needed: () => op.data.weStopped && isLeft(context) && mayPowerOff(context, copy),
      run: (c) => fenceNode(c, c.container, copy.cluster, copy.node),
    },
    {
      name: 'undo: source',
      needed: () => op.data.weStopped || retired,
      run: (c, r) => startSourceAgain(c, r, action),
    },
    { name: 'undo: protection', needed: () => op.data.weProtected, run: (c) => liftProtection(c) },
  ];
  const failures = new Map<string, unknown>();
  for (const step of steps) {
    if (!step.needed()) continue;
    try {
      await runStep(context, step);
    } catch (error) {
      if (staysInHand(error, context)) throw error;
      failures.set(step.name, error);
    }
  }
  const stays = failures.get('undo: source');
  if (stays instanceof HiddenCluster) throw stillHidden(context, action, stays);
  if (stays instanceof ProxwardenError && isLeft(context)) throw notYet(context, action, copy, stays);
  // It was to raise the proof; the source is started, so there was enough of it.
  failures.delete('undo: fence');
  if (failures.size > 0)
    return {
      status: 'error',
      text: `${messageOf(cause)}; and it could not be undone: ${[...failures].map(([name, error]) => `${name}: ${messageOf(error)}`).join('; ')}`,
    };
  // What was blocked before anything was restored is decided anew by the next run; a restore is not repeated every minute.
  if (cause instanceof Cancelled || (cause instanceof BlockedError && !begun && !op.data.weStopped))
    return { status: 'cancelled', text: cause.message };
  // The original wins; whether it has to be started is the next run's to decide.
  if (cause instanceof BlockedError && !action.sourceAlive && (await answersAgain(context, action)))
    return { status: 'cancelled', text: `${cause.message}; ${action.from.node} is back` };
  if (cause instanceof BlockedError && (await serviceAnswers(context)))
    return { status: 'cancelled', text: `${cause.message}; the service answers again` };
  return { status: 'failed', text: messageOf(cause) };
}

/** The copy is destroyed, or, where its node is silent, remembered, so that everybody reckons with it. */
async function takeAway(
  context: OperationContext,
  record: StepRecord,
  copy: Copy,
  action: FailoverAction,
): Promise<string> {
  try {
    const said = await destroyCopy(context, record, copy);
    await remember(context, null);
    return said;
  } catch (error) {
    const made = restoreOf(context, copy);
    if (!isSilence(error) || made === null) throw error;
    // It has the vmid, so the original can't have it back: nothing else can be done before that node is back.
    if (context.op.data.moved !== null) throw notYet(context, action, copy, error);
    await remember(context, { ...copy, phase: 'restored', since: made.startedAt, operation: context.op.id });
    return `CT ${copy.vmid} stays for now, since ${copy.node} does not answer (${messageOf(error)}); it is seen to when that node is back`;
  }
}

/** Nothing was heard of its node, or of its whole cluster. */
function isSilence(error: unknown): error is PveError | NoQuorum {
  return error instanceof NoQuorum || (error instanceof PveError && error.outcome !== 'refused');
}

/** The step in which PVE has begun to restore that very copy for us; null: there is none. */
function restoreOf({ op }: OperationContext, { node, vmid }: Copy): StepRecord | null {
  const made = op.steps.findLast((s) => s.task?.type === 'vzrestore' && s.task.upid !== null);
  return made?.task?.node === node && made.task.vmid === vmid ? made : null;
}

async function remember({ state, op }: OperationContext, attempt: Incarnation | null): Promise<void> {
  await state.update((s) => {
    s.containers[op.container] = { ...(s.containers[op.container] ?? emptyContainerState()), attempt };
  });
}

function isLeft({ state, op }: OperationContext): boolean {
  return state.read().containers[op.container]?.attempt?.operation === op.id;
}

/** As for a failover: only where that is automatic, and only if its proof is worth more than the node's silence. */
function mayPowerOff({ container, inventory }: OperationContext, { cluster, node }: Copy): boolean {
  const drivers = inventory.clusters[cluster]?.nodes[node]?.fence ?? [];
  return (
    container.failover.auto &&
    requiredLevel(container.failover) > 1 &&
    drivers.some((one) => one.driver !== 'manual')
  );
}

function notYet(
  { inventory, op }: OperationContext,
  { from }: FailoverAction,
  copy: Copy,
  why: ProxwardenError,
): NotYet {
  const { cluster, node } = copy;
  const byWord = (inventory.clusters[cluster]?.nodes[node]?.fence ?? []).some((f) => f.driver === 'manual');
  const word = byWord
    ? `, or see that it is off and say \`proxwarden fence confirm ${cluster}/${node}\``
    : '';
  return new NotYet(
    `${op.container}: ${op.id} can't be undone yet, ${incarnationKey(from)} stays stopped: ${messageOf(why)}`,
    {
      hint: `bring ${node} back${word}: the next \`proxwarden check-and-failover\` then starts CT ${from.vmid} on ${from.node} again`,
      cause: why,
    },
  );
}

function stillHidden({ op }: OperationContext, { from }: FailoverAction, why: HiddenCluster): NotYet {
  return new NotYet(
    `${op.container}: ${op.id} can't be undone yet, ${incarnationKey(from)} stays stopped: ${messageOf(why)}`,
    {
      hint: `make that cluster reachable, or see that it is off and say so with \`proxwarden fence confirm\`: the next \`proxwarden check-and-failover\` then starts CT ${from.vmid} on ${from.node} again`,
      cause: why,
    },
  );
}

async function answersAgain({ apis, signal }: OperationContext, { from }: FailoverAction): Promise<boolean> {
  return (await apis.get(from.cluster)?.nodeAnswers(from.node, { signal, timeoutMs: 3_000 })) ?? false;
}

async function undoGuard(context: OperationContext, action: FailoverAction, copy: Copy): Promise<string> {
  // Another runner, which has found our guard and relies on it, is making or running the copy.
  const there = await readCopy(context, await quorateApi(context, copy.cluster), copy);
  if (there !== null && !isOurs(context, there, copy))
    return `the guard stays: CT ${copy.vmid} on ${there.node} is another's copy, and needs it`;
  const api = await quorateApi(context, action.from.cluster);
  context.operations.assertLease(context.op);
  return (await removeGuard(context, api, action.from, context.op.id))
    ? 'our guard is removed'
    : 'there was no guard of ours';
}
