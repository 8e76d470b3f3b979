import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { execFile } from '../lib/exec.ts';
import type { ExecRequest } from '../lib/runtime.ts';
import { eventually, lives, script, tempFolder } from './observe/probe-helpers.ts';

const PATH = '/usr/local/bin:/usr/bin:/bin';

function request(file: string, more: Partial<ExecRequest> = {}): ExecRequest {
  return { file, args: [], env: { PATH }, stdin: '', timeoutMs: 5000, ...more };
}

/** Runs an sh script; `$DIR` in it is its folder. */
function run(t: TestContext, body: string, more: Partial<ExecRequest> = {}) {
  const { dir, file } = script(t, 'hook', body);
  return execFile(request(file, { env: { PATH, DIR: dir }, ...more }));
}

async function pidIn(file: string): Promise<number> {
  await eventually(
    `${file} has a process id`,
    () => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n'),
  );
  return Number(readFileSync(file, 'utf8'));
}

test('passes arguments, environment and standard input untouched, and nothing else', async (t) => {
  const odd = `a b; $(touch /tmp/x) "'*`;
  const result = await run(t, 'printf "%s|" "$#" "$1"; cat; echo; env | sort >&2; exit 7', {
    args: [odd],
    stdin: 'über\n',
    env: { PATH, ONLY: 'this' },
  });
  assert.equal(result.exitCode, 7);
  assert.equal(result.stdout, `1|${odd}|über\n\n`);
  const names = result.stderr.split('\n').map((line) => line.split('=')[0]);
  // PWD, OLDPWD, SHLVL and _ are the shell's own.
  assert.deepEqual(
    names.filter((name) => name !== '' && !['PWD', 'OLDPWD', 'SHLVL', '_'].includes(name ?? '')),
    ['ONLY', 'PATH'],
  );
  assert.equal(result.failure, undefined);
});

test('keeps 4096 bytes of each stream without blocking the writer or cutting a character', async (t) => {
  const result = await run(
    t,
    `i=0; while [ $i -lt 4000 ]; do printf 'xx€€€€€€€€€€€€€€€€€€€€€€'; printf 'yyyyyyyyyyyyyyyyyyyyyyyy' >&2; i=$((i+1)); done; exit 0`,
  );
  assert.equal(result.exitCode, 0);
  assert.ok(Buffer.byteLength(result.stdout) <= 4096 && Buffer.byteLength(result.stdout) > 4090);
  assert.doesNotMatch(result.stdout, /\uFFFD/);
  assert.equal(result.stderr.length, 4096);
});

test('a child that does not read its input is no failure', async (t) => {
  const result = await run(t, 'exec 0<&-; echo done', { stdin: 'x'.repeat(1024 * 1024) });
  assert.deepEqual(result, { exitCode: 0, stdout: 'done\n', stderr: '', failure: undefined });
});

test('what cannot be started is a result with a reason', async (t) => {
  const dir = tempFolder(t);
  const plain = join(dir, 'plain');
  writeFileSync(plain, 'no program', { mode: 0o644 });
  assert.deepEqual(await execFile(request(join(dir, 'missing'))), {
    exitCode: null,
    stdout: '',
    stderr: '',
    failure: 'not found, or the interpreter in its first line is not',
  });
  assert.equal((await execFile(request(plain))).failure, 'not executable');
  assert.equal((await execFile(request('/bin/true', { args: ['x'.repeat(4_000_000)] }))).exitCode, null);
  const nul = await execFile(request('/bin/true', { args: ['a\0b'] }));
  assert.match(nul.failure ?? '', /^could not be started: /);
});

test('a child killed by a signal has no exit code but a reason', async (t) => {
  const result = await run(t, 'kill -SEGV $$');
  assert.equal(result.exitCode, null);
  assert.equal(result.failure, 'killed by SIGSEGV');
});

test('at the timeout the whole process group goes', async (t) => {
  const { dir, file } = script(t, 'hook', 'sleep 60 & echo $! >"$DIR/pid"; echo begun; wait');
  const started = execFile(request(file, { env: { PATH, DIR: dir }, timeoutMs: 300 }));
  const grandchild = await pidIn(join(dir, 'pid'));
  const result = await started;
  assert.equal(result.exitCode, null);
  assert.equal(result.failure, 'timed out after 300 ms');
  assert.equal(result.stdout, 'begun\n');
  await eventually('the grandchild is gone', () => !lives(grandchild));
});

test('a child that closed its output but lives is waited for until the timeout', async (t) => {
  const start = performance.now();
  const result = await run(t, 'exec >&- 2>&-; sleep 60', { timeoutMs: 200 });
  assert.equal(result.failure, 'timed out after 200 ms');
  assert.ok(performance.now() - start >= 190);
});

test('a grandchild that keeps the pipes open after the exit is not waited for, nor killed', async (t) => {
  const { dir, file } = script(t, 'hook', 'sleep 60 & echo $! >"$DIR/pid"; echo out; exit 3');
  const start = performance.now();
  const result = await execFile(request(file, { env: { PATH, DIR: dir } }));
  const grandchild = await pidIn(join(dir, 'pid'));
  t.after(() => process.kill(grandchild));
  assert.deepEqual([result.exitCode, result.stdout, result.failure], [3, 'out\n', undefined]);
  assert.ok(performance.now() - start < 1000);
  assert.equal(lives(grandchild), true);
});

// The two seconds of grace are real; that is the longest test here.
test('SIGKILL ends what ignores SIGTERM', async (t) => {
  const { dir, file } = script(t, 'hook', `trap '' TERM; echo $$ >"$DIR/pid"; while :; do sleep 0.05; done`);
  const start = performance.now();
  const result = await execFile(request(file, { env: { PATH, DIR: dir }, timeoutMs: 100 }));
  const took = performance.now() - start;
  assert.equal(result.failure, 'timed out after 100 ms');
  assert.ok(took >= 2000 && took < 3500, `took ${took} ms`);
  const pid = await pidIn(join(dir, 'pid'));
  assert.equal(lives(pid), false);
});

test('an abort kills the group and rejects with the reason', async (t) => {
  const { dir, file } = script(t, 'hook', 'sleep 60 & echo $! >"$DIR/pid"; wait');
  const controller = new AbortController();
  const started = execFile(request(file, { env: { PATH, DIR: dir }, signal: controller.signal }));
  const grandchild = await pidIn(join(dir, 'pid'));
  controller.abort(new Error('stop it'));
  await assert.rejects(started, { message: 'stop it' });
  await eventually('the grandchild is gone', () => !lives(grandchild));
  const late = script(t, 'late', 'touch "$DIR/ran"');
  const again = request(late.file, { env: { PATH, DIR: late.dir }, signal: controller.signal });
  await assert.rejects(execFile(again), { message: 'stop it' });
  assert.equal(existsSync(join(late.dir, 'ran')), false);
});

test('a child that is stopped together with us has not failed', async (t) => {
  for (const body of [
    'echo $$ >"$DIR/pid"; exec sleep 60',
    'trap "exit 143" TERM; echo $$ >"$DIR/pid"; sleep 60 & wait',
  ]) {
    const { dir, file } = script(t, 'hook', body);
    const controller = new AbortController();
    const started = execFile(request(file, { env: { PATH, DIR: dir }, signal: controller.signal }));
    // As systemd does it: everybody at once, and the child is the first to hear of it.
    const pid = await pidIn(join(dir, 'pid'));
    process.kill(pid, 'SIGTERM');
    await eventually('it is gone', () => !lives(pid));
    controller.abort(new Error('stopped by SIGTERM'));
    await assert.rejects(started, { message: 'stopped by SIGTERM' });
    // Somebody else's kill is its failure, all the same.
    rmSync(join(dir, 'pid'));
    const alone = execFile(request(file, { env: { PATH, DIR: dir }, signal: new AbortController().signal }));
    process.kill(await pidIn(join(dir, 'pid')), 'SIGTERM');
    assert.notEqual((await alone).exitCode, 0);
  }
});
