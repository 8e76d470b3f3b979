/** What `doctor` prints: findings first, then a line for everything that was looked at, then what would happen. Pure. */
import type { Diagnosis, SubjectLine } from '../decide/doctor/diagnose.ts';
import type { Finding, Level, SubjectKind } from '../decide/doctor/facts.ts';
import { outcomes, outcomeTable } from './consequences.ts';
import { fill } from './wrap.ts';

const LABEL: Readonly<Record<SubjectLine['level'], string>> = {
  fail: 'FAIL',
  warn: 'WARN',
  note: 'note',
  ok: 'ok',
  unknown: '?',
};
const INDENT = ' '.repeat(6);

/** `columns`: Infinity where nothing is to be broken. `now`: epoch ms. */
export function doctorReport(diagnosis: Diagnosis, columns: number, now: number): string {
  const blocks: string[] = [];
  for (const group of groupedFindings(diagnosis.findings)) blocks.push(findingBlock(group, columns));
  const clusters = [...new Set(diagnosis.lines.map((line) => line.cluster))];
  for (const cluster of clusters)
    blocks.push(
      subjectBlock(
        cluster,
        diagnosis.lines.filter((line) => line.cluster === cluster),
        columns,
      ),
    );
  for (const cluster of clusters) {
    const rows = outcomes(
      diagnosis.consequences.filter((c) => c.cluster === cluster),
      now,
    );
    if (cluster !== null && rows.length > 0)
      blocks.push(`What would happen in ${cluster}\n\n${outcomeTable(rows, columns)}`);
  }
  blocks.push(verdict(diagnosis));
  return blocks.join('\n\n');
}

function verdict({ findings, blind }: Diagnosis): string {
  const count = (level: Level): number => findings.filter((f) => f.level === level).length;
  const [fails, warns, notes] = [count('fail'), count('warn'), count('note')];
  const some = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
  if (blind) return 'No cluster could be seen: nothing can be said of a failover.';
  return fails + warns === 0
    ? `Nothing to mend (${some(notes, 'note')}).`
    : `${some(fails, 'failure')}, ${some(warns, 'warning')}, ${some(notes, 'note')}.`;
}

/** Findings of one kind about several things are shown together. */
export function groupedFindings(findings: readonly Finding[]): Finding[][] {
  const groups = new Map<string, Finding[]>();
  for (const one of findings) {
    const key = `${one.level} ${one.id} ${one.cluster ?? ''} ${one.kind}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()];
}

function findingBlock(group: readonly Finding[], columns: number): string {
  const [first] = group;
  if (first === undefined) return '';
  const where = first.cluster === null || first.kind === 'cluster' ? '' : ` in ${first.cluster}`;
  const same = new Set(group.map((one) => one.fix)).size === 1;
  const names = [...new Set(group.map((one) => one.name))];
  const many = names.length > 1;
  const what = names[0] === first.kind ? '' : `${first.kind}${many ? 's' : ''} `;
  const lines = [`${LABEL[first.level].padEnd(5)} ${first.id}: ${what}${names.join(', ')}${where}`];
  for (const one of group) {
    lines.push(...fill(many ? `${one.name}: ${one.text}` : one.text, columns, INDENT));
    if (!same) lines.push(...advice(one.fix, one.commands, columns));
  }
  if (same) lines.push(...advice(first.fix, [...new Set(group.flatMap((one) => one.commands))], columns));
  return lines.join('\n');
}

function advice(fix: string | null, commands: readonly string[], columns: number): string[] {
  const [head = '', ...tail] = fix === null ? [] : fill(`→ ${fix}`, columns, INDENT);
  return [
    ...(fix === null ? [] : [head]),
    ...(tail.length === 0 ? [] : fill(tail.join(' '), columns, `${INDENT}  `)),
    ...commands.map((command) => `${INDENT}  $ ${command}`),
  ];
}

const ORDER: readonly SubjectKind[] = [
  'runner',
  'cluster',
  'credential',
  'endpoint',
  'canaries',
  'node',
  'storage',
  'container',
];

function subjectBlock(cluster: string | null, lines: readonly SubjectLine[], columns: number): string {
  const sorted = lines.toSorted((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  const names = Math.min(Math.max(...sorted.map((line) => line.name.length)), 32);
  const rows = sorted.flatMap((line) => {
    const head = `  ${LABEL[line.level].padEnd(5)} ${line.kind.padEnd(10)}  ${line.name.padEnd(names)}  `;
    const [text = '', ...more] = fill(says(line), Math.max(columns - head.length, 24), '');
    return [`${head}${text}`, ...more.map((one) => `${' '.repeat(head.length)}${one}`)].map((row) =>
      row.trimEnd(),
    );
  });
  return [cluster ?? 'here', ...rows].join('\n');
}

/** What is wrong is said above in full; here are its names. */
function says({ summary, findings }: SubjectLine): string {
  const ids = [...new Set(findings.filter((f) => f.level !== 'note').map((f) => f.id))].join(', ');
  return ids === '' ? summary : summary === '' ? ids : `${ids} (${summary})`;
}

/** For programs. */
export function doctorJson(diagnosis: Diagnosis, now: number): unknown {
  return {
    at: now,
    counts: Object.fromEntries(
      (['fail', 'warn', 'note'] as const).map((level) => [
        level,
        diagnosis.findings.filter((f) => f.level === level).length,
      ]),
    ),
    findings: diagnosis.findings,
    subjects: diagnosis.lines.map(({ cluster, kind, name, level, summary }) => ({
      cluster,
      kind,
      name,
      level,
      summary,
    })),
    consequences: diagnosis.consequences.map((one) => ({
      cluster: one.cluster,
      event: one.event,
      node: one.node,
      container: one.container,
      outcome: one.outcome,
      restartedFirst: one.restarts,
      twoCopies: one.twoCopies,
      commands: one.commands,
      blockedBy: one.stuck,
      action: one.action,
      text:
        outcomes(
          [
            one,
            ...diagnosis.consequences.filter(
              (c) => c.event === 'node-dies' && c.container === one.container && c !== one,
            ),
          ],
          now,
        )[0]?.text ?? '',
    })),
  };
}
