/** A backup by hand, journalled like everything that asks PVE for something. */
import { incarnationsOf } from '../decide/incarnations.ts';
import { FailedError, messageOf } from '../errors.ts';
import type { Container } from '../inventory/types.ts';
import { formatDuration, formatSize } from '../units.ts';
import type { ActContext } from './context.ts';
import { endByHand, leaveToNextRun, stopTask } from './by-hand.ts';
import { runStep, type OperationContext, type Step } from './journal.ts';
import { newOperation } from './new-operation.ts';
import { makeBackup } from './source.ts';
import { observeClosely } from './start-gate.ts';

/**
 * Backs the current incarnation up, waits, and returns the volid that is really there. Throws FailedError. Interrupted,
 * it stops the vzdump, unless that has stopped the container for it.
 */
export async function backUpNow(context: ActContext, container: Container): Promise<string> {
  const { runtime, state, teller } = context;
  const observation = await observeClosely(context, container);
  const view = observation.clusters[container.cluster];
  if (view?.via == null)
    throw new FailedError(
      `${container.name}: no quorate view of cluster ${container.cluster}: ${view?.problems.join('; ') ?? ''}`,
    );
  const at = incarnationsOf(container, observation, state.read().containers[container.name]).current;
  if (at === null)
    throw new FailedError(`${container.name}: vmid ${container.vmid} is not in cluster ${container.cluster}`);
  if (view.nodes.find((n) => n.name === at.node)?.apiAnswers !== true)
    throw new FailedError(`${container.name} is on ${at.node}, which does not answer: it can't be backed up`);
  const op = newOperation(context, container, { kind: 'backup', reason: 'a backup by hand', action: null });
  teller.tell({
    kind: 'operation-started',
    operation: op.id,
    container: container.name,
    what: `back up CT ${at.vmid} on ${at.node} to ${container.backup.storage}`,
    steps: ['backup'],
  });
  const own: OperationContext = { ...context, op, container };
  let volid = '';
  const step: Step = {
    name: 'backup',
    run: async (c, record) => {
      const begun = runtime.clock.now();
      const made = await makeBackup(c, record, {
        cluster: at.cluster,
        node: at.node,
        vmid: at.vmid,
        mode: container.backup.mode,
        notes: `${container.name}: by hand, ${op.id}`,
      });
      volid = made.volid;
      return `${made.volid}, ${formatSize(made.size)} in ${formatDuration(runtime.clock.now() - begun)}`;
    },
  };
  try {
    await runStep(own, step);
  } catch (error) {
    if (context.signal?.aborted !== true) {
      endByHand(own, 'failed', messageOf(error));
      throw error;
    }
    if (container.backup.mode === 'stop') leaveToNextRun(own);
    await stopTask(own, step, at.cluster);
  }
  endByHand(own, 'done', volid);
  return volid;
}
