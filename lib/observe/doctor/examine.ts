/** Everything that `doctor` reads: one full observation, and how the clusters are set up. Never writes. */
import type {
  ClusterFacts,
  EndpointFacts,
  Facts,
  NodeFacts,
  RunnerFacts,
} from '../../decide/doctor/facts.ts';
import { messageOf, PveError } from '../../errors.ts';
import type { Cluster, Inventory } from '../../inventory/types.ts';
import type { CallOptions, PveApi } from '../../pve/api.ts';
import type { Runtime } from '../../runtime.ts';
import type { State } from '../../state/model.ts';
import { observe } from '../observe.ts';
import { addFences } from '../fences.ts';
import { clusterView } from '../view.ts';
import { greetShells } from './shells.ts';
import type { ReadCertificate } from './certificate.ts';

/** A cluster's API, or why there is no token to ask it with. */
export type Access =
  | { readonly api: PveApi; readonly tokenId: string }
  | { readonly problem: NonNullable<ClusterFacts['credentialProblem']> };

export interface ExamineInput {
  readonly inventory: Inventory;
  readonly state: State;
  /** By cluster; those that aren't in it are not looked at. */
  readonly access: ReadonlyMap<string, Access>;
  readonly runner: RunnerFacts;
  readonly certificate: ReadCertificate;
  readonly runtime: Runtime;
  readonly signal?: AbortSignal | undefined;
  readonly only?: ReadonlySet<string> | undefined;
}

const READ_MS = 10_000;

export async function examine(input: ExamineInput): Promise<Facts> {
  const { inventory, state, access, runner, runtime, signal } = input;
  const apis = new Map(
    [...access].flatMap(([name, one]) => ('api' in one ? [[name, one.api] as const] : [])),
  );
  const names = Object.values(inventory.containers)
    .filter((c) => access.has(c.cluster) && c.mode !== 'off' && (input.only?.has(c.name) ?? true))
    .map((c) => c.name);
  const only = new Set(names);
  const [observation, clusters] = await Promise.all([
    observe({ inventory, state, apis, runtime, signal, only, focus: only }),
    Promise.all(
      [...access].map(async ([name, one]) => {
        const cluster = inventory.clusters[name];
        return cluster === undefined ? [] : [[name, await clusterFacts(cluster, one, input)] as const];
      }),
    ),
  ]);
  await Promise.all(
    [...apis].map(async ([name, api]) => {
      const cluster = inventory.clusters[name];
      if (cluster === undefined) return;
      const deps = { api, cluster, runtime, signal };
      const view = (observation.clusters[name] ??= await clusterView(deps));
      // Also of nodes that are alive: a plug that doesn't answer now won't do so when it is needed.
      await addFences(view, Object.keys(cluster.nodes), state, deps);
    }),
  );
  return {
    at: runtime.clock.now(),
    runner,
    observation,
    state,
    clusters: Object.fromEntries(clusters.flat()),
  };
}

/** What is known of a cluster that can't be asked. */
const NOTHING = {
  credentialProblem: null,
  tokenId: null,
  token: null,
  nodes: [],
  privileges: null,
  jobs: null,
  storages: null,
  votes: null,
  qdevice: 'unread',
  replicated: null,
  shells: null,
  unread: [],
} as const satisfies Omit<ClusterFacts, 'endpoints'>;

async function clusterFacts(cluster: Cluster, access: Access, input: ExamineInput): Promise<ClusterFacts> {
  if ('problem' in access) {
    const unasked = { ok: false, node: null, failure: null, error: null };
    const endpoints = await Promise.all(
      cluster.endpoints.map(async (endpoint) => ({
        ...unasked,
        endpoint,
        certificate: await input.certificate(endpoint, input.signal),
      })),
    );
    return { ...NOTHING, endpoints, credentialProblem: access.problem };
  }
  const { api, tokenId } = access;
  const { inspect } = api;
  const unread: string[] = [];
  const options: CallOptions = { signal: input.signal, timeoutMs: Math.min(cluster.timeoutMs, READ_MS) };
  const seen = await Promise.all(
    cluster.endpoints.map(async (endpoint) => ({
      view: await api.endpointView(endpoint, options),
      certificate: await input.certificate(endpoint, input.signal),
    })),
  );
  const chosen = seen.find(({ view }) => view.ok && view.quorate) ?? seen.find(({ view }) => view.ok);
  const endpoints: EndpointFacts[] = seen.map(({ view, certificate }) => ({
    endpoint: view.endpoint,
    ok: view.ok,
    node: view.node,
    failure: view.failure,
    error: view.error,
    certificate,
  }));
  if (chosen === undefined) {
    // A good token that may not see the cluster may still see what it lacks.
    const refused = endpoints.some((e) => e.failure === 'auth');
    return {
      ...NOTHING,
      endpoints,
      tokenId,
      privileges: refused ? await quietly(inspect.privileges(options)) : null,
    };
  }
  api.useEndpoint(chosen.view.endpoint);

  /** Null, with the reason noted, when it can't be read. */
  async function read<T>(what: string, call: Promise<T>): Promise<T | null> {
    try {
      return await call;
    } catch (error) {
      if (!(error instanceof PveError)) throw error;
      unread.push(`${what}: ${messageOf(error)}`);
      return null;
    }
  }

  const [user = '', name = ''] = tokenId.split('!');
  const standalone = chosen.view.standalone;
  const [token, nodes, privileges, jobs, storages, votes, qdevice, replicated, shells] = await Promise.all([
    // Most tokens may not read themselves: that is no finding.
    name === '' ? null : quietly(inspect.token(user, name, options)),
    Promise.all(chosen.view.nodes.map((node) => nodeFacts(input, api, node, read))),
    read('privileges', inspect.privileges(options)),
    read('scheduled backups', inspect.backupJobs(options)),
    read('storages', inspect.storages(options)),
    standalone ? {} : read('votes', inspect.votes(options)),
    standalone ? null : orUnread(inspect.qdevice(options)),
    quietly(inspect.replicated(options)),
    greetShells({
      inventory: input.inventory,
      cluster,
      nodes: chosen.view.nodes
        .filter((node) => node.online)
        .map(({ name: node, ip }) => ({
          name: node,
          host: ip ?? new URL(chosen.view.endpoint).hostname.replace(/^\[|\]$/g, ''),
        })),
      runtime: input.runtime,
      signal: input.signal,
    }),
  ]);
  return {
    credentialProblem: null,
    tokenId,
    token,
    endpoints,
    nodes,
    privileges,
    jobs,
    storages,
    votes,
    qdevice,
    replicated,
    shells,
    unread,
  };
}

async function nodeFacts(
  { runtime, signal }: ExamineInput,
  api: PveApi,
  { name, ip, online }: { name: string; ip: string | null; online: boolean },
  read: <T>(what: string, call: Promise<T>) => Promise<T | null>,
): Promise<NodeFacts> {
  if (!online) return { name, ip, clockOffsetMs: null, version: null };
  const options: CallOptions = { signal, timeoutMs: READ_MS };
  const clock = async (): Promise<number> => {
    const before = runtime.clock.now();
    const time = await api.inspect.nodeTime(name, options);
    const after = runtime.clock.now();
    // It counts whole seconds; within what the question took, and the second, nothing can be said.
    const [least, most] = [time - after, time + 1000 - before];
    return least > 0 ? least : Math.min(most, 0);
  };
  const [clockOffsetMs, version] = await Promise.all([
    read(`clock of ${name}`, clock()),
    read(`version of ${name}`, api.inspect.nodeVersion(name, options)),
  ]);
  return { name, ip, clockOffsetMs, version };
}

async function quietly<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof PveError) return null;
    throw error;
  }
}

async function orUnread<T>(call: Promise<T>): Promise<T | 'unread'> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof PveError) return 'unread';
    throw error;
  }
}
