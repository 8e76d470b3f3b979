/** The copy takes over: it is started, or, where the original was stopped, stays stopped. From there on it wins. */
import { incarnationKey } from '../decide/incarnations.ts';
import { composeDescription, parseLineage } from '../decide/lineage.ts';
import type { FailoverAction, Lineage } from '../decide/model.ts';
import { BlockedError, FailedError, messageOf, PveError } from '../errors.ts';
import type { PveApi } from '../pve/api.ts';
import type { StepRecord } from '../state/model.ts';
import { isOurs, lineageOf, readCopy, type Copy } from './copy.ts';
import { quorateApi, type OperationContext } from './journal.ts';
import { setConfig } from './look.ts';
import { staysInHand } from './outcome.ts';
import { runTask } from './run-task.ts';
import { gatedStart, startGate } from './start-gate.ts';

/**
 * Starts the copy. Rule 1 is proven by reads that are fresh at the moment of the call, and the lineage line says
 * `live` before the start is asked for: from there on the copy wins over an original that returns.
 */
export async function startCopy(
  context: OperationContext,
  record: StepRecord,
  copy: Copy,
  action: FailoverAction,
): Promise<string> {
  const { op, container } = context;
  const api = await quorateApi(context, copy.cluster);
  const before = await readCopy(context, api, copy);
  if (before !== null && isOurs(context, before, copy) && before.status === 'running' && op.data.startAsked)
    return `CT ${copy.vmid} runs on ${copy.node} already`;
  const askedBefore = op.data.startAsked;
  const fromSilent = !action.sourceAlive && !askedBefore;
  const gated = gatedStart(context, { container, copy, from: action.from, fromSilent });
  let sent = false;
  try {
    await runTask(context, record, {
      cluster: copy.cluster,
      node: copy.node,
      type: 'vzstart',
      vmid: copy.vmid,
      prepare: async (to) => {
        await gated.prepare(to);
        await markLive(context, to, copy, action);
      },
      issue: (to) => gated.issue(to, () => (sent = true)),
    });
  } catch (error) {
    // Marked, and then a gate has closed: nothing has been sent, so the original may still win.
    if (!askedBefore && !sent && op.data.startAsked && !staysInHand(error, context))
      await unmark(context, copy, action);
    if (sent && isDoubtful(error))
      throw new BlockedError(
        `${messageOf(error)}; should that start arrive after all, a copy elsewhere would be the second one: no other node is tried`,
        { cause: error },
      );
    throw error;
  }
  return `CT ${copy.vmid} started on ${copy.node}`;
}

/**
 * A planned move of a stopped container: the copy becomes the current one without a start. The same gate as for one,
 * since from the moment its line says `live` it wins over an original that somebody starts. Idempotent.
 */
export async function takeOverStopped(
  context: OperationContext,
  copy: Copy,
  action: FailoverAction,
): Promise<string> {
  const { op, operations, container, runtime } = context;
  const api = await quorateApi(context, copy.cluster);
  const before = await readCopy(context, api, copy);
  const taken =
    before !== null && isOurs(context, before, copy) && parseLineage(before.description)?.phase === 'live';
  if (!taken) {
    await startGate(context, { container, copy, from: action.from });
    const askedBefore = op.data.startAsked;
    try {
      await markLive(context, api, copy, action);
    } catch (error) {
      if (!askedBefore && op.data.startAsked && !staysInHand(error, context))
        await unmark(context, copy, action);
      throw error;
    }
  }
  const after = await readCopy(context, api, copy);
  if (after === null || after.node !== copy.node || !isOurs(context, after, copy) || after.status === null)
    throw new FailedError(`CT ${copy.vmid} can't be read on ${copy.node} after it has taken over`);
  op.data.verifiedAt = runtime.clock.now();
  operations.save(op);
  return `CT ${copy.vmid} on ${copy.node} is the current one, ${after.status}`;
}

/** Not even a proven absence is good enough for starting another copy: a daemon that hangs may go on at any time. */
function isDoubtful(error: unknown): boolean {
  return (
    error instanceof PveError &&
    (error.outcome === 'unknown' || (error.cause instanceof PveError && error.cause.outcome === 'unknown'))
  );
}

async function markLive(
  context: OperationContext,
  api: PveApi,
  copy: Copy,
  action: FailoverAction,
): Promise<void> {
  const { op, operations, signal } = context;
  const detail = await api.guestDetail(copy.node, copy.vmid, { signal });
  if (!isOurs(context, detail, copy))
    throw new BlockedError(`${op.container}: CT ${copy.vmid} on ${copy.node} is not ours any more`);
  op.data.startAsked = true;
  op.data.live = { vmid: copy.vmid, epoch: copy.epoch, since: context.runtime.clock.now() };
  operations.save(op);
  operations.assertLease(op);
  await setPhase(context, api, copy, action, { phase: 'live', previous: detail.description });
}

/** Takes `markLive` back, in the opposite order: the line first. Does nothing when it can't be read back. */
async function unmark(context: OperationContext, copy: Copy, action: FailoverAction): Promise<void> {
  const { op, operations, signal } = context;
  try {
    const api = await quorateApi(context, copy.cluster);
    const detail = await api.guestDetail(copy.node, copy.vmid, { signal });
    if (!isOurs(context, detail, copy) || detail.status !== 'stopped') return;
    operations.assertLease(op);
    await setPhase(context, api, copy, action, { phase: 'restored', previous: detail.description });
  } catch (error) {
    // It counts as asked to start, then: nothing is destroyed.
    if (staysInHand(error, context) || !(error instanceof PveError || error instanceof FailedError))
      throw error;
    return;
  }
  op.data.startAsked = false;
  op.data.live = null;
  operations.save(op);
}

async function setPhase(
  context: OperationContext,
  api: PveApi,
  copy: Copy,
  action: FailoverAction,
  { phase, previous }: { phase: Lineage['phase']; previous: string },
): Promise<void> {
  const { op } = context;
  const description = composeDescription({
    sentence: `copy of ${op.container} (was ${incarnationKey(action.from, copy.cluster)}), restored by ${op.id} from ${op.data.volid ?? '?'}.`,
    line: lineageOf(context, copy, action, phase),
    previous,
  });
  await setConfig(context, api, copy, { description });
}
