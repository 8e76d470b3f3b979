/** Undoing a failover: the original wins as long as the copy's start has not been asked for. */
import type { FailoverAction } from '../decide/model.ts';
import { BlockedError, FailedError, messageOf } from '../errors.ts';
import type { Operation } from '../state/model.ts';
import { liftProtection, serviceAnswers } from './after.ts';
import { destroyCopy, isOurs, readCopy, type Copy } from './copy.ts';
import { quorateApi, runStep, type OperationContext, type Step } from './journal.ts';
import { Cancelled, type Outcome } from './outcome.ts';
import { removeGuard } from './retire.ts';
import { startSourceAgain } from './source.ts';

type Undoing = NonNullable<Operation['data']['undoing']>;

function kindOf(cause: unknown): Undoing['kind'] {
  if (cause instanceof Cancelled) return 'cancelled';
  return cause instanceof BlockedError ? 'blocked' : 'failed';
}

/** The cause as it was before a cut: what it was decides how the operation ends. */
export function causeOf({ cause, kind }: Undoing): Error {
  switch (kind) {
    case 'cancelled':
      return new Cancelled(cause);
    case 'blocked':
      return new BlockedError(cause);
    case 'failed':
      return new FailedError(cause);
  }
}

/** Puts back what was done, and says how the operation has ended. `copy`: restored perhaps, never asked to start. */
export async function undo(
  context: OperationContext,
  action: FailoverAction,
  cause: unknown,
  copy: Copy,
): Promise<Outcome> {
  const { op, operations } = context;
  const begun = op.steps.some((s) => s.name.startsWith('restore'));
  op.data.undoing ??= { cause: messageOf(cause), kind: kindOf(cause) };
  operations.save(op);
  const steps: Step[] = [
    { name: 'undo: copy', run: (c, r) => destroyCopy(c, r, copy) },
    { name: 'undo: guard', run: (c) => undoGuard(c, action, copy) },
    { name: 'undo: source', run: (c, r) => startSourceAgain(c, r, action) },
    { name: 'undo: protection', run: (c) => liftProtection(c) },
  ];
  const retired = action.sourceAlive && op.steps.some((s) => s.name === 'retire');
  const needed = [begun, op.data.guard !== null, op.data.weStopped || retired, op.data.weProtected];
  const failures: string[] = [];
  for (const [index, step] of steps.entries()) {
    if (needed[index] !== true) continue;
    try {
      await runStep(context, step);
    } catch (error) {
      if (context.signal?.aborted === true) throw error;
      failures.push(`${step.name}: ${messageOf(error)}`);
    }
  }
  if (failures.length > 0)
    return {
      status: 'error',
      text: `${messageOf(cause)}; and it could not be undone: ${failures.join('; ')}`,
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

async function answersAgain({ apis, signal }: OperationContext, { from }: FailoverAction): Promise<boolean> {
  return (await apis.get(from.cluster)?.nodeAnswers(from.node, { signal, timeoutMs: 3_000 })) ?? false;
}

async function undoGuard(context: OperationContext, action: FailoverAction, copy: Copy): Promise<string> {
  const api = await quorateApi(context, action.from.cluster);
  // Another runner, which has found our guard and relies on it, is making or running the copy.
  const there = await readCopy(context, api, copy);
  if (there !== null && !isOurs(context, there, copy))
    return `the guard stays: CT ${copy.vmid} on ${there.node} is another's copy, and needs it`;
  context.operations.assertLease(context.op);
  return (await removeGuard(context, api, action.from, context.op.id))
    ? 'our guard is removed'
    : 'there was no guard of ours';
}
