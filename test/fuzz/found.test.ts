/** What fuzzing has found, each by itself. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { createHttpFence } from '../../lib/act/fence/http.ts';
import { runHooks } from '../../lib/act/hooks.ts';
import { carryOut } from '../../lib/act/operate.ts';
import { systemClock } from '../../lib/clock.ts';
import { main } from '../../lib/cli/main.ts';
import { formatLineage, parseLineage } from '../../lib/decide/lineage.ts';
import { labDispatcher } from '../../lib/lab/dispatcher.ts';
import { archivedFrom } from '../../lib/pve/guest.ts';
import * as schemas from '../../lib/pve/schemas.ts';
import { systemRuntime } from '../../lib/system-runtime.ts';
import { COMMANDS } from '../../scripts/commands.ts';
import { ActBench } from '../act/bench.ts';
import { client, serve, UPID } from '../pve/harness.ts';
import { assertClear } from './clear.ts';

const ESCAPE = '\u001b[2J\u0085';

async function said(...words: readonly string[]): Promise<string> {
  let all = '';
  const put = (text: string): void => void (all += `${text}\n`);
  const code = await main(words, COMMANDS, {
    runtime: systemRuntime({}),
    io: { out: put, err: put, tty: false, columns: 160 },
    signal: new AbortController().signal,
    cwd: '/nonexistent',
  });
  return `${code}: ${all}`;
}

test('control characters of names, files and answers are shown and not sent to the terminal', async () => {
  assert.match(await said(`--inventory=${ESCAPE}`, 'check'), /^2: .*\\u001b\[2J\\u0085/);
});

test('words after -- are words', async () => {
  assert.match(await said('check-and-failover', '--', ':'), /^2: .*the inventory folder does not exist/);
});

test('of a word that nobody knows so much is repeated as is needed to recognise it', async () => {
  const word = 'x'.repeat(100_000);
  assert.ok((await said(word)).length < 600);
  assert.ok(
    (await said('doctor', word, '--inventory', join(process.cwd(), 'inventory/example'))).length < 600,
  );
});

test('what a server says of itself is one line', async (t) => {
  const server = await serve((_, response) => {
    response.writeHead(200, { 'content-type': 'text/\u0085plain' });
    response.end('{}');
  });
  const api = client([server.endpoint]);
  t.after(async () => {
    await api.close();
    await server.close();
  });
  await assert.rejects(api.version(), (error) =>
    assertClear(error).message.includes('it is of type text/ plain'),
  );
});

test('a memory that is no number is not known; it fits nowhere by itself, and never everywhere', () => {
  for (const memory of ['much', '1e308', '-1', '512.5', '9'.repeat(40)])
    assert.equal(
      archivedFrom(`memory: ${memory}\nnet0: tag=${'9'.repeat(30)}\n`).config.memory,
      null,
      memory,
    );
  assert.equal(archivedFrom('hostname: a\n').config.memory, 512 * 1024 ** 2);
});

test('moments beyond all calendars, vmids that are no whole numbers and tasks in no state are refused', () => {
  const task = { upid: UPID, node: 'a', type: 'b', user: 'c', starttime: 1 };
  const wrong = [
    schemas.TasksReply.safeParse([{ ...task, starttime: 1e15 }]),
    schemas.ContentReply.safeParse([{ volid: 'a:b', ctime: 1e300 }]),
    schemas.ContentReply.safeParse([{ volid: 'a:b', size: 1e300 }]),
    schemas.NetstatReply.safeParse([{ vmid: 101.5 }]),
    schemas.NetstatReply.safeParse([{ vmid: '9'.repeat(400) }]),
    schemas.TaskStatusReply.safeParse({ status: 'gone', exitstatus: 'OK' }),
    schemas.UpidReply.safeParse('UPID:nonsense'),
  ];
  assert.deepEqual(
    wrong.map(({ success }) => success),
    wrong.map(() => false),
  );
  assert.ok(schemas.TasksReply.safeParse([task]).success);
});

test('a lineage line with control characters in it is none', () => {
  const line = {
    container: 'dns',
    cluster: 'home',
    node: 'pve2',
    vmid: 1_000_101,
    epoch: 1,
    supersedes: 'pve1/101@0',
    operation: 'op',
    source: 'nas:backup/x',
    phase: 'live',
    at: 0,
  } as const;
  assert.deepEqual(parseLineage(formatLineage(line)), line);
  assert.equal(parseLineage(formatLineage({ ...line, node: ESCAPE })), null);
});

test('a line of a task’s log is shown as one, and not without end', () => {
  const reply = schemas.TaskLogReply.parse([{ n: 1, t: `TASK ERROR: ${ESCAPE}${'x'.repeat(100_000)}` }]);
  assert.ok(Array.isArray(reply));
  const [{ t: line } = {}] = reply;
  assert.match(line ?? '', /^TASK ERROR: x{900,}…$/);
});

test('a plug’s answer and a hook’s words are shown harmless', async (t) => {
  const handle = () =>
    Promise.resolve({ status: 200, statusText: 'OK', headers: {}, body: JSON.stringify({ ison: ESCAPE }) });
  const clock = systemClock;
  const call = { url: 'http://plug/x', method: 'GET' } as const;
  const fence = createHttpFence(
    { driver: 'http', off: call, status: { ...call, field: 'ison', off: false }, timeoutMs: 1000 },
    {
      clock,
      env: {},
      randomHex: () => '',
      httpDispatcher: () => Promise.resolve(labDispatcher({ handle }, clock, () => 'plug')),
    },
  );
  assert.deepEqual(await fence.status(), { power: 'on', detail: 'ison=' });
  const bench = new ActBench(t);
  bench.execResult = { exitCode: 1, stdout: '', stderr: `no${ESCAPE}t now\nx` };
  const hook = { path: '/hooks/a', args: [], timeoutMs: 1 };
  await assert.rejects(
    runHooks(bench.operation(), 'before', [hook]),
    /^FailedError: hook \/hooks\/a ended with 1: no t now$/,
  );
});

test('a journal that has lost the inventory’s entry is not gone on with, and says so', async (t) => {
  const bench = new ActBench(t);
  const { op } = bench.operation();
  for (const entry of [null, 'x', { ...bench.container, checks: [{ kind: 'http', method: 'POST' }] }]) {
    const carried = carryOut(bench.context, { ...op, entry });
    await assert.rejects(carried, (error) =>
      assertClear(error).message.includes('does not hold the inventory'),
    );
  }
  assert.equal(bench.context.operations.load(op.id).status, 'running');
});
