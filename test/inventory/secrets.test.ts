import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { InputError } from '../../lib/errors.ts';
import { readSecret } from '../../lib/inventory/secrets.ts';
import { redact } from '../../lib/redact.ts';
import { folder } from './folder.ts';

/** The error of reading a secret: one sentence, then what to do. */
function refusal(read: () => string): string {
  try {
    read();
  } catch (error) {
    assert.ok(error instanceof InputError, String(error));
    assert.equal(error.exitCode, 2);
    return `${error.message} | ${error.hint ?? ''}`;
  }
  throw new Error('the secret was accepted');
}

function secretFile(t: TestContext, content: string, mode = 0o600): string {
  const path = join(folder(t, {}), 'token');
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

test('from the environment', () => {
  assert.equal(readSecret({ kind: 'env', name: 'T' }, { T: 'value-of-t\n' }), 'value-of-t');
  assert.match(
    refusal(() => readSecret({ kind: 'env', name: 'T' }, {})),
    /variable T, .* is not set \| set T/,
  );
  assert.match(
    refusal(() => readSecret({ kind: 'env', name: 'T' }, { T: '' })),
    /variable T, .* is empty/,
  );
  assert.match(
    refusal(() => readSecret({ kind: 'env', name: 'T' }, { T: '\n' })),
    /variable T, .* is empty/,
  );
});

test('from a file, without the line ends behind it', (t) => {
  const read = (content: string): string => readSecret({ kind: 'file', path: secretFile(t, content) }, {});
  assert.equal(read('file-secret'), 'file-secret');
  assert.equal(read('file-secret\n'), 'file-secret');
  assert.equal(read('file-secret\r\n'), 'file-secret');
  assert.equal(read('file-secret\n\n'), 'file-secret');
  assert.equal(read('x'.repeat(4096)).length, 4096);
});

test('what is read is redacted from then on', (t) => {
  readSecret({ kind: 'file', path: secretFile(t, 'only-in-this-file\n') }, {});
  readSecret({ kind: 'env', name: 'T' }, { T: 'only-in-this-variable' });
  assert.equal(redact('a only-in-this-file b only-in-this-variable'), 'a *** b ***');
});

test('a file that others can read is refused with the command that mends it', (t) => {
  for (const mode of [0o640, 0o604, 0o644, 0o610, 0o602, 0o777]) {
    const path = secretFile(t, 'file-secret', mode);
    const text = refusal(() => readSecret({ kind: 'file', path }, {}));
    assert.ok(text.endsWith(`| chmod 600 ${path}`), text);
    assert.doesNotMatch(text, /file-secret/);
  }
  assert.equal(readSecret({ kind: 'file', path: secretFile(t, 'file-secret', 0o400) }, {}), 'file-secret');
});

test('missing, a folder, a device, empty, too large', (t) => {
  const dir = folder(t, {});
  mkdirSync(join(dir, 'folder'), { mode: 0o700 });
  const file = (path: string): string => refusal(() => readSecret({ kind: 'file', path }, {}));
  assert.match(file(join(dir, 'none')), /none does not exist/);
  assert.match(file(join(dir, 'folder')), /is not a regular file/);
  assert.match(file('/dev/null'), /is not a regular file/);
  assert.match(file(secretFile(t, '')), /is empty/);
  assert.match(file(secretFile(t, '\n')), /is empty/);
  assert.match(file(secretFile(t, 'x'.repeat(4097))), /is larger than 4 KiB/);
});
