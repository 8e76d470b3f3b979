import assert from 'node:assert/strict';
import { createServer as createHttp, type RequestListener } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { DAY_MS, eventually, identity, listen, probe, rawServer, type Identity } from './probe-helpers.ts';

interface Wanted {
  readonly status?: readonly (readonly [number, number])[];
  readonly body?: string;
  readonly insecure?: boolean;
  readonly method?: 'GET' | 'HEAD';
  readonly timeoutMs?: number;
}

function get(url: string, wanted: Wanted = {}) {
  const { status = [[200, 399]], body, insecure = false, method = 'GET', timeoutMs = 400 } = wanted;
  return probe({ kind: 'http', url, method, status, body, insecure }, { timeoutMs });
}

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  return `http://127.0.0.1:${await listen(t, createHttp(listener))}`;
}

async function serveTls(t: TestContext, id: Identity): Promise<{ port: number; requests: () => number }> {
  let requests = 0;
  const server = createHttps(id, (_request, response) => {
    requests += 1;
    response.end('secure');
  });
  return { port: await listen(t, server), requests: () => requests };
}

/** A raw server that sends `begin` to whoever connects, then `again` every few milliseconds for ever. */
async function endless(t: TestContext, begin: string, again: string): Promise<string> {
  const port = await rawServer(t, (socket: Socket) => {
    socket.write(begin);
    const timer = setInterval(() => socket.write(again), 5);
    socket.once('close', () => clearInterval(timer));
  });
  return `http://127.0.0.1:${port}/`;
}

test('status and body as wanted', async (t) => {
  const seen: string[] = [];
  const base = await serve(t, (request, response) => {
    seen.push(`${request.method ?? ''} ${request.url ?? ''}`);
    response.end('<title>Pi-hole</title>');
  });
  const result = await get(`${base}/admin/?a=b c`, { body: 'Pi-hole' });
  assert.equal(result.ok, true, result.reason);
  assert.match(result.reason, /^answered in (\d+|less than 1) ms$/);
  assert.equal((await get(`${base}/h`, { method: 'HEAD' })).ok, true);
  assert.deepEqual(seen, ['GET /admin/?a=b%20c', 'HEAD /h']);
});

test('a wrong status is an answer, and says what was wanted', async (t) => {
  const base = await serve(t, (_request, response) => {
    response.statusCode = 502;
    response.end('Pi-hole');
  });
  const result = await get(base, { body: 'Pi-hole' });
  assert.deepEqual([result.ok, result.answered, result.reason], [false, true, 'status 502, wanted 200-399']);
  assert.equal(typeof result.latencyMs, 'number');
  const exact = await get(base, {
    status: [
      [200, 200],
      [401, 403],
    ],
  });
  assert.equal(exact.reason, 'status 502, wanted 200, 401-403');
});

test('redirects are not followed', async (t) => {
  let requests = 0;
  const base = await serve(t, (_request, response) => {
    requests += 1;
    response.writeHead(302, { location: '/elsewhere' }).end();
  });
  assert.equal((await get(base, { status: [[302, 302]] })).ok, true);
  assert.equal((await get(base, { status: [[200, 200]] })).reason, 'status 302, wanted 200');
  assert.equal(requests, 2);
});

test('a body without the text, or with it beyond the first MiB', async (t) => {
  const base = await serve(t, (request, response) => {
    if (request.url === '/short') return response.end('nothing\u001B[2J here');
    const fill = 'x'.repeat(1024 * 1024);
    if (request.url === '/inside') return response.end(`${fill.slice(0, -4)}text${fill}`);
    return response.end(`${fill}text`);
  });
  const wanted = { body: 'text', timeoutMs: 1500 };
  const short = await get(`${base}/short`, { body: 'Pi-hole' });
  assert.deepEqual(
    [short.ok, short.answered, short.reason],
    [false, true, 'body does not contain "Pi-hole"'],
  );
  assert.equal((await get(`${base}/inside`, wanted)).ok, true);
  assert.equal((await get(`${base}/beyond`, wanted)).reason, 'body does not contain "text"');
});

test('a text that comes in pieces is found without waiting for the end', async (t) => {
  const base = await serve(t, (_request, response) => {
    // One write per piece and the rest never; each has to be flushed before the next.
    const pieces = ['ab', 'P', 'i-', 'ho', 'le!'];
    const next = (): void => {
      const piece = pieces.shift();
      if (piece !== undefined) response.write(piece, () => setTimeout(next, 5));
    };
    next();
  });
  const result = await get(base, { body: 'Pi-hole', timeoutMs: 1500 });
  assert.equal(result.ok, true, result.reason);
});

test('servers that never finish run into the deadline, with a sign of life', async (t) => {
  const urls = {
    silent: `http://127.0.0.1:${await rawServer(t, () => undefined)}/`,
    slowBody: await endless(t, 'HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n', '.'),
    dripping: await endless(t, 'HTTP/1.1 200 OK\r\nx: ', 'y'),
  };
  for (const [name, url] of Object.entries(urls)) {
    const start = performance.now();
    const result = await get(url, { body: 'never', timeoutMs: 150 });
    assert.ok(performance.now() - start < 700, name);
    assert.deepEqual([result.ok, result.answered], [false, true], name);
    assert.equal(result.reason, 'connected, but no answer within 150 ms', name);
  }
});

test('endless headers are cut off', async (t) => {
  const url = await endless(t, 'HTTP/1.1 200 OK\r\n', `x-fill: ${'y'.repeat(8000)}\r\n`);
  const result = await get(url, { timeoutMs: 1500 });
  assert.deepEqual(
    [result.ok, result.answered, result.reason],
    [false, true, 'the answer has endless headers'],
  );
});

test('an endless fast body stops at the limit, not at the deadline', async (t) => {
  const url = await endless(t, 'HTTP/1.1 200 OK\r\n\r\n', 'z'.repeat(200_000));
  const result = await get(url, { body: 'never', timeoutMs: 1900 });
  assert.equal(result.reason, 'body does not contain "never"');
  // Without a text to look for, the status is enough.
  assert.equal((await get(url)).ok, true);
});

test('connections that break', async (t) => {
  const closed = await rawServer(t, (socket) => socket.once('data', () => socket.end()));
  const reset = await rawServer(t, (socket) => socket.once('data', () => socket.resetAndDestroy()));
  const early = await rawServer(t, (socket) => socket.end());
  const middle = await rawServer(t, (socket) =>
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf')),
  );
  for (const port of [closed, reset, early, middle]) {
    const result = await get(`http://127.0.0.1:${port}/`, { body: 'x' });
    assert.deepEqual([result.ok, result.answered], [false, true]);
    assert.equal(result.reason, 'connection closed before an answer');
  }
});

test('something that does not speak HTTP', async (t) => {
  const port = await rawServer(t, (socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n'));
  const result = await get(`http://127.0.0.1:${port}/`);
  assert.deepEqual([result.ok, result.answered, result.reason], [false, true, 'the answer is not HTTP']);
  const tls = await get(`https://127.0.0.1:${port}/`);
  assert.deepEqual([tls.ok, tls.answered, tls.reason], [false, true, 'the port does not speak TLS']);
});

test('certificates: what is wrong with them, and no request is made', async (t) => {
  const now = Date.now();
  const cases = [
    [{ from: now - 30 * DAY_MS, until: now - 3.5 * DAY_MS }, 'certificate expired 3 days ago'],
    [{ from: now + 5.5 * DAY_MS, until: now + 9 * DAY_MS }, 'certificate not yet valid, only in 5 days'],
    [{}, 'certificate is self-signed'],
  ] as const;
  for (const [options, reason] of cases) {
    const { port, requests } = await serveTls(t, await identity(options));
    const result = await get(`https://127.0.0.1:${port}/`);
    assert.deepEqual([result.ok, result.answered, result.reason], [false, true, reason]);
    assert.equal(requests(), 0);
    const insecure = await get(`https://127.0.0.1:${port}/`, { insecure: true, body: 'secure' });
    assert.equal(insecure.ok, true, insecure.reason);
    assert.equal(requests(), 1);
  }
});

test('certificates: signed by an unknown authority', async (t) => {
  const ca = await identity({ isCa: true, common: 'an authority' });
  const { port } = await serveTls(t, await identity({ ca, common: 'a leaf' }));
  const result = await get(`https://localhost:${port}/`);
  assert.equal(result.reason, 'certificate is signed by an unknown authority');
});

test('a TLS server that never shakes hands', async (t) => {
  const port = await rawServer(t, () => undefined);
  const result = await get(`https://127.0.0.1:${port}/`, { timeoutMs: 150 });
  assert.deepEqual(
    [result.ok, result.answered, result.reason],
    [false, true, 'connected, but no answer within 150 ms'],
  );
  const closing = await rawServer(t, (socket) => socket.once('data', () => socket.end()));
  const closed = await get(`https://127.0.0.1:${closing}/`);
  assert.deepEqual([closed.answered, closed.reason], [true, 'connection closed before an answer']);
});

test('connections do not outlive the attempt', async (t) => {
  const open = new Set<Socket>();
  const port = await rawServer(t, (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.resume();
  });
  await get(`http://127.0.0.1:${port}/`, { timeoutMs: 100 });
  await eventually('the server sees the end of the connection', () => open.size === 0);
});
