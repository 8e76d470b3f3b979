/**
 * Steps and tasks of an operation, journal first. Order duty: that a step begins is on disk before anything of it is
 * asked for; a task's UPID as soon as it is known; the result last. A run killed at any instant is resumed from here.
 */
import { FailedError, messageOf, PveError } from '../errors.ts';
import type { Container } from '../inventory/types.ts';
import type { PveApi } from '../pve/api.ts';
import { waitForTask } from '../pve/task.ts';
import type { Operation, StepRecord, TaskRecord } from '../state/model.ts';
import { formatDuration } from '../units.ts';
import type { ActContext } from './context.ts';

/** After a request whose fate is unknown the task list is read this often, this far apart, before it counts as absent. */
const LOOK_AGAIN = 3;
const LOOK_AGAIN_MS = 2_000;
/** A task may take as long as a restore of a large container; the journal's own limit on operations is two hours. */
const TASK_LIMIT_MS = 4 * 3_600_000;
/** The lease is renewed at least this often while a task is waited for. */
const HEARTBEAT_MS = 30_000;

/** Reads the task list this far back for what was there before a request. */
const BEFORE_MS = 24 * 3_600_000;

export interface OperationContext extends ActContext {
  readonly op: Operation;
  /** The entry that the operation started with, whatever the inventory says now. */
  readonly container: Container;
}

/** A step of an operation. `run` must be safe to run again after a cut anywhere in it; it returns one sentence. */
export interface Step {
  readonly name: string;
  readonly run: (context: OperationContext, record: StepRecord) => Promise<string>;
}

/** Runs one step unless the journal says that it is done. */
export async function runStep(context: OperationContext, step: Step): Promise<void> {
  const { op, operations, runtime, teller, signal } = context;
  let record = op.steps.find((s) => s.name === step.name);
  if (record?.status === 'done') return;
  signal?.throwIfAborted();
  if (record === undefined) {
    record = {
      name: step.name,
      status: 'started',
      startedAt: runtime.clock.now(),
      endedAt: null,
      note: '',
      task: null,
    };
    op.steps.push(record);
  } else record.status = 'started';
  operations.save(op);
  teller.tell({ kind: 'step-started', operation: op.id, container: op.container, step: step.name });
  try {
    record.note = await step.run(context, record);
  } catch (error) {
    if (signal?.aborted === true) throw error;
    record.status = 'failed';
    record.note = messageOf(error);
    record.endedAt = runtime.clock.now();
    operations.save(op);
    teller.tell({
      kind: 'step-failed',
      operation: op.id,
      container: op.container,
      step: step.name,
      note: record.note,
    });
    throw error;
  }
  record.status = 'done';
  record.endedAt = runtime.clock.now();
  operations.save(op);
  teller.tell({
    kind: 'step-done',
    operation: op.id,
    container: op.container,
    step: step.name,
    note: record.note,
  });
}

/** The API of the cluster, with writes going to an endpoint whose view is quorate now (rule 4). */
export async function quorateApi(context: ActContext, cluster: string): Promise<PveApi> {
  const api = context.apis.get(cluster);
  if (api === undefined) throw new FailedError(`cluster ${cluster} is not in the inventory any more`);
  const views = await Promise.all(
    api.endpoints.map((e) => api.endpointView(e, { signal: context.signal, timeoutMs: 3_000 })),
  );
  const quorate = views.find((v) => v.ok && v.quorate);
  if (quorate === undefined)
    throw new FailedError(
      `no endpoint of cluster ${cluster} has quorum: ${views.map((v) => `${v.endpoint} ${v.error ?? 'has none'}`).join('; ')}`,
      {
        hint: 'nothing is written without quorum; the operation goes on when it is back',
      },
    );
  api.useEndpoint(quorate.endpoint);
  return api;
}

export interface TaskRequest {
  readonly cluster: string;
  readonly node: string;
  readonly type: string;
  readonly vmid: number;
  /** Sends the one POST or DELETE and returns the UPID. Called at most once per known absence. */
  readonly issue: (api: PveApi) => Promise<string>;
  readonly limitMs?: number;
  /** How long it is expected to take, for the progress bar: PVE's logs of restores give no share. */
  readonly expectedMs?: number | null;
}

/**
 * Asks for one PVE task and waits for its end. What the journal already knows of it is adopted: a UPID is waited for,
 * a request without one is looked up in the node's task list, and only a proven absence leads to a (first) request.
 * Throws PveError with the task's decisive log line when it fails. Returns its log's tail.
 */
export async function runTask(
  context: OperationContext,
  record: StepRecord,
  request: TaskRequest,
): Promise<readonly string[]> {
  const { op, operations } = context;
  const api = await quorateApi(context, request.cluster);
  if (record.task !== null && record.task.upid === null) await adopt(context, api, record, record.task);
  if (record.task === null) await ask(context, api, record, request);
  const task: TaskRecord | null = record.task;
  if (task?.upid == null)
    throw new FailedError(
      `the ${request.type} task of CT ${request.vmid} on ${request.node} could not be asked for`,
    );
  const result = await waitForTask(api, task.upid, {
    clock: context.runtime.clock,
    signal: context.signal,
    limitMs: request.limitMs ?? TASK_LIMIT_MS,
    onLog: () => {
      if (context.runtime.clock.now() - op.lease.heartbeatAt > HEARTBEAT_MS) operations.save(op);
    },
    onProgress: ({ elapsedMs, silent }) => {
      const percent =
        request.expectedMs == null ? null : Math.min(95, (elapsedMs / request.expectedMs) * 100);
      const text = silent === null ? formatDuration(elapsedMs) : `no answer about it: ${silent}`;
      context.teller.tell({
        kind: 'step-progress',
        operation: op.id,
        container: op.container,
        step: record.name,
        percent,
        text,
      });
    },
  });
  task.exitstatus = result.exitstatus;
  operations.save(op);
  return result.log;
}

async function ask(
  context: OperationContext,
  api: PveApi,
  record: StepRecord,
  request: TaskRequest,
): Promise<void> {
  const { op, operations, runtime } = context;
  const now = runtime.clock.now();
  const before = await api.tasks(
    request.node,
    { vmid: request.vmid, since: now - BEFORE_MS, type: request.type },
    { signal: context.signal },
  );
  const task: TaskRecord = {
    node: request.node,
    type: request.type,
    vmid: request.vmid,
    requestedAt: now,
    before: before.map((t) => t.upid),
    upid: null,
    exitstatus: null,
  };
  record.task = task;
  operations.save(op);
  operations.assertLease(op);
  try {
    task.upid = await issue(context, api, request);
  } catch (error) {
    if (!(error instanceof PveError) || error.outcome !== 'unknown') {
      record.task = null;
      operations.save(op);
      throw error;
    }
    // Whether it was carried out is not known: the world is read back before anything else.
    await adopt(context, await quorateApi(context, request.cluster), record, task);
    if (record.task === null)
      throw new FailedError(`${messageOf(error)}; it is proven that no ${request.type} task was started`, {
        cause: error,
      });
    return;
  }
  operations.save(op);
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

/** Finds the task of a request whose UPID is not known. Sets `record.task` to null when its absence is proven. */
async function adopt(
  context: OperationContext,
  api: PveApi,
  record: StepRecord,
  task: TaskRecord,
): Promise<void> {
  for (let look = 0; look < LOOK_AGAIN; look += 1) {
    if (look > 0) await context.runtime.clock.sleep(LOOK_AGAIN_MS, context.signal);
    const listed = await api.tasks(
      task.node,
      { vmid: task.vmid, since: task.requestedAt - BEFORE_MS, type: task.type },
      { signal: context.signal },
    );
    const ours = listed
      .filter((t) => !task.before.includes(t.upid))
      .toSorted((a, b) => a.startedAt - b.startedAt)[0];
    if (ours !== undefined) {
      task.upid = ours.upid;
      context.operations.save(context.op);
      context.teller.tell({
        kind: 'note',
        level: 'info',
        container: context.op.container,
        text: `${record.name}: the running task ${ours.upid} is adopted`,
      });
      return;
    }
  }
  record.task = null;
  context.operations.save(context.op);
}
