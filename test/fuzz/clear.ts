/** What a user may get to see of anything that went wrong. */
import assert from 'node:assert/strict';
import { ProxwardenError } from '../../lib/errors.ts';

/** What may not be printed, ever: it rewrites a terminal, or a reader's view of a line. */
// oxlint-disable-next-line no-control-regex -- control characters are exactly what is looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

const MISTAKE =
  /^\s+at .+[:(]\d+|\(a bug|^bug: |\[object |Cannot read prop|is not a function|is not iterable|Invalid time/m;

/** Output that a person can read, and that is no trace of a mistake of ours. */
export function assertReadable(text: string, what: string): void {
  const at = text.search(CONTROL);
  assert.ok(at < 0, `${what} has a control character: ${JSON.stringify(around(text, at))}`);
  const trace = text.search(MISTAKE);
  assert.ok(trace < 0, `${what} tells of a mistake in the code: ${around(text, trace)}`);
}

function around(text: string, at: number): string {
  return text.slice(Math.max(0, at - 80), at + 80);
}

let seen = 0;

/** So many errors and problems have been found to be clear so far. */
export function clearErrors(): number {
  return seen;
}

/** What is wrong with one file of many, as a user reads it. */
export function assertClearProblem(message: string): void {
  assertReadable(message, 'the problem');
  seen += 1;
}

/** An error that a user may see: a class of lib/errors.ts with one clear line. `lines`: several, as an inventory's. */
export function assertClear(
  error: unknown,
  { lines = false }: { readonly lines?: boolean } = {},
): ProxwardenError {
  assert.ok(error instanceof ProxwardenError, error instanceof Error ? (error.stack ?? '') : String(error));
  assert.notEqual(error.message.trim(), '');
  for (const text of [error.message, error.hint ?? '']) {
    assertReadable(text, 'the message');
    if (!lines) assert.doesNotMatch(text, /\n/, 'one line');
    for (const line of text.split('\n'))
      assert.ok(line.length < 2_000, `a line of ${line.length} characters`);
  }
  seen += 1;
  return error;
}
