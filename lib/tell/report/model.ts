/** What `report` shows, whatever its format: one value, made of what was seen, kept and found out. Pure. */
import { decide } from '../../decide/decide.ts';
import { lookAt } from '../../decide/doctor/look.ts';
import type { Diagnosis } from '../../decide/doctor/diagnose.ts';
import type { Facts, Finding } from '../../decide/doctor/facts.ts';
import type { Decision, Incarnation, Observation } from '../../decide/model.ts';
import type { Container, Inventory } from '../../inventory/types.ts';
import type { Day } from '../../state/days.ts';
import type { Operation, State } from '../../state/model.ts';
import { formatDuration } from '../../units.ts';
import { pauseLines } from '../brakes.ts';
import { outcomes, type Outcome } from '../consequences.ts';
import { historyOf, type HistoryRow } from '../history.ts';
import { leftInventory, statusRows, type StatusRow } from '../status-table.ts';
import { averages, lastDays, type Averages, type DayFigures } from './figures.ts';

/** So many operations, the newest. */
const OPERATIONS = 20;
/** From this share of the RPO on a backup is late. */
const LATE = 0.8;
/** So long after the last run it is said that nothing runs it. */
const STALE_INTERVALS = 3;

export interface ReportInput {
  readonly inventory: Inventory;
  readonly state: State;
  /** What was just read; null: nothing was, and `last` is all there is. */
  readonly looked: { readonly facts: Facts; readonly diagnosis: Diagnosis } | null;
  readonly last: Observation | null;
  readonly days: readonly Day[];
  readonly operations: readonly Operation[];
  /** Those that are not in other hands, and have not ended. */
  readonly cut: readonly Operation[];
  readonly problems: readonly string[];
  readonly only?: ReadonlySet<string> | undefined;
  readonly now: number;
}

export interface Report {
  readonly at: number;
  readonly lastRunAt: number | null;
  /** No run for three intervals: nothing is checked and nothing would be done. */
  readonly stale: boolean;
  /** false: from the state alone, so that nothing is known of backups and of what would happen. */
  readonly looked: boolean;
  /** It was looked, and no cluster could be seen. */
  readonly blind: boolean;
  readonly paused: State['paused'];
  /** What a reader should know before anything else, a sentence each. */
  readonly notices: readonly string[];
  readonly containers: readonly ReportContainer[];
  /** What would happen, by cluster. */
  readonly consequences: readonly { readonly cluster: string; readonly rows: readonly Outcome[] }[];
  /** What `doctor` finds to be mended, the worst first. */
  readonly findings: readonly Finding[];
  /** Newest first. */
  readonly operations: readonly HistoryRow[];
}

export interface ReportContainer extends Omit<StatusRow, 'cooldownUntil' | 'failoversWithinDay'> {
  readonly cluster: string;
  readonly current: Incarnation | null;
  readonly averages: { readonly day: Averages; readonly week: Averages; readonly month: Averages };
  /** Of the days that are kept, oldest first; null: no run has seen it. */
  readonly days: readonly { readonly date: string; readonly figures: DayFigures | null }[];
  readonly backup: Backup;
  readonly nodeDies: Fate | null;
  readonly serviceDies: Fate | null;
}

/** The backup that a failover would use. */
export interface Backup {
  /** `unknown`: not looked at. */
  readonly kind: 'fresh' | 'late' | 'old' | 'none' | 'unknown';
  /** Epoch ms; null: there is none, or it is not known. */
  readonly at: number | null;
  readonly rpoMs: number;
  readonly text: string;
}

export interface Fate {
  readonly outcome: 'automatic' | 'by-hand' | 'nothing' | 'blocked';
  readonly text: string;
}

export function makeReport(input: ReportInput): Report {
  const { inventory, state, looked, days, operations, only, now } = input;
  const within = (name: string): boolean => only?.has(name) ?? true;
  const rows = statusOf(input).filter((row) => within(row.container));
  const backups = looked === null ? new Map<string, Backup>() : backupsOf(inventory, looked.facts);
  const containers = rows.flatMap((row) => {
    const container = inventory.containers[row.container];
    if (container === undefined) return [];
    return [
      containerOf(row, container, input, backups.get(row.container), lastDays(days, row.container, now)),
    ];
  });
  const intervals = containers.map((c) => inventory.containers[c.container]?.intervalMs ?? 0);
  const stale =
    state.lastRunAt === null || now - state.lastRunAt > STALE_INTERVALS * Math.max(60_000, ...intervals);
  return {
    at: now,
    lastRunAt: state.lastRunAt,
    stale,
    looked: looked !== null,
    blind: looked?.diagnosis.blind ?? false,
    paused: state.paused,
    notices: noticesOf(input, stale),
    containers: containers.toSorted(
      (a, b) => rankOf(a) - rankOf(b) || priorityOf(inventory, a) - priorityOf(inventory, b),
    ),
    consequences:
      looked === null
        ? []
        : Object.keys(inventory.clusters).flatMap((cluster) => {
            const of = looked.diagnosis.consequences.filter((c) => c.cluster === cluster);
            return of.length === 0 ? [] : [{ cluster, rows: outcomes(of, now) }];
          }),
    findings: looked?.diagnosis.findings.filter((f) => f.level !== 'note') ?? [],
    operations: historyOf(operations.filter((op) => within(op.container))).slice(0, OPERATIONS),
  };
}

/** As `check` shows them after a look, as `status` does without. */
function statusOf({ inventory, state, looked, last, cut, now }: ReportInput): StatusRow[] {
  if (looked === null || looked.diagnosis.blind) return statusRows(inventory, state, last, cut, now);
  const { observation } = looked.facts;
  const shown = structuredClone(state);
  for (const { container, verdict } of decisionsOf(inventory, state, observation)) {
    const record = shown.containers[container];
    if (record !== undefined) record.verdict = verdict;
  }
  return statusRows(inventory, shown, observation, cut, now);
}

function decisionsOf(inventory: Inventory, state: State, observation: Observation): Decision[] {
  return decide({ inventory, observation, state, now: observation.at, busy: new Map(), underWay: [] });
}

function containerOf(
  { cooldownUntil: _cooldown, failoversWithinDay: _flaps, ...row }: StatusRow,
  container: Container,
  { state, looked, now }: ReportInput,
  backup: Backup | undefined,
  days: ReportContainer['days'],
): ReportContainer {
  const own = looked?.diagnosis.consequences.filter((c) => c.container === container.name) ?? [];
  const fate = (event: 'node-dies' | 'service-dies'): Fate | null => {
    const one = own.find((c) => c.event === event);
    return one === undefined ? null : { outcome: one.outcome, text: outcomes([one], now)[0]?.text ?? '' };
  };
  const figures = days.map((day) => day.figures);
  return {
    ...row,
    cluster: container.cluster,
    current: state.containers[container.name]?.current ?? null,
    averages: {
      day: averages(figures.slice(-1)),
      week: averages(figures.slice(-7)),
      month: averages(figures),
    },
    days,
    backup: backup ?? {
      kind: 'unknown',
      at: null,
      rpoMs: container.backup.maxAgeMs,
      text: 'not looked at',
    },
    nodeDies: fate('node-dies'),
    serviceDies: fate('service-dies'),
  };
}

/** As a failover would choose it; of containers in clusters that can't be seen nothing is known. */
function backupsOf(inventory: Inventory, facts: Facts): Map<string, Backup> {
  const found = new Map<string, Backup>();
  for (const { view, containers } of lookAt(inventory, facts).clusters)
    for (const { container, choice, at } of containers) {
      if (choice === null || at === null || view === null) continue;
      const backup = choice.chosen ?? choice.tooOld;
      const rpoMs = container.backup.maxAgeMs;
      const rpo = `RPO ${formatDuration(rpoMs)}`;
      if (backup === null) {
        const why = choice.rejected[0]?.why;
        found.set(container.name, {
          kind: 'none',
          at: null,
          rpoMs,
          text: `no sound backup${why === undefined ? '' : `: ${why}`}, ${rpo}`,
        });
        continue;
      }
      const ageMs = Math.max(facts.at - backup.at, 0);
      found.set(container.name, {
        kind: choice.chosen === null ? 'old' : ageMs > LATE * rpoMs ? 'late' : 'fresh',
        at: backup.at,
        rpoMs,
        text: `${formatDuration(ageMs)} old, ${rpo}`,
      });
    }
  return found;
}

function noticesOf({ inventory, state, looked, problems, only, now }: ReportInput, stale: boolean): string[] {
  return [
    ...pauseLines(state, now),
    ...(stale
      ? [
          state.lastRunAt === null
            ? 'check-and-failover has never run: nothing is checked, and nothing would be done'
            : `the last run was ${formatDuration(now - state.lastRunAt)} ago: nothing is checked, and nothing would be done; look after cron`,
        ]
      : []),
    ...(looked?.diagnosis.blind === true
      ? ['no cluster could be seen: what is said here is what was known before']
      : []),
    ...(only === undefined ? leftInventory(inventory, state).map(({ text }) => text) : []),
    ...Object.keys(inventory.containers).flatMap((name) => {
      const text = state.containers[name]?.coverage?.problem ?? null;
      return text !== null && (only?.has(name) ?? true) ? [text] : [];
    }),
    ...problems,
  ];
}

const RANKS: Readonly<Record<string, number>> = {
  unhealthy: 1,
  unknown: 2,
  inconclusive: 2,
  'stopped-by-hand': 3,
};

/** What is in trouble first. */
function rankOf({ error, verdict }: ReportContainer): number {
  return error === null ? (RANKS[verdict] ?? 4) : 0;
}

function priorityOf({ containers }: Inventory, { container }: ReportContainer): number {
  return containers[container]?.priority ?? 0;
}
