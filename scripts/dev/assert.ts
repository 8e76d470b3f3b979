/**
 * What yargs takes of Node's `assert`, in its place in the bundle: loading that one costs a tenth of a bare start of Node,
 * since it looks at the terminal's colours.
 */

/** Throws an Error with `message` unless both are the same. */
export function strictEqual(actual: unknown, expected: unknown, message?: string): void {
  if (!Object.is(actual, expected)) throw new Error(message ?? 'not the same');
}

/** Throws an Error with `message` when both are the same. */
export function notStrictEqual(actual: unknown, expected: unknown, message?: string): void {
  if (Object.is(actual, expected)) throw new Error(message ?? 'the same');
}
