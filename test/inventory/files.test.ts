/** Folders and files that are no inventory, by accident or on purpose. Never anything but a clear error. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { loadInventory } from '../../lib/inventory/load.ts';
import { container, folder, HEAD, linesIn, linesOf, problemsIn } from './folder.ts';

test('a missing folder, a file instead, and an empty folder', (t) => {
  const dir = folder(t, { 'a.yaml': HEAD, 'empty/README.md': 'nothing' });
  assert.match(linesIn(join(dir, 'none')).join(), /does not exist {2}name it with --inventory DIR/);
  assert.match(linesIn(join(dir, 'a.yaml')).join(), /is not a folder/);
  assert.match(linesIn(join(dir, 'a.yaml', 'x')).join(), /does not exist/);
  assert.match(linesIn(join(dir, 'empty')).join(), /holds no \*\.yaml file/);
  assert.match(linesIn('a\u0000b').join(), /can't be read/);
});

test('an empty file, only comments, a list, a text', (t) => {
  for (const text of ['', '# nothing\n', '---\n', '~\n', '\uFEFF'])
    assert.match(linesOf(t, text).join(), /^1:1 .*is empty/, text);
  for (const text of ['- a\n', 'hello\n', '5\n'])
    assert.match(linesOf(t, text).join(), /^1:1 .*must be a mapping/, text);
});

test('not UTF-8 and not text', (t) => {
  const dir = folder(t, {
    'a.yaml': Uint8Array.of(0xff, 0xfe, 0x61, 0),
    'b.yaml': Uint8Array.of(0x61, 0xe9, 0x0a),
  });
  assert.deepEqual(
    problemsIn(dir).map((p) => p.message),
    ['is not UTF-8 text', 'is not UTF-8 text'],
  );
  assert.equal(linesOf(t, '\u0000\u0001\u0002').length > 0, true);
});

test('symbolic links, folders and pipes named like inventory files are refused, not followed and not waited for', (t) => {
  const outside = folder(t, { 'secret.yaml': HEAD });
  const dir = folder(t, { 'a.yaml': HEAD });
  symlinkSync(join(outside, 'secret.yaml'), join(dir, 'link.yaml'));
  symlinkSync('nowhere', join(dir, 'broken.yaml'));
  mkdirSync(join(dir, 'folder.yaml'));
  const pipe = spawnSync('mkfifo', [join(dir, 'pipe.yaml')]).status === 0;
  assert.deepEqual(
    problemsIn(dir).map((p) => [p.file.slice(dir.length + 1), p.message]),
    [
      ['broken.yaml', 'is a symbolic link'],
      ['folder.yaml', 'is not a regular file'],
      ['link.yaml', 'is a symbolic link'],
      ...(pipe ? [['pipe.yaml', 'is not a regular file']] : []),
    ],
  );
});

test('the folder itself may be a link', (t) => {
  const dir = folder(t, { 'inventory/a.yaml': HEAD });
  symlinkSync('inventory', join(dir, 'link'));
  assert.equal(loadInventory(join(dir, 'link')).files[0], join(dir, 'link', 'a.yaml'));
});

test('programs must be executable files inside the folder, links followed', (t) => {
  const outside = folder(t, { 'hooks/evil': '#!/bin/sh\n' });
  const names = [
    '../x',
    'hooks/link',
    'hooks/plain',
    'hooks',
    'hooks/none',
    'linked/evil',
    'hooks/ok/x',
    '.',
    '/bin/sh',
  ];
  const parent = folder(t, {
    x: '#!/bin/sh\n',
    'inventory/a.yaml': `${HEAD}hooks:\n  before:\n${names.map((name) => `    - ${name}\n`).join('')}`,
    'inventory/hooks/ok': '#!/bin/sh\n',
    'inventory/hooks/plain': '#!/bin/sh\n',
  });
  const dir = join(parent, 'inventory');
  chmodSync(join(dir, 'hooks/ok'), 0o755);
  chmodSync(join(dir, 'hooks/plain'), 0o644);
  symlinkSync(join(outside, 'hooks/evil'), join(dir, 'hooks/link'));
  symlinkSync(join(outside, 'hooks'), join(dir, 'linked'));
  assert.deepEqual(
    problemsIn(dir).map((p) => p.message),
    [
      'is outside of the inventory folder',
      'is outside of the inventory folder',
      'is not executable',
      'is not a regular file',
      'does not exist',
      'is outside of the inventory folder',
      'does not exist',
      'is outside of the inventory folder',
      'is outside of the inventory folder',
    ],
  );
  const fine = HEAD.concat('hooks: { before: [hooks/inner] }\n');
  const inner = folder(t, { 'a.yaml': fine, 'hooks/real': '#!/bin/sh\n' });
  symlinkSync('real', join(inner, 'hooks/inner'));
  assert.deepEqual(loadInventory(inner).containers, {});
});

test('too many and too large files', (t) => {
  const many = Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`${i}.yaml`, 'limits: {}\n']));
  assert.match(linesIn(folder(t, many)).join(), /holds 201 inventory files {2}at most 200/);
  const filler = (bytes: number): string => `${HEAD}#${'x'.repeat(bytes - HEAD.length - 2)}\n`;
  assert.match(linesOf(t, filler(1024 ** 2 + 1)).join(), /is larger than 1 MiB/);
  assert.deepEqual(loadInventory(folder(t, { 'a.yaml': filler(1024 ** 2) })).containers, {});
});

const BOMBS: readonly [string, () => string, RegExp][] = [
  [
    'aliases that multiply',
    () =>
      `a: &a [x,x]\n${'bcdefghij'
        .split('')
        .map((c, i) => `${c}: &${c} [${`*${'abcdefghi'[i] ?? ''},`.repeat(9)}]\n`)
        .join('')}`,
    /uses more than 100 aliases/,
  ],
  ['an alias of itself', () => 'cluster: &a [*a]\n', /is an alias of a value that it is part of/],
  ['brackets without end', () => `a: ${'['.repeat(100_000)}`, /is nested too deeply/],
  ['deep lists on one line', () => '- '.repeat(100_000), /is nested too deeply/],
  ['deep keys on one line', () => '? '.repeat(100_000), /is nested too deeply/],
  [
    'deep indentation',
    () => Array.from({ length: 1300 }, (_, i) => `${' '.repeat(i)}a:\n`).join(''),
    /YAML|nested/,
  ],
  [
    'forty levels',
    () => Array.from({ length: 40 }, (_, i) => `${' '.repeat(i)}a:\n`).join(''),
    /is nested too deeply/,
  ],
  ['very many values', () => `a: [${'1,'.repeat(260_000)}]`, /holds more than 250000 values/],
  ['very many wrong things', () => `a: [${'!x 1,'.repeat(10_000)}]`, /has a YAML tag/],
];
for (const [name, text, expected] of BOMBS) {
  test(`${name}: refused, and soon`, (t) => {
    assert.match(linesOf(t, text()).join('\n'), expected);
  });
}

test('the number of lines in the message is bounded, that of the problems is not hidden', (t) => {
  const dir = folder(t, { 'a.yaml': HEAD + Array.from({ length: 600 }, (_, i) => `k${i}: 1\n`).join('') });
  assert.throws(() => loadInventory(dir), /\n… and 100 more problems$/);
  assert.equal(problemsIn(dir).length, 600);
});

test('a file name can not rewrite the terminal', (t: TestContext) => {
  const dir = folder(t, { 'a\u001b[2J\n.yaml': 'x: 1\n' });
  assert.throws(
    () => loadInventory(dir),
    (error: unknown) =>
      error instanceof Error &&
      error.message.includes('a\\u001b[2J\\u000a.yaml:1:1') &&
      !error.message.includes('\u001b'),
  );
});

test('a file that can not be read hides nothing of the others, and nothing is said to be missing because of it', (t) => {
  const dir = folder(t, {
    'a.yaml': 'cluster: [\n',
    'b.yaml': `cluster: home\ncontainers:\n${container('x', 101, '    nodes: [lab/pve1]\n    oops: 1\n')}`,
  });
  assert.deepEqual(
    problemsIn(dir).map((p) => `${p.path} ${p.message}`),
    [' is not YAML: wrong indentation', 'containers.x.oops is an unknown key'],
  );
});
