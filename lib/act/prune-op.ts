/** Removing backups, journalled one by one. What is removed is decided in decide/prune.ts. */
import { prunePlan, type PruneEntry } from '../decide/prune.ts';
import { containerIn } from '../decide/reach.ts';
import { archiveOf } from '../decide/volid.ts';
import { BlockedError, FailedError, messageOf, ProxwardenError, PveError } from '../errors.ts';
import type { Container, KeepPolicy } from '../inventory/types.ts';
import type { PveApi } from '../pve/api.ts';
import { waitForTask } from '../pve/task.ts';
import type { Operation, StepRecord } from '../state/model.ts';
import { endByHand } from './by-hand.ts';
import type { ContainerBackups } from './container-backups.ts';
import type { ActContext } from './context.ts';
import { quorateApi, runStep, type OperationContext } from './journal.ts';
import { newOperation } from './new-operation.ts';
import { staysInHand } from './outcome.ts';

/** Removing a file is quick, also a large one; a backup server only forgets a name. */
const REMOVAL_LIMIT_MS = 10 * 60_000;

export interface PruneResult {
  /** volids, in the order of their removal. */
  readonly removed: readonly string[];
  /** Sentences, one for each that could not be removed. */
  readonly failures: readonly string[];
}

/** What would be removed and why the others stay. Throws BlockedError when it isn't clear which copy is the current one. */
export function planPrune(
  { operations, runtime }: Pick<ActContext, 'operations' | 'runtime'>,
  container: Container,
  found: ContainerBackups,
  { keep, all }: { keep: KeepPolicy; all: boolean },
): PruneEntry[] {
  const { current, macs, backups, problems } = found;
  if (problems.length > 0)
    throw new BlockedError(`${container.name}: nothing is pruned, since ${problems.join('; ')}`);
  const inUse = volidsInUse(operations.list().operations);
  return prunePlan(backups, { container, current, macs, keep, all, inUse, now: runtime.clock.now() });
}

/** Backups that operations under way restore from, or have just made. */
function volidsInUse(operations: readonly Operation[]): Set<string> {
  return new Set(
    operations
      .filter((op) => op.status === 'running')
      .flatMap((op) => [op.data.volid, op.action?.volid])
      .filter((volid) => volid != null),
  );
}

/** Removes the entries that are marked, oldest first. Throws what keeps the operation from beginning at all. */
export async function pruneNow(
  context: ActContext,
  container: Container,
  found: ContainerBackups,
  entries: readonly PruneEntry[],
): Promise<PruneResult> {
  const { teller } = context;
  const volids = entries
    .filter((e) => e.remove)
    .map((e) => e.backup.volid)
    .toReversed();
  const removed: string[] = [];
  const failures: string[] = [];
  if (volids.length === 0) return { removed, failures };
  const op = newOperation(context, container, { kind: 'prune', reason: 'asked for by hand', action: null });
  teller.tell({
    kind: 'operation-started',
    operation: op.id,
    of: op.kind,
    container: container.name,
    what: `remove ${volids.length} of ${entries.length} backups from ${container.backup.storage}`,
    steps: volids.map((volid) => `remove ${volid}`),
  });
  const own: OperationContext = { ...context, op, container };
  const said = (): string => [`${removed.length} of ${volids.length} removed`, ...failures].join('; ');
  try {
    for (const volid of volids) {
      const run = (c: OperationContext, record: StepRecord): Promise<string> =>
        removeOne(c, record, found, volid);
      try {
        await runStep(own, { name: `remove ${volid}`, run });
        removed.push(volid);
      } catch (error) {
        if (staysInHand(error, context) || !(error instanceof ProxwardenError)) throw error;
        failures.push(`${volid}: ${messageOf(error)}`);
      }
    }
  } catch (error) {
    if (context.signal?.aborted === true) endByHand(own, 'cancelled', said());
    throw error;
  }
  endByHand(own, failures.length > 0 ? 'failed' : 'done', said());
  return { removed, failures };
}

async function removeOne(
  context: OperationContext,
  record: StepRecord,
  { node, current }: ContainerBackups,
  volid: string,
): Promise<string> {
  const { op, operations, runtime, signal } = context;
  const api = await quorateApi(context, current.cluster);
  const entry = await entryOf(context, api, node, volid);
  if (entry === undefined) return `${volid} is gone already`;
  // Seconds have passed since it was decided: somebody may have begun to use it.
  if (entry.protected) throw new FailedError('it has been protected meanwhile');
  const inUse = volidsInUse(operations.list().operations.filter((o) => o.id !== op.id));
  if ([...inUse].some((one) => archiveOf(one) === archiveOf(volid)))
    throw new FailedError('an operation has begun to use it meanwhile');
  record.task = {
    node,
    type: 'imgdel',
    vmid: entry.vmid,
    requestedAt: runtime.clock.now(),
    before: [],
    upid: null,
    exitstatus: null,
  };
  operations.save(op);
  operations.assertLease(op);
  try {
    record.task.upid = await api.deleteBackup(node, volid, { signal });
    operations.save(op);
    if (record.task.upid !== null)
      await waitForTask(api, record.task.upid, { clock: runtime.clock, signal, limitMs: REMOVAL_LIMIT_MS });
    record.task.exitstatus = 'OK';
  } catch (error) {
    if (!(error instanceof PveError) || signal?.aborted === true) throw error;
    // Whatever became of the request: what counts is whether it is there.
    if ((await entryOf(context, api, node, volid)) !== undefined) throw error;
  }
  return `${volid} is removed`;
}

async function entryOf({ container, signal }: OperationContext, api: PveApi, node: string, volid: string) {
  const { storage } = containerIn(container, api.cluster).backup;
  const listed = await api.backups(node, storage, { signal });
  return listed.find((b) => b.volid === volid);
}
