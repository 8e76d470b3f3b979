/** Not a test of anything: lets a secret out when leaks.test.ts asks for it, which must fail the whole run. */
import { test } from 'node:test';
import { password } from '../secrets.ts';

test('a test that leaks when it is told to', (t) => {
  if (process.env['LEAKY'] !== undefined) t.diagnostic(`the password is ${password()}`);
});
