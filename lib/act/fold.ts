/** What one observation means for the state: counts, caches, and the transitions that are told. */
import { assess, type Assessment } from '../decide/decide.ts';
import { followedOf, goneOf } from '../decide/followed.ts';
import { detailOf } from '../decide/at-vmid.ts';
import { endBrakes, maintenanceGate, type Ended } from '../decide/brakes.ts';
import { fold, reminderDue } from '../decide/counts.ts';
import { foldWatchdogs } from '../decide/watchdog.ts';
import { incarnationKey, isListed } from '../decide/incarnations.ts';
import { noteStops } from '../decide/node-stop.ts';
import { noteSights } from '../decide/silence.ts';
import type { Observation } from '../decide/model.ts';
import type { Inventory } from '../inventory/types.ts';
import { emptyContainerState, type ContainerState, type State } from '../state/model.ts';
import { thisProcess } from '../state/owner.ts';
import { formatDuration } from '../units.ts';
import type { ActContext } from './context.ts';

/** Trouble of the whole view is told after it has lasted so long. */
const INCONCLUSIVE_TOLD_MS = 600_000;
const WEEK_MS = 7 * 86_400_000;

/** Folds an observation into the state. `count: false` (a check by hand) refreshes the caches and leaves the counts. */
export async function foldObservation(
  context: ActContext,
  observation: Observation,
  { count }: { count: boolean },
): Promise<State> {
  const { inventory, state, runtime, teller } = context;
  const now = runtime.clock.now();
  const before = state.read();
  const reminders: string[] = [];
  let ended: Ended[] = [];
  const after = await state.update((s) => {
    if (count) ended = endBrakes(s, { inventory, observation, now });
    const assessments = assess(inventory, observation, s).filter(
      (a) => observation.probes[a.container.name] !== undefined,
    );
    for (const assessment of assessments) {
      const { container } = assessment;
      const record = forgetAttempt(
        remember(s.containers[container.name] ?? emptyContainerState(), assessment, observation),
        observation,
      );
      record.onbootOff = rememberOnboot(record, assessment, observation);
      if (!count) {
        s.containers[container.name] = record;
        continue;
      }
      const { current } = assessment.incarnations;
      const at = { state: s, observation, container: container.name, current, now };
      const folded = fold(record, assessment.verdict, container, now, maintenanceGate(at) !== null);
      const due = reminderDue(folded, now);
      if (due) reminders.push(container.name);
      s.containers[container.name] = due ? { ...folded, stoppedToldAt: now } : folded;
    }
    follow(s, context.inventory, observation, assessments);
    for (const view of Object.values(observation.clusters)) {
      noteStops(s, view, observation.at);
      noteSights(s, view, inventory, observation.at);
      for (const node of view.nodes)
        if (node.version !== undefined) s.nodeVersions[`${view.cluster}/${node.name}`] = node.version;
      foldWatchdogs(s.watchdogs, view, watchdogNodes(inventory, view.cluster));
      const { standalone } = view;
      if (view.via !== null)
        s.clusters[view.cluster] = {
          at: now,
          standalone,
          nodes: view.nodes.map(({ name, ip }) => ({ name, ip: ip ?? null })),
        };
    }
    if (count) {
      s.lastRunAt = now;
      noteRunner(s, (runtime.runner?.self ?? thisProcess()).host, now);
      const lost = assessments.length > 0 && assessments.every((a) => a.verdict.kind === 'inconclusive');
      s.inconclusive = lost ? (s.inconclusive ?? { since: now, told: false }) : null;
    }
  });
  for (const { container, text } of ended) teller.tell({ kind: 'brake', container, text });
  if (before.lastRunAt === null && after.lastRunAt !== null) tellAdopted(context, after);
  for (const [name, record] of Object.entries(after.containers)) {
    if (observation.probes[name] === undefined) continue;
    tellContainer(context, name, before.containers[name], record, count, now);
    if (reminders.includes(name)) tellStillStopped(context, name, record, now);
  }
  if (
    after.inconclusive !== null &&
    !after.inconclusive.told &&
    now - after.inconclusive.since >= INCONCLUSIVE_TOLD_MS
  ) {
    teller.tell({
      kind: 'note',
      level: 'warn',
      container: null,
      text: `nothing conclusive can be seen since ${formatDuration(now - after.inconclusive.since)}: look after the runner's own network`,
    });
    return state.update((s) => {
      if (s.inconclusive !== null) s.inconclusive.told = true;
    });
  }
  return after;
}

/** The first run here finds copies: another runner's, or the state was lost. */
function tellAdopted({ teller, state }: ActContext, { containers }: State): void {
  const adopted = Object.entries(containers).flatMap(([name, { current }]) =>
    current === null || current.epoch === 0 ? [] : [`${name}: ${incarnationKey(current)}`],
  );
  if (adopted.length > 0)
    teller.tell({
      kind: 'note',
      level: 'warn',
      container: null,
      text: `the state folder ${state.dir} is new, and there are copies that failovers have made (${adopted.join(', ')}): they are adopted. If a state was lost, so are its pause, maintenance and errors; if it is elsewhere, name it with --state`,
    });
}

/** Several may share the state: that one of them has fallen silent would not be seen by the last run. */
function noteRunner(state: State, host: string, now: number): void {
  state.runners[host] = now;
  for (const [name, at] of Object.entries(state.runners)) if (now - at > WEEK_MS) delete state.runners[name];
}

function watchdogNodes({ clusters }: ActContext['inventory'], cluster: string): string[] {
  return Object.entries(clusters[cluster]?.nodes ?? {})
    .filter(([, { fence }]) => fence.some(({ driver }) => driver === 'ha-watchdog'))
    .map(([node]) => node);
}

/** Caches what can be read of a container only while its node answers. */
function remember(
  record: ContainerState,
  { incarnations }: Assessment,
  observation: Observation,
): ContainerState {
  const { current } = incarnations;
  if (current === null) return record;
  const detail = detailOf(observation.clusters[current.cluster], current);
  const moved =
    record.current !== null &&
    (record.current.vmid !== current.vmid || record.current.cluster !== current.cluster);
  // Unread copies are known from this cache alone, so what is read now replaces it only by a later epoch or itself.
  const keep = record.current !== null && record.current.epoch > current.epoch;
  if (keep) return record;
  const identity =
    detail === undefined
      ? moved
        ? null
        : record.identity
      : {
          cluster: current.cluster,
          vmid: current.vmid,
          macs: detail.macs,
          ips: detail.ips,
          // While it is being retired its onboot is 0; what counts is what it was before.
          onboot: detail.onboot,
          memMax: detail.memMax,
          readAt: detail.readAt,
        };
  return { ...record, current, identity };
}

/** Entries of what has been failed over are kept, so that they are known when the inventory names them no more. */
function follow(
  state: State,
  inventory: Inventory,
  observation: Observation,
  assessments: readonly Assessment[],
): void {
  for (const { container, incarnations } of assessments) {
    // It is named: what a person has said of an earlier one of that name is over.
    delete state.forgotten[container.name];
    if ((incarnations.current?.epoch ?? 0) > 0) state.followed[container.name] = container;
  }
  for (const { container } of followedOf(inventory, observation, state))
    state.followed[container.name] ??= container;
  for (const gone of goneOf(inventory, observation, state)) {
    delete state.followed[gone];
    delete state.containers[gone];
  }
}

/** What the nodes say of the onboot of its copies; of those that are silent it stays as it was. */
function rememberOnboot(
  { onbootOff: before }: ContainerState,
  { incarnations: { current, superseded, pending } }: Assessment,
  { clusters }: Observation,
): ContainerState['onbootOff'] {
  const after = { ...before };
  for (const { cluster, node, vmid } of [...(current === null ? [] : [current]), ...superseded, ...pending]) {
    const detail = detailOf(clusters[cluster], { node, vmid });
    const key = `${cluster}/${node}/${vmid}`;
    if (detail?.onboot === false) after[key] = detail.readAt;
    else if (detail !== undefined) delete after[key];
  }
  return after;
}

/** One that was not taken away is remembered until its cluster lists it no more. */
function forgetAttempt(record: ContainerState, observation: Observation): ContainerState {
  const { attempt } = record;
  const seen = attempt !== null && observation.clusters[attempt.cluster]?.quorate === true;
  return seen && !isListed(attempt, observation) ? { ...record, attempt: null } : record;
}

/** Once a day: a stop that was to last for an hour is easily forgotten, and meanwhile nothing protects the service. */
function tellStillStopped(
  { teller }: ActContext,
  container: string,
  { stoppedByHand, stoppedSince }: ContainerState,
  now: number,
): void {
  const since = stoppedSince === null ? '' : `, for ${formatDuration(Math.max(now - stoppedSince, 0))}`;
  teller.tell({
    kind: 'note',
    level: 'warn',
    container,
    text: `still stopped by hand${since} (${stoppedByHand ?? ''}): it is left alone until somebody starts it`,
  });
}

function tellContainer(
  { teller, inventory }: ActContext,
  name: string,
  before: ContainerState | undefined,
  after: ContainerState,
  count: boolean,
  now: number,
): void {
  const container = inventory.containers[name];
  if (container === undefined || after.verdict === null || !count) return;
  if (
    before?.verdict?.kind !== after.verdict.kind &&
    !(before?.verdict == null && after.verdict.kind === 'healthy')
  )
    teller.tell({ kind: 'verdict', container: name, from: before?.verdict?.kind ?? null, to: after.verdict });
  if ((before?.down ?? false) !== after.down && (after.down || after.verdict.kind === 'healthy'))
    teller.tell({
      kind: 'availability',
      container: name,
      down: after.down,
      reason: after.verdict.reason,
      lastedMs: after.down || before?.downSince == null ? null : now - before.downSince,
    });
  if (after.verdict.kind === 'unhealthy' && after.failures > 0 && after.failures !== (before?.failures ?? 0))
    teller.tell({
      kind: 'counted',
      container: name,
      failures: after.failures,
      threshold: container.failureThreshold,
      reason: after.verdict.reason,
    });
}
