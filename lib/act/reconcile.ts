/**
 * Originals of superseded incarnations that have come back are stopped at once, their onboot goes off, the guard is
 * removed; unfinished copies of ended operations are taken away; copies that run without a config are told of.
 * A lower epoch is never started, a higher one never stopped.
 */
import { incarnationKey, incarnationsOf, type Incarnations } from '../decide/incarnations.ts';
import { assess } from '../decide/decide.ts';
import { currentStatus, followedOf, isCertain, type Followed } from '../decide/followed.ts';
import type { ClusterView, Gate, GuestDetail, Incarnation, Observation } from '../decide/model.ts';
import { composeDescription, parseLineage } from '../decide/lineage.ts';
import { ourGuard, type OurGuard } from '../decide/guard.ts';
import { driftOf, migratedCopies, type Migrated } from '../decide/migrated.ts';
import { orphansOf } from '../decide/orphans.ts';
import { BlockedError, FailedError, LockedError, messageOf } from '../errors.ts';
import type { Container } from '../inventory/types.ts';
import type { Operation, State, StepRecord } from '../state/model.ts';
import type { ActContext } from './context.ts';
import { removeGuard } from './guard.ts';
import { quorateApi, type OperationContext } from './journal.ts';
import { journalled } from './journalled.ts';
import { configLeft, guardLeft, markedInVain, startsByItself, unfinished } from './left-over.ts';
import { setConfig } from './look.ts';
import { RETIRED_TAG, retireAlive } from './retire.ts';
import { stopSource } from './source.ts';
import { orphanFinding } from './orphans.ts';
import { observeClosely } from './start-gate.ts';

const LOOK_EVERY_MS = 1_000;
const STARTING_MS = 30_000;

export interface Finding {
  readonly container: string;
  readonly text: string;
  /** Two copies run, or are about to: a person has to hear of it, although it is dealt with. */
  readonly loud?: boolean;
  /** What is done about it, and whether it has worked; null: a person has to. */
  readonly act: ((context: ActContext) => Promise<boolean>) | null;
  /** It keeps a second copy from running (rule 1): done whatever people's brakes say. */
  readonly neverTwo?: boolean | undefined;
}

/** What there is to reconcile. Reads nothing; `dry-run` prints these. */
export function findings(
  context: ActContext,
  observation: Observation,
  busy: ReadonlyMap<string, string>,
): Finding[] {
  const found: Finding[] = [];
  for (const { container, incarnations } of assess(context.inventory, observation, context.state.read())) {
    if (container.mode !== 'protect') {
      // It never acts; two copies at once are worth a line in each run all the same.
      found.push(...told(container, incarnations, observation));
      continue;
    }
    const op = busy.get(container.name);
    // An operation looks after the original by itself until its copy is live. The rest of it may take long.
    if (op !== undefined && incarnations.current?.operation !== op) continue;
    for (const old of incarnations.superseded) {
      const finding = returned(container, incarnations, old, observation);
      if (finding !== null) found.push(finding);
    }
    if (op !== undefined) continue;
    for (const pending of incarnations.pending)
      found.push(unfinished(context, container, pending, observation));
    const guard = guardLeft(container, incarnations, observation);
    if (guard !== null) found.push(guard);
    const config = configLeft(context, container, incarnations, observation);
    if (config !== null) found.push(config);
    const marked = markedInVain(context, container, incarnations, observation);
    if (marked !== null) found.push(marked);
    const onboot = startsByItself(container, incarnations, observation);
    if (onboot !== null) found.push(onboot);
    const migrated = migratedCopies(container, observation).filter((m) => m.hindrance === null);
    for (const one of migrated)
      found.push({
        container: container.name,
        text: `${driftOf(one)}: its line is brought up to date`,
        act: (c) => follow(c, container, one),
      });
    const followed = new Set(migrated.map(driftOf));
    for (const problem of incarnations.problems)
      if (!followed.has(problem)) found.push({ container: container.name, text: problem, act: null });
  }
  found.push(...unnamed(context, observation, busy));
  for (const view of Object.values(observation.clusters)) found.push(...orphans(context, observation, view));
  return found;
}

/** What would be done about superseded copies, for a person to do. */
function told(container: Container, incarnations: Incarnations, observation: Observation): Finding[] {
  return incarnations.superseded.flatMap((old) => {
    const finding = returned(container, incarnations, old, observation);
    return finding === null ? [] : [leftAlone(finding, 'mode: observe never acts')];
  });
}

function leftAlone(finding: Finding, why: string): Finding {
  return { ...finding, text: `${why}, so nothing is done of this: ${finding.text}`, act: null };
}

/** Containers that were failed over and that the inventory does not name, or ignores: two of them never run, either. */
function unnamed(
  context: ActContext,
  observation: Observation,
  busy: ReadonlyMap<string, string>,
): Finding[] {
  const { inventory, state } = context;
  const known = state.read();
  const claimed = new Set(Object.values(inventory.containers).map((c) => `${c.cluster}/${c.vmid}`));
  return followedOf(inventory, observation, known).flatMap((one) => {
    const { container, incarnations, why } = one;
    if (busy.has(container.name)) return [];
    const { current, superseded } = incarnations;
    const acts = superseded.flatMap((old): Finding[] => {
      const finding = returned(container, incarnations, old, observation);
      if (finding === null || finding.act === null) return finding === null ? [] : [finding];
      const hindrance = unnamedHindrance(one, old, { observation, state: known, claimed });
      return [hindrance === null ? finding : leftAlone(finding, hindrance)];
    });
    if (why === 'off') return acts;
    const olds = superseded.map((i) => incarnationKey(i)).join(', ');
    return [
      ...acts,
      {
        container: container.name,
        text: `it is not in the inventory any more; ${current === null ? 'which of its copies is current is not known' : `${incarnationKey(current)} is its current copy`}${olds === '' ? '' : `, ${olds} ${superseded.length === 1 ? 'is' : 'are'} still kept down`}: put it back, or \`proxwarden forget ${container.name}\``,
        act: null,
      },
    ];
  });
}

/** Why a person has to see to a superseded copy of a container that the inventory speaks for no more; null: nothing. */
function unnamedHindrance(
  one: Followed,
  old: Incarnation,
  { observation, state, claimed }: { observation: Observation; state: State; claimed: ReadonlySet<string> },
): string | null {
  const { container, incarnations } = one;
  if (one.why === 'removed' && container.mode === 'observe') return 'mode: observe never acts';
  if (!isCertain(one, old, observation, state))
    return `whether it is that of ${container.name} can't be said`;
  const status = currentStatus(one, observation);
  const current = incarnations.current === null ? 'the current copy' : incarnationKey(incarnations.current);
  const running = observation.clusters[old.cluster]?.details.some(
    (d) => d.node === old.node && d.vmid === old.vmid && d.status === 'running',
  );
  // One that runs alone may be what somebody has put back to work.
  if (running === true && status === 'stopped') return `${current} is stopped, so it runs alone`;
  return claimed.has(`${old.cluster}/${old.vmid}`) && status !== 'running'
    ? `the inventory gives CT ${old.vmid} to another name, and ${current} is not seen to run`
    : null;
}

function returned(
  container: Container,
  { current }: Incarnations,
  old: Incarnation,
  observation: Observation,
): Finding | null {
  const view = observation.clusters[old.cluster];
  const detail = view?.details.find((d) => d.node === old.node && d.vmid === old.vmid);
  if (view === undefined || detail === undefined || current === null) return null;
  // Two of one epoch: which one holds the newer data is a person's to say.
  if (old.epoch >= current.epoch) return null;
  const guard = ourGuard(view, old);
  const todo = whatToDo(detail, guard);
  if (todo.length === 0) return null;
  const what = `the superseded ${incarnationKey(old, container.cluster)} is back on ${old.node} (${incarnationKey(current, container.cluster)} is current)`;
  // The API can neither stop nor change what is locked, nor take the lock away.
  if (detail.lock !== null)
    return {
      container: container.name,
      text: `${what}, it is ${detail.status ?? 'of unknown state'} and locked (${detail.lock}): on ${old.node}, \`pct unlock ${old.vmid}\`, then it is kept down`,
      act: null,
    };
  return {
    container: container.name,
    text: `${what}: ${todo.join(', ')}`,
    loud: detail.status === 'running' || startedUnder(guard),
    act: (context) => keepDown(context, container, old, current),
    neverTwo: true,
  };
}

/** A start of a guarded container is put to the HA manager, which then keeps it running (facts, section 9). */
function startedUnder(guard: OurGuard | null): boolean {
  return guard?.entry?.state === 'started' || guard?.entry?.state === 'enabled';
}

function whatToDo(detail: GuestDetail, guard: OurGuard | null): string[] {
  return [
    ...(startedUnder(guard)
      ? ['somebody has started it in spite of its guard, and the HA manager now wants it to run']
      : []),
    ...(detail.status === 'running' ? ['it runs and is stopped at once'] : []),
    ...(detail.onboot ? ['onboot goes off'] : []),
    ...(guard === null ? [] : ['its guard is removed']),
    ...(detail.status !== 'running' && !detail.onboot && guard === null && !detail.tags.includes(RETIRED_TAG)
      ? ['it is marked as superseded']
      : []),
  ];
}

async function keepDown(
  context: ActContext,
  container: Container,
  old: Incarnation,
  current: Incarnation,
): Promise<boolean> {
  return journalled(context, container, `keep ${incarnationKey(old, container.cluster)} down`, (op) => [
    // A guard answers a stop with "OK" and lets the container run on (facts, section 9): it goes first.
    { name: 'remove guard before the stop', run: (c) => dropGuardIfStarted(c, old) },
    { name: 'stop original', run: (c, r: StepRecord) => stopReturned(c, r, old) },
    { name: 'onboot off', run: (c) => markRetired(c, old, current, op) },
    { name: 'remove guard', run: (c) => dropGuard(c, old) },
  ]);
}

async function dropGuardIfStarted(context: OperationContext, old: Incarnation): Promise<string> {
  const { signal } = context;
  const api = await quorateApi(context, old.cluster);
  const detail = await api.guestDetail(old.node, old.vmid, { signal });
  const entry = (await api.haResources({ signal })).find((e) => e.sid === `ct:${old.vmid}`);
  if (detail.status !== 'running' && !startedUnder({ entry: entry ?? null, rule: null }))
    return 'not needed, the original is not running';
  context.operations.assertLease(context.op);
  return (await removeGuard(context, api, old)) ? 'removed, so that the stop takes effect' : 'there is none';
}

/** A start that is under way when it is looked at (autostart, the HA manager) is waited for: then it can be stopped. */
async function stopReturned(
  context: OperationContext,
  record: StepRecord,
  old: Incarnation,
): Promise<string> {
  const { runtime, signal } = context;
  const api = await quorateApi(context, old.cluster);
  const until = runtime.clock.now() + STARTING_MS;
  for (;;) {
    const { starting } = await api.guestDetail(old.node, old.vmid, { signal });
    if (starting === undefined || runtime.clock.now() >= until) break;
    await runtime.clock.sleep(LOOK_EVERY_MS, signal);
  }
  return stopSource(context, record, { from: old, hard: true });
}

async function markRetired(
  context: OperationContext,
  old: Incarnation,
  current: Incarnation,
  op: Operation,
): Promise<string> {
  const api = await quorateApi(context, old.cluster);
  context.operations.assertLease(op);
  await retireAlive(
    context,
    api,
    old,
    `superseded by ${incarnationKey(current, old.cluster)} (${current.operation ?? 'another run'}); it must not be started.`,
  );
  return `CT ${old.vmid} on ${old.node} has onboot=0`;
}

async function dropGuard(context: OperationContext, old: Incarnation): Promise<string> {
  const api = await quorateApi(context, old.cluster);
  context.operations.assertLease(context.op);
  return (await removeGuard(context, api, old)) ? 'removed' : 'there is none';
}

/**
 * Writes into the line of a migrated copy where it is now, so that it counts as ours there. What it rests on is read
 * again first. Its phase is `live`, so nothing of ours ever destroys it.
 */
function follow(context: ActContext, container: Container, moved: Migrated): Promise<boolean> {
  const { cluster, to: node, vmid } = moved;
  const key = incarnationKey({ cluster, node, vmid, epoch: moved.line.epoch }, container.cluster);
  return journalled(context, container, `follow ${key}, which was migrated from ${moved.from}`, () => [
    {
      name: 'bring its line up to date',
      run: async (c) => {
        const observation = await observeClosely(c, container);
        const now = migratedCopies(container, observation).find(
          (m) => m.cluster === moved.cluster && m.vmid === moved.vmid,
        );
        if (now === undefined || now.to !== moved.to || now.hindrance !== null)
          throw new FailedError(now === undefined ? `CT ${moved.vmid} is where its line says` : driftOf(now));
        const api = await quorateApi(c, moved.cluster);
        const detail = await api.guestDetail(moved.to, moved.vmid, { signal: c.signal });
        if (JSON.stringify(parseLineage(detail.description)) !== JSON.stringify(now.line))
          throw new FailedError(`the line of CT ${moved.vmid} on ${moved.to} has changed`);
        const description = composeDescription({
          sentence: `copy of ${container.name}, made by ${now.line.operation} on ${moved.from}, migrated to ${moved.to} since.`,
          line: { ...now.line, node: moved.to },
          previous: detail.description,
        });
        c.operations.assertLease(c.op);
        await setConfig(c, api, { node: moved.to, vmid: moved.vmid }, { description });
        return `CT ${moved.vmid} belongs to ${moved.to} now`;
      },
    },
  ]);
}

/** vmids of ours in a node's netstat without a config on that node: they run, and no list shows them (facts, 10). */
function orphans(context: ActContext, observation: Observation, view: ClusterView): Finding[] {
  const named = new Set<number>();
  const all = Object.values(context.inventory.containers);
  // Whose home it is has the better right to a vmid.
  const homeFirst = [
    ...all.filter((c) => c.cluster === view.cluster),
    ...all.filter((c) => c.cluster !== view.cluster),
  ];
  return homeFirst.flatMap((container) => {
    const found = orphansOf(container, view).filter(({ vmid }) => !named.has(vmid));
    if (found.length === 0) return [];
    const known = context.state.read().containers[container.name];
    const incarnations = incarnationsOf(container, observation, known);
    return found.map((orphan) => {
      named.add(orphan.vmid);
      return orphanFinding(context, container, orphan, { observation, view, incarnations });
    });
  });
}

/** Another runner may be at it already: its business. */
async function actUnlessHeld(
  context: ActContext,
  act: (context: ActContext) => Promise<boolean>,
): Promise<boolean> {
  try {
    return await act(context);
  } catch (error) {
    if (!(error instanceof LockedError || error instanceof BlockedError)) throw error;
    context.teller.tell({ kind: 'note', level: 'info', container: null, text: messageOf(error) });
    return true;
  }
}

/**
 * Does what can be done about the findings and tells the rest. Returns those that need a person. `brakeOf`: the brake
 * that a person has put on a container; what it holds is told, and left to a person when it is the pause.
 */
export async function reconcile(
  context: ActContext,
  found: readonly Finding[],
  brakeOf: (container: string) => Gate | null = () => null,
): Promise<Finding[]> {
  const left: Finding[] = [];
  for (const finding of found) {
    const brake = finding.act === null || finding.neverTwo === true ? null : brakeOf(finding.container);
    if (brake !== null) {
      const text = `${finding.text}: not done, ${brake.evidence}`;
      context.teller.tell({ kind: 'note', level: 'info', container: finding.container, text });
      if (brake.gate === 'pause') left.push(finding);
      continue;
    }
    context.teller.tell({
      kind: 'note',
      level: finding.act === null || finding.loud === true ? 'warn' : 'info',
      container: finding.container,
      text: finding.text,
    });
    if (finding.act === null || !(await actUnlessHeld(context, finding.act))) left.push(finding);
  }
  return left;
}
