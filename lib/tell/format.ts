/** One line of text per event. Golden logs are made of these lines. */
import type { Decision } from '../decide/model.ts';
import type { CopyProof } from '../decide/copies.ts';
import { formatDuration } from '../units.ts';
import { oneLine } from '../text.ts';
import type { Event } from './events.ts';

type Formatters = { readonly [K in Event['kind']]: (event: Extract<Event, { kind: K }>) => string | null };

const formatters: Formatters = {
  note: (e) =>
    indented(
      `${e.level === 'warn' ? 'warning: ' : ''}${e.container === null ? '' : `${e.container}: `}${e.text}`,
    ),
  counted: (e) => `${e.container}: unhealthy ${e.failures}/${e.threshold}: ${e.reason}`,
  verdict: (e) => `${e.container}: ${e.from === null ? '' : `${e.from} → `}${e.to.kind} (${e.to.reason})`,
  availability: (e) =>
    e.down
      ? `${e.container} is down: ${e.reason}`
      : `${e.container} is up again${e.lastedMs === null ? '' : ` after ${formatDuration(e.lastedMs)}`}`,
  decision: (e) => formatDecision(e.decision),
  'operation-started': (e) => `${e.container}: ${e.operation} started: ${e.what}`,
  'operation-resumed': (e) => `${e.container}: ${e.operation} goes on after ${e.after}`,
  'step-started': () => null,
  'step-progress': (e) => `${e.container}: ${e.step} ${bar(e.percent)}${e.text}`,
  'step-done': (e) => `${e.container}: ${e.step}: ${e.note}`,
  'step-failed': (e) => `${e.container}: ${e.step} failed: ${e.note}`,
  'operation-ended': (e) => `${e.container}: ${e.operation} ${e.status}: ${e.text}`,
  reconciled: (e) => `${e.container}: ${e.text}`,
  brake: (e) => `${e.container === null ? '' : `${e.container}: `}${e.text}`,
};

/** The line of an event (of an explanation, several), or null when it has none of its own. */
export function formatEvent(event: Event): string | null {
  const text = apply(event);
  return text === null || event.kind === 'decision' || event.kind === 'note' ? text : oneLine(text);
}

/** Each line printable, and all but the first indented: in a log only what we tell stands at the beginning of a line. */
function indented(text: string): string {
  return text
    .split('\n')
    .map((line, index) => oneLine(index === 0 || line.startsWith('  ') ? line : `  ${line}`))
    .join('\n');
}

function apply<K extends Event['kind']>(event: Extract<Event, { kind: K }>): string | null {
  const format: (event: Extract<Event, { kind: K }>) => string | null = formatters[event.kind];
  return format(event);
}

/** `[######----]  60% `, or nothing when the share is unknown. */
export function bar(percent: number | null): string {
  if (percent === null) return '';
  const filled = Math.floor(Math.min(Math.max(percent, 0), 100) / 5);
  return `[${'#'.repeat(filled)}${'-'.repeat(20 - filled)}] ${String(Math.round(percent)).padStart(3)}% `;
}

/** What is about to be done is explained in full, once; anything else in its one sentence, with the way out if there is one. */
function formatDecision(decision: Decision): string {
  if (decision.kind === 'failover') return explainDecision(decision).join('\n');
  const text = `${decision.container}: ${decision.kind}: ${decision.why}`;
  const out = decision.gates.find((gate) => !gate.ok)?.flip;
  return oneLine(out === undefined || out === null ? text : `${text} → ${out}`);
}

/** The gates of a decision with their evidence, one line each: what `decide --explain` shows. */
export function explainDecision(decision: Decision): string[] {
  const lines = [
    `${decision.container}: ${decision.kind}: ${decision.why}`,
    `  verdict   ${decision.verdict.kind} (${decision.verdict.reason})`,
  ];
  for (const gate of decision.gates) {
    lines.push(`  ${gate.ok ? 'pass' : 'FAIL'}  ${gate.gate.padEnd(8)} ${gate.evidence}`);
    if (gate.flip !== null) lines.push(`        to change that: ${gate.flip}`);
  }
  for (const { what, why } of decision.rejected) lines.push(`  not   ${what}: ${why}`);
  return lines.map(oneLine);
}

/** How sure it is that the copies of a container do not run, for `--explain`: level, what it rests on, what would raise it. */
export function explainCopies(copies: readonly CopyProof[]): string[] {
  const lines = copies.flatMap(({ copy, proof, required, enough, wanted }) => {
    const raise = proof.raise.length === 0 ? '' : `; to raise it: ${proof.raise.join('; ')}`;
    const use = enough ? 'enough' : 'not enough';
    return [
      `  P${proof.level}    ${copy}: ${proof.rests.join('; ')}`,
      wanted
        ? '        the copy that is to run, and does'
        : `        ${use} to start another copy (failover.proof: ${required})${raise}`,
    ];
  });
  return lines.map(oneLine);
}
