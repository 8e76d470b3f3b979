/** What is known of one copy and its node at the moment of a proof: the columns of the truth table in proof.ts. Pure. */
import type { Inventory } from '../inventory/types.ts';
import type { State } from '../state/model.ts';
import { disagreement } from './agreement.ts';
import { guestThatAnswers } from './life.ts';
import type {
  ClusterView,
  FenceStatus,
  GuestDetail,
  Incarnation,
  NodeView,
  Observation,
  ProbeResult,
} from './model.ts';
import { copyInItsPlace } from './same-vmid.ts';
import { contradiction, offAmong } from './power.ts';
import { silentFor } from './silence.ts';
import { lostCanaries, type Share } from './verdict.ts';

/** A read that is older than this proves nothing at the moment of a start. */
export const FRESH_MS = 10_000;

export interface ProofInput {
  readonly incarnation: Pick<Incarnation, 'cluster' | 'node' | 'vmid'>;
  readonly observation: Observation;
  /** Probes of the container's addresses, as fresh as the observation. */
  readonly probes: readonly ProbeResult[];
  /** Whose containers' probes in the observation may be signs of life of the node; whose canaries vouch for the silence. */
  readonly inventory: Pick<Inventory, 'containers' | 'clusters'>;
  /** For how long its node has been silent. */
  readonly state: Pick<State, 'silent'>;
  readonly now: number;
}

export interface Evidence {
  readonly cluster: string;
  readonly node: string;
  readonly vmid: number;
  /** Age of the oldest read, ms (negative: of the future); null: its cluster has not been observed. */
  readonly ageMs: number | null;
  /** Between the views of the endpoints, or between them and the node's own API. */
  readonly disagreement: string | null;
  readonly standalone: boolean;
  /** All of its cluster is silent: what is known of it is of an earlier run. */
  readonly remembered: boolean;
  readonly quorate: boolean;
  /** Its API answers, or corosync lists it. */
  readonly alive: boolean;
  /** The copy that has its vmid, since its config was moved aside: nothing can start it. Null: its config is where it was. */
  readonly movedFor: string | null;
  /** What its living node's own word lacks to say that the copy is stopped for good; empty: nothing. */
  readonly missing: readonly string[];
  /** In the cluster's list of nodes. */
  readonly listed: boolean;
  /** Whether its API was asked at all. */
  readonly apiAsked: boolean;
  /** Other nodes that are online in the view. */
  readonly others: number;
  /** Whether its own address answers a ping; null: not asked. */
  readonly ping: boolean | null;
  readonly address: string | null;
  /** One of the container's probes that had any answer. */
  readonly answering: ProbeResult | null;
  /** Set when none of them could ask. */
  readonly unasked: ProbeResult | null;
  /** Another container on the node that answers. */
  readonly neighbour: { readonly container: string; readonly probe: string } | null;
  /** What says "off", fresh; a person's word for as long as it is valid. */
  readonly off: FenceStatus | null;
  /** Two fences that say the opposite of each other. */
  readonly conflict: string | null;
  /** What a fence says otherwise. */
  readonly on: FenceStatus | null;
  /** Set when too few of them answer. */
  readonly canaries: Share | null;
  /** How long the node has been silent, ms; null: that has not been watched. */
  readonly silentMs: number | null;
}

/** Gathers the evidence on one copy. */
export function evidenceOf(input: ProofInput): Evidence {
  const { incarnation, observation, probes, inventory, state, now } = input;
  const { cluster, node: name, vmid } = incarnation;
  const view = observation.clusters[cluster];
  const node = view?.nodes.find((n) => n.name === name);
  const said = view?.fences.filter((f) => f.node === name) ?? [];
  const switches = said.filter(
    (f) => f.driver !== 'manual' && f.driver !== 'ha-watchdog' && isFresh(f.at, now),
  );
  // It says nothing of the power: a plug that is on does not contradict it.
  const watchdog = said.find((f) => f.driver === 'ha-watchdog' && f.power === 'off' && isFresh(f.at, now));
  return {
    cluster,
    node: name,
    vmid,
    ageMs: view === undefined ? null : now - view.at,
    disagreement: view === undefined ? null : disagreement(view, name),
    standalone: view?.standalone ?? false,
    remembered: view?.remembered !== undefined,
    quorate: view?.quorate ?? false,
    alive: view !== undefined && believedAlive(view, node, name),
    movedFor: view === undefined ? null : copyInItsPlace(view, incarnation),
    missing: view === undefined ? [] : missingForStopped(view, node, incarnation, now),
    listed: node !== undefined,
    apiAsked: node?.apiAnswers != null,
    others: view?.nodes.filter((n) => n.name !== name && n.online).length ?? 0,
    ping: node?.pingAnswers ?? null,
    address: node?.ip ?? null,
    answering: probes.find((p) => p.answered) ?? null,
    unasked: probes.every((p) => p.unknown === true) ? (probes[0] ?? null) : null,
    neighbour: view === undefined ? null : guestThatAnswers({ inventory, observation }, view, name),
    // A person's word carries its own limit, checked where it is read.
    off:
      offAmong(switches) ?? watchdog ?? said.find((f) => f.driver === 'manual' && f.power === 'off') ?? null,
    conflict: contradiction(switches),
    on: switches.find((f) => f.power === 'on') ?? null,
    canaries: lostCanaries(inventory, observation, cluster),
    silentMs: silentFor(state, inventory, incarnation, now),
  };
}

/** A read from the future was made before the clock was set back: how old it is can't be said. */
export function isFresh(at: number, now: number): boolean {
  return Math.abs(now - at) <= FRESH_MS;
}

/** What says that a node is off, fresh, while no switch says that it is on. A person's word carries its own limit, checked where it is read. */
export function offRead(view: ClusterView, node: string, now: number): FenceStatus | null {
  const said = view.fences.filter((f) => f.node === node && (f.driver === 'manual' || isFresh(f.at, now)));
  return said.some((f) => f.power === 'on') ? null : (said.find((f) => f.power === 'off') ?? null);
}

/** A node counts as alive while anything of it answers: its own API, an endpoint that is it, or corosync. */
function believedAlive(view: ClusterView, node: NodeView | undefined, name: string): boolean {
  if (view.endpoints.some((e) => e.ok && e.node === name)) return true;
  if (node?.apiAnswers === true) return true;
  return !view.standalone && node?.online === true;
}

function missingForStopped(
  view: ClusterView,
  node: NodeView | undefined,
  { node: name, vmid }: ProofInput['incarnation'],
  now: number,
): string[] {
  const detail = view.details.find((d) => d.node === name && d.vmid === vmid);
  const moved = copyInItsPlace(view, { node: name, vmid }) !== null;
  const missing = detail !== undefined ? missingOf(detail, now) : moved ? [] : [notRead(view, name, vmid)];
  if (node?.netstat == null) missing.push('its netstat could not be read');
  else if (node.netstat.includes(vmid)) missing.push(`netstat there shows an interface of CT ${vmid}`);
  // What HA has under that vmid is the copy.
  if (moved) return missing;
  if (view.haProblem !== undefined) missing.push(`what HA wants is not known (${view.haProblem})`);
  const ha = view.ha.find((entry) => entry.sid === `ct:${vmid}`);
  if (ha !== undefined && ha.state !== 'disabled' && ha.state !== 'stopped' && ha.state !== 'ignored')
    missing.push(`the HA manager wants ct:${vmid} ${ha.state}`);
  return missing;
}

/** A healthy container's own state is not asked for in every run; what the list says is enough to tell people. */
function notRead(view: ClusterView, node: string, vmid: number): string {
  const listed = view.guests.find((g) => g.node === node && g.vmid === vmid);
  const word = listed === undefined ? '' : `; the cluster's list calls it ${listed.status}`;
  return `the state of CT ${vmid} was not read from its node${word}`;
}

function missingOf(detail: GuestDetail, now: number): string[] {
  const { vmid } = detail;
  const missing: string[] = [];
  if (!isFresh(detail.readAt, now))
    missing.push(`the state of CT ${vmid} was read ${Math.round((now - detail.readAt) / 1000)} s ago`);
  if (detail.status !== 'stopped') missing.push(`CT ${vmid} is ${detail.status ?? 'of unknown state'} there`);
  if (detail.starting !== undefined) missing.push(`a ${detail.starting} of CT ${vmid} is under way there`);
  if (detail.onboot) missing.push(`CT ${vmid} has onboot=1`);
  return missing;
}
