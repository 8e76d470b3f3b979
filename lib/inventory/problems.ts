/** What is wrong with an inventory: collected from every file, printed together. */
import { InputError } from '../errors.ts';
import { printable } from '../text.ts';

export interface Problem {
  /** The file (or folder) as a person would name it from where they are. */
  readonly file: string;
  /** From 1; 0 when the problem has no place inside the file. */
  readonly line: number;
  readonly col: number;
  /** `containers.dns.checks[0].tcp`; empty: the file as a whole. */
  readonly path: string;
  /** What is wrong. Never contains a secret's value. */
  readonly message: string;
  /** What would be right. */
  readonly fix: string;
}

/** More lines than this help nobody; the rest is counted. */
const MOST_LINES = 500;

/** The inventory can't be used. Carries all problems of all files; the message lists them one per line. Exit 2. */
export class InventoryError extends InputError {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    const sorted = problems.toSorted(
      (a, b) =>
        compareText(a.file, b.file) || a.line - b.line || a.col - b.col || compareText(a.path, b.path),
    );
    const lines = sorted.slice(0, MOST_LINES).map(formatProblem);
    if (sorted.length > MOST_LINES) lines.push(`… and ${sorted.length - MOST_LINES} more problems`);
    super(lines.join('\n'));
    this.problems = sorted;
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** `file:line:col  path  what is wrong  what would be right`, on one line. */
export function formatProblem(problem: Problem): string {
  const place = problem.line === 0 ? problem.file : `${problem.file}:${problem.line}:${problem.col}`;
  return [place, problem.path, problem.message, problem.fix]
    .filter((part) => part !== '')
    .map((part) => printable(part))
    .join('  ');
}

/** A value in quotes for a message, cut when long. */
export function quoted(text: string): string {
  return `"${printable(text.length > 60 ? `${text.slice(0, 57)}…` : text)}"`;
}

export type Path = readonly (string | number)[];

/** `containers.dns.checks[0].tcp`. Keys that are no plain words are quoted. */
export function formatPath(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      if (!/^[\w/-]{1,80}$/.test(part)) return `[${quoted(part)}]`;
      return index === 0 ? part : `.${part}`;
    })
    .join('');
}

/** The candidate that `word` was probably meant to be, or undefined. Case, `-` and `_` don't count. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  const simple = (text: string): string => text.toLowerCase().replaceAll(/[-_]/g, '');
  const wanted = simple(word.slice(0, 64));
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(wanted, simple(candidate)) }))
    .toSorted((a, b) => a.distance - b.distance);
  const best = ranked[0];
  if (best === undefined) return undefined;
  return best.distance <= Math.max(1, Math.floor(wanted.length / 3)) ? best.candidate : undefined;
}

/** Insertions, deletions, replacements and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replaced, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
