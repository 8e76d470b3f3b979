/** A small operation of reconcile: its steps, journalled, and told. */
import { messageOf, ProxwardenError } from '../errors.ts';
import type { Container } from '../inventory/types.ts';
import type { Operation } from '../state/model.ts';
import type { ActContext } from './context.ts';
import { runStep, type Step } from './journal.ts';
import { newOperation } from './new-operation.ts';
import { staysInHand } from './outcome.ts';

/** Whether it has worked; what failed is told, and the next run tries again. Throws what isn't the world's fault. */
export async function journalled(
  context: ActContext,
  container: Container,
  reason: string,
  steps: (op: Operation) => Step[],
  data: Partial<Operation['data']> = {},
): Promise<boolean> {
  const { operations, runtime, teller } = context;
  const op = newOperation(context, container, { kind: 'reconcile', reason, action: null, data });
  try {
    for (const step of steps(op)) await runStep({ ...context, op, container }, step);
    op.status = 'done';
    teller.tell({ kind: 'reconciled', container: container.name, text: reason });
  } catch (error) {
    if (staysInHand(error, context) || !(error instanceof ProxwardenError)) throw error;
    op.status = 'failed';
    teller.tell({
      kind: 'note',
      level: 'warn',
      container: container.name,
      text: `${reason}: ${messageOf(error)}; the next run tries again`,
    });
  }
  op.endedAt = runtime.clock.now();
  operations.save(op);
  return op.status === 'done';
}
