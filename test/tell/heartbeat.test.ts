import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test, type TestContext } from 'node:test';
import { EXIT } from '../../lib/errors.ts';
import { registerSecret } from '../../lib/redact.ts';
import { systemRuntime } from '../../lib/system-runtime.ts';
import { createHeartbeat } from '../../lib/tell/heartbeat.ts';
import { closedPort, listen, rawServer } from '../observe/probe-helpers.ts';
import { tokenSecret } from '../secrets.ts';

async function monitor(t: TestContext, status = 200): Promise<{ url: string; heard: string[] }> {
  const heard: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      heard.push(`${request.url} ${body}`);
      response.writeHead(status).end('OK');
    });
  });
  return { url: `http://127.0.0.1:${await listen(t, server)}/ping/abc`, heard };
}

const beat = (url: string) => createHeartbeat({ kind: 'url', url }, systemRuntime({}));

test('start and end are told, in this order, with the end of the log', async (t) => {
  const { url, heard } = await monitor(t);
  for (const code of [EXIT.ok, EXIT.unhealthy, EXIT.blocked, EXIT.failed, EXIT.inconclusive]) {
    const heartbeat = beat(`${url}/`);
    heartbeat.start();
    assert.equal(await heartbeat.end(code, `${'x'.repeat(20_000)} last line`), null);
  }
  assert.deepEqual(
    heard.map((line) => line.replace(/x+/, '…')),
    [
      ...['', '', ''].flatMap((path) => ['/ping/abc/start ', `/ping/abc${path} … last line`]),
      ...['/fail', '/fail'].flatMap((path) => ['/ping/abc/start ', `/ping/abc${path} … last line`]),
    ],
  );
  assert.ok(heard.every((line) => line.length < 10_100));
});

test('a run that found the lock taken says nothing of how that one ends', async (t) => {
  const { url, heard } = await monitor(t);
  const heartbeat = beat(url);
  heartbeat.start();
  assert.equal(await heartbeat.end(EXIT.locked, ''), null);
  assert.deepEqual(heard, ['/ping/abc/start ']);
});

test('no secret leaves with the log', async (t) => {
  const { url, heard } = await monitor(t);
  const secret = tokenSecret();
  registerSecret(secret);
  await beat(url).end(EXIT.ok, `the token is ${secret}`);
  assert.deepEqual(heard, ['/ping/abc the token is ***']);
});

test('whatever the monitor does, the run ends, and says it', async (t) => {
  const broken = await monitor(t, 500);
  const silent = await rawServer(t, (socket) => void socket.resume());
  const runtime = systemRuntime({});
  const clock = {
    ...runtime.clock,
    sleep: (ms: number, signal?: AbortSignal) => runtime.clock.sleep(ms / 20, signal),
  };
  const end = async (url: string): Promise<string | null> => {
    const heartbeat = createHeartbeat({ kind: 'url', url }, { ...runtime, clock });
    heartbeat.start();
    return heartbeat.end(EXIT.ok, '');
  };
  assert.equal(await end(broken.url), 'the heartbeat was not heard: it answers 500');
  assert.equal(
    await end(`http://127.0.0.1:${silent}/`),
    'the heartbeat was not heard: no answer within 5000 ms',
  );
  assert.match(
    (await end(`http://127.0.0.1:${await closedPort()}/`)) ?? '',
    /^the heartbeat was not heard: .*ECONNREFUSED/,
  );
  const missing = createHeartbeat({ kind: 'env', name: 'NO_SUCH' }, runtime);
  assert.match((await missing.end(EXIT.ok, '')) ?? '', /environment variable NO_SUCH/);
});
