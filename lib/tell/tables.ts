/** Tables for people. Pure: values in, text out. */
import { oneLine } from '../text.ts';

/** Left-aligned columns, two spaces apart; a line is cut to `width`. */
export function table(header: readonly string[], rows: readonly (readonly string[])[], width = 200): string {
  const all = [header, ...rows].map((row) => row.map(oneLine));
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => (line.length > width ? `${line.slice(0, Math.max(width - 1, 1))}…` : line))
    .join('\n');
}
