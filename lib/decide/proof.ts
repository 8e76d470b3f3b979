/**
 * How sure we are that one copy is not running. Pure: a function of evidence.
 *
 * | level | rests on |
 * | --- | --- |
 * | P0 | nothing, or something at its addresses answers while its node is believed dead |
 * | P1 | node offline in a quorate view of two other votes or more; its API and its guests are silent (not: unasked); not stand-alone |
 * | P2 | read from its node itself: stopped, no interface of the vmid in netstat, onboot=0, HA doesn't want it started |
 * | P3 | a fence driver has read back "off" (or a person has confirmed it, for a limited time) since the node fell silent |
 */
import type { Inventory, RequiredProof } from '../inventory/types.ts';
import { guestThatAnswers } from './life.ts';
import type {
  ClusterView,
  FenceStatus,
  GuestDetail,
  Incarnation,
  NodeView,
  Observation,
  ProbeResult,
  Proof,
  ProofLevel,
} from './model.ts';

/** A read that is older than this proves nothing at the moment of a start. */
export const FRESH_MS = 10_000;

export interface ProofInput {
  readonly incarnation: Pick<Incarnation, 'cluster' | 'node' | 'vmid'>;
  readonly observation: Observation;
  /** Probes of the container's addresses, as fresh as the observation. */
  readonly probes: readonly ProbeResult[];
  /** Whose containers' probes in the observation may be signs of life of the node. */
  readonly inventory: Pick<Inventory, 'containers'>;
  readonly now: number;
}

/** The lowest level that the inventory's word accepts. */
export function requiredLevel(required: RequiredProof): ProofLevel {
  switch (required) {
    case 'fenced':
      return 3;
    case 'stopped':
      return 2;
    case 'offline-accepted':
      return 1;
  }
}

/** The proof that `incarnation` is not running, by reads no older than ten seconds. */
export function proofOf(input: ProofInput): Proof {
  const { incarnation, observation, now } = input;
  const view = observation.clusters[incarnation.cluster];
  if (view === undefined) return none('its cluster has not been observed', 'reach the cluster');
  if (!isFresh(view.at, now))
    return none(`the reads are ${Math.round((now - view.at) / 1000)} s old`, 'observe again');
  const node = view.nodes.find((n) => n.name === incarnation.node);
  if (believedAlive(view, node, incarnation.node)) return aliveProof(input, view);
  const answering = input.probes.find((p) => p.answered);
  if (answering !== undefined)
    return none(
      `node ${incarnation.node} is believed dead, but something answers: ${answering.probe} (${answering.reason})`,
      `find out what answers at ${answering.probe}`,
    );
  const neighbour = guestThatAnswers(input, view, incarnation.node);
  // Only somebody who has been there knows better than a guest that answers.
  if (neighbour !== null && !wordOf(view, incarnation.node))
    return none(
      `node ${incarnation.node} is believed dead, but ${neighbour.container} on it answers (${neighbour.probe})`,
      `find out what answers at ${neighbour.probe}, or look and say \`proxwarden fence confirm ${view.cluster}/${incarnation.node}\``,
    );
  return deadProof(view, input);
}

/** A read from the future was made before the clock was set back: how old it is can't be said. */
export function isFresh(at: number, now: number): boolean {
  return Math.abs(now - at) <= FRESH_MS;
}

/** A node counts as alive while anything of it answers: its own API, an endpoint that is it, or corosync. */
function believedAlive(view: ClusterView, node: NodeView | undefined, name: string): boolean {
  if (view.endpoints.some((e) => e.ok && e.node === name)) return true;
  if (node?.apiAnswers === true) return true;
  return !view.standalone && node?.online === true;
}

function aliveProof({ incarnation, now }: ProofInput, view: ClusterView): Proof {
  const { node: name, vmid } = incarnation;
  const node = view.nodes.find((n) => n.name === name);
  const detail = view.details.find((d) => d.node === name && d.vmid === vmid);
  const missing = missingForStopped(view, node, detail, vmid, now);
  if (missing.length === 0)
    return {
      level: 2,
      rests: [
        `${name} itself says: CT ${vmid} is stopped, has no interface in netstat, onboot=0, and HA doesn't want it started`,
      ],
      raise: [],
    };
  return {
    level: 0,
    rests: [`node ${name} is alive`, ...missing],
    raise: [`stop CT ${vmid} on ${name} and set onboot=0`],
  };
}

function missingForStopped(
  view: ClusterView,
  node: NodeView | undefined,
  detail: GuestDetail | undefined,
  vmid: number,
  now: number,
): string[] {
  const missing: string[] = [];
  if (detail === undefined) missing.push(`the state of CT ${vmid} could not be read from its node`);
  else {
    if (!isFresh(detail.readAt, now))
      missing.push(`the state of CT ${vmid} was read ${Math.round((now - detail.readAt) / 1000)} s ago`);
    if (detail.status !== 'stopped')
      missing.push(`CT ${vmid} is ${detail.status ?? 'of unknown state'} there`);
    if (detail.starting !== undefined) missing.push(`a ${detail.starting} of CT ${vmid} is under way there`);
    if (detail.onboot) missing.push(`CT ${vmid} has onboot=1`);
  }
  if (node?.netstat == null) missing.push('its netstat could not be read');
  else if (node.netstat.includes(vmid)) missing.push(`netstat there shows an interface of CT ${vmid}`);
  if (view.haProblem !== undefined) missing.push(`what HA wants is not known (${view.haProblem})`);
  const ha = view.ha.find((entry) => entry.sid === `ct:${vmid}`);
  if (ha !== undefined && ha.state !== 'disabled' && ha.state !== 'stopped' && ha.state !== 'ignored')
    missing.push(`the HA manager wants ct:${vmid} ${ha.state}`);
  return missing;
}

function deadProof(view: ClusterView, { incarnation, probes, now }: ProofInput): Proof {
  const name = incarnation.node;
  const fence = offRead(view, name, now);
  if (fence !== null)
    return {
      level: 3,
      rests: [`node ${name} is silent, and ${fence.driver} says off (${fence.detail})`],
      raise: [],
    };
  const raise = [
    `power ${name} off with a fence driver, or look and say \`proxwarden fence confirm ${view.cluster}/${name}\``,
  ];
  if (view.standalone)
    return { level: 0, rests: [`stand-alone node ${name} is silent, which proves nothing`], raise };
  const node = view.nodes.find((n) => n.name === name);
  const others = view.nodes.filter((n) => n.name !== name && n.online).length;
  if (!view.quorate) return { level: 0, rests: ['there is no quorate view'], raise: ['restore quorum'] };
  if (node === undefined) return { level: 0, rests: [`node ${name} is not in the cluster's list`], raise };
  if (node.apiAnswers === null)
    return { level: 0, rests: [`whether the API of ${name} answers has not been asked`], raise };
  if (others < 2)
    return { level: 0, rests: [`node ${name} is offline, but only ${others} other vote says so`], raise };
  const unasked = probes.find((p) => p.unknown === true);
  if (unasked !== undefined && probes.every((p) => p.unknown === true))
    return {
      level: 0,
      rests: [`node ${name} is offline, but none of its guest's addresses could be asked: ${unasked.reason}`],
      raise: [...raise, 'give a check that goes to its IP address'],
    };
  return {
    level: 1,
    rests: [
      `node ${name} is offline in a quorate view of ${others} other nodes; its API and its guests are silent`,
    ],
    raise,
  };
}

/** A fence that reads "off", fresh. A person's word carries its own limit, checked where it is read. */
function offRead(view: ClusterView, node: string, now: number): FenceStatus | null {
  return (
    view.fences.find(
      (f) => f.node === node && f.power === 'off' && (f.driver === 'manual' || isFresh(f.at, now)),
    ) ?? null
  );
}

/** Whether a person has said that the node is off. */
function wordOf(view: ClusterView, node: string): boolean {
  return view.fences.some((f) => f.node === node && f.driver === 'manual' && f.power === 'off');
}

function none(rest: string, raise: string): Proof {
  return { level: 0, rests: [rest], raise: [raise] };
}
