/** What has been done to containers: operations with their steps and times, from the journals. Pure. */
import type { Operation } from '../state/model.ts';
import { formatDuration } from '../units.ts';
import { table } from './tables.ts';
import { stamp } from './teller.ts';

export interface HistoryRow {
  readonly operation: string;
  readonly kind: Operation['kind'];
  readonly container: string;
  /** Of the copy that it began with; null: it moves nothing. */
  readonly cluster: string | null;
  readonly status: Operation['status'];
  /** Epoch ms. */
  readonly startedAt: number;
  /** null: under way, or interrupted. */
  readonly endedAt: number | null;
  readonly reason: string;
  /** Where from and where to, `pve1/101 → pve2/1000101`; null: it moves nothing. */
  readonly move: string | null;
  /** From the first failure to the answer of the copy: the outage that a failover has ended. null: there was none. */
  readonly outageMs: number | null;
  /** How old the backup was when the service failed: data that is lost. null: none, or not known. */
  readonly lostMs: number | null;
  readonly steps: readonly HistoryStep[];
}

export interface HistoryStep {
  readonly step: string;
  readonly status: Operation['steps'][number]['status'];
  readonly startedAt: number;
  readonly tookMs: number | null;
  readonly note: string;
  readonly upid: string | null;
}

/** Newest first. */
export function historyOf(operations: readonly Operation[]): HistoryRow[] {
  return operations.map(rowOf).toSorted((a, b) => b.startedAt - a.startedAt);
}

function rowOf(op: Operation): HistoryRow {
  const { data, action } = op;
  const automatic = op.kind === 'failover' && op.status === 'done' && data.detectedAt !== null;
  return {
    operation: op.id,
    kind: op.kind,
    container: op.container,
    cluster: action?.from.cluster ?? null,
    status: op.status,
    startedAt: op.createdAt,
    endedAt: op.endedAt,
    reason: op.reason,
    move:
      action === null
        ? null
        : `${action.from.node}/${action.from.vmid} → ${data.target?.node ?? action.target.node}/${data.live?.vmid ?? action.vmid}`,
    outageMs: automatic && data.verifiedAt !== null ? data.verifiedAt - (data.detectedAt ?? 0) : null,
    lostMs: automatic && data.backupAt !== null ? Math.max((data.detectedAt ?? 0) - data.backupAt, 0) : null,
    steps: op.steps.map(({ name, status, startedAt, endedAt, note, task }) => ({
      step: name,
      status,
      startedAt,
      tookMs: endedAt === null ? null : endedAt - startedAt,
      note,
      upid: task?.upid ?? null,
    })),
  };
}

/** One line per operation. */
export function historyTable(rows: readonly HistoryRow[], width: number): string {
  return table(
    ['WHEN (UTC)', 'CONTAINER', 'WHAT', 'STATUS', 'TOOK', 'OUTAGE', 'DATA LOST', 'OPERATION', 'MOVED'],
    rows.map((row) => [
      stamp(row.startedAt),
      row.container,
      row.kind,
      row.status,
      row.endedAt === null ? '-' : formatDuration(row.endedAt - row.startedAt),
      row.outageMs === null ? '-' : formatDuration(row.outageMs),
      row.lostMs === null ? '-' : formatDuration(row.lostMs),
      row.operation,
      row.move ?? '-',
    ]),
    width,
  );
}

/** Everything about one operation, step by step. */
export function historyDetail(row: HistoryRow): string[] {
  const took = row.endedAt === null ? 'not ended' : `took ${formatDuration(row.endedAt - row.startedAt)}`;
  return [
    `${row.operation}  ${row.kind} ${row.container}: ${row.status}, ${took}`,
    `  why      ${row.reason}`,
    ...(row.move === null ? [] : [`  moved    ${row.move}`]),
    ...(row.outageMs === null
      ? []
      : [`  outage   ${formatDuration(row.outageMs)}, from the first failure to the answer`]),
    ...(row.lostMs === null
      ? []
      : [`  lost     ${formatDuration(row.lostMs)} of data, the age of the backup`]),
    ...row.steps.map(({ step, status, startedAt, tookMs, note }) =>
      [
        `  +${formatDuration(Math.max(startedAt - row.startedAt, 0)).padEnd(12)}`,
        step,
        tookMs === null ? '' : `(${formatDuration(tookMs)})`,
        status === 'done' ? '' : status.toUpperCase(),
        note === '' ? '' : `— ${note}`,
      ]
        .filter((part) => part !== '')
        .join(' '),
    ),
  ];
}
