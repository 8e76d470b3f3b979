/** Faults on the wire, with real sockets: what is known afterwards, and that a POST is seen once. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { inspect } from 'node:util';
import { endpointDispatcher } from '../../lib/dispatcher.ts';
import { PveError } from '../../lib/errors.ts';
import type { PveApi } from '../../lib/pve/api.ts';
import { RequestError } from '../../lib/pve/failure.ts';
import {
  client,
  json,
  SECRET,
  serve,
  serveTls,
  TOKEN,
  UPID,
  type Handler,
  type TestServer,
} from '../pve/harness.ts';
import { rawServer } from './raw-server.ts';

const JSON_TYPE = { 'content-type': 'application/json;charset=UTF-8' };
let answer: Handler = () => undefined;
let onConnection: ((socket: Socket) => void) | null = null;
let tls: TestServer & { ca: string };

before(async () => {
  tls = await serveTls((request, response, body) => answer(request, response, body));
  tls.server.on('connection', (socket: Socket) => onConnection?.(socket));
});
after(() => tls.close());

/** Runs a call against the HTTPS server that misbehaves so, and returns how it failed. */
async function fault(
  handler: Handler,
  call: (api: PveApi) => Promise<unknown>,
  timeoutMs = 2000,
): Promise<RequestError> {
  const api = client([tls.endpoint], { ca: tls.ca, timeoutMs });
  try {
    // A handshake can take longer than the deadline under test: it is over before.
    if (onConnection === null) {
      answer = (_, response) => json(response, { version: '8.4.21' });
      await api.version({ timeoutMs: 5000 });
    }
    answer = handler;
    tls.seen.length = 0;
    return await rejected(call(api));
  } finally {
    await api.close();
    onConnection = null;
  }
}

async function rejected(promise: Promise<unknown>): Promise<RequestError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert(error instanceof RequestError, `no RequestError: ${String(error)}`);
  // No secret leaves, not even in a cause.
  for (const text of [inspect(error, { depth: 8, showHidden: true }), error.hint ?? '', error.raw])
    assert(!text.includes(SECRET), text);
  assert(!/\n/.test(error.message), 'one sentence');
  return error;
}

const start = (api: PveApi): Promise<string> => api.start('pve1', 101);
const version = (api: PveApi): Promise<string> => api.version();

interface Case {
  readonly name: string;
  readonly handler: Handler;
  readonly message: RegExp;
  readonly timeoutMs?: number;
}

/** After each of these a write may have been carried out. */
const CASES: readonly Case[] = [
  {
    name: 'JSON cut short by the server',
    handler: (_, response) => response.writeHead(200, JSON_TYPE).end('{"data":"UPID:pve1:00'),
    message: /its JSON is cut or broken/,
  },
  {
    name: 'connection lost in the middle of the body',
    handler: (_, response) => {
      response.writeHead(200, { ...JSON_TYPE, 'content-length': 100 });
      response.write('{"data":', () => response.socket?.destroy());
    },
    message: /gave no complete answer: (connection lost|the answer was cut short)/,
  },
  {
    name: 'an HTML 502 of a proxy',
    handler: (_, response) =>
      response.writeHead(502, 'Bad Gateway', { 'content-type': 'text/html' }).end('<html>nginx</html>'),
    message: /Bad Gateway/,
  },
  {
    name: 'a web page',
    handler: (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<!DOCTYPE html>'),
    message: /it is a web page, not JSON, so this is not a Proxmox VE API/,
  },
  {
    name: 'JSON of something else',
    handler: (_, response) => response.writeHead(200, JSON_TYPE).end('{"status":"ok"}'),
    message: /it has no "data", so this is not a Proxmox VE API/,
  },
  {
    name: 'a body that never ends',
    handler: (_, response) => {
      response.writeHead(200, JSON_TYPE);
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
    },
    message: /gave no complete answer: no answer within 200 ms/,
    timeoutMs: 200,
  },
  {
    name: 'no answer at all',
    handler: () => undefined,
    message: /gave no complete answer: no answer within 200 ms/,
    timeoutMs: 200,
  },
  {
    name: 'a reset after the request',
    handler: (_, response) => response.socket?.destroy(),
    message: /gave no complete answer: connection lost/,
  },
];
for (const { name, handler, message, timeoutMs } of CASES) {
  test(`${name}: a write is unknown and was sent once`, async () => {
    const error = await fault(handler, start, timeoutMs);
    assert.match(error.message, message);
    assert.equal(error.outcome, 'unknown');
    assert.deepEqual(tls.seen, ['POST /api2/json/nodes/pve1/lxc/101/status/start']);
  });
  test(`${name}: a read fails too`, async () => {
    assert.match((await fault(handler, version, timeoutMs)).message, message);
  });
}

test('a 50 MB answer is not read to its end', async () => {
  let written = 0;
  const chunk = Buffer.alloc(1024 * 1024, ' ');
  const error = await fault((_, response) => {
    response.writeHead(200, JSON_TYPE);
    const push = (): void => {
      if (written >= 50 || response.destroyed) return;
      written++;
      response.write(chunk, push);
    };
    push();
  }, version);
  assert.match(error.message, /larger than 10 MiB/);
  assert(written < 50, `${written} MiB were taken`);
});

test('595 with an empty body: nothing was carried out', async () => {
  const error = await fault(
    (_, response) => response.writeHead(595, 'No route to host', { connection: 'close' }).end(),
    start,
  );
  assert.deepEqual([error.outcome, error.status], ['not-sent', 595]);
  assert.match(error.message, /cannot reach node pve1 \(595 No route to host\)/);
});

test('a late 401 is still understood', async () => {
  const error = await fault(
    (_, response) =>
      setTimeout(() => response.writeHead(401, 'No ticket', { connection: 'close' }).end(), 300),
    start,
  );
  assert.deepEqual([error.outcome, error.status, error.failure], ['refused', 401, 'auth']);
});

test('a server that echoes the token: it is cut out', async () => {
  const error = await fault((request, response) => {
    const echo = String(request.headers.authorization);
    assert.equal(echo, `PVEAPIToken=${TOKEN}`);
    response
      .writeHead(400, `bad header ${echo}`, JSON_TYPE)
      .end(JSON.stringify({ data: null, message: echo, errors: { a: echo } }));
  }, start);
  assert.match(error.message, /proxwarden@pve!cli=\*\*\*/);
});

test('a reset before the TLS handshake: nothing was sent', async () => {
  onConnection = (socket) => socket.destroy();
  const error = await fault(() => undefined, start);
  assert.equal(error.outcome, 'not-sent');
  assert.match(error.message, /cannot reach https:\/\/127\.0\.0\.1/);
  assert.equal(tls.seen.length, 0);
});

test('a certificate that is not trusted: nothing was sent', async () => {
  tls.seen.length = 0;
  const api = client([tls.endpoint]);
  const error = await rejected(start(api));
  assert.deepEqual([error.outcome, error.failure], ['not-sent', 'tls']);
  assert.equal((await api.endpointView(tls.endpoint)).failure, 'tls');
  assert.equal(tls.seen.length, 0);
  await api.close();
});

test('a pinned fingerprint: the right one works, another one sends nothing', async () => {
  answer = (_, response) => json(response, { version: '8.4.21' });
  tls.seen.length = 0;
  const sha256 = [new X509Certificate(tls.ca).fingerprint256];
  const right = client([tls.endpoint], {
    tls: { kind: 'fingerprint', sha256 },
    dispatcher: endpointDispatcher,
  });
  assert.equal(await right.version(), '8.4.21');
  await right.close();
  const wrong = client([tls.endpoint], {
    tls: { kind: 'fingerprint', sha256: ['AB'.repeat(32)] },
    dispatcher: endpointDispatcher,
  });
  const error = await rejected(start(wrong));
  assert.deepEqual([error.outcome, error.failure], ['not-sent', 'tls']);
  assert.match(error.message, /fingerprint/);
  assert.equal((await wrong.endpointView(tls.endpoint)).failure, 'tls');
  assert.equal(await wrong.nodeAnswers('pve1'), false);
  assert.equal(tls.seen.length, 1);
  await wrong.close();
});

test('HTTPS asked of a plain HTTP port: said so', async () => {
  const plain = await serve(() => undefined);
  const api = client([plain.endpoint.replace('http:', 'https:')]);
  const error = await rejected(start(api));
  assert.equal(error.outcome, 'not-sent');
  assert.match(error.message, /does not speak TLS/);
  await api.close();
  await plain.close();
});

test('a connection that nobody accepts in time: nothing was sent', async (t) => {
  // TCP connects, TLS never answers.
  const mute = await rawServer(() => undefined);
  const api = client([mute.endpoint.replace('http:', 'https:')], { timeoutMs: 200 });
  t.after(async () => {
    await api.close();
    await mute.close();
  });
  const error = await rejected(start(api));
  assert.deepEqual([error.outcome, error.failure], ['not-sent', 'timeout']);
  assert.match(error.message, /no connection within 200 ms/);
});

const OK = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 22\r\nconnection: keep-alive\r\n\r\n{"data":{"version":8}}`;

test('a kept-alive connection that is closed on reading a POST: seen once, over one connection', async (t) => {
  let posts = 0;
  let connections = 0;
  const server = await rawServer((socket) => {
    connections++;
    socket.on('data', (data: Buffer) => {
      if (!data.toString().startsWith('POST')) return socket.write(OK);
      posts++;
      return socket.destroy();
    });
  });
  const api = client([server.endpoint]);
  t.after(async () => {
    await api.close();
    await server.close();
  });
  await api.version();
  // The connection is free again only then.
  await new Promise(setImmediate);
  const error = await rejected(start(api));
  assert.equal(error.outcome, 'unknown');
  // A second try by the library would come at once.
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual([posts, connections], [1, 1]);
});

test('POSTs side by side on connections that break: each at most once', async (t) => {
  const posts = new Map<string, number>();
  const server = await rawServer((socket) => {
    socket.on('data', (data: Buffer) => {
      const [line] = data.toString().split('\r\n');
      posts.set(line ?? '', (posts.get(line ?? '') ?? 0) + 1);
      socket.resetAndDestroy();
    });
  });
  const api = client([server.endpoint]);
  t.after(async () => {
    await api.close();
    await server.close();
  });
  const errors = await Promise.all(
    Array.from({ length: 20 }, (_, index) => rejected(api.start('pve1', 1000 + index))),
  );
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert(errors.every((error) => error.outcome === 'unknown'));
  assert.deepEqual([posts.size, [...posts.values()].every((count) => count === 1)], [20, true]);
});

test('a server that closes idle connections: a POST succeeds once or fails, never twice', async (t) => {
  let posts = 0;
  const upid = JSON.stringify({ data: UPID });
  const server = await rawServer((socket) => {
    socket.on('data', (data: Buffer) => {
      if (data.toString().startsWith('POST')) {
        posts++;
        socket.end(
          `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${upid.length}\r\n\r\n${upid}`,
        );
      } else socket.end(OK);
    });
  });
  const api = client([server.endpoint]);
  t.after(async () => {
    await api.close();
    await server.close();
  });
  for (let round = 0; round < 20; round++) {
    posts = 0;
    await api.version();
    if (round % 2 === 0) await new Promise(setImmediate);
    const result = await start(api).catch((error: unknown) => error);
    if (result === UPID) assert.equal(posts, 1);
    else {
      assert(result instanceof PveError);
      assert(posts <= 1);
      if (result.outcome === 'not-sent') assert.equal(posts, 0);
    }
  }
});

test('answers keep working after faults', async () => {
  answer = (_, response) => json(response, { version: '8.4.21' });
  const api = client([tls.endpoint], { ca: tls.ca });
  assert.equal(await api.version(), '8.4.21');
  await api.close();
});
