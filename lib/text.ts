/** Small helpers for sentences: text from outside made harmless, ages made readable. */

/** Escape sequences of terminals: CSI (colours, cursor), OSC (titles, links), and the two-character ones. */
// oxlint-disable-next-line no-control-regex -- control characters are exactly what is looked for
const ESCAPES = /\u001B(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001B]*(?:\u0007|\u001B\\)?|[ -/]*[0-~])?/g;

/**
 * One line of text from outside (a server, a plugin, a certificate), fit for a terminal, a log and a report: no escape
 * sequences, no control, bidirectional or invisible characters, white space collapsed, at most `max` characters.
 */
export function plainText(text: string, max = 120): string {
  // The slice bounds the work for the expressions below; nobody needs the end of a megabyte on one line.
  const clean = text
    .slice(0, max * 20)
    .replace(ESCAPES, '')
    .replace(/[\s\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/[\p{Cf}\p{Cs}\p{Co}\p{Cn}]/gu, '')
    .trim();
  const characters = Array.from(clean);
  return characters.length <= max ? clean : `${characters.slice(0, max - 1).join('')}…`;
}

/**
 * Characters that rewrite what a person sees: control characters, those that turn the direction of writing, and those that
 * cannot be seen (the joiners of some scripts and emoji excepted).
 */
const UNPRINTABLE =
  // oxlint-disable-next-line no-control-regex -- control characters are what this is about
  /[\u0000-\u001f\u007f-\u009f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/g;

/** True when the text holds characters that could rewrite a terminal's or a reviewer's view of it. */
export function hasUnprintable(text: string, allowed = ''): boolean {
  return (text.match(UNPRINTABLE) ?? []).some((character) => !allowed.includes(character));
}

/** The text with such characters, but for the allowed ones, shown as `\u001b`. JSON stays the same JSON. */
export function printable(text: string, allowed = ''): string {
  return text.replace(UNPRINTABLE, (found) =>
    allowed.includes(found)
      ? found
      : found
          .split('')
          .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
          .join(''),
  );
}

/** Printable, and on one line: nobody's words may look like a line of ours. */
export function oneLine(text: string): string {
  return printable(
    text
      .split(/[\r\n]+/)
      .map((line, index) => (index === 0 ? line.trimEnd() : line.trim()))
      .filter((line) => line !== '')
      .join(' '),
  );
}

/** Whether every object of JavaScript has something of that name (`constructor`): as a key it would find that. */
export function isReserved(name: string): boolean {
  return name in {};
}

/** `1 file`, `2 files`. */
export function counted(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

/** How long ago or ahead something is, in its largest unit: `3 days`, `1 hour`, `20 minutes`. `ms` is not negative. */
export function roughSpanText(ms: number): string {
  const units = [
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
  ] as const;
  for (const [unit, size] of units) {
    const count = Math.floor(ms / size);
    if (count >= 1) return `${count} ${unit}${count === 1 ? '' : 's'}`;
  }
  return 'less than a minute';
}
