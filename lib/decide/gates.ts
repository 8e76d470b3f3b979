/** The gates that every automatic action has to pass before anything is looked at in detail. Pure. */
import type { Container, Inventory } from '../inventory/types.ts';
import type { ContainerState, State } from '../state/model.ts';
import { formatDuration } from '../units.ts';
import { disagreement } from './agreement.ts';
import type { Incarnations } from './incarnations.ts';
import type { ClusterView, Gate, Observation } from './model.ts';
import { orphanByHand, orphansOf, orphanText } from './orphans.ts';
import { viewsOf } from './reach.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A node that vanishes within this time after a fence means: wrong plug. */
const WRONG_PLUG_MS = 60_000;

export function pass(gate: string, evidence: string): Gate {
  return { gate, ok: true, evidence, flip: null };
}

export function fail(gate: string, evidence: string, flip: string): Gate {
  return { gate, ok: false, evidence, flip };
}

export interface GateInput {
  readonly container: Container;
  readonly inventory: Inventory;
  readonly observation: Observation;
  readonly state: State;
  readonly record: ContainerState;
  readonly incarnations: Incarnations;
  readonly now: number;
  /** Failovers that this run has already decided on. */
  readonly decidedNow: number;
}

/** Gates for what nobody has asked for: the inventory's word, error, cooldown, limits. */
export function automaticGates(input: GateInput): Gate[] {
  const { container, record, now } = input;
  const { name } = container;
  const gates = [
    container.failover.auto
      ? pass('auto', 'the inventory allows automatic failover')
      : fail(
          'auto',
          'the inventory does not allow automatic failover',
          `set failover.auto: true, or run \`proxwarden failover ${name}\``,
        ),
    record.error === null
      ? pass('error', 'no earlier failure')
      : fail(
          'error',
          `hands off since ${record.error.operation}: ${record.error.reason}`,
          `look into it, then \`proxwarden ack ${name}\``,
        ),
  ];
  const since = record.lastFailoverAt === null ? null : now - record.lastFailoverAt;
  // Negative: the clock was set back meanwhile. How long ago it really was isn't known, so the cooldown holds.
  if (since !== null && since < container.failover.cooldownMs)
    gates.push(
      fail(
        'cooldown',
        `the last failover was ${since < 0 ? 'in the future (the clock was set back)' : `${formatDuration(since)} ago`}, the cooldown is ${formatDuration(container.failover.cooldownMs)}`,
        `wait, or run \`proxwarden failover ${name}\``,
      ),
    );
  const flaps = flappingGate(input);
  if (flaps !== null) gates.push(flaps);
  gates.push(limitGate(input), nodesGate(input));
  return gates;
}

/** Its automatic failovers of the last 24 hours. After the clock was set back, how old one is isn't known: it counts. */
export function failoversWithinDay(
  { autoFailovers }: Pick<ContainerState, 'autoFailovers'>,
  now: number,
): number[] {
  return autoFailovers.filter((at) => now - at < DAY_MS);
}

/** What keeps failing wherever it is put is not mended by moving it once more. The run makes an `error` of it. */
function flappingGate({ container, record, now }: GateInput): Gate | null {
  const { maxPerDay } = container.failover;
  const count = failoversWithinDay(record, now).length;
  return count < maxPerDay
    ? null
    : fail(
        'flapping',
        `it has been failed over ${count === 1 ? 'once' : `${count} times`} within 24 h and fails again (failover.maxPerDay: ${maxPerDay})`,
        `find out what is wrong with it, then \`proxwarden ack ${container.name}\``,
      );
}

/** What would give a quorate view. Quorum is not the trouble where no endpoint lets us in at all. */
function wayToAView(view: ClusterView | undefined): string {
  const endpoints = view?.endpoints ?? [];
  const shut = endpoints.filter((endpoint) => !endpoint.ok);
  if (shut.length < endpoints.length || shut.length === 0)
    return 'restore quorum, or make an endpoint of the quorate side reachable';
  const failures = shut.map(({ failure }) => failure);
  if (failures.includes('tls'))
    return "compare the certificate with `pvenode cert info` on its node, then put its fingerprint (or the CA) into the inventory's api.tls";
  if (failures.includes('auth'))
    return "give the inventory's api.token (or user and password) that the cluster accepts";
  return 'make an endpoint of the cluster reachable from this machine';
}

/** Gates that hold for a person's wish as well. */
export function safetyGates(input: GateInput): Gate[] {
  const { container, observation, incarnations } = input;
  const cluster = incarnations.current?.cluster ?? container.cluster;
  const view = observation.clusters[cluster];
  const gates: Gate[] = [];
  const split = view === undefined ? null : disagreement(view, incarnations.current?.node);
  if (view?.remembered !== undefined) gates.push(silentGate(view, input.now));
  else if (view === undefined || view.via === null || !view.quorate)
    gates.push(
      fail(
        'quorum',
        [`there is no quorate view of cluster ${cluster}`, ...(view?.problems ?? [])].join('; '),
        wayToAView(view),
      ),
    );
  else if (split !== null)
    gates.push(fail('quorum', split, 'let the nodes agree: compare `pvecm status` on each of them'));
  else gates.push(pass('quorum', view.standalone ? 'stand-alone node' : `quorate, seen through ${view.via}`));
  gates.push(
    incarnations.problems.length === 0
      ? pass('lineage', 'the lineage lines and the inventory agree')
      : fail('lineage', incarnations.problems.join('; '), 'bring inventory and cluster together'),
  );
  const pending = incarnations.pending[0];
  if (pending !== undefined)
    gates.push(
      fail(
        'pending',
        `CT ${pending.vmid} on ${pending.node} is an unfinished copy of operation ${pending.operation ?? '?'}`,
        'let that operation end, or destroy the unfinished copy by hand',
      ),
    );
  // Its copies' starts are refused as long as it runs (start-gate.ts), so nothing is stopped or restored for one.
  // A container that can't be seen at all is told of as that: its config may only be hidden from the token.
  const orphan =
    incarnations.current === null
      ? undefined
      : Object.values(observation.clusters).flatMap((one) => orphansOf(container, one))[0];
  if (orphan !== undefined)
    gates.push(
      fail('orphan', orphanText(orphan, incarnations), `end it: ${orphanByHand(orphan, incarnations)}`),
    );
  const current = incarnations.current;
  const ha =
    current === null
      ? undefined
      : view?.ha.find(
          (e) => e.sid === `ct:${current.vmid}` && (e.state === 'started' || e.state === 'enabled'),
        );
  if (ha !== undefined)
    gates.push(
      fail(
        'ha',
        `Proxmox VE's own HA manager runs ${ha.sid} (${ha.state})`,
        `remove it there (\`ha-manager remove ${ha.sid}\`), or from the inventory`,
      ),
    );
  else if (view?.haProblem !== undefined)
    gates.push(
      fail(
        'ha',
        `whether the HA manager runs it can't be said: ${view.haProblem}`,
        'give the token Sys.Audit on /',
      ),
    );
  const lock = lockOf(input);
  if (lock !== null)
    gates.push(
      fail(
        'lock',
        lock,
        'let the task that holds the lock end; if there is none, `pct unlock` it on its node',
      ),
    );
  const wrong = wrongPlug(input);
  if (wrong !== null)
    gates.push(
      fail(
        'fence',
        wrong,
        'find out which machine the fence has switched off; it holds until that node is back',
      ),
    );
  return gates;
}

/** Nothing is written there: the target's cluster has to be quorate, and the proof has to come from elsewhere. */
function silentGate({ cluster, standalone, remembered = 0 }: ClusterView, now: number): Gate {
  const since = formatDuration(Math.max(now - remembered, 0));
  return pass(
    'quorum',
    `${standalone ? 'stand-alone node' : 'cluster'} ${cluster} is silent; what it was ${since} ago is remembered`,
  );
}

/** A locked container can be neither stopped, backed up nor started: on a living node something is at work on it. */
function lockOf({ observation, incarnations: { current } }: GateInput): string | null {
  const view = current === null ? undefined : observation.clusters[current.cluster];
  const same = (d: { node: string; vmid: number }): boolean =>
    d.node === current?.node && d.vmid === current.vmid;
  const lock = view?.details.find(same)?.lock ?? null;
  return lock === null || current === null
    ? null
    : `CT ${current.vmid} on ${current.node} is locked (${lock})`;
}

/** Automatic failovers that count for the hour's limit; those of a time to come do (the clock was set back). */
export function failoversWithinHour({ failovers }: Pick<State, 'failovers'>, now: number): number {
  return failovers.filter((at) => now - at < HOUR_MS).length;
}

/**
 * The state as it was before a failover of `container`, begun at `begunAt`, was counted: resumed, it must not be held up
 * by itself.
 */
export function withoutOwnCount(state: State, container: string, begunAt: number): State {
  const record = state.containers[container];
  const own = state.failovers.indexOf(begunAt);
  return {
    ...state,
    failovers: own === -1 ? state.failovers : state.failovers.toSpliced(own, 1),
    containers:
      record === undefined
        ? state.containers
        : {
            ...state.containers,
            [container]: {
              ...record,
              autoFailovers: record.autoFailovers.filter((at) => at !== begunAt),
            },
          },
  };
}

function limitGate({ inventory, state, now, decidedNow }: GateInput): Gate {
  const { failoversPerRun, failoversPerHour } = inventory.limits;
  const recent = failoversWithinHour(state, now);
  if (decidedNow >= failoversPerRun)
    return fail(
      'limits',
      `${decidedNow} failovers in this run, the limit is ${failoversPerRun}`,
      'the next run goes on',
    );
  if (recent + decidedNow >= failoversPerHour)
    return fail(
      'limits',
      `${recent + decidedNow} failovers within the hour, the limit is ${failoversPerHour}`,
      'wait, or raise limits.failoversPerHour',
    );
  return pass(
    'limits',
    `${decidedNow} of ${failoversPerRun} in this run, ${recent + decidedNow} of ${failoversPerHour} within the hour`,
  );
}

function nodesGate({ container, observation, incarnations, record }: GateInput): Gate {
  const view = observation.clusters[incarnations.current?.cluster ?? container.cluster];
  // A stand-alone node counts together with all those that its containers may go to.
  const views = view?.standalone === true ? viewsOf(container, observation, record) : [view];
  const nodes = views.flatMap((one) => one?.nodes ?? []);
  const down = nodes.filter((n) => !n.online).length;
  return down * 2 > nodes.length
    ? fail(
        'nodes',
        `${down} of ${nodes.length} nodes are down: nothing is automatic`,
        `run \`proxwarden failover ${container.name}\``,
      )
    : pass('nodes', `${nodes.length - down} of ${nodes.length} nodes are online`);
}

/** Rule 5: another node vanished within a minute of a fence, or its API fell silent: perhaps it has no power. Null: no. */
export function wrongPlug({
  state,
  observation,
  now,
}: Pick<GateInput, 'state' | 'observation' | 'now'>): string | null {
  for (const [fenced, { at, othersOnline }] of Object.entries(state.fenced)) {
    const cluster = fenced.slice(0, fenced.indexOf('/'));
    for (const other of othersOnline) {
      const node = observation.clusters[cluster]?.nodes.find((n) => n.name === other);
      const seen = state.lastSeenOnline[`${cluster}/${other}`] ?? at;
      if (node?.online === false && seen <= at + WRONG_PLUG_MS)
        return `node ${other} vanished within a minute of the fence of ${fenced}: perhaps the wrong plug`;
      // The cluster takes some eight seconds to miss a node (facts, section 6); a start must not be quicker than that.
      if (node?.apiAnswers === false && Math.abs(now - at) <= WRONG_PLUG_MS)
        return `the API of node ${other} fell silent within a minute of the fence of ${fenced}: perhaps the wrong plug`;
    }
  }
  return null;
}
