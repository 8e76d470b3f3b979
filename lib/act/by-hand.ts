/**
 * Operations that a person begins and interrupts (backup, restore). PVE goes on with a task whoever waits for it: it is
 * stopped where that is safe, else it goes on and the journal says so; the next run waits for its end.
 */
import { containerIn } from '../decide/reach.ts';
import { FailedError, messageOf, ProxwardenError, PveError } from '../errors.ts';
import { createdArchive } from '../pve/task.ts';
import type { StepRecord, TaskRecord } from '../state/model.ts';
import { quorateApi, runStep, type OperationContext, type Step } from './journal.ts';
import type { Outcome } from './outcome.ts';
import { adoptTask, awaitTask } from './run-task.ts';

/** Writes down how an operation by hand has ended, and tells it. */
export function endByHand(
  { op, operations, runtime, teller }: OperationContext,
  status: Outcome['status'],
  text: string,
): void {
  op.status = status;
  op.endedAt = runtime.clock.now();
  operations.save(op);
  teller.tell({
    kind: 'operation-ended',
    operation: op.id,
    of: op.kind,
    container: op.container,
    status,
    text,
  });
}

/** The step that was cut, with the task that PVE may still be carrying out for it. */
function underWay({ op }: OperationContext): { record: StepRecord; task: TaskRecord } | null {
  const record = op.steps.findLast((s) => s.status === 'started');
  const task = record?.task ?? null;
  return record === undefined || task === null || task.exitstatus !== null ? null : { record, task };
}

/** `vzdump of CT 101 on pve1`. */
function nameOf(task: TaskRecord): string {
  return `${task.type} of CT ${task.vmid} on ${task.node}`;
}

/** What goes on in PVE for an operation that was interrupted, as a sentence; null: nothing. */
export function goingOn(context: OperationContext): string | null {
  const cut = underWay(context);
  return cut === null ? null : `the ${nameOf(cut.task)} goes on meanwhile`;
}

/**
 * After an interruption: leaves what PVE is doing to the next run, which adopts it. Throws FailedError, which says what
 * goes on and how to stop it.
 */
export function leaveToNextRun(context: OperationContext): never {
  const { op, operations } = context;
  const cut = underWay(context);
  if (cut === null) {
    const text = `${op.id} (${op.container}) was interrupted; nothing of it goes on`;
    endByHand(context, 'cancelled', text);
    throw new FailedError(text);
  }
  operations.save(op);
  const { node, upid } = cut.task;
  throw new FailedError(`${op.id} (${op.container}) was interrupted; the ${nameOf(cut.task)} goes on`, {
    hint: `the next \`proxwarden check-and-failover\` waits for its end${upid === null ? '' : `; to stop it: \`pvesh delete /nodes/${node}/tasks/${upid}\``}`,
  });
}

/**
 * After an interruption: stops the task of the cut step, and waits for its end. Only for a vzdump that leaves its
 * container running: its worker frees the lock and removes what it has written (recorded for `suspend`; `snapshot` is
 * unmeasured; after mode `stop` the container would have to be started again, which is not left to a worker that is
 * being killed). Returns what the step returns when its task had ended well before. Else throws FailedError.
 */
export async function stopTask(context: OperationContext, step: Step, cluster: string): Promise<string> {
  const cut = underWay(context);
  if (cut === null) return leaveToNextRun(context);
  const { op, teller } = context;
  // A second Ctrl-C ends the process; the journal has the UPID, and the next run adopts it.
  const patient: OperationContext = { ...context, signal: undefined };
  teller.tell({
    kind: 'note',
    level: 'warn',
    container: op.container,
    text: `interrupted: the ${nameOf(cut.task)} is being stopped; Ctrl-C once more leaves it running`,
  });
  try {
    const task = await adoptTask(patient, cut.record, cluster);
    if (task !== null) await (await quorateApi(patient, cluster)).stopTask(task.upid);
    else cut.record.task = null;
  } catch (error) {
    if (!(error instanceof ProxwardenError)) throw error;
    teller.tell({ kind: 'note', level: 'warn', container: op.container, text: messageOf(error) });
    return leaveToNextRun(context);
  }
  if (underWay(patient) === null) return leaveToNextRun(context);
  try {
    await runStep(patient, step);
  } catch (error) {
    if (!(error instanceof ProxwardenError)) throw error;
    const text = `the ${nameOf(cut.task)} was stopped${await lockLeft(patient, cut.task, cluster)}`;
    endByHand(context, 'cancelled', text);
    throw new FailedError(`${op.id} (${op.container}) was interrupted; ${text}`, { cause: error });
  }
  return op.steps.at(-1)?.note ?? '';
}

/** A worker that was killed hard leaves its lock, which no API call can remove (facts, section 1). */
async function lockLeft(
  context: OperationContext,
  { node, vmid }: TaskRecord,
  cluster: string,
): Promise<string> {
  try {
    const { lock } = await (await quorateApi(context, cluster)).guestDetail(node, vmid);
    return lock === null
      ? ''
      : `, and CT ${vmid} is still locked (${lock}): \`pct unlock ${vmid}\` on ${node}`;
  } catch (error) {
    if (!(error instanceof ProxwardenError)) throw error;
    return `; whether CT ${vmid} is still locked can't be read: ${messageOf(error)}`;
  }
}

/**
 * A cut operation by hand, in the next run: waits for what PVE is still doing for it, so that the journal says how it
 * ended. Nothing is asked for: what it made is seen in the cluster, and the next look finds what is left to do.
 */
export async function finishCut(context: OperationContext): Promise<Outcome> {
  const { op, operations, container, signal } = context;
  const cut = underWay(context);
  const notRepeated = `a cut ${op.kind} is not repeated`;
  if (cut === null) return { status: 'cancelled', text: notRepeated };
  const cluster = op.data.target?.cluster ?? op.data.inPlace?.cluster ?? container.cluster;
  const name = nameOf(cut.task);
  try {
    const task = await adoptTask(context, cut.record, cluster);
    if (task === null) return { status: 'cancelled', text: `no ${name} was begun; ${notRepeated}` };
    const log = await awaitTask(context, cut.record, { cluster });
    cut.record.status = 'done';
    cut.record.note =
      createdArchive(log, containerIn(container, cluster).backup.storage) ?? `the ${name} has ended well`;
    operations.save(op);
    const whole = op.kind === 'backup' || (op.kind === 'restore' && op.action === null);
    return whole
      ? { status: 'done', text: cut.record.note }
      : { status: 'cancelled', text: `${cut.record.note}; ${notRepeated}` };
  } catch (error) {
    if (signal?.aborted === true || !(error instanceof PveError)) throw error;
    return { status: 'cancelled', text: messageOf(error) };
  }
}
