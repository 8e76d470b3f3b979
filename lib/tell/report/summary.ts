/** The whole in a few words: what one sees first, in every format. Pure. */
import { formatDuration } from '../../units.ts';
import { counted } from '../../text.ts';
import type { Report } from './model.ts';

/** `all 12 containers healthy`, `10 of 12 containers healthy`. */
export function headline({ containers }: Report): string {
  const healthy = containers.filter((c) => c.verdict === 'healthy').length;
  if (containers.length === 0) return 'no container in the inventory';
  return healthy === containers.length
    ? containers.length === 1
      ? 'its container is healthy'
      : `all ${containers.length} containers healthy`
    : `${healthy} of ${counted(containers.length, 'container')} healthy`;
}

export interface Tile {
  readonly what: string;
  readonly figure: string;
  readonly note: string | null;
}

export function tiles(report: Report): Tile[] {
  const { containers, lastRunAt, at, looked, findings, operations } = report;
  const guarded = containers.filter((c) => c.mode === 'protect');
  const alone = guarded.filter((c) => c.nodeDies?.outcome === 'automatic').length;
  const oldest = containers
    .filter((c) => c.backup.at !== null)
    .toSorted((a, b) => (a.backup.at ?? 0) - (b.backup.at ?? 0))[0];
  const without = containers.filter((c) => c.backup.kind === 'none' || c.backup.kind === 'old').length;
  const failover = operations.find((op) => op.kind === 'failover');
  return [
    {
      what: 'Last run',
      figure: lastRunAt === null ? 'never' : `${formatDuration(Math.max(at - lastRunAt, 0))} ago`,
      note: report.stale ? 'nothing is checked' : null,
    },
    ...(looked
      ? [
          {
            what: 'If a node dies',
            figure: `${alone} of ${guarded.length}`,
            note: 'protected containers go on by themselves',
          },
          {
            what: 'Oldest backup',
            figure:
              oldest === undefined ? 'none' : formatDuration(Math.max(at - (oldest.backup.at ?? at), 0)),
            note:
              without > 0
                ? `${counted(without, 'container')} without one to use`
                : (oldest?.container ?? null),
          },
          {
            what: 'To mend',
            figure: String(findings.length),
            note: findings.length === 0 ? 'doctor is content' : 'by doctor',
          },
        ]
      : []),
    {
      what: 'Last failover',
      figure: failover === undefined ? 'none' : `${formatDuration(Math.max(at - failover.startedAt, 0))} ago`,
      note: failover === undefined ? null : `${failover.container}: ${failover.status}`,
    },
  ];
}

/** What is said of a group of findings: of whom, when it is about several. */
export function findingTexts(group: Report['findings']): string[] {
  const many = new Set(group.map((one) => one.name)).size > 1;
  return [...new Set(group.map((one) => (many ? `${one.name}: ${one.text}` : one.text)))];
}
