/** Looks at a cluster that is not in an inventory yet: its nodes, storages, containers, and what answers on them. */
import { containerIssues, UNREAD } from '../../decide/restorable.ts';
import { isIP } from 'node:net';
import pLimit from 'p-limit';
import { messageOf, PveError } from '../../errors.ts';
import { parseHost } from '../../inventory/addresses.ts';
import { usableAddresses, whyLeftOut } from '../../inventory/draft-build.ts';
import type { DraftCanary, Surveyed, SurveyedGuest } from '../../inventory/draft.ts';
import type { GuestView, ProbeResult } from '../../decide/model.ts';
import type { ProbeSpec } from '../../inventory/types.ts';
import type { PveApi } from '../../pve/api.ts';
import type { ClusterNames } from '../../pve/survey.ts';
import type { Runtime } from '../../runtime.ts';
import { counted, plainText } from '../../text.ts';
import { proposeChecks } from './ports.ts';

/** Parallel requests to the API. */
const REQUESTS = 8;
/** Parallel connections to containers: quick, and no flood. */
const CONNECTIONS = 32;
const GATEWAYS_MAX = 3;

export interface SurveyDeps {
  readonly api: PveApi;
  readonly runtime: Pick<Runtime, 'probe'>;
  readonly signal: AbortSignal;
  /** Further ports to look at; null: none at all are looked at. */
  readonly ports: readonly number[] | null;
  /** Told before what takes its time. */
  readonly progress: (text: string) => void;
}

/** Reads everything. Throws PveError when the cluster's own lists can't be read; what else is missing is in `problems`. */
export async function surveyCluster(names: ClusterNames, deps: SurveyDeps): Promise<Surveyed> {
  const { api, signal } = deps;
  const problems: string[] = [];
  const { guests, storages } = await api.resources({ signal });
  const containers = guests.filter(({ type }) => type === 'lxc');
  const managed = await optional(() => managedByHa(deps), problems);
  const read = await readGuests(containers, managed ?? new Set(), deps);
  const kept = read.filter((guest) => whyLeftOut(guest) === null);
  const running = kept.filter((guest) => guest.running).length;
  if (deps.ports !== null && running > 0)
    deps.progress(`looking at some well-known ports of ${counted(running, 'container')} …`);
  const canaries = await findCanaries(kept, storages, deps, problems);
  return {
    cluster: names.cluster,
    nodes: names.nodes,
    storages,
    guests: await withChecks(read, deps),
    vmids: guests.map(({ vmid }) => vmid),
    virtualMachines: guests.length - containers.length,
    canaries,
    problems,
  };
}

/** What may be missing: undefined then, and the reason is noted. */
async function optional<T>(read: () => Promise<T>, problems: string[]): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    problems.push(messageOf(error));
    return undefined;
  }
}

async function managedByHa({ api, signal }: SurveyDeps): Promise<Set<string>> {
  return new Set((await api.haResources({ signal })).map(({ sid }) => sid));
}

async function readGuests(
  containers: readonly GuestView[],
  managed: ReadonlySet<string>,
  deps: SurveyDeps,
): Promise<SurveyedGuest[]> {
  const limit = pLimit(REQUESTS);
  return Promise.all(
    containers.map((guest) => limit(() => readGuest(guest, managed.has(`ct:${guest.vmid}`), deps))),
  );
}

async function readGuest(guest: GuestView, ha: boolean, deps: SurveyDeps): Promise<SurveyedGuest> {
  const { vmid, node, tags, template } = guest;
  const base = {
    vmid,
    node,
    hostname: plainText(guest.name),
    running: guest.status === 'running',
    tags,
    template,
    lock: guest.lock === null ? null : plainText(guest.lock),
    managedByHa: ha,
    onboot: false,
    addresses: [],
    dynamic: false,
    gateways: [],
    obstacles: [],
    checks: [],
  };
  try {
    const { facts, networks } = await deps.api.survey.config(node, vmid, { signal: deps.signal });
    const dynamic = networks.some((network) => network.dynamic);
    const fixed = networks.flatMap(({ addresses }) => addresses);
    const leased = base.running && (dynamic || fixed.length === 0) ? await leases(guest, deps) : [];
    return {
      ...base,
      hostname: facts.hostname === '' ? base.hostname : plainText(facts.hostname),
      template: template || facts.template,
      lock: base.lock ?? (facts.lock === null ? null : plainText(facts.lock)),
      problem: null,
      onboot: facts.onboot,
      addresses: [...new Set([...fixed, ...leased])],
      dynamic,
      gateways: networks.flatMap(({ gateways }) => gateways),
      obstacles: containerIssues(
        { vmid, failover: { restoreVia: 'api', acceptLoss: [], restoreStorage: '', mountStorage: {} } },
        facts.config,
        UNREAD,
      ).map(({ what }) => plainText(what, 200)),
    };
  } catch (error) {
    if (!(error instanceof PveError) || deps.signal.aborted) throw error;
    return { ...base, problem: plainText(messageOf(error), 200) };
  }
}

/** Addresses that the network gave it; without an answer it has none that we know. */
async function leases({ node, vmid }: GuestView, { api, signal }: SurveyDeps): Promise<string[]> {
  try {
    return await api.survey.addresses(node, vmid, { signal });
  } catch (error) {
    if (!(error instanceof PveError) || signal.aborted) throw error;
    return [];
  }
}

async function withChecks(guests: readonly SurveyedGuest[], deps: SurveyDeps): Promise<SurveyedGuest[]> {
  const { ports, runtime, signal } = deps;
  if (ports === null) return [...guests];
  const limit = pLimit(CONNECTIONS);
  return Promise.all(
    guests.map(async (guest) => {
      const [address] = usableAddresses(guest);
      if (address === undefined || !guest.running || whyLeftOut(guest) !== null) return guest;
      return { ...guest, checks: await proposeChecks(address, ports, { runtime, signal, limit }) };
    }),
  );
}

/** Where the network storages that hold backups listen. */
const STORAGE_PORTS: Readonly<Record<string, number>> = { pbs: 8007, nfs: 2049, cifs: 445 };

/** The containers' gateways and the hosts of the backups: what answers as long as the runner's own network works. */
async function findCanaries(
  guests: readonly SurveyedGuest[],
  storages: readonly { storage: string; content: readonly string[] }[],
  deps: SurveyDeps,
  problems: string[],
): Promise<DraftCanary[]> {
  const wanted = new Map<string, { spec: ProbeSpec; note: string }>();
  const common = { timeoutMs: 3_000, attempts: 2 } as const;
  const gateways = [...new Set(guests.flatMap((guest) => guest.gateways))].filter((host) => isIP(host) !== 0);
  for (const host of gateways.slice(0, GATEWAYS_MAX))
    wanted.set(`ping:${host}`, {
      spec: { kind: 'ping', host, label: `ping ${host}`, ...common },
      note: 'gateway of containers',
    });
  const forBackups = new Set(storages.filter((s) => s.content.includes('backup')).map((s) => s.storage));
  const servers = await optional(() => deps.api.survey.storageServers({ signal: deps.signal }), problems);
  for (const { storage, type, server } of servers ?? []) {
    const port = STORAGE_PORTS[type];
    const host = parseHost(server);
    if (port === undefined || host === undefined || !forBackups.has(storage)) continue;
    const written = `tcp:${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
    wanted.set(written, {
      spec: { kind: 'tcp', host, port, label: written, ...common },
      note: `storage ${plainText(storage)}`,
    });
  }
  return Promise.all(
    [...wanted].map(async ([canary, { spec, note }]) => {
      const result: ProbeResult = await deps.runtime.probe(spec, deps.signal);
      return { canary, note, silent: result.ok ? null : result.reason };
    }),
  );
}
