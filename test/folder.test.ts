import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFolder } from '../lib/folder.ts';

function code(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : error;
}

test('folders are made with their parents and their mode; one that is there is left as it is', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'proxwarden-folder-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const deep = join(root, 'a', 'b', 'c');
  makeFolder(deep, 0o700);
  assert.equal(statSync(deep).mode & 0o777, 0o700);
  assert.equal(statSync(join(root, 'a')).mode & 0o777, 0o700);
  makeFolder(deep, 0o755);
  assert.equal(statSync(deep).mode & 0o777, 0o700);
  writeFileSync(join(root, 'file'), '');
  assert.throws(
    () => makeFolder(join(root, 'file')),
    (error) => code(error) === 'EEXIST',
  );
  assert.throws(
    () => makeFolder(join(root, 'file', 'x')),
    (error) => code(error) === 'ENOTDIR',
  );
  symlinkSync(join(root, 'nowhere'), join(root, 'dangling'));
  assert.throws(() => makeFolder(join(root, 'dangling')));
});

test('where no folder can be made it ends', (t) => {
  // With mkdir's own `recursive` this goes on for ever.
  if (!existsSync('/proc/self')) return t.skip('no /proc here');
  assert.throws(
    () => makeFolder('/proc/nope/state'),
    (error) => code(error) === 'ENOENT',
  );
});
