/** A container that stopped by itself, or whose service hangs, is started again where it is. Once; the rest is a failover. */
import { brakeOn, pastSafeStep } from '../decide/brakes.ts';
import type { Incarnation } from '../decide/model.ts';
import { FailedError, messageOf } from '../errors.ts';
import type { StepRecord } from '../state/model.ts';
import { verifyCopy } from './after.ts';
import { quorateApi, runStep, type OperationContext, type Step } from './journal.ts';
import { staysInHand, type Outcome } from './outcome.ts';
import { runTask } from './run-task.ts';
import { stopSource } from './source.ts';
import { gatedStart, restartGate } from './start-gate.ts';

/** Step names, for a progress display. */
export function inPlaceSteps(kind: 'start' | 'restart'): string[] {
  return kind === 'restart' ? ['stop', 'start', 'verify'] : ['start', 'verify'];
}

/** Starts (or stops and starts) the current incarnation. A failure is no error yet: the counts go on. */
export async function runInPlace(context: OperationContext, kind: 'start' | 'restart'): Promise<Outcome> {
  const { op } = context;
  const at = op.data.inPlace;
  if (at === null) return { status: 'error', text: 'its journal does not say what to start' };
  const steps: Step[] = [
    ...(kind === 'restart' ? [{ name: 'stop', run: (c, r) => stopToRestart(c, r, at) } satisfies Step] : []),
    { name: 'start', run: (c, r) => startAgain(c, r, at) },
    { name: 'verify', run: (c, r) => verifyCopy(c, r, at) },
  ];
  // Until its first step is journalled a brake of the meantime ends it; a container that was stopped is started again.
  const brake = pastSafeStep(op) ? null : brakeOn(context.state.read(), op, context.runtime.clock.now());
  if (brake !== null)
    return { status: 'cancelled', text: `ended before anything was done: ${brake.evidence}` };
  try {
    for (const step of steps) await runStep(context, step);
  } catch (error) {
    if (staysInHand(error, context)) throw error;
    return { status: 'cancelled', text: `${messageOf(error)}; if it goes on failing, it is failed over` };
  }
  return { status: 'done', text: `${op.container} answers again on ${at.node}` };
}

async function stopToRestart(
  context: OperationContext,
  record: StepRecord,
  at: Incarnation,
): Promise<string> {
  if (record.task === null) await restartGate(context, context.container, at);
  return stopSource(context, record, { from: at });
}

async function startAgain(context: OperationContext, record: StepRecord, at: Incarnation): Promise<string> {
  const { container, signal } = context;
  const { cluster, node, vmid } = at;
  const api = await quorateApi(context, cluster);
  if ((await api.guestDetail(node, vmid, { signal })).status === 'running')
    return `CT ${vmid} runs on ${node}`;
  await runTask(context, record, {
    cluster,
    node,
    vmid,
    type: 'vzstart',
    ...gatedStart(context, { container, copy: at, from: null }),
  });
  const after = await api.guestDetail(node, vmid, { signal });
  if (after.status !== 'running')
    throw new FailedError(`CT ${vmid} on ${node} is ${after.status ?? 'of unknown state'} after its start`);
  return `CT ${vmid} started on ${node}`;
}
