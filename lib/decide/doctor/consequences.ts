/**
 * What would happen to each container if its node died, its service hung or the network split: by `decide` itself, on
 * observations of what has not happened. Where it blocks, the remedies that it names are tried on the same
 * observation, until it goes on or nothing that a person can type helps. Pure.
 */
import type { Container, Inventory } from '../../inventory/types.ts';
import { decide, type DecideInput } from '../decide.ts';
import type { Decision, FailoverAction, Gate, Request } from '../model.ts';
import type { Facts } from './facts.ts';
import { nodeCutOff, nodeDead, runnerCutOff, serviceDead, whereabouts, type Supposed } from './suppose.ts';

export type EventKind = 'node-dies' | 'service-dies' | 'node-cut-off' | 'runner-cut-off';

export interface Consequence {
  readonly cluster: string;
  readonly event: EventKind;
  /** The node that dies or is cut off; where the container is, for the others. */
  readonly node: string;
  /** The node is not in a cluster. */
  readonly standalone: boolean;
  readonly container: string;
  /**
   * `automatic`: it is failed over. `by-hand`: after what `commands` say. `nothing`: nothing needs to be done, or
   * nothing may be. `blocked`: no command helps.
   */
  readonly outcome: 'automatic' | 'by-hand' | 'nothing' | 'blocked';
  /** It is started or restarted where it is first. */
  readonly restarts: boolean;
  readonly decision: Decision;
  /** What is done in the end; null: nothing. */
  readonly action: FailoverAction | null;
  /** Started on the cluster's word alone (P1): after a partition the original runs on beside it. */
  readonly twoCopies: boolean;
  /** To type, in this order. */
  readonly commands: readonly string[];
  /** The first gate in the way, and the last one that no command opens. */
  readonly stuck: Gate | null;
}

/** By cluster and event, in the containers' order. Containers that are nowhere, or never acted on, are left out. */
export function consequences(inventory: Inventory, facts: Facts, only?: ReadonlySet<string>): Consequence[] {
  // How many at once is another question, with a finding of its own: here each is asked about by itself.
  const unlimited = {
    ...inventory,
    limits: { ...inventory.limits, failoversPerRun: 1000, failoversPerHour: 1000 },
  };
  const where = whereabouts(inventory, facts);
  const found: Consequence[] = [];
  for (const cluster of Object.keys(facts.clusters)) {
    const here = Object.values(inventory.containers).filter(
      (c) => c.mode === 'protect' && where.get(c.name)?.cluster === cluster && (only?.has(c.name) ?? true),
    );
    const nodes = [...new Set(here.map((c) => where.get(c.name)?.node ?? ''))].toSorted();
    const of = (node: string): Container[] => here.filter((c) => where.get(c.name)?.node === node);
    for (const node of nodes)
      found.push(
        ...ask(unlimited, facts, 'node-dies', node, of(node), nodeDead(unlimited, facts, cluster, node)),
      );
    for (const container of here)
      found.push(serviceOf(unlimited, facts, container, where.get(container.name)?.node ?? ''));
    for (const node of nodes)
      found.push(
        ...ask(unlimited, facts, 'node-cut-off', node, of(node), nodeCutOff(unlimited, facts, cluster, node)),
      );
    for (const node of nodes)
      found.push(...ask(unlimited, facts, 'runner-cut-off', node, of(node), runnerCutOff(unlimited, facts)));
  }
  return found;
}

function serviceOf(inventory: Inventory, facts: Facts, container: Container, node: string): Consequence {
  // One that fails by itself doesn't compete with the others, and says nothing of the runner's network.
  const alone = { ...inventory, containers: { [container.name]: container } };
  const after = (restarted: boolean): Consequence => {
    const [found] = ask(
      alone,
      facts,
      'service-dies',
      node,
      [container],
      serviceDead(alone, facts, container, restarted),
      inventory.containers,
    );
    if (found === undefined) throw new Error(`no decision on ${container.name}`);
    return found;
  };
  const first = after(false);
  const restarts = first.decision.kind === 'restart' || first.decision.kind === 'start';
  return restarts ? { ...after(true), restarts } : first;
}

/** Decides for all of them together, as a run does: they compete for the same memory. */
function ask(
  inventory: Inventory,
  facts: Facts,
  event: EventKind,
  node: string,
  containers: readonly Container[],
  supposed: Supposed,
  neighbours = inventory.containers,
): Consequence[] {
  const decisions = decide({
    inventory,
    neighbours,
    observation: supposed.observation,
    state: supposed.state,
    now: facts.at,
    busy: new Map(),
    underWay: [],
  });
  return containers.flatMap((container) => {
    const decision = decisions.find((d) => d.container === container.name);
    if (decision === undefined) return [];
    const cluster = decision.current?.cluster ?? container.cluster;
    const standalone = facts.observation.clusters[cluster]?.standalone ?? false;
    const common = {
      cluster,
      event,
      node,
      standalone,
      container: container.name,
      restarts: false,
    };
    // A node that dies and leaves no quorum looks like trouble of the runner's: what by hand would meet says more.
    const stands = decision.kind !== 'blocked' && (event !== 'node-dies' || decision.kind === 'failover');
    if (stands)
      return [
        {
          ...common,
          outcome: decision.kind === 'failover' ? 'automatic' : 'nothing',
          decision,
          action: decision.action,
          twoCopies: onItsWord(decision),
          commands: [],
          stuck: null,
        } satisfies Consequence,
      ];
    return [{ ...common, ...mend({ inventory, neighbours }, facts, container, node, supposed, decision) }];
  });
}

type Mended = Pick<Consequence, 'outcome' | 'decision' | 'action' | 'twoCopies' | 'commands' | 'stuck'>;

/** What a person types until it goes on: their word that the node is off, the failover by hand, a loss accepted. */
function mend(
  { inventory, neighbours }: Pick<DecideInput, 'inventory' | 'neighbours'>,
  facts: Facts,
  container: Container,
  node: string,
  supposed: Supposed,
  first: Decision,
): Mended {
  const cluster = first.current?.cluster ?? container.cluster;
  let { observation } = supposed;
  let request: Request | undefined;
  let confirmed = false;
  let decision = first;
  // Each round opens one gate, and there are three that can be opened.
  for (let round = 0; round < 4 && decision.kind !== 'failover'; round += 1) {
    const stuck = decision.gates.find((g) => !g.ok);
    if (request === undefined && (stuck === undefined || AUTOMATIC.includes(stuck.gate)))
      request = { container: container.name, mode: 'by-hand' };
    else if (stuck === undefined) break;
    else if (stuck.gate === 'proof' && !confirmed && takesWord(inventory, cluster, node)) {
      confirmed = true;
      observation = confirmedOff(observation, cluster, node, facts.at);
    } else if (stuck.gate === 'backup' && acceptedLoss(stuck) !== null && request?.backup === undefined)
      request = { container: container.name, mode: 'by-hand', backup: acceptedLoss(stuck) ?? undefined };
    else break;
    const [next] = decide({
      inventory,
      neighbours,
      observation,
      state: supposed.state,
      now: facts.at,
      busy: new Map(),
      underWay: [],
      request,
    }).filter((d) => d.container === container.name);
    if (next === undefined) break;
    decision = next;
  }
  const stuck = decision.gates.find((g) => !g.ok) ?? null;
  const done = decision.kind === 'failover';
  return {
    outcome: done ? 'by-hand' : 'blocked',
    decision: first,
    action: decision.action,
    twoCopies: onItsWord(decision),
    commands: done
      ? [
          ...(confirmed ? [`proxwarden fence confirm ${cluster}/${node}`] : []),
          ...(request === undefined ? [] : [byHand(container.name, request)]),
        ]
      : [],
    stuck: done ? (first.gates.find((g) => !g.ok) ?? null) : stuck,
  };
}

/** Gates that only hold for what nobody has asked for. */
const AUTOMATIC = ['auto', 'error', 'cooldown', 'limits', 'nodes'];

function takesWord(inventory: Inventory, cluster: string, node: string): boolean {
  return (inventory.clusters[cluster]?.nodes[node]?.fence ?? []).some((f) => f.driver === 'manual');
}

function confirmedOff(
  observation: Supposed['observation'],
  cluster: string,
  node: string,
  at: number,
): Supposed['observation'] {
  const view = observation.clusters[cluster];
  if (view === undefined) return observation;
  const word = { node, driver: 'manual', power: 'off' as const, at, detail: 'confirmed by a person' };
  return {
    ...observation,
    clusters: { ...observation.clusters, [cluster]: { ...view, fences: [...view.fences, word] } },
  };
}

/** The backup that the gate's own advice names, with the age that would have to be accepted. */
function acceptedLoss(gate: Gate): { volid: string; acceptAgeMs: number } | null {
  const [, volid, hours] = /--backup (\S+) --accept-data-loss (\d+)h/.exec(gate.flip ?? '') ?? [];
  return volid === undefined ? null : { volid, acceptAgeMs: Number(hours) * 3_600_000 };
}

function byHand(name: string, { backup }: Request): string {
  const loss =
    backup === undefined
      ? ''
      : ` --backup ${backup.volid} --accept-data-loss ${Math.ceil(backup.acceptAgeMs / 3_600_000)}h`;
  return `proxwarden failover ${name}${loss}`;
}

/** It rests on the others' view of a dead node alone. */
function onItsWord(decision: Decision): boolean {
  return (
    decision.action !== null &&
    !decision.action.sourceAlive &&
    decision.action.fence.length === 0 &&
    decision.gates.some((g) => g.gate === 'proof' && g.ok && g.evidence.startsWith('P1 '))
  );
}
