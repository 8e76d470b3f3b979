/** How sure we are that one copy is not running: a truth table over the evidence. Pure. */
import type { Container } from '../inventory/types.ts';
import { formatDuration } from '../units.ts';
import { evidenceOf, FRESH_MS, isFresh, type Evidence, type ProofInput } from './evidence.ts';
import type { Proof, ProofLevel } from './model.ts';

export { FRESH_MS, isFresh };

/**
 * Corosync misses a node after some eight seconds (facts, section 6), and a switch that restarts makes it miss one that
 * is well: its word alone counts only when the node has been silent for so long, as this runner's own runs have seen it.
 */
export const SILENT_LONG_MS = 60_000;

interface Row {
  readonly row: string;
  readonly level: ProofLevel;
  readonly when: (e: Evidence) => boolean;
  readonly rests: (e: Evidence) => string[];
  readonly raise: (e: Evidence) => string[];
}

/**
 * The truth table. The first row that fits decides; each has a test. P0 proves nothing. P1: the node is offline in a
 * quorate view of two other votes or more, and all of it is silent. P2: read from its living node, the copy is stopped
 * for good. P3: a fence driver has read back "off" and
 * no other one says "on", or a person has confirmed it, since the node fell silent.
 */
export const TRUTH_TABLE: readonly Row[] = [
  {
    row: 'its cluster was not observed',
    level: 0,
    when: (e) => e.ageMs === null,
    rests: () => ['its cluster has not been observed'],
    raise: () => ['reach the cluster'],
  },
  {
    row: 'the reads are not fresh',
    level: 0,
    when: (e) => e.ageMs !== null && Math.abs(e.ageMs) > FRESH_MS,
    rests: (e) => [`the reads are ${Math.round((e.ageMs ?? 0) / 1000)} s old`],
    raise: () => ['observe again'],
  },
  {
    row: 'the views disagree',
    level: 0,
    when: (e) => e.disagreement !== null,
    rests: (e) => [e.disagreement ?? ''],
    raise: () => ['let the nodes agree: compare `pvecm status` on each of them'],
  },
  {
    row: 'alive, and its config has been moved away from under it',
    level: 2,
    when: (e) => e.alive && e.movedFor !== null && e.missing.length === 0,
    rests: (e) => [
      `the config of CT ${e.vmid} has been moved away from ${e.node} (${e.movedFor ?? ''} has its vmid now), and netstat there shows no interface of it`,
    ],
    raise: () => [],
  },
  {
    row: 'alive: its node says that it is stopped for good',
    level: 2,
    when: (e) => e.alive && e.missing.length === 0,
    rests: (e) => [
      `${e.node} itself says: CT ${e.vmid} is stopped, has no interface in netstat, onboot=0, and HA doesn't want it started`,
    ],
    raise: () => [],
  },
  {
    row: 'alive, and its node does not say that',
    level: 0,
    when: (e) => e.alive,
    rests: (e) => [`node ${e.node} is alive`, ...e.missing],
    raise: (e) => [
      e.movedFor === null
        ? `stop CT ${e.vmid} on ${e.node} and set onboot=0`
        : `what runs there without a config ends by \`lxc-stop -k -n ${e.vmid}\` on ${e.node}`,
    ],
  },
  {
    row: 'silent, but one of its addresses answers',
    level: 0,
    when: (e) => e.answering !== null,
    rests: ({ node, answering }) => [
      `node ${node} is believed dead, but something answers: ${answering?.probe ?? ''} (${answering?.reason ?? ''})`,
    ],
    raise: ({ answering }) => [`find out what answers at ${answering?.probe ?? ''}`],
  },
  {
    // A person's word doesn't help either: perhaps somebody has powered it on since.
    row: "silent, but the node's own address answers a ping",
    level: 0,
    when: (e) => e.ping === true,
    rests: (e) => [`node ${e.node} is believed dead, but ${e.address ?? 'its address'} answers a ping`],
    raise: (e) => [`power ${e.node} off by hand: ${e.address ?? 'its address'} must fall silent`],
  },
  {
    // Only somebody who has been there knows better than a guest that answers.
    row: 'silent, but another container on it answers, and nobody has been there',
    level: 0,
    when: (e) => e.neighbour !== null && e.off?.driver !== 'manual',
    rests: ({ node, neighbour }) => [
      `node ${node} is believed dead, but ${neighbour?.container ?? ''} on it answers (${neighbour?.probe ?? ''})`,
    ],
    raise: (e) => [
      `find out what answers at ${e.neighbour?.probe ?? ''}, or look and say \`proxwarden fence confirm ${e.cluster}/${e.node}\``,
    ],
  },
  {
    row: 'silent, and read back as off',
    level: 3,
    when: (e) => e.off !== null,
    rests: ({ node, off }) => [
      `node ${node} is silent, and ${off?.driver ?? ''} says off (${off?.detail ?? ''})`,
    ],
    raise: () => [],
  },
  {
    row: 'silent, and its fences contradict each other',
    level: 0,
    when: (e) => e.conflict !== null,
    rests: ({ node, conflict }) => [`the fences of ${node} contradict each other: ${conflict ?? ''}`],
    raise: ({ cluster, node }) => [
      `look at ${node}: if it is off, say \`proxwarden fence confirm ${cluster}/${node}\``,
    ],
  },
  {
    row: 'silent, stand-alone',
    level: 0,
    when: (e) => e.standalone,
    rests: (e) => [`stand-alone node ${e.node} is silent, which proves nothing`],
    raise: powerOff,
  },
  {
    row: 'silent, as all of its cluster is',
    level: 0,
    when: (e) => e.remembered,
    rests: (e) => [`nothing of cluster ${e.cluster} can be seen, which proves nothing`],
    raise: powerOff,
  },
  {
    row: 'silent, and there is no quorum',
    level: 0,
    when: (e) => !e.quorate,
    rests: () => ['there is no quorate view'],
    raise: () => ['restore quorum'],
  },
  {
    row: 'silent, and in no list of nodes',
    level: 0,
    when: (e) => !e.listed,
    rests: (e) => [`node ${e.node} is not in the cluster's list`],
    raise: powerOff,
  },
  {
    row: 'offline, but its API was not asked',
    level: 0,
    when: (e) => !e.apiAsked,
    rests: (e) => [`whether the API of ${e.node} answers has not been asked`],
    raise: powerOff,
  },
  {
    row: 'offline, but fewer than two others say so',
    level: 0,
    when: (e) => e.others < 2,
    rests: (e) => [`node ${e.node} is offline, but only ${e.others} other vote says so`],
    raise: powerOff,
  },
  {
    row: 'offline, but none of its addresses could be asked',
    level: 0,
    when: (e) => e.unasked !== null,
    rests: (e) => [
      `node ${e.node} is offline, but none of its guest's addresses could be asked: ${e.unasked?.reason ?? ''}`,
    ],
    raise: (e) => [...powerOff(e), 'give a check that goes to its IP address'],
  },
  {
    row: 'offline and silent, but the canaries are silent, too',
    level: 0,
    when: (e) => e.canaries !== null,
    rests: ({ node, canaries }) => [
      `node ${node} is offline, but only ${canaries?.count ?? 0} of ${canaries?.total ?? 0} canaries answer: what is silent for this runner may be well`,
    ],
    raise: (e) => [...powerOff(e), "mend the runner's own network"],
  },
  {
    row: 'offline and silent, but not watched for long enough',
    level: 0,
    when: (e) => e.silentMs === null || e.silentMs < SILENT_LONG_MS,
    rests: ({ node, silentMs }) => [
      silentMs === null
        ? `node ${node} is offline, but for how long has not been watched`
        : `node ${node} is offline, but it has been silent for ${formatDuration(Math.floor(silentMs / 1000) * 1000)} only`,
    ],
    raise: (e) => [
      ...powerOff(e),
      `look again: the cluster's word alone counts after ${formatDuration(SILENT_LONG_MS)} of runs`,
    ],
  },
  {
    row: 'offline and silent',
    level: 1,
    when: () => true,
    rests: ({ node, others, ping, address, on }) => [
      `node ${node} is offline in a quorate view of ${others} other nodes; its API and its guests are silent${ping === false ? `, and so is ${address ?? 'its address'}` : ''}`,
      ...(on === null ? [] : [`${on.driver} says that it has power (${on.detail})`]),
    ],
    raise: powerOff,
  },
];

/**
 * The lowest level that the inventory's word accepts. With `same-vmid` never less than P2: a node that is only cut off
 * would go on running a container whose config has been moved away, and nothing in the API would see it.
 */
export function requiredLevel({
  proof,
  identity,
}: Pick<Container['failover'], 'proof' | 'identity'>): ProofLevel {
  switch (proof) {
    case 'fenced':
      return 3;
    case 'stopped':
      return 2;
    case 'offline-accepted':
      return identity === 'same-vmid' ? 2 : 1;
  }
}

/** The proof that `incarnation` is not running, by reads no older than ten seconds. */
export function proofOf(input: ProofInput): Proof {
  const evidence = evidenceOf(input);
  const found = TRUTH_TABLE.find((row) => row.when(evidence));
  if (found === undefined) throw new Error('no row of the truth table fits');
  const { row, level, rests, raise } = found;
  return { row, level, rests: rests(evidence), raise: raise(evidence) };
}

function powerOff({ cluster, node }: Evidence): string[] {
  return [
    `power ${node} off with a fence driver, or look and say \`proxwarden fence confirm ${cluster}/${node}\``,
  ];
}
