/** A backup by hand, journalled like everything that asks PVE for something. */
import { incarnationsOf } from '../decide/incarnations.ts';
import type { Incarnation } from '../decide/model.ts';
import { containerIn } from '../decide/reach.ts';
import { FailedError, messageOf } from '../errors.ts';
import type { Container } from '../inventory/types.ts';
import { formatDuration, formatSize } from '../units.ts';
import type { ActContext } from './context.ts';
import { endByHand, leaveToNextRun, stopTask } from './by-hand.ts';
import { quorateApi, runStep, type OperationContext, type Step } from './journal.ts';
import { newOperation } from './new-operation.ts';
import { makeBackup, modeOf } from './make-backup.ts';
import { staysInHand } from './outcome.ts';
import { observeClosely } from './start-gate.ts';

/** Where the container is now. Throws FailedError when it can't be backed up there. */
async function placeOf(context: ActContext, container: Container): Promise<Incarnation> {
  const observation = await observeClosely(context, container, { backups: false });
  const record = context.state.read().containers[container.name];
  const at = incarnationsOf(container, observation, record).current;
  const cluster = at?.cluster ?? container.cluster;
  const view = observation.clusters[cluster];
  if (view?.via == null)
    throw new FailedError(
      `${container.name}: no quorate view of cluster ${cluster}: ${view?.problems.join('; ') ?? ''}`,
    );
  if (at === null)
    throw new FailedError(`${container.name}: vmid ${container.vmid} is not in cluster ${cluster}`);
  if (view.nodes.find((n) => n.name === at.node)?.apiAnswers !== true)
    throw new FailedError(`${container.name} is on ${at.node}, which does not answer: it can't be backed up`);
  return at;
}

/** What `backUpNow` would do, in one sentence. Throws FailedError. */
export async function describeBackup(context: ActContext, container: Container): Promise<string> {
  const at = await placeOf(context, container);
  const api = await quorateApi(context, at.cluster);
  const own = containerIn(container, at.cluster);
  const { said } = await modeOf(api, own, at, context.signal);
  return `would back up ${container.name} (CT ${at.vmid} on ${at.node}) to ${own.backup.storage}${said === null ? '' : `; ${said}`}`;
}

/**
 * Backs the current incarnation up, waits, and returns the volid that is really there. Throws FailedError. Interrupted,
 * it stops the vzdump, unless that has stopped the container for it.
 */
export async function backUpNow(context: ActContext, container: Container): Promise<string> {
  const { runtime, teller } = context;
  const at = await placeOf(context, container);
  const op = newOperation(context, container, {
    kind: 'backup',
    reason: 'a backup by hand',
    action: null,
    data: { inPlace: at },
  });
  teller.tell({
    kind: 'operation-started',
    operation: op.id,
    of: op.kind,
    container: container.name,
    what: `back up CT ${at.vmid} on ${at.node} to ${containerIn(container, at.cluster).backup.storage}`,
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
        epoch: at.epoch,
        purpose: 'by hand',
      });
      volid = made.volid;
      return `${made.volid}, ${formatSize(made.size)} in ${formatDuration(runtime.clock.now() - begun)}`;
    },
  };
  try {
    await runStep(own, step);
  } catch (error) {
    if (context.signal?.aborted !== true) {
      if (staysInHand(error, context)) throw error;
      endByHand(own, 'failed', messageOf(error));
      throw error;
    }
    if (container.backup.mode === 'stop') leaveToNextRun(own);
    await stopTask(own, step, at.cluster);
  }
  endByHand(own, 'done', volid);
  return volid;
}
