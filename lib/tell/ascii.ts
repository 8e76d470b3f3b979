/** For terminals that don't know UTF-8: what we write beyond ASCII in its nearest ASCII, and `?` for the words of others. Pure. */

const NEAREST: Readonly<Record<string, string>> = {
  '→': '->',
  '…': '...',
  '–': '-',
  '—': '-',
  '·': '-',
  '“': '"',
  '”': '"',
  '‘': "'",
  '’': "'",
  '✔': 'v',
  '✖': 'x',
  '❯': '>',
  '›': '>',
  '⚠': '!',
  '↓': '-',
  '≥': '>=',
  '≤': '<=',
};

export function toAscii(text: string): string {
  // oxlint-disable-next-line no-control-regex -- all of ASCII
  return text.replaceAll(/[^\u0000-\u007f]/gu, (character) => NEAREST[character] ?? '?');
}

/** Whether the locale says UTF-8. One that isn't set says nothing: most terminals are. */
export function isUtf8(env: Readonly<Record<string, string | undefined>>): boolean {
  // The first that is set and not empty counts, as for every program (POSIX).
  const locale = [env['LC_ALL'], env['LC_CTYPE'], env['LANG']].find((one) => one !== undefined && one !== '');
  return locale === undefined || /utf-?8/i.test(locale);
}
