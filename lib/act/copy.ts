/** The copy itself: restoring it, reading that it is ours, and taking it away again before its start (start-copy.ts). */
import { composeDescription, isAtHome, parseLineage, TAG } from '../decide/lineage.ts';
import { incarnationKey } from '../decide/incarnations.ts';
import type { FailoverAction, GuestDetail, Lineage } from '../decide/model.ts';
import { containerIn, volidIn } from '../decide/reach.ts';
import { BlockedError, FailedError, PveError } from '../errors.ts';
import type { PveApi } from '../pve/api.ts';
import { startedSinceRestore } from '../pve/guest.ts';
import type { StepRecord } from '../state/model.ts';
import { quorateApi, type OperationContext } from './journal.ts';
import { setConfig } from './look.ts';
import { Cancelled } from './outcome.ts';
import { RETIRED_TAG } from './retire.ts';
import { restoring } from './restoring.ts';
import { runTask } from './run-task.ts';

/** Which copy this attempt is about. An attempt whose copy was started takes the next epoch and vmid. */
export interface Copy {
  readonly cluster: string;
  readonly node: string;
  readonly vmid: number;
  readonly epoch: number;
}

/** Tags a copy keeps from its original, with ours. */
function tagsOf(previous: readonly string[]): string[] {
  return [...new Set([...previous.filter((t) => t !== RETIRED_TAG), TAG])];
}

/** The line of this copy, for where it is. */
export function lineageOf(
  { op, runtime, container }: OperationContext,
  copy: Copy,
  action: FailoverAction,
  phase: Lineage['phase'],
): Lineage {
  return {
    container: op.container,
    cluster: copy.cluster,
    node: copy.node,
    vmid: copy.vmid,
    epoch: copy.epoch,
    supersedes: incarnationKey(action.from, copy.cluster),
    operation: op.id,
    source: op.data.volid === null ? '' : volidIn(container, copy.cluster, op.data.volid),
    phase,
    at: Math.round(runtime.clock.now()),
    ...(phase === 'live' && action.stopped === 'by-hand' ? { stopped: 'by-hand' as const } : {}),
  };
}

/**
 * Restores the chosen backup as `copy`, onboot=0, with its lineage line in the same call. Resumed, it recognises its
 * own copy by that line. Throws BlockedError when the vmid belongs to somebody else: PVE's refusal is the mutex that
 * all runners share.
 */
export async function restoreCopy(
  context: OperationContext,
  record: StepRecord,
  copy: Copy,
  action: FailoverAction,
): Promise<string> {
  const { op, container, operations } = context;
  if (op.data.volid === null) throw new FailedError(`${op.container}: no backup has been chosen`);
  const volid = volidIn(container, copy.cluster, op.data.volid);
  const api = await quorateApi(context, copy.cluster);
  const archived = await api.archivedConfig(copy.node, volid, { signal: context.signal });
  const description = composeDescription({
    sentence: `copy of ${op.container} (was ${incarnationKey(action.from, copy.cluster)}), restored by ${op.id} from ${volid}.`,
    line: lineageOf(context, copy, action, 'restored'),
    previous: archived.description,
  });
  try {
    await runTask(context, record, {
      cluster: copy.cluster,
      node: copy.node,
      type: 'vzrestore',
      work: { storage: containerIn(container, copy.cluster).backup.storage, bytes: op.data.backupSize },
      vmid: copy.vmid,
      ...restoring(context, record, copy, archived.config, {
        vmid: copy.vmid,
        volid,
        description,
        tags: tagsOf(archived.tags),
      }),
    });
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    const there = await readCopy(context, api, copy);
    if (there === null) throw error;
    assertOurs(context, there, copy, error);
    if (there.lock !== null) throw error;
  }
  const made = await readCopy(context, api, copy);
  if (made !== null) assertOurs(context, made, copy);
  if (made?.node !== copy.node)
    throw new FailedError(`CT ${copy.vmid} is not on ${copy.node} after its restore`);
  if (made.onboot) throw new FailedError(`CT ${copy.vmid} on ${copy.node} has onboot=1 after its restore`);
  op.data.restored = true;
  op.data.onboot ??= archived.onboot;
  operations.save(op);
  context.turns.over();
  return `${volid} restored on ${copy.node} as CT ${copy.vmid}`;
}

/**
 * The vmid is taken, or a restore of it that was adopted after a lost answer turns out to be another runner's. Throws
 * Cancelled when that one is at the same copy, BlockedError when it is somebody else's container.
 */
function assertOurs(context: OperationContext, there: GuestDetail, copy: Copy, cause?: unknown): void {
  const { op } = context;
  const line = parseLineage(there.description);
  // Whoever has the vmid may be restoring from the very backup that we have protected: it stays so.
  if (!isOurs(context, there, copy)) op.data.weProtected = false;
  if (
    line !== null &&
    line.operation !== op.id &&
    line.container === op.container &&
    line.epoch === copy.epoch
  )
    throw new Cancelled(
      `another runner is at it: ${line.operation} has made CT ${copy.vmid} on ${there.node}, epoch ${line.epoch}`,
    );
  // Its description is only written at the end of a restore.
  if (line === null && there.lock === 'create')
    throw new Cancelled(
      `CT ${copy.vmid} is being made on ${there.node} right now: another runner may be at work`,
    );
  if (!isOurs(context, there, copy))
    throw new BlockedError(
      `${op.container}: vmid ${copy.vmid} is taken by a container on ${there.node} that this operation did not make: another runner may be at work`,
      { cause },
    );
}

/** The copy as its node says, or null when it isn't there. */
export async function readCopy(
  context: OperationContext,
  api: PveApi,
  copy: Copy,
): Promise<GuestDetail | null> {
  const { guests } = await api.resources({ signal: context.signal });
  const listed = guests.find((g) => g.vmid === copy.vmid);
  try {
    return await api.guestDetail(listed?.node ?? copy.node, copy.vmid, { signal: context.signal });
  } catch (error) {
    if (error instanceof PveError && error.outcome === 'refused') return null;
    throw error;
  }
}

/** Ours: made by a journalled operation, this one unless said (its line says so), and the line names this very cluster, node and vmid. */
export function isOurs({ op }: OperationContext, detail: GuestDetail, copy: Copy, madeBy = op.id): boolean {
  const line = parseLineage(detail.description);
  return (
    line !== null &&
    line.operation === madeBy &&
    line.container === op.container &&
    isAtHome(line, { ...copy, node: detail.node })
  );
}

/** Takes a copy away that has never been asked to start. Refuses anything that isn't ours. `madeBy`: the operation that made it. */
export async function destroyCopy(
  context: OperationContext,
  record: StepRecord,
  copy: Copy,
  madeBy?: string,
): Promise<string> {
  const { op, operations, signal } = context;
  if (op.data.startAsked)
    throw new FailedError(`CT ${copy.vmid} has been asked to start and is not destroyed`);
  const api = await quorateApi(context, copy.cluster);
  const there = await readCopy(context, api, copy);
  if (there === null) return `there is no CT ${copy.vmid}`;
  if (!isOurs(context, there, copy, madeBy)) return `CT ${copy.vmid} is not ours and stays`;
  if (parseLineage(there.description)?.phase !== 'restored')
    throw new BlockedError(`CT ${copy.vmid} on ${there.node} has been asked to start: it is not destroyed`);
  if (there.status !== 'stopped')
    throw new BlockedError(
      `CT ${copy.vmid} on ${there.node} is ${there.status ?? 'of unknown state'}: it is not destroyed`,
    );
  // Whoever starts a copy by hand doesn't change its line, so the node's task list is asked.
  const tasks = await api.tasks(there.node, { vmid: copy.vmid, since: 0 }, { signal });
  const started = startedSinceRestore(tasks);
  if (started !== undefined && record.task === null)
    throw new BlockedError(
      `CT ${copy.vmid} on ${there.node} has been started since its restore (${started.user}, ${started.type}) and may hold data: it is not destroyed`,
      { hint: 'destroy it by hand if nobody needs what is in it' },
    );
  // The archive's own: it would refuse the removal.
  if (there.protection) await setConfig(context, api, { ...copy, node: there.node }, { protection: false });
  await runTask(context, record, {
    cluster: copy.cluster,
    node: there.node,
    type: 'vzdestroy',
    vmid: copy.vmid,
    issue: (to) => to.destroy(there.node, copy.vmid, { signal }),
  });
  op.data.restored = false;
  operations.save(op);
  return `the unstarted CT ${copy.vmid} is removed from ${there.node}`;
}
