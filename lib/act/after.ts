/** What surrounds the copy: protecting its backup, verifying it from outside, backing it up in turn. */
import { probesPass } from '../decide/verdict.ts';
import type { FailoverAction, ProbeResult } from '../decide/model.ts';
import { containerIn, volidIn } from '../decide/reach.ts';
import { archiveOf } from '../decide/volid.ts';
import { FailedError, messageOf, PveError } from '../errors.ts';
import { listThrough } from '../observe/backups.ts';
import { probeAll } from '../observe/prober.ts';
import type { StepRecord } from '../state/model.ts';
import { progressOf } from '../tell/progress.ts';
import type { Copy } from './copy.ts';
import { expectedVerifyMs } from './estimate.ts';
import { quorateApi, type OperationContext } from './journal.ts';
import { setProtection } from './look.ts';
import { makeBackup } from './make-backup.ts';
import { staysInHand } from './outcome.ts';

const VERIFY_EVERY_MS = 1_000;

/** Keeps the chosen backup from being pruned while it is in use, and remembers whether it was we who did. */
export async function protectBackup(context: OperationContext, action: FailoverAction): Promise<string> {
  const { op, operations, container, signal } = context;
  const chosen = op.data.volid ?? action.volid;
  if (chosen === null) throw new FailedError(`${op.container}: no backup has been chosen`);
  const { cluster } = action.target;
  const api = await quorateApi(context, cluster);
  const { storage } = containerIn(container, cluster).backup;
  // In another cluster it is looked for before anything of the source is retired: its storage may be another one.
  const volid = volidIn(container, cluster, chosen);
  // A target that has just lost the storage fails at its restore, and the next one is tried; any of them can protect.
  const nodes = [action.target, ...action.alternatives]
    .filter((t) => t.cluster === cluster)
    .map((t) => t.node);
  const { node, listed } = await listThrough(api, nodes, storage, signal);
  const entry = listed.find((b) => b.volid === volid);
  if (entry === undefined)
    throw new FailedError(
      cluster === action.from.cluster
        ? `${volid} is not on ${storage} any more`
        : `${volid} is not on ${storage} as cluster ${cluster} sees it`,
    );
  op.data.volid = volid;
  op.data.backupAt = entry.at;
  op.data.backupSize = entry.size;
  // What an operation that ended in error has left protected is ours to lift, too.
  const earlier = operations
    .list()
    .operations.some(
      (o) =>
        o.id !== op.id &&
        o.status !== 'running' &&
        o.data.weProtected &&
        o.data.volid !== null &&
        archiveOf(o.data.volid) === archiveOf(volid),
    );
  if (entry.protected && earlier) op.data.weProtected = true;
  if (entry.protected && !op.data.weProtected) {
    operations.save(op);
    return `${volid} is protected already`;
  }
  op.data.weProtected = true;
  operations.save(op);
  operations.assertLease(op);
  try {
    await setProtection(context, api, { node, storage, volid }, true);
  } catch (error) {
    if (!(error instanceof PveError) || signal?.aborted === true) throw error;
    // A limit, a missing right, an old server. Without it a job may prune the backup meanwhile; with a service that is
    // down that is the smaller evil. What may have been carried out is lifted in the end as if it had been.
    if (error.outcome !== 'unknown') op.data.weProtected = false;
    operations.save(op);
    return `warning: ${volid} could not be protected from being pruned while it is in use (${messageOf(error)})`;
  }
  return `${volid} is protected while it is in use`;
}

/** Lifts the protection that we have set, and only that; not while the copy lacks a backup of its own. */
export async function liftProtection(context: OperationContext): Promise<string> {
  const { op, operations, container } = context;
  // Undone before its first attempt, it has only the target that was decided on.
  const target = op.data.target ?? op.action?.target ?? null;
  if (!op.data.weProtected || op.data.volid === null || target === null) return 'nothing to lift';
  const unprotectedCopy =
    op.steps.find((s) => s.name === 'backup copy')?.note.startsWith('warning:') ?? false;
  if (unprotectedCopy)
    return `warning: ${op.data.volid} stays protected until the copy has a backup of its own`;
  // Of an undone move the target may be dead; the source's node has made that backup.
  const { cluster, node } =
    op.data.undoing !== null && op.action?.sourceAlive === true ? op.action.from : target;
  const api = await quorateApi(context, cluster);
  operations.assertLease(op);
  const { storage } = containerIn(container, cluster).backup;
  const place = { node, storage, volid: volidIn(container, cluster, op.data.volid) };
  await setProtection(context, api, place, false);
  op.data.weProtected = false;
  operations.save(op);
  return `the protection of ${op.data.volid} is lifted`;
}

/** Success is the service answering: PVE says that it runs on the target, and its own probes pass (rule 8). */
export async function verifyCopy(
  context: OperationContext,
  { name: step }: Pick<StepRecord, 'name'>,
  copy: Copy,
): Promise<string> {
  const { op, operations, container, runtime, signal } = context;
  const begun = runtime.clock.now();
  const until = begun + container.failover.verifyMs;
  const expected = expectedVerifyMs(operations.list().operations, op.container);
  for (;;) {
    const probes = await probeOnce(context);
    const detail = await readStatus(context, copy);
    if (detail?.status === 'running' && probesPass(container, probes)) {
      op.data.verifiedAt = runtime.clock.now();
      operations.save(op);
      return `CT ${copy.vmid} runs on ${copy.node}, ${probes.filter((p) => p.ok).length} of ${probes.length} probes pass`;
    }
    if (runtime.clock.now() >= until) {
      const bad = probes.find((p) => !p.ok);
      throw new FailedError(
        `CT ${copy.vmid} on ${copy.node} is ${detail?.status ?? 'of unknown state'}${bad === undefined ? '' : `, and ${bad.probe}: ${bad.reason}`}`,
      );
    }
    context.teller.tell({
      kind: 'step-progress',
      operation: op.id,
      container: op.container,
      step,
      ...progressOf({
        elapsedMs: runtime.clock.now() - begun,
        expectedMs: expected,
        doing: `CT ${copy.vmid} is ${detail?.status ?? 'of unknown state'}, ${probes.filter((p) => p.ok).length} of ${probes.length} probes pass`,
      }),
    });
    await runtime.clock.sleep(VERIFY_EVERY_MS, signal);
  }
}

/** The copy as its node says; undefined when it gives no answer now, which is no verdict on the copy yet. */
async function readStatus({ apis, signal }: OperationContext, copy: Copy) {
  try {
    return await apis.get(copy.cluster)?.guestDetail(copy.node, copy.vmid, { signal });
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    return undefined;
  }
}

async function probeOnce({ container, runtime, signal }: OperationContext): Promise<readonly ProbeResult[]> {
  const jobs = container.checks.map((spec) => ({ key: container.name, spec }));
  const results = await probeAll(jobs, (spec, inner) => runtime.probe(spec, inner), {
    clock: runtime.clock,
    signal,
  });
  return results.get(container.name) ?? [];
}

/** Whether the container's probes pass, wherever it runs. */
export async function serviceAnswers(context: OperationContext): Promise<boolean> {
  return probesPass(context.container, await probeOnce(context));
}

/** The copy gets a backup of its own at once: from now on only those count. A failure is a warning, not an undo. */
export async function backUpCopy(context: OperationContext, record: StepRecord, copy: Copy): Promise<string> {
  const { container } = context;
  try {
    const made = await makeBackup(context, record, {
      ...copy,
      purpose: 'of a new copy',
    });
    return made.volid;
  } catch (error) {
    if (staysInHand(error, context)) throw error;
    return `warning: the copy has no backup yet (${messageOf(error)}): \`proxwarden backup ${container.name}\``;
  }
}
