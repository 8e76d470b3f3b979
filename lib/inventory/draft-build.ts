/** What becomes of a surveyed cluster in its inventory file: which containers, where to, with which storages. Pure. */
import { isIP } from 'node:net';
import type { StorageView } from '../decide/model.ts';
import { TAG } from '../decide/lineage.ts';
import { counted, plainText } from '../text.ts';
import { isWritable, namesFor, ownPools } from './draft-names.ts';
import type {
  Draft,
  DraftContainer,
  ProposedCheck,
  StorageChoice,
  Surveyed,
  SurveyedGuest,
} from './draft.ts';

/** Why a container does not belong into the file, or null. */
export function whyLeftOut(guest: Omit<SurveyedGuest, 'checks' | 'addresses'>): string | null {
  if (guest.template) return 'it is a template';
  if (guest.tags.includes(TAG)) return 'it is a copy that ProxWarden has made';
  if (guest.managedByHa)
    return "Proxmox's own HA manages it; take it out of HA first if ProxWarden is to protect it";
  if (guest.problem !== null)
    return `its configuration could not be read (${guest.problem}); run init again when its node answers, or add it by hand`;
  if (guest.lock !== null) return `it is locked (${guest.lock}); run init again later, or add it by hand`;
  if (!isWritable('node', guest.node)) return 'the name of its node cannot be written in an inventory';
  return null;
}

export interface About extends Pick<
  Draft,
  'cluster' | 'date' | 'endpoints' | 'token' | 'tls' | 'pinned' | 'backupStorage' | 'restoreStorage'
> {
  /** Names of containers that other files of the inventory have. */
  readonly taken: readonly string[];
}

/** The whole file's content; its containers in order of their vmid. */
export function buildDraft(surveyed: Surveyed, { taken, ...about }: About): Draft {
  const { virtualMachines: machines } = surveyed;
  const { containers, leftOut } = chooseContainers(surveyed, taken);
  return {
    ...about,
    standalone: surveyed.cluster === null,
    canaries: surveyed.canaries,
    nodes: writableNodes(surveyed),
    containers,
    leftOut: [
      ...leftOut,
      ...(machines === 0 ? [] : [`${counted(machines, 'VM')}: ProxWarden moves containers`]),
    ],
  };
}

function writableNodes({ nodes }: Pick<Surveyed, 'nodes'>): string[] {
  return [...new Set(nodes.map(({ name }) => name))].filter((name) => isWritable('node', name));
}

/** The cluster's own name, or that of the stand-alone node. */
export function clusterNameOf({ cluster, nodes }: Pick<Surveyed, 'cluster' | 'nodes'>): string {
  const name = cluster ?? nodes[0]?.name ?? '';
  return isWritable('cluster', name) ? name : 'home';
}

function chooseContainers(
  surveyed: Surveyed,
  names: readonly string[],
): Pick<Draft, 'containers' | 'leftOut'> {
  const sorted = surveyed.guests.toSorted((a, b) => a.vmid - b.vmid);
  const kept = sorted.filter((guest) => whyLeftOut(guest) === null);
  const nameOf = namesFor(kept, names);
  const pools = ownPools(
    kept.map(({ vmid }) => vmid),
    // Copies of ours may have the vmids that derive from their original's.
    surveyed.vmids.filter(
      (vmid) => !surveyed.guests.some((guest) => guest.vmid === vmid && guest.tags.includes(TAG)),
    ),
  );
  const nodes = writableNodes(surveyed);
  return {
    containers: kept.map((guest) => containerOf(guest, { nameOf, pools, nodes })),
    leftOut: sorted.flatMap((guest) => {
      const why = whyLeftOut(guest);
      return why === null ? [] : [`${guest.vmid} ${plainText(guest.hostname)}: ${why}`];
    }),
  };
}

function containerOf(
  guest: SurveyedGuest,
  about: {
    nameOf: ReadonlyMap<number, string>;
    pools: ReadonlyMap<number, number[]>;
    nodes: readonly string[];
  },
): DraftContainer {
  const targets = about.nodes.filter((node) => node !== guest.node);
  const checks = checksOf(guest);
  const mode = !guest.running || checks.length === 0 ? 'off' : targets.length === 0 ? 'observe' : null;
  return {
    name: about.nameOf.get(guest.vmid) ?? `ct-${guest.vmid}`,
    vmid: guest.vmid,
    node: guest.node,
    mode,
    nodes: targets,
    checks,
    vmids: about.pools.get(guest.vmid) ?? [],
    remarks: remarksOf(guest, mode, targets),
  };
}

/** What was found; else a ping, which every host should answer. */
function checksOf(guest: SurveyedGuest): readonly ProposedCheck[] {
  if (guest.checks.length > 0) return guest.checks;
  const [address] = usableAddresses(guest);
  if (address === undefined) return [];
  const review = guest.running
    ? 'check the service itself, not only its host'
    : 'it was stopped: check its service, not only its host';
  return [{ check: { ping: address }, review }];
}

/** IPv4 first: what people write. */
export function usableAddresses(guest: Pick<SurveyedGuest, 'addresses'>): string[] {
  return guest.addresses
    .filter((address) => isIP(address) !== 0)
    .toSorted((a, b) => Number(isIP(a) === 6) - Number(isIP(b) === 6));
}

function remarksOf(
  guest: SurveyedGuest,
  mode: DraftContainer['mode'],
  targets: readonly string[],
): readonly string[] {
  const addresses = usableAddresses(guest);
  const where = addresses.length === 0 ? '' : `, ${addresses.slice(0, 3).join(', ')}`;
  const remarks = [`${guest.hostname === '' ? `CT ${guest.vmid}` : guest.hostname} on ${guest.node}${where}`];
  if (guest.dynamic && addresses.length > 0)
    remarks.push('REVIEW: it gets an address by DHCP: reserve that for its MAC, which a copy keeps');
  if (!guest.running)
    remarks.push('REVIEW: it was not running; remove `mode: off` if it is to be looked after');
  else if (addresses.length === 0)
    remarks.push('REVIEW: no address of it is known; add checks and remove `mode: off`');
  if (mode === 'observe') remarks.push('There is no other node that could take it, so it is only observed.');
  if (!guest.onboot && targets.length > 0) remarks.push('It does not start with its node (onboot=0).');
  for (const obstacle of guest.obstacles.slice(0, 5)) remarks.push(`REVIEW: ${obstacle}`);
  return remarks;
}

export interface StorageCandidate {
  readonly storage: string;
  readonly shared: boolean;
  /** Nodes that have it. */
  readonly nodes: readonly string[];
  /** Bytes; the smallest of its nodes. */
  readonly free: number;
}

/** Storages with that content, the best first: shared ones for backups, those that all nodes have, those with much space. */
export function storageCandidates(surveyed: Surveyed, content: 'backup' | 'rootdir'): StorageCandidate[] {
  const fitting = surveyed.storages.filter(
    (s) => s.content.includes(content) && isWritable('storage', s.storage),
  );
  return [...new Set(fitting.map(({ storage }) => storage))]
    .map((storage) => ({ storage, entries: fitting.filter((entry) => entry.storage === storage) }))
    .map(({ storage, entries }) => ({
      storage,
      shared: entries.some((entry) => entry.shared),
      nodes: entries.map(({ node }) => node),
      free: Math.min(...entries.map(freeOf)),
    }))
    .toSorted(
      (a, b) =>
        (content === 'backup' ? Number(b.shared) - Number(a.shared) : 0) ||
        b.nodes.length - a.nodes.length ||
        b.free - a.free ||
        (a.storage < b.storage ? -1 : 1),
    );
}

function freeOf({ total, used }: StorageView): number {
  return total === null ? 0 : Math.max(0, total - (used ?? 0));
}

/** What is written where there is no storage to choose. */
export const NO_STORAGE = 'CHANGE-ME';

/** The storage for backups or copies, with what speaks against it. `wanted`: a person's choice. */
export function chooseStorage(
  surveyed: Surveyed,
  content: 'backup' | 'rootdir',
  wanted: string | undefined,
): StorageChoice {
  const candidates = storageCandidates(surveyed, content);
  const chosen = wanted === undefined ? candidates[0] : candidates.find((each) => each.storage === wanted);
  const purpose = content === 'backup' ? 'backups' : "containers' disks";
  if (chosen === undefined)
    return wanted === undefined
      ? {
          storage: NO_STORAGE,
          review: `the token sees no storage for ${purpose}: name one, and give the token Datastore.Audit on it`,
        }
      : { storage: wanted, review: `the token sees no storage of that name for ${purpose}` };
  const without = surveyed.nodes.map(({ name }) => name).filter((name) => !chosen.nodes.includes(name));
  const doubts = [
    ...(content === 'backup' && !chosen.shared
      ? [
          'it is not shared, so the backups of a dead node are out of reach: use a NAS or a Proxmox Backup Server',
        ]
      : []),
    ...(without.length > 0
      ? [`${without.join(', ')} ${without.length === 1 ? 'has' : 'have'} none of that name`]
      : []),
  ];
  return { storage: chosen.storage, review: doubts.length === 0 ? null : doubts.join('; ') };
}
