/**
 * The secrets that tests use. Each holds MARK, so that one that leaks is recognised wherever it is written:
 * scripts/dev/leaks.mjs looks for it in everything that the tests, and the commands that they run, print and write.
 */
const MARK = '5ec2e75ec2e7';

/** The secret of an API token: a UUID. The digit tells several from each other. */
export function tokenSecret(digit = 0): string {
  return `c0ffee0${digit}-5ec2-4e70-8000-${MARK}`;
}

/** A password with characters that every encoding changes. */
export function password(name = 'p'): string {
  return `${name} +/&=%ü"${MARK}`;
}
