/**
 * People's brakes: the pause of everything, and the maintenance of a container or a node. Pure. A brake holds as long as
 * it is in the state: the counting run after its end takes it away, and begins with fresh counts.
 */
import type { Inventory } from '../inventory/types.ts';
import type { Brake, ContainerState, Operation, State } from '../state/model.ts';
import { formatDuration } from '../units.ts';
import { fail } from './gates.ts';
import type { Gate, Incarnation, Observation } from './model.ts';

/** Whose brakes are looked at, with the container's current copy. */
export interface BrakeInput {
  readonly state: Pick<State, 'paused' | 'maintenance'>;
  readonly observation: Pick<Observation, 'clusters'>;
  readonly container: string;
  readonly current: Pick<Incarnation, 'cluster' | 'node'> | null;
  readonly now: number;
}

type NodeBrakeInput = Pick<BrakeInput, 'observation' | 'now'> & {
  readonly state: Pick<State, 'maintenance'>;
};

/** `paused by anna 5 min ago, for another 55 min (new switch)`. */
export function pauseText(paused: Brake, now: number): string {
  return `paused by ${paused.by} ${formatDuration(Math.max(now - paused.since, 0))} ago, ${restOf(paused, now)}`;
}

/** `for another 55 min (new switch)`. */
export function restOf({ until, reason }: Brake, now: number): string {
  const rest =
    until === null
      ? 'until somebody ends it'
      : until > now
        ? `for another ${formatDuration(until - now)}`
        : 'over with the next counting run';
  return reason === '' ? rest : `${rest} (${reason})`;
}

/** The gate of a pause; null: there is none. */
export function pauseGate({ state, now }: Pick<BrakeInput, 'state' | 'now'>): Gate | null {
  return state.paused === null
    ? null
    : fail('pause', pauseText(state.paused, now), 'wait for its end, or `proxwarden unpause`');
}

/** The gate of a container in maintenance, or whose node is; null: neither. */
export function maintenanceGate(input: BrakeInput): Gate | null {
  const { state, container, current, now } = input;
  const own = state.maintenance[container];
  if (own !== undefined)
    return fail(
      'maintenance',
      `${container} is in maintenance by ${own.by}, ${restOf(own, now)}`,
      `wait for its end, or \`proxwarden maintenance end ${container}\``,
    );
  const node = current === null ? null : nodeInMaintenance(input, current);
  return node === null
    ? null
    : fail(
        'maintenance',
        node.why,
        `${node.flip}; \`proxwarden failover ${container} --planned\` moves it away while its node answers`,
      );
}

/** Whether a node is in maintenance, by our own word or by Proxmox VE's, and what would end it. Null: it isn't. */
export function nodeInMaintenance(
  { state, observation, now }: NodeBrakeInput,
  { cluster, node }: { readonly cluster: string; readonly node: string },
): { readonly why: string; readonly flip: string } | null {
  const said = state.maintenance[`${cluster}/${node}`];
  if (said !== undefined)
    return {
      why: `node ${node} is in maintenance by ${said.by}, ${restOf(said, now)}`,
      flip: `wait for its end, or \`proxwarden maintenance end --node ${node}\``,
    };
  return observation.clusters[cluster]?.nodes.find((n) => n.name === node)?.maintenance === true
    ? {
        why: `Proxmox VE has node ${node} in maintenance mode`,
        flip: `\`ha-manager crm-command node-maintenance disable ${node}\` ends it`,
      }
    : null;
}

/** What holds an operation that is in hand: the pause, or the maintenance of its container or node. Null: nothing. */
export function brakeOn(
  state: BrakeInput['state'],
  { container, action, data }: Pick<Operation, 'container' | 'action' | 'data'>,
  now: number,
): Gate | null {
  const current = action?.from ?? data.inPlace;
  const at = { state, observation: { clusters: {} }, container, current, now };
  return pauseGate(at) ?? maintenanceGate(at);
}

/** A node whose power is cut while somebody works on it may be lost (a firmware update): for nobody's failover. */
export function fenceGate(input: NodeBrakeInput, places: readonly string[]): Gate | null {
  for (const place of places) {
    const slash = place.indexOf('/');
    const found = nodeInMaintenance(input, { cluster: place.slice(0, slash), node: place.slice(slash + 1) });
    if (found !== null) return fail('maintenance', `${found.why}: it is not powered off`, found.flip);
  }
  return null;
}

/** The record with its counts begun anew. */
export function freshCounts(record: ContainerState): ContainerState {
  return { ...record, failures: 0, successes: 0, firstFailureAt: null };
}

export interface Ended {
  readonly container: string | null;
  readonly text: string;
}

/**
 * Takes brakes out of `state` that are over, or whose container or node is gone; what they held begins with fresh
 * counts. Returns what is to be told.
 */
export function endBrakes(
  state: State,
  { inventory, observation, now }: { inventory: Inventory; observation: Observation; now: number },
): Ended[] {
  const ended: Ended[] = [];
  const { paused } = state;
  if (paused !== null && isOver(paused, now)) {
    endPause(state);
    ended.push({
      container: null,
      text: `the pause by ${paused.by} is over: containers are looked after again`,
    });
  }
  for (const [key, brake] of Object.entries(state.maintenance)) {
    const container = key.includes('/') ? null : key;
    const what = container ?? `node ${key.slice(key.indexOf('/') + 1)}`;
    const gone = goneFrom(key, inventory, observation);
    if (gone === null && !isOver(brake, now)) continue;
    endMaintenance(state, key);
    ended.push({
      container,
      text:
        gone === null
          ? `the maintenance of ${what} by ${brake.by} is over`
          : `the maintenance of ${what} by ${brake.by} is cleared: ${gone}`,
    });
  }
  return ended;
}

function isOver({ until }: Brake, now: number): boolean {
  return until !== null && until <= now;
}

function goneFrom(key: string, inventory: Inventory, observation: Observation): string | null {
  const slash = key.indexOf('/');
  if (slash < 0)
    return Object.hasOwn(inventory.containers, key) ? null : 'it is not in the inventory any more';
  const [cluster, node] = [key.slice(0, slash), key.slice(slash + 1)];
  if (!Object.hasOwn(inventory.clusters, cluster))
    return `cluster ${cluster} is not in the inventory any more`;
  const view = observation.clusters[cluster];
  if (view === undefined || view.via === null || view.nodes.some((n) => n.name === node)) return null;
  return `there is no such node in cluster ${cluster} any more`;
}

/** Ends the pause; every container begins with fresh counts. */
export function endPause(state: State): void {
  state.paused = null;
  for (const [name, record] of Object.entries(state.containers)) state.containers[name] = freshCounts(record);
}

/** Ends the maintenance of a container or of a `cluster/node`; what it held begins with fresh counts. */
export function endMaintenance(state: State, key: string): void {
  delete state.maintenance[key];
  for (const [name, record] of Object.entries(state.containers)) {
    const at = record.current;
    if (name === key || (at !== null && `${at.cluster}/${at.node}` === key))
      state.containers[name] = freshCounts(record);
  }
}

/**
 * Whether an operation is past the last moment at which a brake still ends it. Before, nothing has been done that costs
 * anything to undo. Afterwards (a node powered off, a source stopped, a restore begun) half of it would be worse than
 * either end, so it goes on to its own. What a person has asked for by name always does.
 */
export function pastSafeStep({ kind, action, steps }: Pick<Operation, 'kind' | 'action' | 'steps'>): boolean {
  if (kind === 'failover' && action?.mode === 'automatic')
    return steps.some(({ name }) => /^(fence|stop source|restore)\b/.test(name));
  return kind === 'start' || kind === 'restart' ? steps.length > 0 : true;
}
