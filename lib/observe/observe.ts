/** Everything that one run reads of the world, in one serialisable value. Never writes. */
import { assess } from '../decide/decide.ts';
import type { BackupView, Observation, ProbeResult } from '../decide/model.ts';
import type { Container, Inventory } from '../inventory/types.ts';
import type { PveApi } from '../pve/api.ts';
import type { Runtime } from '../runtime.ts';
import { emptyContainerState, type State } from '../state/model.ts';
import { knownMacs } from '../decide/whose.ts';
import { readStore } from './backups.ts';
import { probeAll } from './prober.ts';
import { addDetails, addFences, addNodeFacts, addRights, clusterView, type ViewDeps } from './view.ts';

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
  /** false: without backups, which take a while to be looked into. Default true. */
  readonly backups?: boolean | undefined;
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
  if (input.backups !== false) observation.backups = await readBackups(input, observation, due);
}

/** The nodes of a cluster that these containers may go to. */
function targetsOf(containers: readonly Container[], cluster: string): Set<string> {
  return new Set(containers.flatMap((c) => c.nodes.flatMap((t) => (t.cluster === cluster ? [t.node] : []))));
}

/** The backups of the containers in trouble: one listing per storage, whatever their number. */
async function readBackups(
  input: ObserveInput,
  observation: Observation,
  due: readonly Container[],
): Promise<BackupView[]> {
  const { state, apis, signal } = input;
  const stores = new Map<string, { cluster: string; storage: string; wanted: Map<number, string[]> }>();
  for (const { container, incarnations } of assess(input.inventory, observation, state)) {
    if (!due.includes(container)) continue;
    const { cluster, backup } = container;
    const key = `${cluster}/${backup.storage}`;
    const store = stores.get(key) ?? {
      cluster,
      storage: backup.storage,
      wanted: new Map<number, string[]>(),
    };
    const { current } = incarnations;
    if (current !== null)
      store.wanted.set(
        current.vmid,
        knownMacs(container, current, observation, state.containers[container.name]),
      );
    stores.set(key, store);
  }
  const lists = await Promise.all(
    [...stores.values()].map(async ({ cluster, storage, wanted }) => {
      const view = observation.clusters[cluster];
      const api = apis.get(cluster);
      if (view === undefined || api === undefined || view.via === null) return [];
      const { backups, problem } = await readStore({ api, view, storage, wanted, signal });
      if (problem !== null) view.problems.push(problem);
      return backups;
    }),
  );
  return lists.flat();
}
