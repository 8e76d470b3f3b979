/**
 * One PVE task of a step: asked for once, waited for, adopted after a cut or a lost answer. Journal first: the request
 * is on disk before it is sent, the UPID as soon as it is known.
 */
import { messageOf, PveError } from '../errors.ts';
import type { PveApi, TaskListEntry } from '../pve/api.ts';
import { NO_PROGRESS, readProgress } from '../pve/progress.ts';
import { waitForTask } from '../pve/task.ts';
import type { StepRecord, TaskRecord } from '../state/model.ts';
import { progressOf } from '../tell/progress.ts';
import { expectedMs, type Work } from './estimate.ts';
import { lookUntil } from './look.ts';
import { quorateApi, type OperationContext } from './journal.ts';

/** A task may take as long as a restore of a large container; the journal's own limit on operations is two hours. */
const TASK_LIMIT_MS = 4 * 3_600_000;

export interface TaskRequest {
  readonly cluster: string;
  readonly node: string;
  readonly type: string;
  readonly vmid: number;
  /** What has to be true or done first, by fresh reads. What it throws ends the request: nothing has been sent. */
  readonly prepare?: (api: PveApi) => Promise<void>;
  /** Sends the one POST or DELETE and returns the UPID. Called again only when it is proven that no task came of it. */
  readonly issue: (api: PveApi) => Promise<string>;
  /** Whose task it will be (`root@pam`, from a shell); undefined: the token's own. */
  readonly owner?: string | undefined;
  readonly limitMs?: number;
  /** What its length depends on, to estimate it by: PVE's logs of containers give no share. */
  readonly work?: Pick<Work, 'storage' | 'bytes'>;
}

/**
 * Asks for one PVE task and waits for its end. What the journal already knows of it is adopted: a UPID is waited for,
 * a request without one is looked up in the node's task list, and only a proven absence leads to another request.
 * Throws PveError with the task's decisive log line when it fails. Returns its log's tail.
 */
export async function runTask(
  context: OperationContext,
  record: StepRecord,
  request: TaskRequest,
): Promise<readonly string[]> {
  const { op, operations } = context;
  const cut = record.task;
  record.task =
    (await adoptTask(context, record, request.cluster)) ?? (await ask(context, record, request, cut));
  operations.save(op);
  return awaitTask(context, record, request);
}

/** The task of a cut step, looked up where the journal has no UPID of it; null: there is none. Throws PveError. */
export async function adoptTask(
  context: OperationContext,
  record: StepRecord,
  cluster: string,
): Promise<(TaskRecord & { upid: string }) | null> {
  const { task } = record;
  if (task === null) return null;
  const upid = task.upid ?? (await findTask(context, record, { cluster }, task));
  return upid === null ? null : { ...task, upid };
}

/** Waits for the end of the task that the step's journal names, and writes it down. Returns its log's tail. */
export async function awaitTask(
  context: OperationContext,
  record: StepRecord,
  request: Pick<TaskRequest, 'cluster' | 'limitMs' | 'work'>,
): Promise<readonly string[]> {
  const { op, operations } = context;
  const { task } = record;
  if (task?.upid == null) throw new Error(`bug: step ${record.name} of ${op.id} has no task to wait for`);
  const api = await quorateApi(context, request.cluster);
  const { clock } = context.runtime;
  const expected = expectedOf(context, task, request.work);
  // Of one that was cut: how long it has taken already.
  const sinceMs = Math.max(clock.now() - task.requestedAt, 0);
  let said = NO_PROGRESS;
  const result = await waitForTask(api, task.upid, {
    clock,
    signal: context.signal,
    limitMs: request.limitMs ?? TASK_LIMIT_MS,
    onLog: (lines) => {
      said = readProgress(said, lines);
    },
    onProgress: ({ elapsedMs, silent }) =>
      context.teller.tell({
        kind: 'step-progress',
        operation: op.id,
        container: op.container,
        step: record.name,
        ...progressOf({
          ...said,
          elapsedMs: sinceMs + elapsedMs,
          expectedMs: expected,
          doing: silent === null ? said.phase : `no answer about it: ${silent}`,
        }),
      }),
  });
  task.endedAt = clock.now();
  if (request.work !== undefined) task.storage = request.work.storage;
  if (request.work?.bytes != null) task.bytes = request.work.bytes;
  task.exitstatus = result.exitstatus;
  operations.save(op);
  return result.log;
}

function expectedOf(
  { op, operations }: OperationContext,
  { type, node }: TaskRecord,
  work: TaskRequest['work'],
): number | null {
  if (work === undefined || (type !== 'vzdump' && type !== 'vzrestore')) return null;
  return expectedMs(operations.list().operations, { ...work, type, node, container: op.container });
}

/**
 * Asks for the task. After an answer that was lost the node's list is read: the task is there and adopted, or its
 * absence is proven, and it is asked for a second time and no third. Should the first request arrive after all, PVE
 * refuses one of the two: each type works on one vmid and finds its work done. Throws PveError.
 */
async function ask(
  context: OperationContext,
  record: StepRecord,
  request: TaskRequest,
  cut: TaskRecord | null,
): Promise<TaskRecord & { upid: string }> {
  const { op, operations, runtime, signal } = context;
  const what = `${request.type} of CT ${request.vmid} on ${request.node}`;
  let doubtful = cut;
  for (let attempt = 1; ; attempt += 1) {
    const api = await quorateApi(context, request.cluster);
    const before = await api.tasks(
      request.node,
      { vmid: request.vmid, since: 0, type: request.type },
      { signal },
    );
    await request.prepare?.(api);
    const task: TaskRecord = {
      node: request.node,
      type: request.type,
      vmid: request.vmid,
      requestedAt: runtime.clock.now(),
      before: doubtful?.before ?? before.map((t) => t.upid),
      upid: null,
      exitstatus: null,
      ...(request.owner === undefined ? {} : { owner: request.owner }),
    };
    record.task = task;
    operations.save(op);
    operations.assertLease(op);
    try {
      return { ...task, upid: await issue(context, api, request) };
    } catch (error) {
      // Stopped while it was being asked for: the journal keeps the request, and the next run looks what came of it.
      if (signal?.aborted === true && !(error instanceof PveError)) throw error;
      const lost = error instanceof PveError && error.outcome === 'unknown';
      if (lost) doubtful = task;
      // A refusal after a doubt may be that of the second request, because the first has arrived.
      const upid = doubtful === null ? null : await findTask(context, record, request, doubtful, error);
      if (upid !== null) return { ...task, upid };
      record.task = null;
      operations.save(op);
      if (!lost || attempt > 1)
        throw lost
          ? new PveError(`${messageOf(error)}; it is proven that no ${what} was begun`, {
              outcome: 'not-sent',
              cause: error,
            })
          : error;
      context.teller.tell({
        kind: 'note',
        level: 'info',
        container: op.container,
        text: `${record.name}: ${messageOf(error)}; no ${what} was begun, it is asked for again`,
      });
    }
  }
}

/** What has certainly not been sent (its endpoint has just died) is sent through another endpoint, once. */
async function issue(context: OperationContext, api: PveApi, request: TaskRequest): Promise<string> {
  try {
    return await request.issue(api);
  } catch (error) {
    if (!(error instanceof PveError) || error.outcome !== 'not-sent') throw error;
    const other = await quorateApi(context, request.cluster);
    context.operations.assertLease(context.op);
    return request.issue(other);
  }
}

/**
 * The UPID of a request whose answer is not known; null when it is proven that no task came of it. The node itself is
 * asked, through whichever endpoint answers, and what was in its list before is left out, so that no clock matters.
 * Only what this very token (or user) has asked for counts, or what was to be root's: another's task of that type is not
 * ours to wait for.
 * Throws PveError (`unknown`) when the node is silent, which proves nothing.
 */
async function findTask(
  context: OperationContext,
  record: StepRecord,
  request: Pick<TaskRequest, 'cluster'>,
  task: TaskRecord,
  cause?: unknown,
): Promise<string | null> {
  const { op, operations, teller } = context;
  const found = await lookUntil(context, {
    sentAt: task.requestedAt,
    what: `${task.type} of CT ${task.vmid} on ${task.node}`,
    cause,
    look: async () => {
      const api = await quorateApi(context, request.cluster);
      const listed = await api.tasks(
        task.node,
        { vmid: task.vmid, since: 0, type: task.type },
        { signal: context.signal },
      );
      return (
        listed
          .filter((t) => isOurs(t, task) && !task.before.includes(t.upid))
          .toSorted((a, b) => a.startedAt - b.startedAt)[0]?.upid ?? null
      );
    },
  });
  if (found === null) return null;
  task.upid = found;
  operations.save(op);
  teller.tell({
    kind: 'note',
    level: 'info',
    container: op.container,
    text: `${record.name}: the running task ${found} is adopted`,
  });
  return found;
}

function isOurs(listed: TaskListEntry, { owner }: TaskRecord): boolean {
  return owner === undefined ? listed.ours : listed.user === owner;
}
