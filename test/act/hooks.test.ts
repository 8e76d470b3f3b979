import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runHooks } from '../../lib/act/hooks.ts';
import type { OperationContext } from '../../lib/act/journal.ts';
import { execFile } from '../../lib/exec.ts';
import type { Operation } from '../../lib/state/model.ts';
import { dueWorld } from '../decide/world.ts';
import { script } from '../observe/probe-helpers.ts';
import { password } from '../secrets.ts';
import { ActBench } from './bench.ts';

const HOOK = { path: '/hooks/notify', args: ['--loud', '$(id)'], timeoutMs: 1000 };

function operation(bench: ActBench, data: Partial<Operation['data']> = {}): OperationContext {
  const context = bench.operation(data);
  context.op.action = dueWorld().decides().action;
  return context;
}

test('a hook gets its arguments as they are, and the facts in its environment and on stdin; nothing else', async (t) => {
  const bench = new ActBench(t);
  const context = operation(bench);
  assert.equal(await runHooks(context, 'before', [HOOK]), '1 ended well');
  const [request] = bench.execs;
  assert.deepEqual(request?.args, HOOK.args);
  assert.equal(request?.file, HOOK.path);
  const { PATH, LC_ALL, ...facts } = request?.env ?? {};
  assert.ok(PATH !== undefined && LC_ALL !== undefined);
  assert.deepEqual(JSON.parse(request?.stdin ?? ''), facts);
  assert.deepEqual(facts, {
    PROXWARDEN_HOOK: 'before',
    PROXWARDEN_OPERATION: context.op.id,
    PROXWARDEN_CONTAINER: 'dns',
    PROXWARDEN_CLUSTER: 'home',
    PROXWARDEN_FROM_CLUSTER: 'home',
    PROXWARDEN_FROM_NODE: 'pve1',
    PROXWARDEN_FROM_VMID: '101',
    PROXWARDEN_TO_CLUSTER: 'home',
    PROXWARDEN_TO_NODE: 'pve2',
    PROXWARDEN_TO_VMID: '1000101',
    PROXWARDEN_BACKUP: 'nas:backup/ct101-60min',
    PROXWARDEN_REASON: 'a test',
  });
});

test('after a second attempt they speak of where the container really went', async (t) => {
  const bench = new ActBench(t);
  const target = { cluster: 'home', node: 'pve3' };
  await runHooks(operation(bench, { target, live: { vmid: 2_000_101, epoch: 2 } }), 'after', [HOOK]);
  assert.equal(bench.execs[0]?.env['PROXWARDEN_TO_NODE'], 'pve3');
  assert.equal(bench.execs[0]?.env['PROXWARDEN_TO_VMID'], '2000101');
});

test('the first one that fails ends it, with its first line', async (t) => {
  const bench = new ActBench(t);
  bench.execResult = { exitCode: 7, stdout: 'ignored', stderr: 'not now\nbecause' };
  await assert.rejects(
    runHooks(operation(bench), 'before', [HOOK, HOOK]),
    /^FailedError: hook \/hooks\/notify ended with 7: not now$/,
  );
  assert.equal(bench.execs.length, 1);
});

test('one that could not be run is a failure', async (t) => {
  const bench = new ActBench(t);
  bench.execResult = { exitCode: null, stdout: '', stderr: '', failure: 'timed out after 1 s' };
  await assert.rejects(runHooks(operation(bench), 'before', [HOOK]), /notify timed out after 1 s$/);
});

test('no hooks is fine', async (t) => {
  assert.equal(await runHooks(operation(new ActBench(t)), 'after', []), 'none');
});

test('a real hook: nothing is inherited, no shell sees its arguments', async (t) => {
  const { file } = script(
    t,
    'hook',
    'cat >/dev/null; echo "$1|$PROXWARDEN_CONTAINER|$SECRET|$HOME" >&2; exit 1',
  );
  const context = operation(new ActBench(t));
  const real: OperationContext = { ...context, runtime: { ...context.runtime, exec: execFile } };
  process.env['SECRET'] = password('hook');
  t.after(() => delete process.env['SECRET']);
  await assert.rejects(
    runHooks(real, 'before', [{ path: file, args: ['$(id); `id`'], timeoutMs: 5000 }]),
    (error: Error) => error.message.endsWith(': $(id); `id`|dns||'),
  );
});
