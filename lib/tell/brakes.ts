/** People's brakes in words: for `status`, for every run, for `maintenance list`. Pure. */
import { pastSafeStep, pauseText, restOf } from '../decide/brakes.ts';
import type { Observation } from '../decide/model.ts';
import type { Brake, Operation, State } from '../state/model.ts';
import { formatDuration } from '../units.ts';
import { table } from './tables.ts';

/** One line while everything is paused; none otherwise. */
export function pauseLines({ paused }: Pick<State, 'paused'>, now: number): string[] {
  return paused === null
    ? []
    : [`${pauseText(paused, now)}: nothing is done by itself; \`proxwarden unpause\` ends it`];
}

export interface MaintenanceRow {
  readonly kind: 'container' | 'node';
  /** The container's name, or `cluster/node`. */
  readonly name: string;
  /** `Proxmox VE`: its own maintenance mode of a node, which has no end. */
  readonly by: string;
  readonly since: number | null;
  readonly until: number | null;
  readonly reason: string;
}

/** Everything in maintenance, Proxmox VE's own nodes as they were last seen. */
export function maintenanceRows({ maintenance }: State, observation: Observation | null): MaintenanceRow[] {
  const own = Object.entries(maintenance).map(([name, brake]): MaintenanceRow => ({
    kind: name.includes('/') ? 'node' : 'container',
    name,
    ...brake,
  }));
  const theirs = Object.values(observation?.clusters ?? {}).flatMap(({ cluster, nodes }) =>
    nodes
      .filter((node) => node.maintenance === true)
      .map((node): MaintenanceRow => ({
        kind: 'node',
        name: `${cluster}/${node.name}`,
        by: 'Proxmox VE',
        since: null,
        until: null,
        reason: '',
      })),
  );
  return [...own, ...theirs];
}

export function maintenanceTable(rows: readonly MaintenanceRow[], now: number, width: number): string {
  return table(
    ['IN MAINTENANCE', 'BY', 'SINCE', 'STILL', 'REASON'],
    rows.map(({ kind, name, by, since, until, reason }) => [
      kind === 'node' ? `node ${name}` : name,
      by,
      since === null ? '-' : `${formatDuration(Math.max(now - since, 0))} ago`,
      until === null
        ? 'until it is ended there'
        : until > now
          ? formatDuration(until - now)
          : 'over with the next run',
      reason,
    ]),
    width,
  );
}

/** `web is in maintenance for another 2 h (new disk)`. */
export function maintenanceLine(name: string, brake: Brake, now: number): string {
  return `${name.includes('/') ? `node ${name}` : name} is in maintenance ${restOf(brake, now)}`;
}

export interface InHand {
  readonly operation: string;
  readonly container: string;
  readonly kind: Operation['kind'];
  readonly step: string;
  /** false: it ends at its next step, with nothing done. */
  readonly goesOn: boolean;
}

/** What becomes of the operations that are in hand when a brake is put on. */
export function inHandOf(operations: readonly Operation[]): InHand[] {
  return operations
    .filter((op) => op.status === 'running')
    .map((op) => ({
      operation: op.id,
      container: op.container,
      kind: op.kind,
      step: op.steps.at(-1)?.name ?? 'its beginning',
      goesOn: pastSafeStep(op),
    }));
}

export function inHandLine({ operation, container, kind, step, goesOn }: InHand): string {
  const what = `${container}: ${kind} ${operation} is in hand (${step})`;
  return goesOn
    ? `${what}: it goes on to its end, since half of it would be worse`
    : `${what}: nothing has been stopped, powered off or restored yet, so it ends at its next step`;
}
