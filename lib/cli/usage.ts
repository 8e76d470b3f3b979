/** What yargs says of a wrong command line, in one sentence of our own. Pure. */

/** Wrong flags or arguments; printed in one line with the place of the help. Exit 2. */
export class UsageError extends Error {}

type Rephrase = readonly [RegExp, (found: readonly string[], usage: string) => string];

const REPHRASED: readonly Rephrase[] = [
  [
    /^Unknown arguments?: (.+)$/,
    ([, names = '']) =>
      `there is no ${names.includes(', ') ? 'such argument or flag' : 'argument or flag'}: ${names}`,
  ],
  [/^Not enough non-option arguments/, (_, usage) => `something is missing: proxwarden ${usage}`],
  [/^Too many non-option arguments/, (_, usage) => `there are too many words: proxwarden ${usage}`],
  [/^Not enough arguments following: (.+)$/, ([, name = '']) => `--${name} needs a value`],
  [/^Missing argument values?: (.+)$/, ([, name = '']) => `--${name} needs a value`],
  [
    /^Arguments (\S+) and (\S+) are mutually exclusive$/,
    ([, one = '', other = '']) => `--${one} and --${other} don't go together`,
  ],
  [
    /^Invalid values: Argument: (\S+), Given: (.+?), Choices: (.+)$/,
    ([, name = '', given = '', choices = '']) =>
      `${name} can't be ${given}; it is one of ${choices.replaceAll('"', '')}`,
  ],
];

/** The sentence. `usage`: the command's, for example `failover <name>`. */
export function rephrase(message: string, argv: readonly string[], usage: string): string {
  const line = message.replaceAll(/\s+/g, ' ').trim();
  for (const [pattern, say] of REPHRASED) {
    const found = pattern.exec(line);
    if (found !== null) return withDashes(say(found, usage), argv);
  }
  return line;
}

/** yargs names an unknown flag without its dashes; it is shown as it was typed. */
function withDashes(sentence: string, argv: readonly string[]): string {
  const [, names] = /^there is no (?:such )?argument or flag: (.+)$/.exec(sentence) ?? [];
  if (names === undefined) return sentence;
  const typed = names.split(', ').map((name) => {
    const flag = argv.find(
      (word) => word.replace(/=.*$/, '').replace(/^--?/, '') === name && word.startsWith('-'),
    );
    return flag?.replace(/=.*$/, '') ?? name;
  });
  return sentence.replace(names, [...new Set(typed)].join(', '));
}
