/** What one run says of one container. Pure. Rule 3: never from one observer's trouble. */
import type { Container, Inventory } from '../inventory/types.ts';
import type { ContainerState } from '../state/model.ts';
import { formatDuration } from '../units.ts';
import { disagreement } from './agreement.ts';
import { detailOf, guestsAt } from './at-vmid.ts';
import { guestThatAnswers } from './life.ts';
import { rememberedStop, stoppedByHand } from './stopped-by-hand.ts';
import type { Incarnation, Observation, ProbeResult, Verdict } from './model.ts';
import { graceUntil, type StopInput } from './node-stop.ts';
import { isSilentNode } from './remembered.ts';

/** What the whole run says about the runner's own network, as far as it concerns one cluster. */
export interface RunHealth {
  /** Fewer than half of the canaries answer: the runner's own network is in doubt. */
  readonly canariesLost: boolean;
  readonly canaries: Share;
  /** Most containers on nodes that are not known offline fail together. */
  readonly massFailure: boolean;
  readonly onLiveNodes: Share;
  /** The cluster is a stand-alone node whose API is silent, and yet this of it answers. */
  readonly answers?: string | null;
}

/** So many of so many: canaries that answer, containers that fail. */
export interface Share {
  readonly count: number;
  readonly total: number;
}

/** Whether the container's probes say that the service answers, by `require: all|any`. */
export function probesPass(container: Pick<Container, 'require'>, probes: readonly ProbeResult[]): boolean {
  if (probes.length === 0) return false;
  return container.require === 'all' ? probes.every((p) => p.ok) : probes.some((p) => p.ok);
}

/** Whether they say that it doesn't: a probe that could not ask says neither. */
function probesFail(container: Pick<Container, 'require'>, probes: readonly ProbeResult[]): boolean {
  const said = probes.filter((p) => p.unknown !== true);
  if (said.length === probes.length) return !probesPass(container, probes);
  return container.require === 'all' && said.some((p) => !p.ok);
}

/** Whether a quorate view lists the node as offline, or it is a stand-alone one of which nothing is heard. */
export function knownOffline(observation: Observation, cluster: string, node: string): boolean {
  const view = observation.clusters[cluster];
  if (isSilentNode(view)) return true;
  if (view === undefined || !view.quorate || view.standalone) return false;
  return view.nodes.find((n) => n.name === node)?.online === false;
}

/**
 * The facts of the run for one cluster; `current` gives each container's current incarnation. A cluster that cannot be
 * seen at all is in trouble of its own, which must not hold up the others: its canaries and containers are left out.
 * And another cluster that is well must not hide that all of this one fails: what is counted over all the clusters that
 * are seen is counted for this one alone, too, and either is enough.
 */
export function runHealth(
  inventory: Inventory,
  observation: Observation,
  current: ReadonlyMap<string, Incarnation | null>,
  cluster: string,
): RunHealth {
  const seen = seenWith(observation, cluster);
  const lost = lostCanaries(inventory, observation, cluster);
  const failing = [seen, (name: string) => name === cluster].map((counts) =>
    failingOnLiveNodes(inventory, observation, current, counts),
  );
  const mass = failing.find(({ count, total }) => count >= 2 && count * 2 > total);
  const none = { count: 0, total: 0 };
  return {
    canariesLost: lost !== null,
    canaries: lost ?? answering(canariesOf(inventory, observation, seen, cluster)),
    massFailure: mass !== undefined,
    onLiveNodes: mass ?? failing[0] ?? none,
    answers: signOfLife(inventory, observation, cluster),
  };
}

/** Those that answer, when too few do: of all clusters that are seen, or of this one alone. Null: enough answer. */
export function lostCanaries(
  inventory: Pick<Inventory, 'clusters'>,
  observation: Observation,
  cluster: string,
): Share | null {
  const shares = [seenWith(observation, cluster), (name: string) => name === cluster].map((counts) =>
    answering(canariesOf(inventory, observation, counts, cluster)),
  );
  return shares.find(({ count, total }) => total > 0 && count * 2 < total) ?? null;
}

/** The clusters that can be seen, and this one. */
function seenWith(observation: Observation, cluster: string): (name: string) => boolean {
  return (name) => name === cluster || observation.clusters[name]?.via != null;
}

function signOfLife(inventory: Inventory, observation: Observation, cluster: string): string | null {
  const view = observation.clusters[cluster];
  if (view === undefined || !isSilentNode(view)) return null;
  for (const { name, ip, pingAnswers } of view.nodes) {
    if (pingAnswers === true) return `${ip ?? 'its address'} answers a ping`;
    const guest = guestThatAnswers({ inventory, observation }, view, name);
    if (guest !== null) return `${guest.container} on it answers (${guest.probe})`;
  }
  return null;
}

/** Those of the clusters that count. A cluster without canaries of its own rests on everybody's. */
function canariesOf(
  inventory: Pick<Inventory, 'clusters'>,
  observation: Observation,
  counts: (cluster: string) => boolean,
  cluster: string,
): readonly ProbeResult[] {
  if ((inventory.clusters[cluster]?.canaries ?? []).length === 0) return observation.canaries;
  const clusters = Object.values(inventory.clusters);
  return observation.canaries.filter(({ probe }) => {
    const owners = clusters.filter(({ canaries }) => canaries.some(({ label }) => label === probe));
    return owners.length === 0 || owners.some(({ name }) => counts(name));
  });
}

function answering(canaries: readonly ProbeResult[]): Share {
  return { count: canaries.filter((c) => c.ok).length, total: canaries.length };
}

function failingOnLiveNodes(
  inventory: Inventory,
  observation: Observation,
  current: ReadonlyMap<string, Incarnation | null>,
  counts: (cluster: string) => boolean,
): Share {
  let total = 0;
  let count = 0;
  for (const container of Object.values(inventory.containers)) {
    // Only what was probed in this run can speak of the runner's network.
    if (container.mode === 'off' || observation.probes[container.name] === undefined) continue;
    const at = current.get(container.name) ?? null;
    if (!counts(at?.cluster ?? container.cluster)) continue;
    if (at !== null && knownOffline(observation, at.cluster, at.node)) continue;
    // A stopped container is explained by the cluster, so it says nothing about the runner's network.
    if (at !== null && isStopped(observation, at)) continue;
    total += 1;
    if (!probesPass(container, observation.probes[container.name] ?? [])) count += 1;
  }
  return { count, total };
}

function isStopped(observation: Observation, at: Incarnation): boolean {
  const view = observation.clusters[at.cluster];
  return view !== undefined && guestsAt(view, at.vmid).find((g) => g.node === at.node)?.status === 'stopped';
}

/** What the state adds to an observation. */
export interface Known {
  readonly record: ContainerState | undefined;
  readonly kept: StopInput['kept'];
}

/** It, or its node, was stopped by somebody; null: not so. */
function onPurpose(
  container: Container,
  observation: Observation,
  current: Incarnation,
  { record, kept }: Known,
): Verdict | null {
  const { cluster, node } = current;
  const view = observation.clusters[cluster];
  if (view === undefined) return null;
  const remembered = rememberedStop(record, current);
  const stopped = stoppedByHand(observation, current, remembered, kept);
  const until = graceUntil({
    container,
    kept,
    view,
    node,
    detail: detailOf(view, current),
    lastHealthyAt: record?.lastHealthyAt ?? null,
    now: observation.at,
  });
  if (stopped !== null && (remembered !== null || until === null))
    return { kind: 'stopped-by-hand', reason: stopped };
  if (until === null) return null;
  const grace = formatDuration(container.rebootGraceMs);
  const reason = `${node} was shut down or rebooted on purpose: not counted for ${grace} (rebootGrace)`;
  return { kind: 'stopped-by-hand', reason, until };
}

/** The verdict on one container. */
export function verdictOf(
  container: Container,
  observation: Observation,
  current: Incarnation | null,
  run: RunHealth,
  known: Known,
): Verdict {
  const probes = observation.probes[container.name];
  if (probes === undefined) return { kind: 'inconclusive', reason: 'it was not probed in this run' };
  if (probesPass(container, probes)) return { kind: 'healthy', reason: passReason(probes) };
  const failed = failReason(container, probes);
  const cluster = current?.cluster ?? container.cluster;
  const view = observation.clusters[cluster];
  if (view === undefined || (view.via === null && !isSilentNode(view)))
    return {
      kind: 'inconclusive',
      reason: `${failed}, but no quorate view of cluster ${cluster} can be had`,
    };
  const disagree = disagreement(view, current?.node);
  if (disagree !== null) return { kind: 'inconclusive', reason: `${failed}, but ${disagree}` };
  if (run.canariesLost)
    return {
      kind: 'inconclusive',
      reason: `${failed}, but only ${run.canaries.count} of ${run.canaries.total} canaries answer: the runner's own network is in doubt`,
    };
  if (current === null)
    return {
      kind: 'inconclusive',
      reason: `${failed}, and vmid ${container.vmid} is not in cluster ${container.cluster}`,
    };
  if (isSilentNode(view)) {
    const doubt = doubtOfSilence(run);
    if (doubt !== null) return { kind: 'inconclusive', reason: `${failed}, ${doubt}` };
  }
  const byHand = onPurpose(container, observation, current, known);
  if (byHand !== null) return byHand;
  const offline = knownOffline(observation, current.cluster, current.node);
  if (!offline) {
    if (isStopped(observation, current))
      return { kind: 'unhealthy', reason: `the container is stopped on ${current.node} (${failed})` };
    if (!probesFail(container, probes))
      return { kind: 'inconclusive', reason: `${failed}: that says nothing of the service` };
    if (run.massFailure)
      return {
        kind: 'inconclusive',
        reason: `${failed}, but so do ${run.onLiveNodes.count} of ${run.onLiveNodes.total} containers on live nodes: more likely the runner's trouble`,
      };
    return { kind: 'unhealthy', reason: failed };
  }
  const gone = isSilentNode(view)
    ? `stand-alone node ${current.node} is silent`
    : `node ${current.node} is offline`;
  return { kind: 'unhealthy', reason: `${gone}; ${failed}` };
}

/** No other node says that a stand-alone one is down, so the runner's own network has to be vouched for. */
function doubtOfSilence({ canaries, answers }: RunHealth): string | null {
  if (answers != null) return `and the API of its node is silent, but ${answers}`;
  return canaries.total === 0
    ? "and its node is silent, but there is no canary to vouch for the runner's own network"
    : null;
}

function passReason(probes: readonly ProbeResult[]): string {
  const slowest = Math.max(...probes.map((p) => p.latencyMs ?? 0));
  const bad = probes.filter((p) => !p.ok).length;
  return `${probes.length - bad} of ${probes.length} probes pass, slowest ${Math.round(slowest)} ms`;
}

function failReason(container: Container, probes: readonly ProbeResult[]): string {
  const bad = probes.filter((p) => !p.ok);
  const first = bad.find((p) => p.unknown !== true) ?? bad[0];
  if (first === undefined) return container.checks.length === 0 ? 'it has no checks' : 'no probe was run';
  const more = bad.length > 1 ? ` (and ${bad.length - 1} more)` : '';
  return `${first.probe}: ${first.reason}${more}`;
}
