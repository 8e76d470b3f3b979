/**
 * Steps of an operation, journal first. Order duty: that a step begins is on disk before anything of it is asked for,
 * the result last. A run killed at any instant is resumed from here. PVE's tasks: run-task.ts.
 */
import { FailedError, messageOf } from '../errors.ts';
import type { Container } from '../inventory/types.ts';
import type { PveApi } from '../pve/api.ts';
import type { Operation, StepRecord } from '../state/model.ts';
import type { ActContext } from './context.ts';
import { keepingLease } from './heartbeat.ts';
import { staysInHand } from './outcome.ts';

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
    record.note = await keepingLease(context, () => step.run(context, record));
  } catch (error) {
    if (staysInHand(error, context)) throw error;
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

/** Nothing of the cluster is written to now. */
export class NoQuorum extends FailedError {}

/** The API of the cluster, with writes going to an endpoint whose view is quorate now (rule 4). */
export async function quorateApi(context: ActContext, cluster: string): Promise<PveApi> {
  const api = context.apis.get(cluster);
  if (api === undefined) throw new FailedError(`cluster ${cluster} is not in the inventory any more`);
  const views = await Promise.all(api.endpoints.map((e) => api.endpointView(e, { signal: context.signal })));
  const quorate = views.find((v) => v.ok && v.quorate);
  if (quorate === undefined)
    throw new NoQuorum(
      `no endpoint of cluster ${cluster} has quorum: ${views.map((v) => `${v.endpoint} ${v.error ?? 'has none'}`).join('; ')}`,
      {
        hint: 'nothing is written without quorum; the operation goes on when it is back',
      },
    );
  api.useEndpoint(quorate.endpoint);
  return api;
}
