/** The report as Markdown: for an issue, a wiki, the summary of a CI job. Pure. */
import { oneLine } from '../../text.ts';
import { formatDuration } from '../../units.ts';
import { groupedFindings } from '../doctor.ts';
import { stamp } from '../teller.ts';
import { latencyText, percentText } from './figures.ts';
import type { Fate, Report, ReportContainer } from './model.ts';
import { findingTexts, headline, tiles } from './summary.ts';

export function reportMarkdown(report: Report): string {
  const { containers, consequences, findings, operations, notices, looked, at } = report;
  return [
    `# ProxWarden: ${plain(headline(report))}`,
    `As of ${stamp(at)} UTC${looked ? '' : ', from the state alone: nothing was looked at'}.`,
    list(
      tiles(report).map(
        ({ what, figure, note }) => `${what}: **${plain(figure)}**${note === null ? '' : `, ${plain(note)}`}`,
      ),
    ),
    ...(notices.length === 0 ? [] : [list(notices.map((text) => `⚠ ${plain(text)}`))]),
    '## Containers',
    table(
      [
        'Container',
        'State',
        'Where',
        'Latency 50 / 95 %',
        'Available 7 / 30 d',
        'Last backup',
        'Node dies',
        'Service dies',
      ],
      containers.map(containerRow),
    ),
    ...consequences.flatMap(({ cluster, rows }) => [
      `## What would happen in ${plain(cluster)}`,
      table(
        ['If', 'Containers', 'Then'],
        rows.map(({ event, containers: names, text, commands, remedy }) => [
          plain(event),
          plain(names.join(', ')),
          [plain(text), ...(remedy === null ? [] : [`→ ${plain(remedy)}`]), ...commands.map(code)].join(
            '<br>',
          ),
        ]),
      ),
    ]),
    ...(looked
      ? ['## To mend', findings.length === 0 ? 'Nothing.' : list(groupedFindings(findings).map(finding))]
      : []),
    '## What was done',
    operations.length === 0
      ? 'Nothing yet.'
      : table(
          ['When (UTC)', 'Container', 'What', 'Status', 'Took', 'Outage', 'Data lost', 'Moved'],
          operations.map((op) => [
            stamp(op.startedAt),
            plain(op.container),
            op.kind,
            op.status,
            op.endedAt === null ? '–' : formatDuration(op.endedAt - op.startedAt),
            op.outageMs === null ? '–' : formatDuration(op.outageMs),
            op.lostMs === null ? '–' : formatDuration(op.lostMs),
            plain(op.move ?? '–'),
          ]),
        ),
  ].join('\n\n');
}

function containerRow(one: ReportContainer): string[] {
  const { week, month } = one.averages;
  return [
    `**${plain(one.container)}**${one.mode === 'protect' ? '' : ` (${one.mode} only)`}`,
    `${one.error === null ? `${one.verdict}: ` : ''}${plain(one.detail)}`,
    plain(one.where),
    `${latencyText(week.p50Ms)} / ${latencyText(week.p95Ms)}`,
    `${percentText(week.availability)} / ${percentText(month.availability)}`,
    plain(one.backup.text),
    fate(one.nodeDies),
    fate(one.serviceDies),
  ];
}

const FATES: Readonly<Record<Fate['outcome'], string>> = {
  automatic: 'by itself',
  'by-hand': 'waits for you',
  nothing: 'nothing is done',
  blocked: '**blocked**',
};

function fate(one: Fate | null): string {
  return one === null ? '–' : FATES[one.outcome];
}

function finding(group: Report['findings']): string {
  const [first] = group;
  if (first === undefined) return '';
  const names = [...new Set(group.map((one) => one.name))].join(', ');
  const once = (words: readonly string[]): string[] => [...new Set(words)];
  return [
    `${first.level === 'fail' ? '**failure**' : 'warning'} ${first.id}, ${plain(names)}:`,
    findingTexts(group).map(plain).join('; '),
    ...once(group.flatMap((one) => (one.fix === null ? [] : [`→ ${plain(one.fix)}`]))),
    ...once(group.flatMap((one) => one.commands)).map(code),
  ].join(' ');
}

function list(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join('\n');
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Words of others that are to be read as words: no markup, no HTML, no `@name` that would call somebody. */
function plain(text: string): string {
  return oneLine(text)
    .replaceAll(/[\\`*_[\]|#~]/g, '\\$&')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll(/(?<!\w)@/g, '&#64;');
}

/** A command that can be copied; a bar would end its cell. */
function code(text: string): string {
  return `\`${oneLine(text).replaceAll('`', "'").replaceAll('|', '\\|')}\``;
}
