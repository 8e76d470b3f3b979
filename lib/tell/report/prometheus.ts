/**
 * The report as metrics in Prometheus' text format, for the textfile collector of node_exporter. What is not known has no
 * sample: an alert on it would be about us. Pure.
 */
import { redact } from '../../redact.ts';
import type { HistoryRow } from '../history.ts';
import type { Averages } from './figures.ts';
import type { Report, ReportContainer } from './model.ts';

type Labels = Readonly<Record<string, string>>;
interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

const VERDICTS = ['healthy', 'unhealthy', 'stopped-by-hand', 'inconclusive', 'unknown'];
const OUTCOMES = ['automatic', 'by-hand', 'nothing', 'blocked'];
const KINDS: readonly HistoryRow['kind'][] = ['failover', 'backup', 'restore', 'restart', 'start'];

export function reportMetrics(report: Report): string {
  const { at, lastRunAt, paused, containers, findings, operations, looked } = report;
  const each = (value: (one: ReportContainer) => number | null): Sample[] =>
    containers.flatMap((one) => {
      const number = value(one);
      return number === null ? [] : [{ labels: labelsOf(one), value: number }];
    });
  const averaged = (of: (figures: Averages) => readonly (readonly [Labels, number | null])[]): Sample[] =>
    containers.flatMap((one) =>
      (['day', 'week', 'month'] as const).flatMap((window) =>
        of(one.averages[window]).flatMap(([more, value]) =>
          value === null ? [] : [{ labels: { ...labelsOf(one), window, ...more }, value }],
        ),
      ),
    );
  return [
    metric('report_timestamp_seconds', 'When these figures were written.', single(at / 1000)),
    metric(
      'last_run_timestamp_seconds',
      'When check-and-failover last ran.',
      lastRunAt === null ? [] : single(lastRunAt / 1000),
    ),
    metric(
      'paused',
      '1: nothing is done by itself, because somebody has said pause or the state was lost.',
      single(bit(paused !== null)),
    ),
    metric(
      'container_info',
      'Where a container is: its current copy.',
      containers.map(({ current, mode, ...rest }) => ({
        labels: {
          ...labelsOf(rest),
          mode,
          node: current?.node ?? '',
          vmid: String(current?.vmid ?? ''),
          epoch: String(current?.epoch ?? ''),
        },
        value: 1,
      })),
    ),
    metric(
      'container_verdict',
      '1 for what was found of a container, 0 for everything else.',
      containers.flatMap((c) =>
        VERDICTS.map((verdict) => ({
          labels: { ...labelsOf(c), verdict },
          value: bit(verdict === c.verdict),
        })),
      ),
    ),
    metric(
      'container_consecutive_failures',
      'Unhealthy runs in a row.',
      each((c) => Number(c.failures.split('/')[0])),
    ),
    metric(
      'container_hands_off',
      '1: an operation failed, and nothing is done by itself until somebody has said ack.',
      each((c) => bit(c.error !== null)),
    ),
    metric(
      'container_maintenance',
      '1: it or its node is in maintenance.',
      each((c) => bit(c.maintenance !== null)),
    ),
    metric(
      'container_latency_seconds',
      'Latency of the slowest check that was not exceeded by that share of the healthy runs.',
      averaged(({ p50Ms, p95Ms, maxMs }) => [
        [{ percentile: '50' }, seconds(p50Ms)],
        [{ percentile: '95' }, seconds(p95Ms)],
        [{ percentile: '100' }, seconds(maxMs)],
      ]),
    ),
    metric(
      'container_availability_ratio',
      'Share of the time that was watched in which it was healthy: today (UTC), the last 7 days, the last 30.',
      averaged(({ availability }) => [[{}, availability]]),
    ),
    metric(
      'container_backup_timestamp_seconds',
      'When the backup was made that a failover would use.',
      each((c) => seconds(c.backup.at)),
    ),
    metric(
      'container_backup_max_age_seconds',
      'How old it may be: backup.maxAge.',
      each((c) => c.backup.rpoMs / 1000),
    ),
    ...(looked
      ? [
          metric(
            'container_backup_usable',
            '1: there is a sound backup that is not too old.',
            each((c) =>
              c.backup.kind === 'unknown' ? null : bit(c.backup.kind === 'fresh' || c.backup.kind === 'late'),
            ),
          ),
          metric(
            'container_failover_outcome',
            '1 for what would happen if its node or its service died now, 0 for everything else.',
            containers.flatMap((c) =>
              (['node-dies', 'service-dies'] as const).flatMap((event) => {
                const fate = event === 'node-dies' ? c.nodeDies : c.serviceDies;
                return fate === null
                  ? []
                  : OUTCOMES.map((outcome) => ({
                      labels: { ...labelsOf(c), event, outcome },
                      value: bit(outcome === fate.outcome),
                    }));
              }),
            ),
          ),
          metric(
            'findings',
            'What doctor finds to be mended.',
            (['fail', 'warn'] as const).map((level) => ({
              labels: { level },
              value: findings.filter((f) => f.level === level).length,
            })),
          ),
        ]
      : []),
    metric(
      'last_operation_timestamp_seconds',
      'When the last operation of a kind began.',
      KINDS.flatMap((kind) => {
        const last = operations.find((op) => op.kind === kind);
        return last === undefined
          ? []
          : [
              {
                labels: { kind, container: last.container, status: last.status },
                value: last.startedAt / 1000,
              },
            ];
      }),
    ),
  ].join('');
}

function labelsOf({ container, cluster }: Pick<ReportContainer, 'container' | 'cluster'>): Labels {
  return { container, cluster };
}

function single(value: number): Sample[] {
  return [{ labels: {}, value }];
}

function bit(is: boolean): number {
  return is ? 1 : 0;
}

function seconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}

function metric(name: string, help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return '';
  const full = `proxwarden_${name}`;
  return [
    `# HELP ${full} ${help}`,
    `# TYPE ${full} gauge`,
    ...samples.map(({ labels, value }) => `${full}${labelText(labels)} ${Number(value.toPrecision(13))}`),
    '',
  ].join('\n');
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return redact(value).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
