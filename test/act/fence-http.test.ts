import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { test, type TestContext } from 'node:test';
import { createHttpFence } from '../../lib/act/fence/http.ts';
import { systemClock } from '../../lib/clock.ts';
import type { FenceConfig } from '../../lib/inventory/types.ts';
import { Agent } from 'undici';
import { closedPort, listen } from '../observe/probe-helpers.ts';
import { password } from '../secrets.ts';

type HttpFence = Extract<FenceConfig, { driver: 'http' }>;
type Answer = (request: IncomingMessage, response: ServerResponse) => void;

function json(body: unknown, status = 200): Answer {
  return (_, response) => response.writeHead(status).end(JSON.stringify(body));
}

async function plug(t: TestContext, answer: Answer, patch: Partial<HttpFence> = {}) {
  const server = createServer(answer);
  return driver(t, await listen(t, server), patch);
}

function driver(t: TestContext, port: number, patch: Partial<HttpFence> = {}) {
  const agent = new Agent();
  t.after(() => agent.close());
  const base = `http://127.0.0.1:${port}`;
  return createHttpFence(
    {
      driver: 'http',
      off: { url: `${base}/relay?turn=off`, method: 'POST', body: '{"on":false}' },
      status: { url: `${base}/status`, method: 'GET', field: 'relay.power', off: 'off' },
      timeoutMs: 300,
      ...patch,
    },
    {
      clock: systemClock,
      env: { PLUG: password('plug') },
      httpDispatcher: () => Promise.resolve(agent),
      randomHex: (bytes) => 'c'.repeat(bytes * 2),
    },
  );
}

const reads: readonly (readonly [string, 'on' | 'off' | 'unknown', RegExp, Answer])[] = [
  ['the field says off', 'off', /^relay\.power=off$/, json({ relay: { power: 'off' } })],
  ['the field says on', 'on', /^relay\.power=on$/, json({ relay: { power: 'on' } })],
  ['the field says anything else', 'on', /=standby/, json({ relay: { power: 'standby' } })],
  ['another type of off', 'on', /=false/, json({ relay: { power: false } })],
  ['the field is missing', 'unknown', /no field relay\.power/, json({ relay: {} })],
  ['the field is no scalar', 'unknown', /no field/, json({ relay: { power: ['off'] } })],
  ['the field is inherited, not there', 'unknown', /no field/, json({})],
  ['no JSON', 'unknown', /no field/, (_, response) => response.end('off')],
  ['an error', 'unknown', /answers 500/, json({ relay: { power: 'off' } }, 500)],
  [
    'a redirect',
    'unknown',
    /answers 302/,
    (_, response) => response.writeHead(302, { location: '/x' }).end(),
  ],
  ['not allowed', 'unknown', /wants a password \(401\)/, json({}, 401)],
  ['silence', 'unknown', /no answer within 300 ms/, () => undefined],
  ['half an answer', 'unknown', /./, (_, response) => void (response.write('{"relay":'), response.destroy())],
  ['far too much', 'unknown', /too long for a plug/, (_, response) => response.end('x'.repeat(100_000))],
];
for (const [what, power, detail, answer] of reads)
  test(`status ${power}: ${what}`, async (t) => {
    const read = await (await plug(t, answer)).status();
    assert.equal(read.power, power, read.detail);
    assert.match(read.detail, detail);
  });

test('status of a plug that is not there is unknown, and never throws', async (t) => {
  const read = await driver(t, await closedPort()).status();
  assert.equal(read.power, 'unknown');
  assert.match(read.detail, /^127\.0\.0\.1:\d+: /);
});

test('numbers and booleans are compared as such', async (t) => {
  const status = { url: '', method: 'GET', field: 'on', off: false } as const;
  const server = createServer(json({ on: false }));
  const port = await listen(t, server);
  const read = await driver(t, port, { status: { ...status, url: `http://127.0.0.1:${port}/` } }).status();
  assert.equal(read.power, 'off');
});

test('off is the configured call, once, with its body and the credentials', async (t) => {
  const seen: string[] = [];
  const fence = await plug(
    t,
    (request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += String(chunk)));
      request.on('end', () => {
        seen.push(
          `${request.method} ${request.url} ${request.headers.authorization} ${request.headers['content-type']} ${body}`,
        );
        response.end('{}');
      });
    },
    { user: 'admin', password: { kind: 'env', name: 'PLUG' } },
  );
  await fence.off();
  const basic = Buffer.from(`admin:${password('plug')}`).toString('base64');
  assert.deepEqual(seen, [`POST /relay?turn=off Basic ${basic} application/json {"on":false}`]);
});

test('an order that is not taken throws, and names the plug, not the credentials', async (t) => {
  const fence = await plug(t, json({}, 403), { user: 'admin', password: { kind: 'env', name: 'PLUG' } });
  await assert.rejects(fence.off(), (error: Error) => {
    assert.match(error.message, /the plug at 127\.0\.0\.1:\d+ does not take the order: it answers 403/);
    assert.ok(!error.message.includes(password('plug')));
    assert.doesNotMatch(error.message, /relay\?turn/);
    return true;
  });
});

test('a missing secret sends nothing', async (t) => {
  let calls = 0;
  const fence = await plug(t, (_, response) => void ((calls += 1), response.end('{}')), {
    user: 'admin',
    password: { kind: 'env', name: 'NOT_SET' },
  });
  assert.equal((await fence.status()).power, 'unknown');
  await assert.rejects(fence.off(), /NOT_SET/);
  assert.equal(calls, 0);
});

test('an abort ends a call at once', async (t) => {
  const fence = await plug(t, () => undefined, { timeoutMs: 60_000 });
  const controller = new AbortController();
  const order = fence.off(controller.signal);
  controller.abort(new Error('Ctrl-C'));
  await assert.rejects(order, /Ctrl-C/);
});
