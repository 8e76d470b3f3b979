/** The source on a living node: stopping it, backing it up, and starting it again when the failover is undone. */
import type { FailoverAction } from '../decide/model.ts';
import { BlockedError, FailedError, ProxwardenError, PveError } from '../errors.ts';
import { makeBackup } from './make-backup.ts';
import type { StepRecord } from '../state/model.ts';
import { quorateApi, type OperationContext } from './journal.ts';
import { unretire } from './retire.ts';
import { staysInHand } from './outcome.ts';
import { runTask } from './run-task.ts';
import { gatedStart } from './start-gate.ts';

/** How long the container has to shut down before it is stopped hard. */
const SHUTDOWN_SECONDS = 60;

/** Shuts a container down (hard: stops it at once), and reads from its node that it is stopped. Idempotent. */
export async function stopSource(
  context: OperationContext,
  record: StepRecord,
  { from, hard = false }: { from: { cluster: string; node: string; vmid: number }; hard?: boolean },
): Promise<string> {
  const { op, operations, signal } = context;
  const { cluster, node, vmid } = from;
  const api = await quorateApi(context, cluster);
  const before = await api.guestDetail(node, vmid, { signal });
  if (!hard) {
    op.data.onboot ??= before.onboot;
    operations.save(op);
  }
  if (before.status === 'stopped' && record.task === null) return `CT ${vmid} on ${node} is stopped`;
  if (!hard) {
    op.data.weStopped = true;
    operations.save(op);
  }
  try {
    await runTask(context, record, {
      cluster,
      node,
      vmid,
      type: hard ? 'vzstop' : 'vzshutdown',
      issue: (to) =>
        hard ? to.stop(node, vmid, { signal }) : to.shutdown(node, vmid, SHUTDOWN_SECONDS, { signal }),
    });
  } catch (error) {
    // "CT 101 not running": somebody was faster. What counts is what the node says next.
    if (!(error instanceof PveError)) throw error;
    const now = await api.guestDetail(node, vmid, { signal });
    if (now.status !== 'stopped') throw error;
  }
  const after = await api.guestDetail(node, vmid, { signal });
  if (after.status !== 'stopped')
    throw new FailedError(
      `CT ${vmid} on ${node} is ${after.status ?? 'of unknown state'} after it was stopped`,
    );
  return `CT ${vmid} on ${node} is stopped`;
}

/** A planned move of a stopped container: it is not stopped by us, so it must still be stopped. Throws BlockedError. */
export async function stillStopped(context: OperationContext, action: FailoverAction): Promise<string> {
  const { op, operations, signal } = context;
  const { cluster, node, vmid } = action.from;
  const api = await quorateApi(context, cluster);
  const detail = await api.guestDetail(node, vmid, { signal });
  if (detail.status !== 'stopped')
    throw new BlockedError(
      `CT ${vmid} on ${node} is ${detail.status ?? 'of unknown state'}, and a stopped one was to be moved`,
    );
  // Once it has been retired its onboot is ours.
  op.data.onboot ??= detail.onboot;
  operations.save(op);
  return `CT ${vmid} on ${node} is stopped, and so will be its copy`;
}

/** Backs the stopped source up (mode stop) and sets `data.volid` to exactly that backup. */
export async function backUpSource(
  context: OperationContext,
  record: StepRecord,
  action: FailoverAction,
): Promise<string> {
  const { op, operations } = context;
  const { cluster, node, vmid } = action.from;
  const made = await makeBackup(context, record, {
    cluster,
    node,
    vmid,
    mode: 'stop',
    epoch: action.from.epoch,
    purpose: 'before a failover',
  });
  op.data.volid = made.volid;
  op.data.backupAt = made.at;
  operations.save(op);
  return `${made.volid}, nothing is lost`;
}

/** Puts the source back as it was, started again if it was we who stopped it; rule 1 holds here too. */
export async function startSourceAgain(
  context: OperationContext,
  record: StepRecord,
  action: FailoverAction,
): Promise<string> {
  const { op, operations, container, signal } = context;
  const { cluster, node, vmid } = action.from;
  const api = await quorateApi(context, cluster);
  operations.assertLease(op);
  const sentence = `the failover ${op.id} of ${op.container} was undone; this is the current copy.`;
  await unretire(context, api, action.from, { onboot: op.data.onboot, sentence });
  if (!op.data.weStopped) return `CT ${vmid} on ${node} is as it was`;
  const before = await api.guestDetail(node, vmid, { signal });
  if (before.status === 'running') return `CT ${vmid} runs on ${node}`;
  try {
    await runTask(context, record, {
      cluster,
      node,
      vmid,
      type: 'vzstart',
      ...gatedStart(context, { container, copy: action.from, from: null }),
    });
  } catch (error) {
    if (staysInHand(error, context) || !(error instanceof ProxwardenError)) throw error;
    // Somebody was faster: it is what was wanted.
    const now = await api.guestDetail(node, vmid, { signal });
    if (now.status !== 'running') throw error;
    return `CT ${vmid} runs on ${node}`;
  }
  return `CT ${vmid} is started again on ${node}`;
}
