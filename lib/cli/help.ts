/** Help texts, wrapped between words: yargs' own wrapping cuts through them. Pure. */
import { fill } from '../tell/wrap.ts';

/** Two or more blanks part the columns of yargs' unwrapped output. */
const COLUMNS = /^(\s*\S.*?)(\s{2,})(\S.*)$/;
/** What a description is given at least; with less it goes below its flag. */
const ROOM = 28;

/** The group of the flags that every command has. */
export const COMMON_FLAGS = 'Flags of all commands:';

/** What yargs adds to a description although it says nothing. */
const NOISE = / +\[(?:boolean|string|number|array)\](?: \[default: (?:false|\[\])\])?/;

/**
 * The text with no line longer than `columns`, as far as its words allow; descriptions keep their column. A command's
 * own flags come before those of all commands.
 */
export function formatHelp(text: string, columns: number): string {
  const blocks = text.split('\n\n');
  const common = blocks.filter((b) => b.startsWith(COMMON_FLAGS));
  const others = blocks.filter((b) => !b.startsWith(COMMON_FLAGS));
  const examples = others.findIndex((b) => b.startsWith('Examples:'));
  others.splice(examples < 0 ? others.length : examples, 0, ...common);
  return others
    .join('\n\n')
    .split('\n')
    .flatMap((line) => wrapLine(line.replace(NOISE, '').trimEnd(), Math.max(columns, 20)))
    .join('\n');
}

function wrapLine(line: string, columns: number): string[] {
  if (line.length <= columns) return [line];
  const [, left = '', gap = '', right = ''] = COLUMNS.exec(line) ?? [];
  const indent = left.length + gap.length;
  if (left === '' || left.trimStart() === left) return fill(line, columns, /^\s*/.exec(line)?.[0] ?? '');
  if (columns - indent >= ROOM && left.length < columns) {
    const [first = '', ...rest] = fill(right, columns, ' '.repeat(indent));
    return [left + gap + first.trimStart(), ...rest];
  }
  return [...fill(left.trimStart(), columns, '  '), ...fill(right, columns, ' '.repeat(6))];
}
