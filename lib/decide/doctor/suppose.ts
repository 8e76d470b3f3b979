/**
 * Observations of what has not happened: the real one, changed as it would be if a node died, a service hung or the
 * network split. The decisions on them are made by the same functions as always. Pure.
 */
import type { Container, Inventory, ProbeSpec } from '../../inventory/types.ts';
import { emptyContainerState, type State } from '../../state/model.ts';
import { assess } from '../decide.ts';
import { isArmed } from '../watchdog.ts';
import type { ClusterView, Incarnation, NodeView, Observation, ProbeResult } from '../model.ts';
import { SILENT_LONG_MS } from '../proof.ts';
import { recalled } from '../remembered.ts';
import type { ClusterFacts, Facts } from './facts.ts';

export interface Supposed {
  readonly observation: Observation;
  readonly state: State;
}

/** Where each container is now; null: nowhere to be seen. */
export function whereabouts(inventory: Inventory, facts: Facts): ReadonlyMap<string, Incarnation | null> {
  return new Map(
    assess(inventory, facts.observation, facts.state).map((a) => [a.container.name, a.incarnations.current]),
  );
}

/** The node is off: it and everything on it are silent, and the others say offline, if they still have quorum. */
export function nodeDead(inventory: Inventory, facts: Facts, cluster: string, node: string): Supposed {
  const where = whereabouts(inventory, facts);
  const lost = (name: string): boolean => {
    const at = where.get(name);
    return at?.cluster === cluster && at.node === node;
  };
  const silent = addressesOn(facts, cluster, node);
  const observation = suppose(inventory, facts, lost, (spec) => silent.has(hostOf(spec)));
  const state = ripe(inventory, facts, lost);
  const view = observation.clusters[cluster];
  if (view !== undefined)
    observation.clusters[cluster] = recalled(
      withoutNode(view, node, facts.clusters[cluster], facts.at),
      state,
    );
  dropLocalBackups(observation, facts.observation, cluster);
  // The runs that have counted it out have seen nothing of the node either.
  state.silent[`${cluster}/${node}`] = { since: facts.at - SILENT_LONG_MS, at: facts.at };
  return { observation, state };
}

/** Its corosync link is cut, it runs on, and the runner still reaches it and its services. */
export function nodeCutOff(inventory: Inventory, facts: Facts, cluster: string, node: string): Supposed {
  const observation = suppose(
    inventory,
    facts,
    () => false,
    () => false,
  );
  const before = observation.clusters[cluster];
  if (before !== undefined) {
    const view = withoutNode(before, node, facts.clusters[cluster], facts.at);
    observation.clusters[cluster] = {
      ...view,
      endpoints: view.endpoints.map((e) =>
        e.node === node ? { ...e, ok: true, error: null, quorate: false, online: [node] } : e,
      ),
    };
  }
  return { observation, state: ripe(inventory, facts, () => true) };
}

/** Nothing at all reaches the runner, or only what has no quorum. */
export function runnerCutOff(inventory: Inventory, facts: Facts): Supposed {
  const observation = suppose(
    inventory,
    facts,
    () => true,
    () => true,
  );
  for (const view of Object.values(observation.clusters))
    observation.clusters[view.cluster] = blind(view, 'no answer', () => true);
  return { observation, state: ripe(inventory, facts, () => true) };
}

/** The container runs on a living node, and its service does not answer. `restarted`: that has been tried. */
export function serviceDead(
  inventory: Inventory,
  facts: Facts,
  container: Container,
  restarted: boolean,
): Supposed {
  const hung = (name: string): boolean => name === container.name;
  const observation = suppose(inventory, facts, hung, () => false);
  const at = whereabouts(inventory, facts).get(container.name);
  const view = at === null || at === undefined ? undefined : observation.clusters[at.cluster];
  if (view !== undefined)
    view.details = view.details.map((d) =>
      d.vmid === at?.vmid && d.node === at.node ? { ...d, status: 'running', lock: null, lastTask: null } : d,
    );
  const state = ripe(inventory, facts, hung);
  const record = state.containers[container.name];
  if (record !== undefined) record.restartedAt = restarted ? facts.at : null;
  return { observation, state };
}

/** A copy of the observation, as fresh as can be, in which the services of `failing` and some canaries are silent. */
function suppose(
  inventory: Inventory,
  facts: Facts,
  failing: (container: string) => boolean,
  silent: (canary: ProbeSpec) => boolean,
): Observation {
  const { at } = facts;
  const { observation } = facts;
  const quiet = new Set(
    Object.values(inventory.clusters)
      .flatMap((c) => c.canaries)
      .filter(silent)
      .map((spec) => spec.label),
  );
  const probes: Record<string, ProbeResult[]> = {};
  for (const [name, results] of Object.entries(observation.probes))
    probes[name] = results.map((probe) => (failing(name) ? mute(probe) : wake(probe)));
  return {
    ...observation,
    at,
    canaries: observation.canaries.map((probe) => (quiet.has(probe.probe) ? mute(probe) : probe)),
    probes,
    clusters: Object.fromEntries(
      Object.entries(observation.clusters).map(([name, view]) => [
        name,
        { ...view, at, details: view.details.map((d) => ({ ...d, readAt: at })) },
      ]),
    ),
  };
}

function mute(probe: ProbeResult): ProbeResult {
  return { ...probe, ok: false, answered: false, latencyMs: null, reason: 'no answer' };
}

/** What doesn't answer today has its own finding; here it is about what else could happen. */
function wake(probe: ProbeResult): ProbeResult {
  return { ...probe, ok: true, answered: true, reason: 'answers' };
}

/** The others' view once `node` is gone: quorate only with more than half of the votes. */
function withoutNode(
  view: ClusterView,
  node: string,
  facts: ClusterFacts | undefined,
  at: number,
): ClusterView {
  const gone = view.endpoints.filter((e) => e.node === node).map((e) => e.endpoint);
  const isGone = (endpoint: string): boolean => gone.includes(endpoint);
  const remaining = view.endpoints.find((e) => e.ok && e.quorate && !isGone(e.endpoint));
  if (view.via === null) return view;
  if (remaining === undefined) return blind(view, 'no answer', isGone);
  if (!view.standalone && !quorateWithout(view.nodes, node, facts))
    return {
      ...blind(view, 'no answer', isGone),
      problems: [`no endpoint of cluster ${view.cluster} has quorum`],
    };
  return {
    ...view,
    at,
    via: remaining.endpoint,
    endpoints: view.endpoints.map((e) =>
      isGone(e.endpoint)
        ? { ...e, ok: false, error: 'no answer', quorate: false, online: [] }
        : { ...e, online: e.online.filter((name) => name !== node) },
    ),
    nodes: view.nodes.map((n) =>
      n.name === node ? { ...n, online: false, apiAnswers: false, netstat: null, memUsed: null } : n,
    ),
    details: view.details.filter((d) => d.node !== node),
    // Nothing is heard of it for as long as its watchdog needs.
    fences: view.fences.map((f) =>
      f.node === node && f.driver === 'ha-watchdog' && isArmed(view, node)
        ? { ...f, at, power: 'off', detail: 'its armed watchdog has had its time' }
        : f,
    ),
    lineages: view.lineages.filter((l) => l.node !== node),
    unread: [
      ...view.unread,
      ...view.lineages.filter((l) => l.node === node).map(({ vmid }) => ({ node, vmid })),
    ],
  };
}

/** What observe makes of a cluster of which no quorate endpoint answers. */
function blind(view: ClusterView, why: string, isGone: (endpoint: string) => boolean): ClusterView {
  return {
    ...view,
    endpoints: view.endpoints.map((e) =>
      isGone(e.endpoint)
        ? { ...e, ok: false, silent: true, error: why, quorate: false, online: [] }
        : { ...e, quorate: false },
    ),
    via: null,
    version: null,
    quorate: false,
    nodes: [],
    guests: [],
    storages: [],
    ha: [],
    haGroups: [],
    haRules: [],
    mayGuard: null,
    lineages: [],
    unread: [],
    details: [],
    fences: [],
    problems: [],
  };
}

/** Whether the nodes that are online now would have more than half of the votes without this one. */
export function quorateWithout(
  nodes: readonly Pick<NodeView, 'name' | 'online'>[],
  gone: string,
  facts: Pick<ClusterFacts, 'votes' | 'qdevice'> | undefined,
): boolean {
  const votesOf = (name: string): number => facts?.votes?.[name] ?? 1;
  const device = facts?.qdevice ?? null;
  const has = device !== null && device !== 'unread';
  const expected = nodes.reduce((sum, n) => sum + votesOf(n.name), has ? 1 : 0);
  const left = nodes
    .filter((n) => n.online && n.name !== gone)
    .reduce((sum, n) => sum + votesOf(n.name), has && deviceVotes(device.state) ? 1 : 0);
  return left * 2 > expected;
}

/** `Connected`; anything else says why not. */
export function deviceVotes(state: string): boolean {
  return /^connected$/i.test(state);
}

/** Counted out, and known as a run would know it: with the identity that its config shows. */
function ripe(inventory: Inventory, facts: Facts, counts: (container: string) => boolean): State {
  const state = structuredClone(facts.state);
  for (const { container, incarnations } of assess(inventory, facts.observation, facts.state)) {
    const record = (state.containers[container.name] ??= emptyContainerState());
    const { current } = incarnations;
    record.stoppedByHand = null;
    if (counts(container.name)) record.failures = Math.max(record.failures, container.failureThreshold);
    if (current === null) continue;
    record.current ??= current;
    const detail = facts.observation.clusters[current.cluster]?.details.find(
      (d) => d.node === current.node && d.vmid === current.vmid,
    );
    if (detail !== undefined && !detail.onboot) {
      const place = `${current.cluster}/${current.node}`;
      record.onbootOff[`${place}/${current.vmid}`] = detail.readAt;
      state.lastSeenOnline[place] = detail.readAt;
    }
    if (detail !== undefined)
      record.identity = {
        cluster: current.cluster,
        vmid: current.vmid,
        macs: detail.macs,
        ips: detail.ips,
        onboot: detail.onboot,
        memMax: detail.memMax,
        readAt: detail.readAt,
      };
  }
  for (const { cluster, via, standalone, nodes } of Object.values(facts.observation.clusters))
    if (via !== null)
      state.clusters[cluster] = {
        at: facts.at,
        standalone,
        nodes: nodes.map(({ name, ip }) => ({ name, ip: ip ?? null })),
      };
  return state;
}

/** Backups on a storage that no remaining node sees can't be used. */
function dropLocalBackups(supposed: Observation, real: Observation, cluster: string): void {
  const view = supposed.clusters[cluster];
  if (view === undefined) return;
  const seen = (v: ClusterView | undefined, storage: string): string | undefined => {
    const alive = new Set(v?.nodes.filter((n) => n.online && n.apiAnswers === true).map((n) => n.name));
    return v?.storages.find((s) => s.storage === storage && s.active && alive.has(s.node))?.node;
  };
  supposed.backups = supposed.backups.filter((backup) => {
    if (backup.cluster !== cluster) return true;
    const now = seen(view, backup.storage);
    const shared = view.storages.find((s) => s.storage === backup.storage)?.shared ?? false;
    // A local storage of the same name on another node is another storage.
    return now !== undefined && (shared || now === seen(real.clusters[cluster], backup.storage));
  });
}

/** Addresses that fall silent with a node: its own, and those of its containers. */
export function addressesOn(facts: Facts, cluster: string, node: string): ReadonlySet<string> {
  const view = facts.observation.clusters[cluster];
  const own = facts.clusters[cluster]?.nodes.find((n) => n.name === node)?.ip ?? null;
  const endpoints = (facts.clusters[cluster]?.endpoints ?? []).filter((e) => e.node === node);
  return new Set([
    ...(own === null ? [] : [own]),
    ...endpoints.map((e) => new URL(e.endpoint).hostname).filter((host) => !isLoopback(host)),
    ...(view?.details ?? []).filter((d) => d.node === node).flatMap((d) => d.ips),
  ]);
}

/** Where a probe goes; an exec check's address is not known. */
export function hostOf(spec: ProbeSpec): string {
  switch (spec.kind) {
    case 'tcp':
    case 'ping':
      return spec.host;
    case 'dns':
      return spec.server;
    case 'http': {
      const { hostname } = new URL(spec.url);
      return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
    }
    case 'exec':
      return '';
  }
}

export function isLoopback(host: string): boolean {
  return /^127\.|^localhost$|^::1$|^\[::1\]$/.test(host);
}
