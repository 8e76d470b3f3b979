/**
 * A restore by hand. Without `start` it makes a stopped container that is nobody's incarnation (no lineage line); with
 * it, the next incarnation, which starts only if rule 1 holds as things are: nothing is stopped, fenced or retired here.
 */
import { composeDescription } from '../decide/lineage.ts';
import type { BackupView, FailoverAction, Incarnation } from '../decide/model.ts';
import { FailedError, messageOf } from '../errors.ts';
import type { Container, Target } from '../inventory/types.ts';
import { verifyCopy } from './after.ts';
import { endByHand, leaveToNextRun } from './by-hand.ts';
import type { ActContext } from './context.ts';
import { destroyCopy, restoreCopy, type Copy } from './copy.ts';
import { startCopy } from './start-copy.ts';
import { quorateApi, runStep, type OperationContext, type Step } from './journal.ts';
import { newOperation } from './new-operation.ts';
import { staysInHand } from './outcome.ts';
import { restoring } from './restoring.ts';
import { runTask } from './run-task.ts';

export interface RestoreRequest {
  readonly container: Container;
  readonly backup: BackupView;
  readonly to: Target;
  readonly vmid: number;
  /** Start it as the epoch after this one; null: only restore. */
  readonly startAfter: Incarnation | null;
}

/** Restores, and starts if asked for. Throws what the failing step threw; an unstarted copy is taken away again. */
export async function restoreByHand(context: ActContext, request: RestoreRequest): Promise<string> {
  const { container, backup, to, vmid, startAfter } = request;
  const { runtime, state, teller } = context;
  const epoch = startAfter === null ? 0 : startAfter.epoch + 1;
  const copy: Copy = { ...to, vmid, epoch };
  const action: FailoverAction | null =
    startAfter === null
      ? null
      : {
          container: container.name,
          mode: 'by-hand',
          from: startAfter,
          target: to,
          alternatives: [],
          vmid,
          epoch,
          volid: backup.volid,
          backupAt: backup.at,
          sourceAlive: false,
          fence: [],
          retire: 'nothing-to-do',
        };
  const op = newOperation(context, container, {
    kind: 'restore',
    reason: 'a restore by hand',
    action,
    data: { target: to, volid: backup.volid, backupAt: backup.at, backupSize: backup.size },
  });
  const steps: Step[] =
    action === null
      ? [{ name: 'restore', run: (c, r) => plainRestore(c, r, request) }]
      : [
          { name: 'restore', run: (c, r) => restoreCopy(c, r, copy, action) },
          { name: 'start', run: (c, r) => startCopy(c, r, copy, action) },
          { name: 'verify', run: (c, r) => verifyCopy(c, r, copy) },
        ];
  const own: OperationContext = { ...context, op, container };
  teller.tell({
    kind: 'operation-started',
    operation: op.id,
    of: op.kind,
    container: container.name,
    what: `restore ${backup.volid} on ${to.node} as CT ${vmid}`,
    steps: steps.map((s) => s.name),
  });
  try {
    for (const step of steps) await runStep(own, step);
  } catch (error) {
    // What a restore leaves that is stopped midway is unmeasured, so it is not.
    if (context.signal?.aborted === true) leaveToNextRun(own);
    if (staysInHand(error, context)) throw error;
    if (action !== null && !op.data.startAsked)
      await runStep(own, { name: 'undo: copy', run: (c, r) => destroyCopy(c, r, copy) });
    endByHand(own, 'failed', messageOf(error));
    throw error;
  }
  const text = `${backup.volid} restored on ${to.node} as CT ${vmid}${action === null ? ', stopped' : ', started and verified'}`;
  if (action !== null)
    await state.update((s) => {
      const record = s.containers[container.name];
      if (record !== undefined)
        s.containers[container.name] = {
          ...record,
          current: { ...copy, phase: 'live', since: runtime.clock.now(), operation: op.id },
          failures: 0,
          lastFailoverAt: runtime.clock.now(),
          identity:
            record.identity === null ? null : { ...record.identity, cluster: copy.cluster, vmid, readAt: 0 },
        };
    });
  endByHand(own, 'done', text);
  return text;
}

async function plainRestore(
  context: OperationContext,
  record: Parameters<Step['run']>[1],
  { backup, to, vmid }: RestoreRequest,
): Promise<string> {
  const { op, signal } = context;
  const { archived } = backup;
  if (archived === null) throw new FailedError(`the config inside ${backup.volid} has not been read`);
  const description = composeDescription({
    sentence: `restored by hand from ${backup.volid} (${op.id}); it is not managed.`,
    line: null,
    previous: archived.description,
  });
  await runTask(context, record, {
    ...to,
    vmid,
    type: 'vzrestore',
    work: { storage: backup.storage, bytes: backup.size },
    ...restoring(context, record, to, archived.config, { vmid, volid: backup.volid, description, tags: [] }),
  });
  const api = await quorateApi(context, to.cluster);
  const made = await api.guestDetail(to.node, vmid, { signal });
  if (made.onboot) throw new FailedError(`CT ${vmid} on ${to.node} has onboot=1 after its restore`);
  return `CT ${vmid} is on ${to.node}, stopped, onboot=0`;
}
