/** The table of `check`, `status` and the demo: one line per container. Pure. */
import { maintenanceGate } from '../decide/brakes.ts';
import { failoversWithinDay } from '../decide/gates.ts';
import { incarnationKey } from '../decide/incarnations.ts';
import type { Observation, ProbeResult } from '../decide/model.ts';
import type { Container, Inventory } from '../inventory/types.ts';
import { emptyContainerState, type ContainerState, type Operation, type State } from '../state/model.ts';
import { formatDuration } from '../units.ts';
import { table } from './tables.ts';

export interface StatusRow {
  readonly container: string;
  readonly mode: string;
  readonly verdict: string;
  readonly failures: string;
  readonly where: string;
  readonly latencyMs: number | null;
  /** Epoch ms; it may be over. null: there was no failover. */
  readonly cooldownUntil: number | null;
  /** Automatic ones of it, within 24 hours. */
  readonly failoversWithinDay: number;
  /** Why it is left alone for now; null: it isn't in maintenance, nor is its node. */
  readonly maintenance: string | null;
  /** Hands off until `ack`. */
  readonly error: ContainerState['error'];
  readonly detail: string;
}

interface BrakesInput {
  readonly state: State;
  readonly observation: Observation | null;
  readonly now: number;
}

/** What is known of every container, for a table or JSON. */
export function statusRows(
  inventory: Inventory,
  state: State,
  observation: Observation | null,
  running: readonly Operation[],
  now: number,
): StatusRow[] {
  return Object.values(inventory.containers)
    .filter((c) => c.mode !== 'off')
    .map((container) => {
      const record = state.containers[container.name];
      const op = running.find((o) => o.container === container.name);
      const probes = observation?.probes[container.name] ?? [];
      return {
        container: container.name,
        mode: container.mode,
        verdict: record?.verdict?.kind ?? 'unknown',
        failures: `${record?.failures ?? 0}/${container.failureThreshold}`,
        where:
          record?.current == null
            ? `${container.cluster}/?`
            : incarnationKey(record.current, container.cluster),
        latencyMs: slowest(probes),
        cooldownUntil: cooldownUntil(container, record ?? emptyContainerState()),
        failoversWithinDay: failoversWithinDay(record ?? emptyContainerState(), now).length,
        maintenance: maintenanceOf(container, { state, observation, now }),
        error: record?.error ?? null,
        detail: detailOf(container, op, { state, observation, now }),
      };
    });
}

/** Containers that were failed over and that the inventory does not name any more, by the state alone. */
export function leftInventory(
  inventory: Pick<Inventory, 'containers'>,
  state: State,
): { readonly container: string; readonly where: string | null; readonly text: string }[] {
  return Object.keys(state.followed)
    .filter((name) => !Object.hasOwn(inventory.containers, name))
    .map((name) => {
      const current = state.containers[name]?.current ?? null;
      const where = current === null ? null : incarnationKey(current);
      return {
        container: name,
        where,
        text: `${name} is not in the inventory any more${where === null ? '' : `; it was last seen as ${where}`}; the copies that it was moved away from are still kept down: put it back, or \`proxwarden forget ${name}\``,
      };
    });
}

function slowest(probes: readonly ProbeResult[]): number | null {
  const times = probes.map((p) => p.latencyMs).filter((t) => t !== null);
  return times.length === 0 ? null : Math.round(Math.max(...times));
}

function detailOf(container: Container, op: Operation | undefined, input: BrakesInput): string {
  const { state, now } = input;
  const record = state.containers[container.name] ?? emptyContainerState();
  const stuck = op?.steps.find((s) => s.name.startsWith('undo: ') && s.status === 'failed');
  if (op !== undefined && stuck !== undefined)
    return `${op.kind} in hand: ${stuck.name} can't be done yet (${op.id}): ${stuck.note}`;
  if (op !== undefined) return `${op.kind} in hand: ${op.steps.at(-1)?.name ?? 'beginning'} (${op.id})`;
  if (record.error !== null)
    return `HANDS OFF since ${formatDuration(now - record.error.at)} (${record.error.operation}): ${record.error.reason}`;
  const maintenance = maintenanceOf(container, input);
  const failedOver = record.lastFailoverAt !== null && record.verdict?.kind === 'healthy';
  const cooled = cooldownUntil(container, record);
  const flaps = failoversWithinDay(record, now).length;
  return [
    ...(maintenance === null ? [] : [maintenance]),
    ...(failedOver ? [`failed over ${formatDuration(now - (record.lastFailoverAt ?? now))} ago`] : []),
    verdictText(record, now),
    ...(cooled === null || cooled <= now ? [] : [`cooldown for another ${formatDuration(cooled - now)}`]),
    ...(flaps === 0 ? [] : [`${flaps} of ${container.failover.maxPerDay} automatic failovers within 24 h`]),
  ].join('; ');
}

function maintenanceOf({ name }: Container, { state, observation, now }: BrakesInput): string | null {
  const current = state.containers[name]?.current ?? null;
  const seen = observation ?? { clusters: {} };
  return maintenanceGate({ state, observation: seen, container: name, current, now })?.evidence ?? null;
}

function verdictText({ verdict, stoppedSince }: ContainerState, now: number): string {
  if (verdict?.until !== undefined)
    return `${formatDuration(Math.max(verdict.until - now, 0))} left: ${verdict.reason}`;
  if (verdict?.kind === 'stopped-by-hand' && stoppedSince !== null)
    return `${verdict.reason}, for ${formatDuration(Math.max(now - stoppedSince, 0))}`;
  return verdict?.reason ?? 'never checked';
}

/** Until when a failover that happened keeps the next automatic one away; null: none has happened. */
function cooldownUntil({ failover }: Container, { lastFailoverAt }: ContainerState): number | null {
  return lastFailoverAt === null ? null : lastFailoverAt + failover.cooldownMs;
}

/** Narrower than this, mode and latency are left out. */
const WIDE = 90;

export function statusTable(rows: readonly StatusRow[], width: number): string {
  const wide = width >= WIDE;
  return table(
    [
      'CONTAINER',
      ...(wide ? ['MODE'] : []),
      'VERDICT',
      'FAILURES',
      'WHERE',
      ...(wide ? ['LATENCY'] : []),
      'DETAIL',
    ],
    rows.map((r) => [
      r.container,
      ...(wide ? [r.mode] : []),
      r.verdict,
      r.failures,
      r.where,
      ...(wide ? [r.latencyMs === null ? '-' : `${r.latencyMs} ms`] : []),
      r.detail,
    ]),
    width,
  );
}
