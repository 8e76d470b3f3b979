/** Everything that one run reads of the world, in one serialisable value. Never writes. */
import { guestsAt } from '../decide/at-vmid.ts';
import { assess } from '../decide/decide.ts';
import { followedClusters, followedOf } from '../decide/followed.ts';
import type { BackupView, ClusterView, Observation, ProbeResult } from '../decide/model.ts';
import type { Container, Inventory } from '../inventory/types.ts';
import type { PveApi } from '../pve/api.ts';
import type { Runtime } from '../runtime.ts';
import { emptyContainerState, type State } from '../state/model.ts';
import { clustersOf, containerIn, copyVmids, viewsOf } from '../decide/reach.ts';
import { recalled } from '../decide/remembered.ts';
import { knownMacs } from '../decide/whose.ts';
import { readStore } from './backups.ts';
import { pingNode } from './node-ping.ts';
import { probeAll } from './prober.ts';
import { addFences, watchdogReads } from './fences.ts';
import {
  addPowerTasks,
  addDetails,
  addNodeFacts,
  addRights,
  addVersions,
  clusterView,
  type ViewDeps,
} from './view.ts';

/** A look that took longer than this (slow checks, plugs, archives) has the cluster read once more at its end. */
const RENEW_AFTER_MS = 7_500;
/** A container's MACs, addresses and onboot, and the nodes' versions, are read again after this time. */
const IDENTITY_STALE_MS = 3_600_000;
const STALE_READS_MIN = 10;
const STALE_READS_RUNS = 30;

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
  /** Where a copy is believed to be that may be in no list any more: what their fences say is read as well. */
  readonly suspects?: readonly { readonly cluster: string; readonly node: string }[] | undefined;
  /** false: without backups, which take a while to be looked into. Default true. */
  readonly backups?: boolean | undefined;
}

/** One observation. Cluster views, probes and canaries at the same time; then the details of what is in trouble. */
export async function observe(input: ObserveInput): Promise<Observation> {
  const { inventory, state, runtime, signal } = input;
  const containers = Object.values(inventory.containers).filter(
    (c) => c.mode !== 'off' && (input.only?.has(c.name) ?? true),
  );
  const clusters = new Set([
    ...lookedAt(input, containers).flatMap((c) => clustersOf(c, state.containers[c.name])),
    ...(input.only === undefined ? followedClusters(inventory, state) : []),
  ]);
  const deps = new Map<string, ViewDeps>();
  for (const name of clusters) {
    const cluster = inventory.clusters[name];
    const api = input.apis.get(name);
    if (cluster !== undefined && api !== undefined) deps.set(name, { api, cluster, runtime, signal });
  }
  const tookMs = new Map<string, number>();
  const [views, probes] = await Promise.all([
    Promise.all(
      [...deps.values()].map(async (d) => {
        const view = await look(d, state);
        tookMs.set(view.cluster, runtime.clock.now() - view.at);
        return view;
      }),
    ),
    probe(input, containers, [...clusters]),
  ]);
  const observation: Observation = {
    version: 2,
    at: runtime.clock.now(),
    inventory: inventory.digest,
    canaries: probes.canaries,
    probes: probes.containers,
    clusters: Object.fromEntries(views.map((view) => [view.cluster, view])),
    backups: [],
  };
  await deepen(input, observation, deps);
  await renew(input, observation, deps, tookMs);
  // An interrupted read looks like silence, and silence is evidence: nothing may rest on such a look.
  signal?.throwIfAborted();
  return observation;
}

/** A cluster as it is; of one that is silent, what is remembered, and whether its nodes answer a ping. */
async function look(deps: ViewDeps, state: State): Promise<ClusterView> {
  const view = recalled(await clusterView(deps), state);
  if (view.remembered !== undefined)
    await Promise.all(
      view.nodes.map(async (node) => {
        node.pingAnswers = await pingNode(deps.runtime, node.ip ?? null, deps.signal);
      }),
    );
  return view;
}

/** Those whose clusters are looked at: of neighbours only the probes are of interest. */
function lookedAt({ focus }: ObserveInput, containers: readonly Container[]): readonly Container[] {
  return focus === undefined ? containers : containers.filter((c) => focus.has(c.name));
}

async function probe(input: ObserveInput, containers: readonly Container[], clusters: readonly string[]) {
  const { inventory, runtime, signal } = input;
  const jobs = [
    ...clusters.flatMap((name) =>
      (inventory.clusters[name]?.canaries ?? []).map((spec) => ({ key: '', spec })),
    ),
    ...containers.flatMap((container) => container.checks.map((spec) => ({ key: container.name, spec }))),
  ];
  const results = await probeAll(jobs, (spec, inner) => runtime.probe(spec, inner), {
    clock: runtime.clock,
    // Asked for pings only, so that others need not look for fping.
    slots: jobs.some(({ spec }) => spec.kind === 'ping') ? await runtime.slots?.() : undefined,
    signal,
  });
  const byContainer: Record<string, ProbeResult[]> = {};
  for (const container of containers) byContainer[container.name] = results.get(container.name) ?? [];
  return { canaries: results.get('') ?? [], containers: byContainer };
}

interface Wanted {
  /** In trouble for so long, or looked at so closely, that backups are of interest. */
  readonly due: readonly Container[];
  /** By cluster: guests to be read from their own nodes. */
  readonly details: ReadonlyMap<string, readonly { node: string; vmid: number }[]>;
  /** By cluster: nodes of copies of containers in trouble. */
  readonly troubled: ReadonlyMap<string, ReadonlySet<string>>;
  /** By cluster: nodes of current copies that fail. */
  readonly failing: ReadonlyMap<string, ReadonlySet<string>>;
}

/** What only containers in trouble, or with more than one copy, need. */
function wantedOf(
  { inventory, state, runtime, focus, suspects = [] }: ObserveInput,
  observation: Observation,
): Wanted {
  const due: Container[] = [];
  const now = runtime.clock.now();
  const details = new Map<string, { node: string; vmid: number }[]>();
  const stale = new Map<string, { node: string; vmid: number; readAt: number }[]>();
  const troubled = new Map<string, Set<string>>();
  for (const { cluster, node } of suspects)
    troubled.set(cluster, (troubled.get(cluster) ?? new Set()).add(node));
  const failing = new Map<string, Set<string>>();
  for (const { container, verdict, incarnations } of assess(inventory, observation, state)) {
    if (observation.probes[container.name] === undefined) continue;
    const record = state.containers[container.name] ?? emptyContainerState();
    const close = focus?.has(container.name) ?? false;
    const trouble = verdict.kind !== 'healthy' || close;
    const all = [
      ...(incarnations.current === null ? [] : [incarnations.current]),
      ...incarnations.superseded,
      ...incarnations.pending,
    ];
    const { current } = incarnations;
    if (verdict.kind !== 'healthy' && current !== null)
      failing.set(current.cluster, (failing.get(current.cluster) ?? new Set()).add(current.node));
    const { identity } = record;
    const unknown =
      identity === null ||
      identity.vmid !== current?.vmid ||
      // Its onboot has to be known as it was right before its node dies.
      container.failover.autostart === 'proxwarden';
    if (!unknown && current !== null && now - identity.readAt > IDENTITY_STALE_MS)
      addTo(stale, current.cluster, { ...current, readAt: identity.readAt });
    // Whatever their tags: a copy that lost its tag is a copy.
    for (const view of viewsOf(container, observation, record))
      for (const vmid of copyVmids(container, view.cluster))
        for (const guest of guestsAt(view, vmid))
          if (guest.type === 'lxc') addTo(details, view.cluster, guest);
    for (const one of all) {
      if (trouble || unknown || one !== current) addTo(details, one.cluster, one);
      if (trouble || all.length > 1)
        troubled.set(one.cluster, (troubled.get(one.cluster) ?? new Set()).add(one.node));
    }
    // Where a later copy could be has to be known as freshly as where it is.
    if (trouble)
      for (const name of clustersOf(container, record)) troubled.set(name, troubled.get(name) ?? new Set());
    if (trouble && (close || record.failures + 1 >= container.failureThreshold)) due.push(container);
  }
  for (const { incarnations } of followedOf(inventory, observation, state))
    for (const one of [incarnations.current, ...incarnations.superseded])
      if (one !== null) addTo(details, one.cluster, one);
  for (const [cluster, list] of stale)
    for (const one of list.toSorted((a, b) => a.readAt - b.readAt).slice(0, staleReads(list.length)))
      addTo(details, cluster, one);
  return { due, details, troubled, failing };
}

/**
 * So many of the identities that have grown old are read again in one run: all those of a small cluster, of a large one a
 * part, so that no run has to read a thousand because they were first read together.
 */
function staleReads(count: number): number {
  return Math.max(STALE_READS_MIN, Math.ceil(count / STALE_READS_RUNS));
}

function addTo<T>(lists: Map<string, T[]>, key: string, one: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [one]);
  else list.push(one);
}

/** The second round. */
async function deepen(
  input: ObserveInput,
  observation: Observation,
  deps: ReadonlyMap<string, ViewDeps>,
): Promise<void> {
  const { due, details, troubled, failing } = wantedOf(input, observation);
  await Promise.all(
    [...deps].map(async ([name, d]) => {
      const view = observation.clusters[name];
      if (view === undefined) return;
      if (view.via === null) {
        await addFences(view, silentOf(view, troubled), input.state, d);
        return;
      }
      await Promise.all([
        addDetails(view, details.get(name) ?? [], d),
        addFences(view, silentOf(view, troubled), input.state, d),
        addPowerTasks(view, failing.get(name) ?? new Set(), d),
        // What a guard is made with depends on it; where one may be needed now, it is asked for now.
        addVersions(view, input.state.nodeVersions, d, {
          staleMs: due.some((c) => clustersOf(c, input.state.containers[c.name]).includes(name))
            ? 0
            : IDENTITY_STALE_MS,
        }),
        ...(due.some((c) => clustersOf(c, input.state.containers[c.name]).includes(name))
          ? [addRights(view, d), addNodeFacts(view, targetsOf(due, name), d)]
          : []),
      ]);
    }),
  );
  // Containers that turned out to be stopped by hand, or inconclusive, need no backups; asking does no harm.
  if (input.backups !== false) observation.backups = await readBackups(input, observation, due);
}

function silentOf(view: ClusterView, troubled: Wanted['troubled']): string[] {
  if (view.remembered !== undefined && troubled.has(view.cluster)) return view.nodes.map((n) => n.name);
  if (view.via === null) return [];
  return [...(troubled.get(view.cluster) ?? [])].filter(
    (node) => view.nodes.find((n) => n.name === node)?.apiAnswers !== true,
  );
}

/**
 * The third round, when slow checks, plugs or archives were waited for: what cluster and fences said before them has
 * grown too old for a proof, so they are asked again.
 */
async function renew(
  input: ObserveInput,
  observation: Observation,
  deps: ReadonlyMap<string, ViewDeps>,
  tookMs: ReadonlyMap<string, number>,
): Promise<void> {
  const now = input.runtime.clock.now();
  const aged = Object.values(observation.clusters).filter(
    (view) =>
      (view.via !== null || view.remembered !== undefined) &&
      now - view.at > RENEW_AFTER_MS &&
      // A cluster that is slow itself won't be quicker the second time.
      (tookMs.get(view.cluster) ?? 0) <= RENEW_AFTER_MS,
  );
  if (aged.length === 0) return;
  const { troubled } = wantedOf(input, observation);
  const old = aged.filter((view) => troubled.has(view.cluster));
  await Promise.all(
    old.map(async (before) => {
      const d = deps.get(before.cluster);
      if (d === undefined) return;
      const [view] = await Promise.all([
        look(d, input.state),
        addFences(before, silentOf(before, troubled), input.state, d),
      ]);
      const { mayGuard, maySysModify, powerTasks } = before;
      const fences = [
        ...before.fences.filter((f) => f.driver !== 'ha-watchdog'),
        ...watchdogReads(view, silentOf(before, troubled), input.state, d),
      ];
      const problems = [...new Set([...view.problems, ...before.problems])];
      // Bridges, processor and version don't change meanwhile.
      const nodes = view.nodes.map((node) => {
        const {
          bridges = null,
          machine = null,
          version,
        } = before.nodes.find((n) => n.name === node.name) ?? {};
        return { ...node, bridges, machine, version };
      });
      observation.clusters[before.cluster] = {
        ...view,
        nodes,
        fences,
        mayGuard,
        maySysModify,
        ...(powerTasks === undefined ? {} : { powerTasks }),
        problems,
      };
    }),
  );
  const { details } = wantedOf(input, observation);
  await Promise.all(
    old.map(async ({ cluster }) => {
      const view = observation.clusters[cluster];
      const d = deps.get(cluster);
      if (view !== undefined && view.via !== null && d !== undefined)
        await addDetails(view, details.get(cluster) ?? [], d);
    }),
  );
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
  if (due.length === 0) return [];
  const { state, apis, signal } = input;
  const stores = new Map<string, { cluster: string; storage: string; wanted: Map<number, string[]> }>();
  for (const { container, incarnations } of assess(input.inventory, observation, state)) {
    if (!due.includes(container)) continue;
    const { current } = incarnations;
    const record = state.containers[container.name];
    const macs = current === null ? [] : knownMacs(container, current, observation, record);
    // A target's cluster has to see the very backup, and is the only one to ask when the source's is silent.
    for (const cluster of new Set([
      current?.cluster ?? container.cluster,
      ...container.nodes.map((t) => t.cluster),
    ])) {
      const { storage } = containerIn(container, cluster).backup;
      const store = stores.get(`${cluster}/${storage}`) ?? {
        cluster,
        storage,
        wanted: new Map<number, string[]>(),
      };
      if (current !== null)
        store.wanted.set(current.vmid, [...new Set([...(store.wanted.get(current.vmid) ?? []), ...macs])]);
      stores.set(`${cluster}/${storage}`, store);
    }
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
