/** Everything that one run reads of the world, in one serialisable value. Never writes. */
import pLimit from 'p-limit';
import { assess } from '../decide/decide.ts';
import type { BackupView, ClusterView, Observation, ProbeResult } from '../decide/model.ts';
import { PveError, messageOf } from '../errors.ts';
import type { Container, Inventory } from '../inventory/types.ts';
import type { PveApi } from '../pve/api.ts';
import type { Runtime } from '../runtime.ts';
import { emptyContainerState, type State } from '../state/model.ts';
import { probeAll } from './prober.ts';
import { addDetails, addFences, addNodeFacts, addRights, clusterView, type ViewDeps } from './view.ts';

/** How many archives of a container in trouble are looked into, newest first. */
const ARCHIVES_READ = 10;
/** A container's MACs, addresses and onboot are read again after this time. */
const IDENTITY_STALE_MS = 3_600_000;

export interface ObserveInput {
  readonly inventory: Inventory;
  readonly state: State;
  readonly apis: ReadonlyMap<string, PveApi>;
  readonly runtime: Runtime;
  readonly signal?: AbortSignal | undefined;
  /** Only these containers are probed; undefined: all that aren't `mode: off`. */
  readonly only?: ReadonlySet<string> | undefined;
  /** Looked at in full (details, backups) whatever their probes say. */
  readonly focus?: ReadonlySet<string> | undefined;
}

/** One observation. Cluster views, probes and canaries at the same time; then the details of what is in trouble. */
export async function observe(input: ObserveInput): Promise<Observation> {
  const { inventory, runtime, signal } = input;
  const containers = Object.values(inventory.containers).filter(
    (c) => c.mode !== 'off' && (input.only?.has(c.name) ?? true),
  );
  const clusters = new Set(containers.flatMap((c) => [c.cluster]));
  const deps = new Map<string, ViewDeps>();
  for (const name of clusters) {
    const cluster = inventory.clusters[name];
    const api = input.apis.get(name);
    if (cluster !== undefined && api !== undefined) deps.set(name, { api, cluster, runtime, signal });
  }
  const [views, probes] = await Promise.all([
    Promise.all([...deps.values()].map((d) => clusterView(d))),
    probe(input, containers, [...clusters]),
  ]);
  const observation: Observation = {
    version: 1,
    at: runtime.clock.now(),
    inventory: inventory.digest,
    canaries: probes.canaries,
    probes: probes.containers,
    clusters: Object.fromEntries(views.map((view) => [view.cluster, view])),
    backups: [],
  };
  await deepen(input, observation, deps);
  // An interrupted read looks like silence, and silence is evidence: nothing may rest on such a look.
  signal?.throwIfAborted();
  return observation;
}

async function probe(input: ObserveInput, containers: readonly Container[], clusters: readonly string[]) {
  const { inventory, runtime, signal } = input;
  const jobs = [
    ...clusters.flatMap((name) =>
      (inventory.clusters[name]?.canaries ?? []).map((spec) => ({ key: '', spec })),
    ),
    ...containers.flatMap((container) => container.checks.map((spec) => ({ key: container.name, spec }))),
  ];
  const results = await probeAll(jobs, (spec, inner) => runtime.probe(spec, inner), { signal });
  const byContainer: Record<string, ProbeResult[]> = {};
  for (const container of containers) byContainer[container.name] = results.get(container.name) ?? [];
  return { canaries: results.get('') ?? [], containers: byContainer };
}

/** The second round: what only containers in trouble, or with more than one copy, need. */
async function deepen(
  input: ObserveInput,
  observation: Observation,
  deps: ReadonlyMap<string, ViewDeps>,
): Promise<void> {
  const { inventory, state, runtime, focus } = input;
  const assessments = assess(inventory, observation, state).filter(
    (a) => observation.probes[a.container.name] !== undefined,
  );
  const due: Container[] = [];
  const wanted = new Map<string, { node: string; vmid: number }[]>();
  const troubled = new Map<string, Set<string>>();
  for (const { container, verdict, incarnations } of assessments) {
    const record = state.containers[container.name] ?? emptyContainerState();
    const trouble = verdict.kind !== 'healthy' || (focus?.has(container.name) ?? false);
    const all = [
      ...(incarnations.current === null ? [] : [incarnations.current]),
      ...incarnations.superseded,
      ...incarnations.pending,
    ];
    const identity = record.identity;
    const stale =
      identity === null ||
      identity.vmid !== incarnations.current?.vmid ||
      runtime.clock.now() - identity.readAt > IDENTITY_STALE_MS;
    // Whatever their tags: a copy that lost its tag is a copy.
    for (const guest of observation.clusters[container.cluster]?.guests ?? [])
      if (guest.type === 'lxc' && container.failover.vmids.includes(guest.vmid))
        wanted.set(container.cluster, [...(wanted.get(container.cluster) ?? []), guest]);
    for (const one of all) {
      if (trouble || stale || one !== incarnations.current)
        wanted.set(one.cluster, [...(wanted.get(one.cluster) ?? []), one]);
      if (trouble || all.length > 1)
        troubled.set(one.cluster, (troubled.get(one.cluster) ?? new Set()).add(one.node));
    }
    if (
      trouble &&
      ((focus?.has(container.name) ?? false) || record.failures + 1 >= container.failureThreshold)
    )
      due.push(container);
  }
  await Promise.all(
    [...deps].map(async ([name, d]) => {
      const view = observation.clusters[name];
      if (view === undefined || view.via === null) return;
      const silent = [...(troubled.get(name) ?? [])].filter(
        (node) => view.nodes.find((n) => n.name === node)?.apiAnswers !== true,
      );
      await Promise.all([
        addDetails(view, wanted.get(name) ?? [], d),
        addFences(view, silent, state, d),
        ...(due.some((c) => c.cluster === name)
          ? [addRights(view, d), addNodeFacts(view, targetsOf(due, name), d)]
          : []),
      ]);
    }),
  );
  // Containers that turned out to be stopped by hand, or inconclusive, need no backups; asking does no harm.
  observation.backups = await readBackups(input, observation, due);
}

/** The nodes of a cluster that these containers may go to. */
function targetsOf(containers: readonly Container[], cluster: string): Set<string> {
  return new Set(containers.flatMap((c) => c.nodes.flatMap((t) => (t.cluster === cluster ? [t.node] : []))));
}

async function readBackups(
  input: ObserveInput,
  observation: Observation,
  due: readonly Container[],
): Promise<BackupView[]> {
  const stores = new Map<string, { container: Container; vmids: Set<number> }>();
  for (const { container, incarnations } of assess(input.inventory, observation, input.state)) {
    if (!due.includes(container)) continue;
    const key = `${container.cluster}/${container.backup.storage}`;
    const entry = stores.get(key) ?? { container, vmids: new Set<number>() };
    if (incarnations.current !== null) entry.vmids.add(incarnations.current.vmid);
    stores.set(key, entry);
  }
  const lists = await Promise.all([...stores.values()].map((store) => readStore(input, observation, store)));
  return lists.flat();
}

/** The backups on one storage, in one listing whatever the number of containers, with the newest ones looked into. */
async function readStore(
  { apis, signal }: ObserveInput,
  observation: Observation,
  { container, vmids }: { container: Container; vmids: ReadonlySet<number> },
): Promise<BackupView[]> {
  const { cluster, backup } = container;
  const view = observation.clusters[cluster];
  const api = apis.get(cluster);
  if (view === undefined || api === undefined || view.via === null) return [];
  const node = nodeThatSees(view, backup.storage);
  if (node === null) {
    view.problems.push(`no online node of cluster ${cluster} sees the backup storage ${backup.storage}`);
    return [];
  }
  try {
    const listed = (await api.backups(node, backup.storage, { signal })).filter((b) => vmids.has(b.vmid));
    const limit = pLimit(4);
    return await Promise.all(
      listed.map(async (entry) => {
        const newer = listed.filter((b) => b.vmid === entry.vmid && b.at > entry.at).length;
        return newer >= ARCHIVES_READ
          ? { ...entry, problem: 'not looked into: too many newer ones' }
          : limit(() => lookInside(api, node, entry, signal));
      }),
    );
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    view.problems.push(`backups on ${backup.storage}: ${messageOf(error)}`);
    return [];
  }
}

async function lookInside(
  api: PveApi,
  node: string,
  entry: BackupView,
  signal: AbortSignal | undefined,
): Promise<BackupView> {
  try {
    return { ...entry, archived: await api.archivedConfig(node, entry.volid, { signal }) };
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    return { ...entry, problem: `its config can't be read: ${messageOf(error)}` };
  }
}

/** An online node on which the storage is active, or null. */
export function nodeThatSees(view: ClusterView, storage: string): string | null {
  const online = new Set(view.nodes.filter((n) => n.online && n.apiAnswers === true).map((n) => n.name));
  return view.storages.find((s) => s.storage === storage && s.active && online.has(s.node))?.node ?? null;
}
