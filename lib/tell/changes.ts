/** Changes of an inventory for people: as text, and as the comment on a pull request. Pure. */
import type { Change } from '../inventory/changes.ts';
import { counted, plainText } from '../text.ts';

/** Settings of one change that are shown; the rest is counted. */
const MOST_DETAILS = 12;
/** What GitHub takes in a comment is 65,536 characters. */
const MOST_CHARACTERS = 60_000;

/** One line that says how many containers lose, gain or change protection. */
export function changesSummary(changes: readonly Change[]): string {
  const count = (kind: Change['kind']): number => changes.filter((change) => change.kind === kind).length;
  if (changes.length === 0) return 'nothing changes for any container';
  const parts = [
    [count('loses'), 'lose protection', 'loses protection'],
    [count('gains'), 'gain it', 'gains it'],
    [count('changes'), 'keep it with other settings', 'keeps it with other settings'],
  ] as const;
  const said = parts.flatMap(([n, many, one]) => (n === 0 ? [] : [`${n} ${n === 1 ? one : many}`]));
  const others = count('everything');
  return [
    ...(said.length === 0 ? [] : [`of the containers: ${said.join(', ')}`]),
    ...(others === 0 ? [] : [counted(others, 'other change')]),
  ].join('; ');
}

/** For a terminal. */
export function changesText(changes: readonly Change[]): string[] {
  return [
    changesSummary(changes),
    ...changes.flatMap(({ subject, text, details, risks }) => [
      `${subject} ${text}`,
      ...risks.map((risk) => `  LOOK: ${risk}`),
      ...shown(details).map((detail) => `  ${detail}`),
    ]),
  ].map((line) => (line.startsWith('  ') ? `  ${plainText(line, 400)}` : plainText(line, 400)));
}

/** For a pull request; nothing that the inventory says can become markup, a link or a mention. */
export function changesMarkdown(changes: readonly Change[]): string {
  const icon = { loses: '🔴', everything: '🔵', changes: '🟡', gains: '🟢' } as const;
  const lines = [
    '### What this changes for the protection of your containers',
    '',
    `**${changesSummary(changes)}**`,
    ...changes.flatMap(({ kind, subject, text, details, risks }) => [
      '',
      `${icon[kind]} ${code(subject)} ${text}`,
      ...risks.map((risk) => `- ⚠️ ${code(risk)}`),
      ...(details.length === 0
        ? []
        : [
            '<details><summary>settings</summary>',
            '',
            ...shown(details).map((d) => `- ${code(d)}`),
            '',
            '</details>',
          ]),
    ]),
  ];
  const whole = `${lines.join('\n')}\n`;
  return whole.length <= MOST_CHARACTERS
    ? whole
    : `${lines.slice(0, 3).join('\n')}\n\nThe list is too long for a comment: run \`proxwarden validate --against\` on both versions.\n`;
}

function shown(details: readonly string[]): string[] {
  return details.length <= MOST_DETAILS
    ? [...details]
    : [...details.slice(0, MOST_DETAILS), `and ${details.length - MOST_DETAILS} more`];
}

function code(text: string): string {
  return `\`${plainText(text, 400).replaceAll('`', "'")}\``;
}
