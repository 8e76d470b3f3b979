/**
 * Rule 1, at the moment of a start: by reads less than ten seconds old, every other incarnation is proven not to run,
 * none of the container's addresses answers anything, and no original can start by itself later.
 */
import { incarnationKey, incarnationsOf } from '../decide/incarnations.ts';
import { FRESH_MS, isFresh, proofOf, requiredLevel } from '../decide/proof.ts';
import { wrongPlug } from '../decide/gates.ts';
import type { ClusterView, Incarnation, Observation } from '../decide/model.ts';
import { orphansOf } from '../decide/orphans.ts';
import { clustersOf, placeOf, samePlace, viewsOf } from '../decide/reach.ts';
import { retirement } from '../decide/retire.ts';
import { noteSights } from '../decide/silence.ts';
import { copyInItsPlace } from '../decide/same-vmid.ts';
import { unseenProblems } from '../decide/unseen.ts';
import { BlockedError, FailedError } from '../errors.ts';
import type { Container, Inventory } from '../inventory/types.ts';
import { observe, type ObserveInput } from '../observe/observe.ts';
import type { PveApi } from '../pve/api.ts';
import type { State } from '../state/model.ts';
import type { ActContext } from './context.ts';
import type { OperationContext } from './journal.ts';

export interface StartGateInput {
  readonly container: Container;
  /** The copy that is to be started. */
  readonly copy: Pick<Incarnation, 'cluster' | 'node' | 'vmid' | 'epoch'>;
  /** What it takes over from, as the journal knows it; null for a start in place. */
  readonly from: Incarnation | null;
  /** Its node was silent when this was decided, and it may still win: should the node be back, it does. */
  readonly fromSilent?: boolean;
}

/** A fresh observation of one container, in full; with `neighbours` the probes of all that share a cluster with it, too; without `backups` in a few calls. */
export async function observeClosely(
  context: ActContext,
  container: Container,
  {
    neighbours = false,
    backups = true,
    suspects = [],
  }: Partial<Pick<ObserveInput, 'backups' | 'suspects'>> & { readonly neighbours?: boolean } = {},
): Promise<Observation> {
  const { runtime, apis, state, signal } = context;
  const inventory = {
    ...context.inventory,
    containers: { ...context.inventory.containers, [container.name]: container },
  };
  const focus = new Set([container.name]);
  const clusters = clustersOf(container, state.read().containers[container.name]);
  const near = Object.values(inventory.containers).filter(
    (c) => c.mode !== 'off' && clustersOf(c, undefined).some((name) => clusters.includes(name)),
  );
  const only = neighbours ? new Set([...near.map((c) => c.name), container.name]) : focus;
  const seen = await observe({
    inventory,
    state: state.read(),
    apis,
    runtime,
    signal,
    only,
    focus,
    backups,
    suspects,
  });
  // The cluster's word alone counts after a while of silence: an operation outlasts the runs that have watched it.
  if (container.failover.proof === 'offline-accepted')
    await state.update((s) => {
      for (const view of Object.values(seen.clusters)) noteSights(s, view, inventory, seen.at);
    });
  return seen;
}

/** Nothing but a cluster that can't be seen now, and may hold a later copy, forbids a start. */
export class HiddenCluster extends BlockedError {}

/** A later copy may be where nobody can see it. */
function hiddenClusters(
  { container, from }: StartGateInput,
  observation: Observation,
  state: Pick<State, 'containers'>,
  now: number,
): string[] {
  const cached = state.containers[container.name];
  return unseenProblems({ container, observation, cached, current: from, now });
}

/**
 * Resolves to the time (epoch ms) until which the start may be asked for on the strength of these reads.
 * Throws with every reason when it may not: FailedError when all of them lie with the copy and its node, HiddenCluster
 * when all of them lie with clusters that can't be seen, else BlockedError.
 */
export async function startGate(context: ActContext, input: StartGateInput): Promise<number> {
  const observation = await observeClosely(context, input.container, {
    neighbours: true,
    backups: false,
    suspects: input.from === null ? [] : [input.from],
  });
  const now = context.runtime.clock.now();
  const { inventory } = context;
  const problems = startProblems({ ...input, inventory, observation, now, state: context.state.read() });
  if (problems.length > 0) {
    const text = `${input.container.name}: CT ${input.copy.vmid} on ${input.copy.node} is not started: ${problems.join('; ')}`;
    // Where only the copy itself and its node are to blame, another target may do.
    const view = observation.clusters[input.copy.cluster];
    const own = view === undefined || view.via === null ? 0 : copyProblems(view, input.copy).length;
    if (own === problems.length) throw new FailedError(text);
    const hidden = hiddenClusters(input, observation, context.state.read(), now);
    throw hidden.length === problems.length ? new HiddenCluster(text) : new BlockedError(text);
  }
  const oldest = Math.min(...Object.values(observation.clusters).map((view) => view.at));
  return oldest + FRESH_MS;
}

/**
 * The start of a copy as a task's `prepare` and `issue`: the gate first, and again when its reads have grown old
 * meanwhile (a suspended runner, a slow write, another endpoint). `sending` is called right before the POST.
 */
export function gatedStart(
  context: OperationContext,
  input: StartGateInput,
): {
  readonly prepare: (api: PveApi) => Promise<void>;
  readonly issue: (api: PveApi, sending?: () => void) => Promise<string>;
} {
  const { op, operations, runtime, signal } = context;
  const { node, vmid } = input.copy;
  let provenUntil = 0;
  return {
    async prepare() {
      provenUntil = await startGate(context, input);
    },
    async issue(api, sending) {
      if (runtime.clock.now() >= provenUntil) provenUntil = await startGate(context, input);
      operations.assertLease(op);
      if (runtime.clock.now() >= provenUntil)
        throw new FailedError('the proof has grown old before the start could be asked for');
      sending?.();
      return api.start(node, vmid, { signal });
    },
  };
}

/** Before a running copy is stopped to be started again: what would forbid that start. Throws BlockedError. */
export async function restartGate(context: ActContext, container: Container, at: Incarnation): Promise<void> {
  const observation = await observeClosely(context, container, { backups: false });
  const view = observation.clusters[at.cluster];
  const record = context.state.read().containers[container.name];
  const seen = incarnationsOf(container, observation, record);
  const now = context.runtime.clock.now();
  const problems =
    view === undefined || view.via === null
      ? [`there is no quorate view of cluster ${at.cluster}`]
      : [
          ...seen.problems,
          ...unseenProblems({ container, observation, cached: record, current: at, now }),
          ...[...seen.superseded, ...seen.pending].flatMap((other) =>
            // Now the copy itself may answer at their addresses, so only its silence after the stop can count.
            otherProblems(
              {
                container,
                inventory: context.inventory,
                observation: { ...observation, probes: {} },
                state: context.state.read(),
              },
              other,
              now,
            ),
          ),
        ];
  if (problems.length > 0)
    throw new BlockedError(
      `${container.name}: CT ${at.vmid} on ${at.node} is not stopped, because it could not be started again: ${problems.join('; ')}`,
    );
}

/** Everything that forbids the start. Pure; empty: it may be asked for. */
export function startProblems(
  input: StartGateInput & {
    readonly inventory: Pick<Inventory, 'containers' | 'clusters'>;
    readonly observation: Observation;
    readonly now: number;
    readonly state: State;
  },
): string[] {
  const { container, copy, from, observation, now, state } = input;
  const view = observation.clusters[copy.cluster];
  if (view === undefined || view.via === null) return [`there is no quorate view of cluster ${copy.cluster}`];
  const seen = incarnationsOf(container, observation, state.containers[container.name]);
  const all = [...(seen.current === null ? [] : [seen.current]), ...seen.superseded, ...seen.pending];
  const others = all.filter((i) => !samePlace(i, copy));
  // The views that something rests on: that of the copy, and those where another one is or could be.
  const views = viewsOf(container, observation, state.containers[container.name]);
  // The original may have left the lists (its config moved away): what the journal knows is looked at all the same.
  if (from !== null && !others.some((i) => samePlace(i, from))) others.push(from);
  return [
    // Also where no other copy has to be proven stopped: another runner may have made one since.
    ...[...new Set([view, ...views])].flatMap(({ at }) =>
      isFresh(at, now) ? [] : [`the reads are ${Math.round((now - at) / 1000)} s old`],
    ),
    ...seen.problems,
    ...hiddenClusters(input, observation, state, now),
    ...copyProblems(view, copy),
    ...view.ha
      .filter((e) => e.sid === `ct:${copy.vmid}` && e.state !== 'ignored')
      .map(
        (e) => `there is an HA entry ${e.sid} (${e.state}), so a start would hand it over to the HA manager`,
      ),
    ...others
      .filter((i) => i.epoch > copy.epoch && !isAttempt(i, state.containers[container.name]?.attempt))
      .map((i) => `there is a later copy: ${incarnationKey(i, container.cluster)}`),
    ...others.flatMap((other) => otherProblems(input, other, now)),
    ...wins(input),
    ...views.flatMap((one) =>
      orphansOf(container, one).map(
        ({ node, vmid }) =>
          `netstat of ${placeOf({ cluster: one.cluster, node }, container.cluster)} shows CT ${vmid}, which has no config there: it runs as an orphan`,
      ),
    ),
    ...(observation.probes[container.name] ?? [])
      .filter((p) => p.answered)
      .map((p) => `something answers at its address: ${p.probe} (${p.reason})`),
    ...[wrongPlug({ state, observation, now })].filter((w) => w !== null),
  ];
}

/** What an operation of ours has restored and given up before its start: the copy before it wins (design, section 3). */
function isAttempt(one: Incarnation, attempt: Incarnation | null | undefined): boolean {
  return (
    one.phase === 'restored' &&
    one.operation === attempt?.operation &&
    one.epoch === attempt.epoch &&
    samePlace(one, attempt)
  );
}

function copyProblems(view: ClusterView, copy: StartGateInput['copy']): string[] {
  const node = view.nodes.find((n) => n.name === copy.node);
  if (node === undefined || !node.online || node.apiAnswers !== true)
    return [`node ${copy.node} does not answer`];
  const detail = view.details.find((d) => d.node === copy.node && d.vmid === copy.vmid);
  if (detail === undefined) return [`CT ${copy.vmid} can't be read on ${copy.node}`];
  if (detail.status !== 'stopped') return [`CT ${copy.vmid} is ${detail.status ?? 'of unknown state'}`];
  return detail.lock === null ? [] : [`CT ${copy.vmid} is locked (${detail.lock})`];
}

function otherProblems(
  {
    container,
    inventory,
    observation,
    state,
  }: {
    readonly container: Container;
    readonly inventory: Pick<Inventory, 'containers' | 'clusters'>;
    readonly observation: Observation;
    readonly state: State;
  },
  other: Incarnation,
  now: number,
): string[] {
  const key = incarnationKey(other, container.cluster);
  const view = observation.clusters[other.cluster];
  if (view === undefined) return [`cluster ${other.cluster}, where ${key} is, has not been looked at`];
  const required = requiredLevel(container.failover);
  const proof = proofOf({
    incarnation: other,
    observation,
    probes: observation.probes[container.name] ?? [],
    inventory,
    state,
    now,
  });
  const problems: string[] = [];
  const alive = view.nodes.find((n) => n.name === other.node)?.apiAnswers === true;
  // On a living node its own word is the proof, and P3 can't be had; `fenced` then accepts P2.
  if (proof.level < (alive ? Math.min(required, 2) : required))
    problems.push(
      `only P${proof.level} that ${key} is not running (${proof.rests.join('; ')}), P${required} is demanded`,
    );
  // One that was never to run has onboot=0 from its very restore on: it does not start when its node returns.
  if (!alive && other.phase !== 'restored') {
    const { gate, settled } = retirement(container, other, view, false, state);
    if (!settled)
      problems.push(
        gate.ok ? `the guard that keeps ${key} from starting by itself is not in place` : gate.evidence,
      );
  }
  return problems;
}

/** Whose config has been moved aside can't start by itself, but what is on its disks is newer than any backup. */
function wins({
  from,
  fromSilent = false,
  observation,
}: StartGateInput & { readonly observation: Observation }): string[] {
  const view = from === null ? undefined : observation.clusters[from.cluster];
  if (from === null || view === undefined) return [];
  const back = view.nodes.find((n) => n.name === from.node)?.apiAnswers === true;
  return fromSilent && back && copyInItsPlace(view, from) !== null
    ? [`${from.node} is back, with data of ${incarnationKey(from)} that is newer than the backup`]
    : [];
}
