/** How an API is reached, on real sockets: how many requests at a time, over which connections, under which names. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '../../lib/clock.ts';
import { endpointDispatcher } from '../../lib/dispatcher.ts';
import type { Tls } from '../../lib/inventory/types.ts';
import type { PveApi } from '../../lib/pve/api.ts';
import { createPveClient } from '../../lib/pve/client.ts';
import { RequestError } from '../../lib/pve/failure.ts';
import { identity, tempFolder, type Identity } from '../observe/probe-helpers.ts';
import { password } from '../secrets.ts';
import { UPID } from './harness.ts';

const NAMES = ['localhost', '127.0.0.1', '::1'] as const;
const TICKET = {
  username: 'a@pve',
  ticket: 'PVE:a@pve:6B034E70::LabTicket+/=',
  CSRFPreventionToken: '6B034E70:x',
};

interface Api {
  readonly port: number;
  /** Decrypted bytes that clients sent. */
  bytes: number;
  connections: number;
  inFlight: number;
  mostInFlight: number;
  readonly heard: string[];
  /** The name that the client asked for in the handshake; false: none. */
  readonly servernames: (string | false | null | undefined)[];
}

/**
 * Answers each request after a moment, the first ones not before `together` of them are in flight; ::1 and 127.0.0.1
 * both lead to it.
 */
async function serve(t: TestContext, id: Identity, together = 1): Promise<Api> {
  const seen = { bytes: 0, connections: 0, inFlight: 0, mostInFlight: 0, heard: [] as string[] };
  const servernames: Api['servernames'] = [];
  const make = (): Server => {
    const server = createServer(id, (request, response) => {
      seen.heard.push(`${request.method ?? ''} ${request.url ?? ''}`);
      seen.inFlight += 1;
      seen.mostInFlight = Math.max(seen.mostInFlight, seen.inFlight);
      request.resume();
      const answer = (): void => {
        if (seen.mostInFlight < together) return void setTimeout(answer, 5);
        seen.inFlight -= 1;
        const path = request.url ?? '';
        const data = path.endsWith('/ticket')
          ? TICKET
          : request.method === 'GET'
            ? { version: '8.4.21' }
            : UPID;
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ data }));
      };
      setTimeout(answer, 5);
    });
    server.on('secureConnection', (socket: TLSSocket & { servername?: string | false | null }) => {
      servernames.push(socket.servername);
      socket.on('data', (chunk: Buffer) => (seen.bytes += chunk.length));
      socket.on('error', () => socket.destroy());
    });
    server.on('connection', () => (seen.connections += 1));
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    return server;
  };
  const four = make().listen(0, '127.0.0.1');
  await once(four, 'listening');
  const address = four.address();
  assert(address !== null && typeof address === 'object');
  const six = make().listen(address.port, '::1');
  // A machine without IPv6 says so; then nothing is asked there.
  await Promise.race([once(six, 'listening'), once(six, 'error')]);
  return Object.assign(seen, { port: address.port, servernames });
}

function client(t: TestContext, port: number, tls: Tls, name = '127.0.0.1', user = false): PveApi {
  const api = createPveClient({
    cluster: 'home',
    endpoints: [`https://${name.includes(':') ? `[${name}]` : name}:${port}`],
    credentials: user
      ? { kind: 'password', user: 'a@pve', password: password() }
      : { kind: 'token', token: 'a@pve!b=c0ffee' },
    tls,
    timeoutMs: 5000,
    runtime: { clock: systemClock, dispatcher: endpointDispatcher },
  });
  t.after(() => api.close());
  return api;
}

function pin(...ids: Identity[]): Tls {
  return { kind: 'fingerprint', sha256: ids.map((id) => new X509Certificate(id.cert).fingerprint256) };
}

test('sixty calls at once: all answered, eight at a time, over eight connections that are used again', async (t) => {
  const id = await identity();
  const server = await serve(t, id, 8);
  const api = client(t, server.port, pin(id));
  const calls = (): Promise<unknown> =>
    Promise.all(
      Array.from({ length: 30 }, (_, index) => [api.version(), api.start('pve1', 100 + index)]).flat(),
    );
  await calls();
  assert.deepEqual([server.heard.length, server.mostInFlight, server.connections], [60, 8, 8]);
  await calls();
  for (let round = 0; round < 5; round += 1) await api.version();
  assert.deepEqual([server.heard.length, server.mostInFlight, server.connections], [125, 8, 8]);
});

test('another certificate than the pinned one gets neither password nor token, nor anything else', async (t) => {
  const [pinned, shown] = [await identity(), await identity()];
  const server = await serve(t, shown);
  for (const user of [true, false]) {
    const api = client(t, server.port, pin(pinned), '127.0.0.1', user);
    for (const call of [api.version(), api.start('pve1', 101)]) {
      const error: unknown = await call.catch((reason: unknown) => reason);
      assert(error instanceof RequestError);
      assert.deepEqual([error.failure, error.outcome], ['tls', 'not-sent']);
      assert.match(error.message, /its certificate fingerprint is /);
    }
    assert.equal((await api.endpointView(api.endpoints[0] ?? '')).failure, 'tls');
  }
  assert(server.connections >= 2, 'it was connected to');
  assert.deepEqual([server.bytes, server.heard], [0, []]);
  const right = client(t, server.port, pin(pinned, shown), '127.0.0.1', true);
  await right.version();
  assert.deepEqual(server.heard, ['POST /api2/json/access/ticket', 'GET /api2/json/version']);
});

for (const name of NAMES)
  test(`an endpoint by ${name}: pinned, or by a CA that vouches for it`, async (t) => {
    const authority = await identity({ isCa: true, common: 'authority' });
    const id = await identity({ ca: authority, common: 'leaf', addresses: ['127.0.0.1', '::1'] });
    const server = await serve(t, id);
    const file = join(tempFolder(t), 'ca.pem');
    writeFileSync(file, authority.cert);
    for (const tls of [pin(id), { kind: 'ca', path: file } as const])
      assert.equal(await client(t, server.port, tls, name).version(), '8.4.21');
    // A name is asked for in the handshake, an address never is.
    assert.deepEqual(new Set(server.servernames), new Set([name === 'localhost' ? 'localhost' : false]));
    const elsewhere = await serve(
      t,
      await identity({ ca: authority, common: 'leaf', names: ['other.test'] }),
    );
    const error: unknown = await client(t, elsewhere.port, { kind: 'ca', path: file }, name)
      .version()
      .catch((reason: unknown) => reason);
    assert(error instanceof RequestError);
    assert.equal(error.failure, 'tls');
    assert.equal(elsewhere.bytes, 0);
  });
