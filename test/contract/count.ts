/** What the contract tests have covered: told by each test, and printed once more by `npm test` at its end. */
import { appendFileSync } from 'node:fs';
import type { TestContext } from 'node:test';

/** `line`: `588 replies parsed`. */
export function count(t: TestContext, line: string): void {
  t.diagnostic(line);
  const file = process.env['PROXWARDEN_COUNTS'];
  if (file !== undefined) appendFileSync(file, `${line}\n`);
}
