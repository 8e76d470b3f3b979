/** The source on a living node: stopping it, backing it up, and starting it again when the failover is undone. */
import type { FailoverAction } from '../decide/model.ts';
import { BlockedError, FailedError, PveError } from '../errors.ts';
import { createdArchive } from '../pve/task.ts';
import type { StepRecord } from '../state/model.ts';
import { quorateApi, type OperationContext } from './journal.ts';
import { unretire } from './retire.ts';
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
  const { op, operations, container } = context;
  const { cluster, node, vmid } = action.from;
  const made = await makeBackup(context, record, {
    cluster,
    node,
    vmid,
    mode: 'stop',
    notes: `${container.name}: fresh backup for ${op.id}`,
  });
  op.data.volid = made.volid;
  op.data.backupAt = made.at;
  operations.save(op);
  return `${made.volid}, nothing is lost`;
}

/** One vzdump, waited for, and read back from the storage's list. Throws FailedError when no archive is there after. */
export async function makeBackup(
  context: OperationContext,
  record: StepRecord,
  what: { cluster: string; node: string; vmid: number; mode: 'snapshot' | 'suspend' | 'stop'; notes: string },
): Promise<{ volid: string; at: number; size: number }> {
  const { container, signal } = context;
  const { storage } = container.backup;
  const log = await runTask(context, record, {
    cluster: what.cluster,
    node: what.node,
    vmid: what.vmid,
    type: 'vzdump',
    work: { storage, bytes: null },
    issue: (to) =>
      to.vzdump(what.node, { vmid: what.vmid, storage, mode: what.mode, notes: what.notes }, { signal }),
  });
  const volid = createdArchive(log, storage);
  if (volid === null)
    throw new FailedError(`the vzdump of CT ${what.vmid} on ${what.node} names no archive in its log`);
  const api = await quorateApi(context, what.cluster);
  const entry = (await api.backups(what.node, storage, { vmid: what.vmid, signal })).find(
    (b) => b.volid === volid,
  );
  if (entry === undefined)
    throw new FailedError(`${volid} is not on ${storage}, although its vzdump ended well`);
  // Also for the estimate of the next one.
  if (record.task !== null) record.task.bytes = entry.size;
  return { volid, at: entry.at, size: entry.size };
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
  await runTask(context, record, {
    cluster,
    node,
    vmid,
    type: 'vzstart',
    ...gatedStart(context, { container, copy: action.from, from: null }),
  });
  return `CT ${vmid} is started again on ${node}`;
}
