/**
 * What should be done for each container, and why. Pure: inventory, observation, state and the time in, decisions
 * out. Every decision names its gates, the evidence, and the smallest change that would flip it.
 */
import type { Container, Inventory, Target } from '../inventory/types.ts';
import { emptyContainerState, type ContainerState, type State } from '../state/model.ts';
import { afterBoot } from './after-boot.ts';
import { fenceGate, maintenanceGate, pauseGate, type BrakeInput } from './brakes.ts';
import { decideFailover } from './failover.ts';
import { automaticGates, fail, pass, safetyGates, type GateInput } from './gates.ts';
import { incarnationsOf, type Incarnations } from './incarnations.ts';
import type { Decision, FailoverAction, Gate, Incarnation, Observation, Request, Verdict } from './model.ts';
import { promised, type Reservations } from './reservations.ts';
import { beginOf, preparesAhead, turnOf, type UnderWay } from './under-way.ts';
import { unseenGate } from './unseen.ts';
import { knownOffline, runHealth, verdictOf } from './verdict.ts';

export interface DecideInput {
  readonly inventory: Inventory;
  readonly observation: Observation;
  /** Counts already folded with this observation. */
  readonly state: State;
  readonly now: number;
  /** Containers with an operation under way, and its id. */
  readonly busy: ReadonlyMap<string, string>;
  /** Copies that are being made, here or in other processes. */
  readonly underWay: readonly UnderWay[];
  readonly request?: Request | undefined;
  /** Entries that are not decided on, for where the others of a group that is kept apart are. */
  readonly neighbours?: Inventory['containers'] | undefined;
  /** Where a failover that has been decided on goes: whether it still can is all that is asked of placement. */
  readonly target?: Target | undefined;
  /** For an operation that goes on to its end, whatever people's brakes say by now. */
  readonly brakesOff?: boolean | undefined;
}

export interface Assessment {
  readonly container: Container;
  readonly verdict: Verdict;
  readonly incarnations: Incarnations;
}

/** Verdict and incarnations of every container that isn't `mode: off`, by priority and name. */
export function assess(inventory: Inventory, observation: Observation, state: State): Assessment[] {
  const containers = Object.values(inventory.containers)
    .filter((c) => c.mode !== 'off')
    .toSorted((a, b) => a.priority - b.priority || (a.name < b.name ? -1 : 1));
  const found = new Map(
    containers.map((c) => [c.name, incarnationsOf(c, observation, state.containers[c.name])]),
  );
  const current = new Map([...found].map(([name, i]) => [name, i.current]));
  // Those in maintenance may fail as they like: that says nothing of the runner's network.
  const expected = {
    ...inventory,
    containers: Object.fromEntries(
      Object.entries(inventory.containers).filter(([name]) => {
        const at = { state, observation, container: name, current: current.get(name) ?? null, now: 0 };
        return maintenanceGate(at) === null;
      }),
    ),
  };
  const runs = new Map(
    Object.keys(inventory.clusters).map((name) => [name, runHealth(expected, observation, current, name)]),
  );
  return containers.map((container) => {
    const incarnations = found.get(container.name) ?? {
      current: null,
      superseded: [],
      pending: [],
      problems: [],
    };
    const cluster = incarnations.current?.cluster ?? container.cluster;
    const run = runs.get(cluster) ?? runHealth(expected, observation, current, cluster);
    const known = { record: state.containers[container.name], kept: state };
    const verdict = verdictOf(container, observation, incarnations.current, run, known);
    return { container, incarnations, verdict };
  });
}

/** One decision per container. With a request, only that container's. */
export function decide(input: DecideInput): Decision[] {
  const reserved = promised(input.observation, input.underWay);
  const chosen = new Map<string, Target>();
  const decisions: Decision[] = [];
  let decidedNow = 0;
  for (const assessment of assess(input.inventory, input.observation, input.state)) {
    const { container } = assessment;
    if (input.request !== undefined && input.request.container !== container.name) continue;
    const record = input.state.containers[container.name] ?? emptyContainerState();
    const gateInput = { ...input, ...assessment, record, decidedNow };
    const decision = decideOne({ assessment, record, gateInput, reserved, chosen, input });
    if (decision.action !== null && decision.kind === 'failover') decidedNow += 1;
    decisions.push(decision);
  }
  return decisions;
}

interface One {
  readonly assessment: Assessment;
  readonly record: ContainerState;
  readonly gateInput: GateInput;
  readonly reserved: Reservations;
  readonly chosen: Map<string, Target>;
  readonly input: DecideInput;
}

function decideOne(one: One): Decision {
  const { assessment, record, input } = one;
  const { container, verdict, incarnations } = assessment;
  const busy = input.busy.get(container.name);
  if (busy !== undefined) return quiet(one, 'none', `operation ${busy} is in hand`);
  const brakes = brakesOf(one);
  if (input.request !== undefined) {
    const flip = '`proxwarden unpause`, or add --despite-pause if this gets in the way of nobody';
    const held =
      brakes.pause === null || input.request.despitePause === true ? [] : [{ ...brakes.pause, flip }];
    return acting(
      one,
      [modeGate(container), ...held, ...safetyGates(one.gateInput), ...hiddenGates(one)],
      input.request,
    );
  }
  switch (verdict.kind) {
    case 'healthy':
      return quiet(one, 'none', verdict.reason);
    case 'stopped-by-hand':
      return verdict.until === undefined
        ? quiet(one, 'none', `${verdict.reason}: left alone`)
        : (startAfterBoot(one) ?? quiet(one, 'wait', verdict.reason));
    case 'inconclusive':
      return quiet(one, 'wait', verdict.reason);
    case 'unhealthy':
      break;
  }
  if (brakes.maintenance !== null)
    return {
      ...quiet(one, 'wait', `${brakes.maintenance.evidence}: left alone (${verdict.reason})`),
      gates: [brakes.maintenance],
    };
  const booted = startAfterBoot(one);
  if (booted !== null) return booted;
  if (record.failures < container.failureThreshold)
    return quiet(
      one,
      'wait',
      `${record.failures} of ${container.failureThreshold} consecutive failures: ${verdict.reason}`,
    );
  if (container.mode === 'observe')
    return quiet(one, 'none', `down, and mode: observe never acts: ${verdict.reason}`);
  const gates = unaskedGates(one);
  const stuck = gates.find((g) => !g.ok);
  if (stuck !== undefined) return blocked(one, gates, stuck);
  const inPlace = startInPlace(container, incarnations.current, record, input.observation);
  if (inPlace !== null) return { ...quiet(one, inPlace.kind, inPlace.why), gates };
  return acting(one, gates, undefined);
}

/** People's brakes as they hold for this container. */
function brakesOf({ assessment, input }: One): { pause: Gate | null; maintenance: Gate | null } {
  if (input.brakesOff === true) return { pause: null, maintenance: null };
  const { container, incarnations } = assessment;
  const at: BrakeInput = { ...input, container: container.name, current: incarnations.current };
  return { pause: pauseGate(at), maintenance: maintenanceGate(at) };
}

/** `observe` never acts, a person's wish included: such an entry need not even say where to restore. */
function modeGate({ name, mode }: Container): Gate {
  return mode === 'protect'
    ? pass('mode', 'the inventory says protect')
    : fail('mode', `the inventory says mode: ${mode}, which never acts`, `set mode: protect for ${name}`);
}

/** What has to hold for whatever nobody has asked for. */
function unaskedGates(one: One): Gate[] {
  const { pause, maintenance } = brakesOf(one);
  return [
    ...[pause, maintenance].filter((gate) => gate !== null),
    ...automaticGates(one.gateInput),
    ...safetyGates(one.gateInput),
    ...hiddenGates(one),
  ];
}

/** Whether a cluster that can't be seen may hold a later copy: a start in place would be the second one, too. */
function hiddenGates({ assessment, record, input }: One): Gate[] {
  const { container, incarnations } = assessment;
  const { observation, now } = input;
  const gate = unseenGate({ container, observation, cached: record, current: incarnations.current, now });
  return gate === null ? [] : [gate];
}

/** Of these, the ones that only limit failovers. */
const FAILOVERS_ONLY = ['auto', 'cooldown', 'flapping', 'limits', 'nodes'];

/** What PVE's autostart would do, where the inventory leaves that to us: nothing is moved, so it isn't counted out first. */
function startAfterBoot(one: One): Decision | null {
  const { assessment, record, input } = one;
  const why = afterBoot(assessment.container, assessment.incarnations.current, record, input.observation);
  if (why === null) return null;
  const gates = unaskedGates(one).filter(({ gate }) => !FAILOVERS_ONLY.includes(gate));
  // What stands in the way is told when it has been counted out.
  return gates.every((g) => g.ok) ? { ...quiet(one, 'start', why), gates } : null;
}

/** A container that stopped, or whose service hangs, on a living node is started or restarted in place once. */
function startInPlace(
  container: Container,
  current: Incarnation | null,
  record: ContainerState,
  observation: Observation,
): { kind: 'start' | 'restart'; why: string } | null {
  if (current === null || container.failover.restart < 1 || record.restartedAt !== null) return null;
  if (knownOffline(observation, current.cluster, current.node)) return null;
  const view = observation.clusters[current.cluster];
  if (view?.nodes.find((n) => n.name === current.node)?.apiAnswers !== true) return null;
  const status = view.details.find((d) => d.node === current.node && d.vmid === current.vmid)?.status;
  if (status === 'stopped')
    return {
      kind: 'start',
      why: `CT ${current.vmid} is stopped on ${current.node}, not by hand: it is started there once`,
    };
  if (status === 'running')
    return {
      kind: 'restart',
      why: `CT ${current.vmid} runs on ${current.node}, its service does not answer: it is restarted there once`,
    };
  return null;
}

function acting(one: One, gates: readonly Gate[], request: Request | undefined): Decision {
  const stuck = gates.find((g) => !g.ok);
  if (stuck !== undefined) return blocked(one, gates, stuck);
  const { assessment, record, input, reserved, chosen } = one;
  const outcome = decideFailover({
    ...assessment,
    record,
    request,
    reserved,
    chosen,
    underWay: input.underWay,
    neighbours: { ...input.neighbours, ...input.inventory.containers },
    target: input.target,
    observation: input.observation,
    inventory: input.inventory,
    state: input.state,
    now: input.now,
  });
  const spared = input.brakesOff === true ? null : fenceGate(input, outcome.action?.fence ?? []);
  const all = [...gates, ...outcome.gates, ...(spared === null ? [] : [spared])];
  const bad = all.find((g) => !g.ok && g.waits !== true) ?? all.find((g) => !g.ok);
  // Nobody is needed: time alone opens it. A person who asks now is told what is in the way.
  if (bad?.waits === true && request === undefined)
    return {
      ...quiet(one, 'wait', `${bad.gate}: ${bad.evidence}`),
      gates: all,
      rejected: [...outcome.rejected],
    };
  if (bad !== undefined || outcome.action === null)
    return {
      ...blocked(one, all, bad ?? { gate: 'action', ok: false, evidence: 'nothing can be done', flip: null }),
      rejected: [...outcome.rejected],
    };
  // Also of one that waits: its room is kept, and the others of its groups keep away.
  chosen.set(assessment.container.name, outcome.action.target);
  const wait = turnGate(one, request, outcome.action);
  if (wait !== null)
    return {
      ...quiet(one, 'wait', `${wait.gate}: ${wait.evidence}`),
      gates: [...all, wait],
      rejected: [...outcome.rejected],
    };
  return {
    ...quiet(one, 'failover', outcome.why),
    gates: all,
    rejected: [...outcome.rejected],
    action: outcome.action,
  };
}

/** Failovers of other runs that have its place in the queue; a person's wish, and one that has begun, wait for nobody. */
function turnGate(
  { assessment, input }: One,
  request: Request | undefined,
  action: FailoverAction,
): Gate | null {
  if (request !== undefined || input.target !== undefined) return null;
  const { cluster, backup } = assessment.container;
  const mayBegin = preparesAhead(action) ? beginOf : turnOf;
  const why = mayBegin(input.inventory.limits, input.underWay, action.target, `${cluster}/${backup.storage}`);
  return why === null ? null : fail('turn', why, 'the next run goes on');
}

function blocked(one: One, gates: readonly Gate[], stuck: Gate): Decision {
  return { ...quiet(one, 'blocked', `${stuck.gate}: ${stuck.evidence}`), gates: [...gates] };
}

function quiet({ assessment }: One, kind: Decision['kind'], why: string): Decision {
  return {
    container: assessment.container.name,
    kind,
    why,
    verdict: assessment.verdict,
    current: assessment.incarnations.current,
    gates: [],
    rejected: [],
    action: null,
  };
}
