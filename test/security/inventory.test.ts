/** What a hostile pull request can put into an inventory, beyond what test/inventory refuses. */
import assert from 'node:assert/strict';
import { chmodSync, realpathSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadInventory } from '../../lib/inventory/load.ts';
import { openToAll } from '../../lib/inventory/files.ts';
import { hindrance } from '../../lib/inventory/programs.ts';
import { readSecret } from '../../lib/inventory/secrets.ts';
import { folder, HEAD, linesIn, linesOf } from '../inventory/folder.ts';

test('very many unknown keys are refused soon, and the files of an inventory have a limit together', (t) => {
  const before = process.cpuUsage();
  const keys = Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join('\n');
  assert.match(linesOf(t, HEAD + keys).join('\n'), /holds too many problems/);
  const { user } = process.cpuUsage(before);
  assert.ok(user < 6_000_000, `${user / 1000} ms`);
  const filler = `limits: {}\n#${'x'.repeat(1024 ** 2 - 20)}\n`;
  const many = folder(t, Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((n) => [`${n}.yaml`, filler])));
  assert.match(linesIn(many).join(), /holds more than 4 MiB of inventory files/);
});

test('a program that was exchanged for a link since the inventory was read is not run', (t) => {
  const dir = realpathSync(folder(t, { 'hooks/a': '#!/bin/sh\n' }));
  const path = join(dir, 'hooks', 'a');
  chmodSync(path, 0o755);
  assert.equal(hindrance(path, {}), null);
  renameSync(path, join(dir, 'b'));
  symlinkSync('/bin/sh', path);
  assert.match(hindrance(path, {}) ?? '', /has become a link to/);
  assert.equal(hindrance(path, { PROXWARDEN_ALLOWED_HOOKS: path }), null, 'the runner’s own word');
});

test('what every user of the machine can write is neither run nor read', (t) => {
  const dir = realpathSync(folder(t, { 'hooks/a': '#!/bin/sh\n', 'a.yaml': HEAD }));
  const path = join(dir, 'hooks', 'a');
  chmodSync(path, 0o777);
  assert.match(hindrance(path, {}) ?? '', /every user of this machine can change it; chmod o-w/);
  chmodSync(path, 0o755);
  chmodSync(join(dir, 'hooks'), 0o777);
  assert.match(hindrance(path, {}) ?? '', /can change the files of/);
  assert.equal(openToAll(dir), null);
  chmodSync(join(dir, 'a.yaml'), 0o666);
  assert.equal(openToAll(dir)?.fix, `chmod o-w ${join(dir, 'a.yaml')}`);
});

test('a file that is no secret is not taken for one: several lines are refused and never repeated', (t) => {
  const path = join(folder(t, {}), 'key');
  writeFileSync(path, 'root:x:0:0\ndaemon:x:1:1\n', { mode: 0o600 });
  assert.throws(() => readSecret({ kind: 'file', path }, {}), /holds more than one line/);
  assert.throws(
    () => readSecret({ kind: 'env', name: 'K' }, { K: 'a\nb' }),
    (error: Error) => !error.message.includes('a\nb'),
  );
});

test('names that every object has are no names here', (t) => {
  for (const name of ['constructor', 'toString', 'hasOwnProperty'])
    assert.throws(
      () => loadInventory(folder(t, { 'a.yaml': HEAD.replace(/cluster: \w+/, `cluster: ${name}`) })),
      /is a reserved word/,
    );
});
