/** One cluster as its own API shows it, in a number of calls that does not grow with its containers. Reads only. */
import pLimit from 'p-limit';
import { detailOf } from '../decide/at-vmid.ts';
import { hasRules } from '../decide/guard.ts';
import { parseLineage, TAG } from '../decide/lineage.ts';
import type {
  ClusterView,
  EndpointView,
  GuestDetail,
  GuestView,
  HaEntry,
  HaGroup,
  HaRule,
  NodeView,
} from '../decide/model.ts';
import { messageOf, PveError } from '../errors.ts';
import type { Cluster } from '../inventory/types.ts';
import type { PveApi } from '../pve/api.ts';
import type { Runtime } from '../runtime.ts';
import { pingNode } from './node-ping.ts';

/** Parallel requests to one cluster beside the constant ones. */
const CONCURRENCY = 8;
/** Short, so that everything read for one decision is young enough for it (proof.ts, FRESH_MS). */
const NODE_DEADLINE_MS = 3_000;

export interface ViewDeps {
  readonly api: PveApi;
  readonly cluster: Cluster;
  readonly runtime: Runtime;
  readonly signal?: AbortSignal | undefined;
}

/** The cluster's view through its first quorate endpoint; with `via: null` and the reasons when there is none. */
export async function clusterView(deps: ViewDeps): Promise<ClusterView> {
  const { api, cluster, runtime, signal } = deps;
  // The age of what is read counts from the first question.
  const at = runtime.clock.now();
  const seen = await Promise.all(api.endpoints.map((endpoint) => api.endpointView(endpoint, { signal })));
  const endpoints: EndpointView[] = seen.map(
    ({ endpoint, ok, error, failure, silent, node, quorate, online }) => ({
      endpoint,
      ok,
      error,
      failure,
      ...(silent === undefined ? {} : { silent }),
      node,
      quorate,
      online,
    }),
  );
  const chosen = seen.find((e) => e.ok && e.quorate);
  const empty: ClusterView = {
    cluster: cluster.name,
    at,
    endpoints,
    via: null,
    version: null,
    standalone: seen.some((e) => e.standalone),
    quorate: false,
    nodes: [],
    guests: [],
    storages: [],
    ha: [],
    haGroups: [],
    haRules: [],
    lrms: null,
    mayGuard: null,
    maySysModify: null,
    mayNameDisks: null,
    lineages: [],
    unread: [],
    details: [],
    fences: [],
    problems: endpointProblems(endpoints),
  };
  if (chosen === undefined) {
    if (seen.some((e) => e.ok)) empty.problems.push(`no endpoint of cluster ${cluster.name} has quorum`);
    return empty;
  }
  api.useEndpoint(chosen.endpoint);
  try {
    return await fullView(deps, empty, chosen);
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    return { ...empty, problems: [...empty.problems, messageOf(error)] };
  }
}

/** Why endpoints don't answer, each reason once, with the endpoints that it is about. */
function endpointProblems(endpoints: readonly EndpointView[]): string[] {
  const about = new Map<string, string[]>();
  for (const { ok, endpoint, error } of endpoints) {
    const reason = error ?? 'no answer';
    if (!ok) about.set(reason, [...(about.get(reason) ?? []), endpoint]);
  }
  return [...about].map(([reason, who]) =>
    who.every((endpoint) => reason.includes(endpoint)) ? reason : `${who.join(', ')}: ${reason}`,
  );
}

async function fullView(
  { api, cluster, runtime, signal }: ViewDeps,
  empty: ClusterView,
  chosen: Awaited<ReturnType<PveApi['endpointView']>>,
): Promise<ClusterView> {
  const problems = [...empty.problems];
  const asked = api.version({ signal });
  const [version, resources, ha, lrms, nodes] = await Promise.all([
    asked,
    api.resources({ signal }),
    haView(api, asked, problems, signal),
    lrmsOf(api, cluster, problems, signal),
    Promise.all(chosen.nodes.map((node) => nodeView({ api, runtime, signal }, node))),
  ]);
  for (const node of nodes) {
    const resource = resources.nodes.find((r) => r.name === node.name);
    node.memTotal = resource?.memTotal ?? null;
    node.memUsed = resource?.memUsed ?? null;
    node.uptimeSeconds = resource?.uptimeSeconds ?? null;
    if (ha.maintenance.includes(node.name)) node.maintenance = true;
  }
  const tagged = await readTagged(api, resources.guests, nodes, signal);
  return {
    ...empty,
    via: chosen.endpoint,
    version,
    standalone: chosen.standalone,
    quorate: true,
    nodes,
    guests: resources.guests,
    storages: resources.storages,
    ha: ha.entries,
    haGroups: ha.groups,
    haRules: ha.rules,
    lrms,
    ...(ha.problem === undefined ? {} : { haProblem: ha.problem }),
    lineages: tagged.lineages,
    unread: tagged.unread,
    details: tagged.details,
    problems: [...problems, ...tagged.problems],
  };
}

interface Ha {
  readonly entries: HaEntry[];
  readonly groups: HaGroup[];
  readonly rules: HaRule[];
  /** Nodes in maintenance mode. */
  readonly maintenance: readonly string[];
  /** Why none of it could be read. */
  readonly problem: string | undefined;
}

async function haView(
  api: PveApi,
  asked: Promise<string>,
  problems: string[],
  signal: AbortSignal | undefined,
): Promise<Ha> {
  try {
    const [version, entries, maintenance] = await Promise.all([
      asked,
      api.haResources({ signal }),
      api.haMaintenance({ signal }),
    ]);
    // Groups exist up to 8.x only; without entries that name one there is nothing to look up.
    const groups = entries.some((e) => e.group !== null) ? await api.haGroups({ signal }) : [];
    const rules = hasRules(version) ? await api.haRules({ signal }) : [];
    return { entries, groups, rules, maintenance, problem: undefined };
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    const problem = `HA entries: ${messageOf(error)}`;
    problems.push(problem);
    return { entries: [], groups: [], rules: [], maintenance: [], problem };
  }
}

/** Read only where a watchdog is somebody's fence. */
async function lrmsOf(
  api: PveApi,
  cluster: Cluster,
  problems: string[],
  signal: AbortSignal | undefined,
): Promise<ClusterView['lrms']> {
  const fences = Object.values(cluster.nodes).flatMap((node) => node.fence);
  if (!fences.some((fence) => fence.driver === 'ha-watchdog')) return null;
  try {
    return await api.haLrms({ signal });
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    problems.push(`HA manager: ${messageOf(error)}`);
    return null;
  }
}

/** Whether a node's own API answers, and which containers have an interface on it; of an offline one, whether it pings. */
async function nodeView(
  { api, runtime, signal }: Omit<ViewDeps, 'cluster'>,
  node: { name: string; online: boolean; ip: string | null },
): Promise<NodeView> {
  const view: NodeView = {
    name: node.name,
    online: node.online,
    apiAnswers: null,
    ip: node.ip,
    pingAnswers: null,
    memTotal: null,
    memUsed: null,
    uptimeSeconds: null,
    netstat: null,
    bridges: null,
    machine: null,
  };
  const options = { signal, timeoutMs: NODE_DEADLINE_MS };
  if (!node.online) {
    const [apiAnswers, pingAnswers] = await Promise.all([
      api.nodeAnswers(node.name, options),
      pingNode(runtime, node.ip, signal),
    ]);
    return { ...view, apiAnswers, pingAnswers };
  }
  try {
    return { ...view, netstat: await api.netstat(node.name, options), apiAnswers: true };
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    return { ...view, apiAnswers: await api.nodeAnswers(node.name, options) };
  }
}

/** Reads the configs of all containers tagged `proxwarden` that can be read: their lineage lines. */
async function readTagged(
  api: PveApi,
  guests: readonly GuestView[],
  nodes: readonly NodeView[],
  signal: AbortSignal | undefined,
) {
  const lineages: ClusterView['lineages'] = [];
  const unread: ClusterView['unread'] = [];
  const details: GuestDetail[] = [];
  const problems: string[] = [];
  const limit = pLimit(CONCURRENCY);
  const tagged = guests.filter((g) => g.type === 'lxc' && g.tags.includes(TAG));
  await Promise.all(
    tagged.map((guest) =>
      limit(async () => {
        const { node, vmid } = guest;
        if (nodes.find((n) => n.name === node)?.apiAnswers !== true) return void unread.push({ node, vmid });
        try {
          const detail = await api.guestDetail(node, vmid, { signal });
          details.push(detail);
          const line = parseLineage(detail.description);
          if (line !== null) lineages.push({ node, vmid, line });
        } catch (error) {
          if (!(error instanceof PveError)) throw error;
          unread.push({ node, vmid });
          problems.push(`CT ${vmid} on ${node}: ${messageOf(error)}`);
        }
      }),
    ),
  );
  const byPlace = (a: { node: string; vmid: number }, b: { node: string; vmid: number }): number =>
    a.vmid - b.vmid || (a.node < b.node ? -1 : 1);
  return {
    lineages: lineages.toSorted(byPlace),
    unread: unread.toSorted(byPlace),
    details: details.toSorted(byPlace),
    problems,
  };
}

/** Adds what is read of single guests from their own nodes. Guests whose node does not answer are left out. */
export async function addDetails(
  view: ClusterView,
  wanted: readonly { node: string; vmid: number }[],
  { api, signal }: ViewDeps,
): Promise<void> {
  const limit = pLimit(CONCURRENCY);
  const missing = wanted.filter(
    (w) => detailOf(view, w) === undefined && view.nodes.find((n) => n.name === w.node)?.apiAnswers === true,
  );
  const unique = new Map(missing.map((w) => [`${w.node}/${w.vmid}`, w]));
  await Promise.all(
    [...unique.values()].map(({ node, vmid }) =>
      limit(async () => {
        try {
          const detail = await api.guestDetail(node, vmid, { signal });
          view.details.push(detail);
          const line = parseLineage(detail.description);
          if (line !== null) view.lineages.push({ node, vmid, line });
        } catch (error) {
          if (!(error instanceof PveError)) throw error;
          view.problems.push(`CT ${vmid} on ${node}: ${messageOf(error)}`);
        }
      }),
    ),
  );
  view.details.sort((a, b) => a.vmid - b.vmid || (a.node < b.node ? -1 : 1));
}

/** When containers of these nodes, and the nodes themselves, were started and stopped: who asked for it says why they are down. */
export async function addPowerTasks(
  view: ClusterView,
  nodes: ReadonlySet<string>,
  { api, signal }: ViewDeps,
): Promise<void> {
  if (nodes.size === 0) return;
  const options = { signal, timeoutMs: NODE_DEADLINE_MS };
  const answers = (name: string): boolean => view.nodes.find((n) => n.name === name)?.apiAnswers === true;
  const silent = [...nodes].filter((name) => !answers(name));
  const reads = [
    ...[...nodes].filter(answers).map((name) => api.nodePowerTasks(name, options)),
    // What is silent can't be asked; the cluster still lists what it did last.
    ...(silent.length === 0 ? [] : [api.powerTasks(options)]),
  ];
  const lists = await Promise.all(
    reads.map(async (read) => {
      try {
        return await read;
      } catch (error) {
        // Without the right to see others' tasks, or an answer, it stays unknown.
        if (!(error instanceof PveError) || signal?.aborted === true) throw error;
        return [];
      }
    }),
  );
  view.powerTasks = lists.flatMap((list, index) =>
    index < nodes.size - silent.length ? list : list.filter((task) => silent.includes(task.node)),
  );
}

/** What the token may do beside the ordinary: write HA entries (the guard), restore privileged containers. */
export async function addRights(view: ClusterView, { api, signal }: ViewDeps): Promise<void> {
  try {
    const held = await api.permissions({ signal });
    view.mayGuard = held['/']?.includes('Sys.Console') ?? false;
    view.maySysModify = held['/']?.includes('Sys.Modify') ?? false;
    view.mayNameDisks = held['/vms']?.includes('VM.Config.Disk') ?? false;
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    view.problems.push(`privileges: ${messageOf(error)}`);
  }
}

/** What each node runs, as it says itself or, where it is silent or was asked not long ago, as it said last. */
export async function addVersions(
  view: ClusterView,
  known: Readonly<Record<string, NonNullable<NodeView['version']>>>,
  { api, runtime, signal }: ViewDeps,
  { staleMs }: { staleMs: number },
): Promise<void> {
  const now = runtime.clock.now();
  await Promise.all(
    view.nodes.map(async (node) => {
      node.version ??= known[`${view.cluster}/${node.name}`];
      const age = node.version === undefined ? Infinity : Math.abs(now - node.version.readAt);
      if (node.apiAnswers !== true || age <= staleMs) return;
      try {
        const text = await api.inspect.nodeVersion(node.name, { signal, timeoutMs: NODE_DEADLINE_MS });
        node.version = { text, readAt: now };
      } catch (error) {
        if (!(error instanceof PveError)) throw error;
      }
    }),
  );
}

/** What a copy would meet on nodes that may take one: their bridges and processor. Not learnt: nothing is made of it. */
export async function addNodeFacts(
  view: ClusterView,
  nodes: ReadonlySet<string>,
  { api, signal }: ViewDeps,
): Promise<void> {
  const limit = pLimit(CONCURRENCY);
  await Promise.all(
    view.nodes
      .filter((node) => nodes.has(node.name) && node.apiAnswers === true)
      .map((node) =>
        limit(async () => {
          try {
            Object.assign(node, await api.nodeFacts(node.name, { signal, timeoutMs: NODE_DEADLINE_MS }));
          } catch (error) {
            if (!(error instanceof PveError)) throw error;
          }
        }),
      ),
  );
}
