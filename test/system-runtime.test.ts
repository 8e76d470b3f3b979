/** Connections to API endpoints: certificates are checked before a byte of a request is sent. */
import assert from 'node:assert/strict';
import { randomBytes, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { connect, type SecureContextOptions, type TLSSocket } from 'node:tls';
import { InputError, PveError } from '../lib/errors.ts';
import type { Tls } from '../lib/inventory/types.ts';
import { systemRuntime } from '../lib/system-runtime.ts';
import { identity, listen, probe, tempFolder, type Identity } from './observe/probe-helpers.ts';

type Version = 'TLSv1.2' | 'TLSv1.3';

interface Api {
  readonly endpoint: string;
  readonly server: Server;
  readonly requests: () => number;
  readonly handshakes: () => number;
  readonly bytes: () => number;
  readonly resumed: () => number;
}

/** An HTTPS server; `bytes` counts decrypted bytes that clients sent. */
async function api(t: TestContext, id: Identity, version?: Version, close = false): Promise<Api> {
  const count = { requests: 0, handshakes: 0, bytes: 0, resumed: 0 };
  const server = createServer(secured(id, version), (_request, response) => {
    count.requests += 1;
    // Closing after each answer makes the client handshake again, which is where it could resume a session.
    if (close) response.setHeader('connection', 'close');
    response.end('ok');
  });
  server.on('secureConnection', (socket) => {
    count.handshakes += 1;
    if (socket.isSessionReused()) count.resumed += 1;
    socket.on('data', (chunk: Buffer) => (count.bytes += chunk.length));
    socket.on('error', () => socket.destroy());
  });
  const port = await listen(t, server);
  return {
    endpoint: `https://127.0.0.1:${port}`,
    server,
    requests: () => count.requests,
    handshakes: () => count.handshakes,
    bytes: () => count.bytes,
    resumed: () => count.resumed,
  };
}

const TICKET_KEYS = randomBytes(48);

/** A session that began under one certificate can be resumed under another: the keys of session tickets stay. */
function secured(id: Identity, version?: Version): SecureContextOptions & { ticketKeys: Buffer } {
  return {
    ...id,
    ticketKeys: TICKET_KEYS,
    ...(version === undefined ? {} : { minVersion: version, maxVersion: version }),
  };
}

/** One dispatcher for `endpoint`; each call of the result is a request on it. */
async function connectionTo(t: TestContext, endpoint: string, tls: Tls): Promise<() => Promise<string>> {
  const dispatcher = await systemRuntime().dispatcher(endpoint, tls);
  t.after(() => dispatcher.destroy());
  return async () => {
    const headers = { authorization: 'PVEAPIToken=a@b!c=secret' };
    const answer = await dispatcher.request({ origin: endpoint, path: '/', method: 'GET', headers });
    return answer.body.text();
  };
}

function fingerprint(id: Identity): string {
  return new X509Certificate(id.cert).fingerprint256;
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`fingerprint, ${version}: the pinned certificate is accepted over many connections`, async (t) => {
    const id = await identity();
    const server = await api(t, id, version, true);
    const get = await connectionTo(t, server.endpoint, { kind: 'fingerprint', sha256: [fingerprint(id)] });
    for (let round = 0; round < 4; round += 1) assert.equal(await get(), 'ok');
    assert.ok(server.handshakes() >= 4);
  });

  test(`fingerprint, ${version}: another certificate gets not a byte, also after a session with the right one`, async (t) => {
    const [right, wrong] = [await identity(), await identity()];
    const server = await api(t, right, version, true);
    const get = await connectionTo(t, server.endpoint, { kind: 'fingerprint', sha256: [fingerprint(right)] });
    assert.equal(await get(), 'ok');
    assert.equal(await get(), 'ok');
    server.server.setSecureContext(secured(wrong, version));
    const before = server.bytes();
    await assert.rejects(get(), (error) => {
      assert.ok(error instanceof PveError);
      assert.equal(error.outcome, 'not-sent');
      assert.ok(
        error.message.includes(
          `certificate fingerprint is ${fingerprint(wrong)}, the inventory pins ${fingerprint(right)}`,
        ),
      );
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
    await assert.rejects(get(), PveError);
    assert.equal(server.requests(), 2);
    assert.equal(server.bytes(), before);
    assert.equal(server.resumed(), 0);
    server.server.setSecureContext(secured(right, version));
    assert.equal(await get(), 'ok');
  });
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
  test(`${version}: the server of these tests does resume sessions, also after its certificate has changed`, async (t) => {
    const [right, wrong] = [await identity(), await identity()];
    const server = await api(t, right, version, true);
    const session = await handshake(server);
    server.server.setSecureContext(secured(wrong, version));
    await handshake(server, session);
    assert.equal(server.resumed(), 1);
  });

/** Connects as a client that keeps sessions would, and returns the session. */
async function handshake({ endpoint }: Api, session?: Buffer): Promise<Buffer> {
  const { hostname, port } = new URL(endpoint);
  const socket: TLSSocket = connect({
    host: hostname,
    port: Number(port),
    rejectUnauthorized: false,
    ...(session === undefined ? {} : { session }),
  });
  const kept: Buffer[] = [];
  socket.on('session', (given: Buffer) => kept.push(given));
  socket.end('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  socket.resume();
  await once(socket, 'close');
  return kept.at(-1) ?? Buffer.alloc(0);
}

test('fingerprint: of several pinned certificates each is accepted, others are not', async (t) => {
  const [one, two, stranger] = [await identity(), await identity(), await identity()];
  const tls: Tls = { kind: 'fingerprint', sha256: [fingerprint(one), fingerprint(two).toLowerCase()] };
  for (const id of [one, two]) {
    const server = await api(t, id);
    assert.equal(await (await connectionTo(t, server.endpoint, tls))(), 'ok');
  }
  const foreign = await api(t, stranger);
  await assert.rejects((await connectionTo(t, foreign.endpoint, tls))(), PveError);
  assert.equal(foreign.bytes(), 0);
});

test('ca: a certificate of that authority for that address, and no other', async (t) => {
  const authority = await identity({ isCa: true, common: 'authority' });
  const stranger = await identity({ isCa: true, common: 'stranger' });
  const file = join(tempFolder(t), 'ca.pem');
  writeFileSync(file, authority.cert);
  const tls: Tls = { kind: 'ca', path: file };
  const good = await api(t, await identity({ ca: authority, common: 'leaf' }));
  assert.equal(await (await connectionTo(t, good.endpoint, tls))(), 'ok');
  const foreign = await api(t, await identity({ ca: stranger, common: 'leaf' }));
  await assert.rejects((await connectionTo(t, foreign.endpoint, tls))(), {
    code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  });
  const elsewhere = await api(
    t,
    await identity({ ca: authority, common: 'leaf', names: ['elsewhere.test'] }),
  );
  await assert.rejects((await connectionTo(t, elsewhere.endpoint, tls))(), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  });
  assert.deepEqual([foreign.bytes(), elsewhere.bytes()], [0, 0]);
});

test('ca: a file that is missing or holds no certificate', async (t) => {
  const dir = tempFolder(t);
  const missing = join(dir, 'missing.pem');
  const runtime = systemRuntime();
  await assert.rejects(
    runtime.dispatcher('https://127.0.0.1:1', { kind: 'ca', path: missing }),
    (error) => error instanceof InputError && error.message.includes(missing),
  );
  const junk = join(dir, 'junk.pem');
  writeFileSync(junk, 'no certificate');
  await assert.rejects(
    runtime.dispatcher('https://127.0.0.1:1', { kind: 'ca', path: junk }),
    (error) => error instanceof InputError && error.message.includes('holds no certificate'),
  );
});

test('system roots refuse a self-signed certificate, insecure takes it', async (t) => {
  const server = await api(t, await identity());
  await assert.rejects((await connectionTo(t, server.endpoint, { kind: 'system' }))(), {
    code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  });
  assert.equal(server.bytes(), 0);
  assert.equal(await (await connectionTo(t, server.endpoint, { kind: 'insecure' }))(), 'ok');
});

test('an endpoint without TLS is refused whatever the inventory says about certificates', async () => {
  await assert.rejects(systemRuntime().dispatcher('http://127.0.0.1:8006', { kind: 'insecure' }), InputError);
});

test('connections are kept for the next request, at most eight at a time', async (t) => {
  const id = await identity();
  const server = await api(t, id);
  const get = await connectionTo(t, server.endpoint, { kind: 'fingerprint', sha256: [fingerprint(id)] });
  await get();
  // The connection is free again one turn after the body has ended.
  await new Promise((resolve) => setImmediate(resolve));
  await get();
  assert.equal(server.handshakes(), 1);
  await Promise.all(Array.from({ length: 30 }, () => get()));
  assert.equal(server.requests(), 32);
  assert.ok(server.handshakes() <= 8);
});

test('the rest of the runtime', async (t) => {
  const runtime = systemRuntime();
  assert.match(runtime.randomHex(8), /^[0-9a-f]{16}$/);
  assert.notEqual(runtime.randomHex(8), runtime.randomHex(8));
  const server = await api(t, await identity());
  const port = Number(new URL(server.endpoint).port);
  const spec = { kind: 'tcp', host: '127.0.0.1', port, label: 'tcp', timeoutMs: 400, attempts: 1 } as const;
  assert.equal((await runtime.probe(spec)).ok, true);
  assert.equal((await probe(spec)).ok, true);
  const plain = await runtime.httpDispatcher();
  t.after(() => plain.destroy());
  await assert.rejects(plain.request({ origin: server.endpoint, path: '/', method: 'GET' }), {
    code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
  });
});
