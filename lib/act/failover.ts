/**
 * A failover, step by step (design, section 8), with the identity `new-vmid` or `same-vmid` (move-config.ts). Every step is journalled first and safe
 * to run again; what was begun and can't be finished is undone as long as the copy's start has not been asked for.
 */
import { brakeOn, pastSafeStep } from '../decide/brakes.ts';
import { failoversWithinDay } from '../decide/gates.ts';
import { vmidElsewhere, vmidOfEpoch } from '../decide/incarnations.ts';
import type { FailoverAction, GuestDetail } from '../decide/model.ts';
import { guardGroup, guardRule } from '../decide/guard.ts';
import { BlockedError, FailedError, messageOf, ProxwardenError } from '../errors.ts';
import { emptyContainerState, type Operation } from '../state/model.ts';
import { formatDuration } from '../units.ts';
import { destroyCopy, isOurs, readCopy, restoreCopy, type Copy } from './copy.ts';
import { startCopy, takeOverStopped } from './start-copy.ts';
import { fenceNode } from './fence/fence.ts';
import { runHooks } from './hooks.ts';
import { quorateApi, runStep, type OperationContext, type Step } from './journal.ts';
import { setConfig } from './look.ts';
import { asideAt, checkConfig, moveConfig } from './move-config.ts';
import { backUpCopy, liftProtection, protectBackup, verifyCopy } from './after.ts';
import { Cancelled, staysInHand, type Outcome } from './outcome.ts';
import { preflight, proveSource, stillTakes } from './preflight.ts';
import { setGuard } from './guard.ts';
import { guardSuperseded, RETIRED_TAG, retireAlive } from './retire.ts';
import { backUpSource, stillStopped, stopSource } from './source.ts';
import { takeTurn } from './turn.ts';
import { asCause, causeOf, undo } from './undo.ts';

/** The steps before the copy, in order. */
export function firstSteps(action: FailoverAction): Step[] {
  const steps: Step[] = [
    { name: 'preflight', run: (c) => preflight(c, action) },
    { name: 'hooks before', run: (c) => runHooks(c, 'before', c.container.hooks.before) },
  ];
  const sameVmid = action.retire === 'config-moved';
  if (sameVmid) steps.push({ name: 'check config', run: (c) => checkConfig(c, action) });
  // Before anything is stopped: without them the copy, and the source once stopped, would not be allowed to start.
  if (action.from.epoch > 0) steps.push({ name: 'guard superseded', run: guardSuperseded });
  for (const place of action.fence)
    steps.push({ name: `fence ${place}`, run: (c) => fenceNode(c, c.container, ...splitPlace(place)) });
  if (action.sourceAlive)
    steps.push(
      action.stopped === undefined
        ? { name: 'stop source', run: (c, r) => stopSource(c, r, action) }
        : { name: 'source stays stopped', run: (c) => stillStopped(c, action) },
      ...(action.volid === null
        ? [{ name: 'backup source', run: (c, r) => backUpSource(c, r, action) } satisfies Step]
        : []),
    );
  const prove: Step = { name: 'prove', run: (c) => proveSource(c, action) };
  const protect: Step = { name: 'protect backup', run: (c) => protectBackup(c, action) };
  const retired: Step = { name: 'retire', run: (c) => retire(c, action) };
  const moved: Step = { name: 'move config', run: (c) => moveConfig(c, action) };
  // On a living node the proof (P2) includes onboot=0, which retiring sets; of a dead one it comes first.
  // A config is moved by a proof of its own.
  if (sameVmid) steps.push(protect, ...(action.sourceAlive ? [retired] : []), moved);
  else steps.push(...(action.sourceAlive ? [protect, retired, prove] : [prove, protect, retired]));
  return steps;
}

function splitPlace(place: string): [string, string] {
  const slash = place.indexOf('/');
  return [place.slice(0, slash), place.slice(slash + 1)];
}

/** The steps of one attempt on one target. */
export function attemptSteps(copy: Copy, action: FailoverAction, attempt: number): Step[] {
  const suffix = attempt === 0 ? '' : ` #${attempt + 1}`;
  if (action.stopped !== undefined)
    return [
      { name: `restore${suffix}`, run: (c, r) => restoreCopy(c, r, copy, action) },
      { name: `take over${suffix}`, run: (c) => takeOverStopped(c, copy, action) },
    ];
  return [
    { name: `restore${suffix}`, run: (c, r) => restoreCopy(c, r, copy, action) },
    { name: `start${suffix}`, run: (c, r) => startCopy(c, r, copy, action) },
    { name: `verify${suffix}`, run: (c, r) => verifyCopy(c, r, copy) },
  ];
}

/** It was a good one when this was decided; others may have taken its room since. */
function anotherTarget(copy: Copy, action: FailoverAction, attempt: number): Step {
  return { name: `target #${attempt + 1}`, run: (c) => stillTakes(c, action, copy) };
}

function lastSteps(copy: Copy): Step[] {
  return [
    { name: 'onboot', run: (c) => setOnboot(c, copy) },
    { name: 'hooks after', run: (c) => hooksAfter(c, copy) },
    { name: 'backup copy', run: (c, r) => backUpCopy(c, r, copy) },
    { name: 'lift protection', run: (c) => liftProtection(c) },
  ];
}

/** All step names, for a progress display. */
export function stepNames(action: FailoverAction): string[] {
  const copy = copyOf(action, 0, action.vmid, action.epoch);
  return [...firstSteps(action), ...attemptSteps(copy, action, 0), ...lastSteps(copy)].map((s) => s.name);
}

function copyOf(action: FailoverAction, attempt: number, vmid: number, epoch: number): Copy {
  const target = [action.target, ...action.alternatives][attempt] ?? action.target;
  return { ...target, vmid, epoch };
}

/** The copy of an operation that has not yet asked any to start: what an undo takes away. */
function firstCopy(action: FailoverAction, op: Operation): Copy {
  return copyOf(action, op.attempt, op.data.vmid ?? action.vmid, action.epoch);
}

/**
 * The copy of the present attempt. In another cluster its vmid depends on what is free there, so it is chosen once and
 * journalled: resumed, it is the copy that has it. Throws FailedError when no vmid is left there.
 */
async function nextCopy(context: OperationContext, action: FailoverAction): Promise<Copy> {
  const { op, operations, container, signal } = context;
  const epoch = action.epoch + op.data.started.length;
  const { cluster, node } = copyOf(action, op.attempt, action.vmid, epoch);
  const home = cluster === container.cluster;
  let vmid = op.data.vmid ?? (op.attempt === 0 || action.retire === 'config-moved' ? action.vmid : null);
  if (vmid === null && home) vmid = vmidOfEpoch(container, epoch);
  if (vmid === null) {
    const api = await quorateApi(context, cluster);
    vmid = vmidElsewhere(container, cluster, (await api.resources({ signal })).guests);
  }
  if (vmid === null)
    throw new FailedError(
      `all vmids that a copy of ${op.container} may take in cluster ${cluster} are taken`,
    );
  op.data.vmid = vmid;
  op.data.target = { cluster, node };
  operations.save(op);
  return { cluster, node, vmid, epoch };
}

/** Runs the failover of `context.op` from wherever its journal stands. Rejects only when the signal aborts, or on a bug. */
export async function runFailover(context: OperationContext, action: FailoverAction): Promise<Outcome> {
  const { op } = context;
  if (op.data.undoing !== null) return undo(context, action, causeOf(op.data.undoing), firstCopy(action, op));
  lookAgain(op);
  try {
    for (const step of firstSteps(action)) {
      // Journalled: a brake of the meantime ends what has cost nothing yet, and nothing else.
      if (!pastSafeStep(op)) unbraked(context);
      await runStep(context, step);
    }
    if (!pastSafeStep(op)) unbraked(context);
    await takeTurn(context, action, () => preflight(context, action));
    if (!op.steps.some((s) => s.name.startsWith('restore'))) await countForLimits(context, action);
  } catch (error) {
    if (staysInHand(error, context)) throw error;
    return undo(context, action, error, firstCopy(action, op));
  }
  const copy = await runAttempts(context, action);
  if (!('vmid' in copy)) return copy;
  const warnings: string[] = [];
  for (const step of lastSteps(copy)) {
    // The service answers: from here on nothing is undone, what fails is told.
    try {
      await runStep(context, step);
    } catch (error) {
      if (staysInHand(error, context)) throw error;
      warnings.push(`warning: ${step.name}: ${messageOf(error)}`);
    }
  }
  warnings.push(...op.steps.filter((s) => s.note.startsWith('warning:')).map((s) => s.note));
  return {
    status: 'done',
    text: [
      `${op.container} ${action.stopped === undefined ? 'runs' : 'is'} on ${copy.node} as CT ${copy.vmid}${action.stopped === undefined ? '' : ', stopped as it was'}`,
      ...warnings,
    ].join('; '),
  };
}

/** Throws Cancelled when everything is paused by now, or the container is in maintenance. */
function unbraked({ op, state, runtime }: OperationContext): void {
  const brake = brakeOn(state.read(), op, runtime.clock.now());
  if (brake !== null)
    throw new Cancelled(`ended before anything was stopped, powered off or restored: ${brake.evidence}`);
}

/** A resumed operation that has neither stopped nor restored anything asks again whether it is still wanted and true. */
function lookAgain(op: Operation): void {
  if (op.data.weStopped || op.data.moved !== null || op.steps.some((s) => s.name.startsWith('restore')))
    return;
  op.steps = op.steps.filter((s) => s.name !== 'preflight' && s.name !== 'prove');
}

/** Tries the targets in order. Returns the copy that answers, or how it all ended. */
async function runAttempts(context: OperationContext, action: FailoverAction): Promise<Copy | Outcome> {
  const { op, operations, container, teller } = context;
  const most = Math.min(1 + action.alternatives.length, container.failover.maxAttempts);
  while (op.attempt < most) {
    const copy = await nextCopy(context, action);
    const error = await runAttempt(context, copy, action);
    if (error === null) return copy;
    // A copy that was started is kept, and with it the vmid that the next one would have to have.
    const kept = action.retire === 'config-moved' && op.data.startAsked;
    const last = kept || standsElsewhere(error) || op.attempt + 1 === most;
    if (last && !op.data.startAsked && op.data.started.length === 0)
      return undo(context, action, error, firstCopy(action, op));
    const served = servedFor(context, copy);
    if (served !== null)
      return {
        status: 'error',
        text: `${messageOf(error)}; CT ${copy.vmid} on ${copy.node} was started ${formatDuration(served)} ago and may hold data since: it is left as it is, and no other copy is restored from the older backup`,
      };
    op.data.failed = asCause(error);
    operations.save(op);
    try {
      await clearAway(context, copy, last ? most : op.attempt + 1);
    } catch (failure) {
      // Without its node's word the vmid stays taken, and the copy unproven: the stopped source is what is left.
      if (staysInHand(failure, context) || !op.data.weStopped || op.data.startAsked) throw failure;
      return undo(context, action, error, copy);
    }
    if (!last)
      teller.tell({
        kind: 'note',
        level: 'warn',
        container: op.container,
        text: `${copy.node} failed (${messageOf(error)}); the next target is tried`,
      });
  }
  return {
    status: 'error',
    text: `all targets failed: ${op.data.tried.join('; ')}${op.data.moved === null ? '' : `; the original's config is in ${asideAt(context)}, its disks are on ${action.from.node}`}`,
  };
}

/** What the present attempt has failed with, perhaps before a cut; null: its copy answers. */
async function runAttempt(
  context: OperationContext,
  copy: Copy,
  action: FailoverAction,
): Promise<Error | null> {
  const { op } = context;
  if (op.data.failed !== null) return causeOf(op.data.failed);
  try {
    if (op.attempt > 0) await runStep(context, anotherTarget(copy, action, op.attempt));
    for (const step of attemptSteps(copy, action, op.attempt)) await runStep(context, step);
    return null;
  } catch (error) {
    if (staysInHand(error, context) || !(error instanceof Error)) throw error;
    return error;
  }
}

/** A copy that was started so much longer ago than it takes to verify it may have served people meanwhile. */
const UNSEEN_MS = 10 * 60_000;

/** How long a copy has run unverified while no runner was there to see it; null: not long. */
function servedFor({ op, container, runtime }: OperationContext, copy: Copy): number | null {
  const start = op.steps.find((s) => s.task?.type === 'vzstart' && s.task.vmid === copy.vmid);
  if (!op.data.startAsked || start?.task == null) return null;
  const ms = runtime.clock.now() - start.task.requestedAt;
  return ms > container.failover.verifyMs + UNSEEN_MS ? ms : null;
}

/**
 * From here on it counts for the limits: before, nothing has been moved, however often it was tried. Throws BlockedError
 * when others, decided on when there was room for all of them, have used up the hour.
 */
async function countForLimits(
  { op, state, runtime, inventory }: OperationContext,
  action: FailoverAction,
): Promise<void> {
  if (action.mode !== 'automatic') return;
  const now = runtime.clock.now();
  const limit = inventory.limits.failoversPerHour;
  let others = 0;
  await state.update((s) => {
    const record = s.containers[op.container] ?? emptyContainerState();
    const withinDay = failoversWithinDay(record, now);
    // Counted before a cut.
    if (withinDay.includes(op.createdAt)) return;
    const recent = s.failovers.filter((at) => now - at < 3_600_000);
    others = recent.length;
    if (others >= limit) return;
    s.failovers = [...recent, op.createdAt];
    s.containers[op.container] = { ...record, autoFailovers: [...withinDay, op.createdAt] };
  });
  if (others >= limit)
    throw new BlockedError(`limits: ${others} failovers within the hour, the limit is ${limit}`);
}

/** What forbids it has nothing to do with the target: another one would only be restored for nothing. */
function standsElsewhere(error: unknown): boolean {
  return error instanceof BlockedError || error instanceof Cancelled;
}

/**
 * After a failed attempt: an unstarted copy is destroyed, so its vmid is free again. One that was started is stopped
 * and kept, since it may hold data; the next attempt takes the next epoch. That the copy is out of the way and that the
 * attempt is over is one write of the journal: else an attempt that is over would be made again after a cut.
 */
async function clearAway(context: OperationContext, copy: Copy, next: number): Promise<void> {
  const { op, operations } = context;
  const started = op.data.startAsked;
  const over = (): void => {
    op.data.tried.push(`${copy.node}: ${op.data.failed?.cause ?? 'failed'}`);
    if (started) op.data.started.push(copy.vmid);
    Object.assign(op.data, { startAsked: false, restored: false, vmid: null, failed: null });
    op.attempt = next;
  };
  await runStep(context, {
    name: `${started ? 'stop copy' : 'clear away'} #${op.attempt + 1}`,
    run: async (c, r) => {
      const said = await (started ? stopStarted(c, r, copy) : destroyCopy(c, r, copy));
      over();
      return said;
    },
  });
  // A journal of an earlier version has the step alone.
  if (op.data.failed === null) return;
  over();
  operations.save(op);
}

const stopStarted = (c: OperationContext, r: Parameters<Step['run']>[1], copy: Copy): Promise<string> =>
  stopSource(c, r, { from: copy, hard: true });

async function retire(context: OperationContext, action: FailoverAction): Promise<string> {
  const { op, operations } = context;
  const { from } = action;
  if (action.retire === 'risk-accepted')
    return `CT ${from.vmid} may start when ${from.node} returns: the inventory accepts that`;
  if (action.retire === 'onboot-known-off')
    return `CT ${from.vmid} had onboot=0 when ${from.node} last answered: it stays down when that returns`;
  const api = await quorateApi(context, from.cluster);
  operations.assertLease(op);
  if (action.retire === 'onboot-off' || action.retire === 'config-moved') {
    await retireAlive(
      context,
      api,
      from,
      `superseded by ${op.container}'s copy made by ${op.id}; it must not be started.`,
    );
    return `CT ${from.vmid} on ${from.node} has onboot=0`;
  }
  const way = action.retire === 'risk-and-guard' ? 'rule' : 'group';
  op.data.guard = {
    sid: `ct:${from.vmid}`,
    group: way === 'rule' ? guardRule(from) : guardGroup(from.node),
  };
  operations.save(op);
  try {
    return await setGuard(context, api, from, { operation: op.id, way });
  } catch (error) {
    if (way === 'group' || !(error instanceof ProxwardenError) || staysInHand(error, context)) throw error;
    return `warning: CT ${from.vmid} may start when ${from.node} returns, which the inventory accepts; the guard, which would be set all the same, could not be (${messageOf(error)})`;
  }
}

async function setOnboot(context: OperationContext, copy: Copy): Promise<string> {
  const { op, operations } = context;
  if (context.container.failover.autostart === 'proxwarden')
    return 'it stays off: ProxWarden starts the copy after a boot of its node (autostart: proxwarden)';
  if (op.data.onboot !== true) return 'the original had onboot=0, so has the copy';
  const api = await quorateApi(context, copy.cluster);
  const detail = await api.guestDetail(copy.node, copy.vmid, { signal: context.signal });
  if (!isCurrent(context, detail, copy))
    return `warning: CT ${copy.vmid} on ${copy.node} is not the current copy any more: its onboot stays as it is`;
  operations.assertLease(op);
  await setConfig(context, api, copy, { onboot: true });
  return `CT ${copy.vmid} has onboot=1`;
}

/** After a long cut another runner may have moved it on. */
function isCurrent(context: OperationContext, detail: GuestDetail, copy: Copy): boolean {
  return isOurs(context, detail, copy) && !detail.tags.includes(RETIRED_TAG);
}

async function hooksAfter(context: OperationContext, copy: Copy): Promise<string> {
  const hooks = context.container.hooks.after;
  if (hooks.length === 0) return 'none';
  try {
    if (await isSuperseded(context, copy))
      return `warning: CT ${copy.vmid} on ${copy.node} is not the current copy any more: they are not run`;
    return await runHooks(context, 'after', hooks);
  } catch (error) {
    if (staysInHand(error, context)) throw error;
    return `warning: ${messageOf(error)}`;
  }
}

/** What can't be read now counts as it was a moment ago. */
async function isSuperseded(context: OperationContext, copy: Copy): Promise<boolean> {
  try {
    const there = await readCopy(context, await quorateApi(context, copy.cluster), copy);
    return there === null || !isCurrent(context, there, copy);
  } catch (error) {
    if (staysInHand(error, context) || !(error instanceof ProxwardenError)) throw error;
    return false;
  }
}

/** The action of a journal; every failover has one. */
export function actionOf(op: Operation): FailoverAction {
  if (op.action === null) throw new FailedError(`operation ${op.id} has no action in its journal`);
  return op.action;
}
