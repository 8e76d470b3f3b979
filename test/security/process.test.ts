/** The built command as a process: what it runs, asks and prints. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { openState } from '../../lib/state/store.ts';
import { COMMAND } from '../e2e/stage.ts';
import { inProcess } from '../e2e/in-process.ts';
import { tempFolder } from '../observe/probe-helpers.ts';

const VALIDATE = [COMMAND, 'validate', '--inventory', resolve('inventory/example')];
const has = (program: string): boolean => spawnSync(program, ['-V']).status === 0;

test(
  'validate executes nothing and opens no socket',
  { skip: has('strace') ? false : 'there is no strace' },
  (t) => {
    const log = join(tempFolder(t), 'calls');
    const ran = spawnSync(
      'strace',
      ['-f', '-e', 'trace=execve,execveat,socket,connect', '-o', log, process.execPath, ...VALIDATE],
      { env: { PATH: process.env['PATH'] } },
    );
    assert.equal(ran.status, 0, String(ran.stderr));
    const calls = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => /\b(execve|execveat|socket|connect)\(/.test(line));
    assert.equal(calls.length, 1, calls.join('\n'));
    assert.match(calls[0] ?? '', /execve\(/);
  },
);

test('what could not be written makes the run a failure, without a stack trace', () => {
  const full = openSync('/dev/full', 'w');
  const ran = spawnSync(process.execPath, VALIDATE, {
    stdio: ['ignore', full, 'pipe'],
    encoding: 'utf8',
    env: {},
  });
  assert.deepEqual([ran.status, /^\s+at /m.test(ran.stderr)], [1, false]);
});

test('what a stranger has written can’t move the cursor, turn text around or look like a line of ours', async () => {
  const { code, stderr } = await inProcess(['ch\u001b[2J\u202Eeck\nproxwarden: all is well']);
  assert.equal(code, 2);
  assert.match(stderr, /^proxwarden: there is no command .*all is well.*\n$/);
  assert.ok(!stderr.includes('\u001b') && !stderr.includes('\u202E'));
});

test(
  'root does not write into the state of another user',
  { skip: process.getuid?.() === 0 ? false : 'this is not root' },
  (t) => {
    const dir = join(tempFolder(t), 'state');
    mkdirSync(dir, { mode: 0o700 });
    chownSync(dir, 12_345, 12_345);
    assert.throws(() => openState(dir, { clock: systemClock }), /belongs to user 12345, and this is root/);
  },
);
