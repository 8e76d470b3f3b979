/** Endpoints of every bad kind in front of the good ones: the good ones serve, each bad one gets one sentence. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createServer as createTls } from 'node:tls';
import { labCertificate } from '../../lib/lab/certificate.ts';
import { inProcess, openInside } from './in-process.ts';
import { assertUntouched, told } from './stage.ts';

const JSON_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';

/** What it does with a request, once TLS stands. */
const AFTER_TLS: Readonly<Record<string, (socket: Socket) => void>> = {
  'never answers': () => undefined,
  'a web page': (socket) =>
    socket.end('HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<html>router</html>'),
  'a bad gateway': (socket) =>
    socket.end('HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 5\r\n\r\nnginx'),
  'cut JSON': (socket) => socket.end(`${JSON_HEAD}content-length: 9\r\n\r\n{"data":[`),
  'cut body': (socket) => socket.end(`${JSON_HEAD}content-length: 999\r\n\r\n{"data":[`),
  'a redirect': (socket) =>
    socket.end('HTTP/1.1 302 Found\r\nlocation: https://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n'),
  'no HTTP': (socket) => socket.end('220 mail.example ESMTP\r\n'),
  'a huge header': (socket) => socket.end(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(500_000)}\r\n\r\n`),
  'other JSON': (socket) => socket.end(`${JSON_HEAD}content-length: 15\r\n\r\n{"status":"ok"}`),
  'a dripping body': (socket) => {
    socket.write(`${JSON_HEAD}\r\n`);
    const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write(' ')), 50);
  },
  'an endless body': (socket) => {
    const chunk = Buffer.alloc(256 * 1024, ' ');
    socket.write(`${JSON_HEAD}\r\n`);
    const push = (): void => {
      while (!socket.destroyed && socket.write(chunk));
      if (!socket.destroyed) socket.once('drain', push);
    };
    push();
  },
};
const BEFORE_TLS: Readonly<Record<string, (socket: Socket) => void>> = {
  'accepts only': () => undefined,
  'hangs up in the handshake': (socket) => socket.once('data', () => socket.destroy()),
  'speaks plain HTTP': (socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
};

async function listening(server: Server, sockets: Set<Socket>): Promise<number> {
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address: AddressInfo | string | null = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('bad endpoints among good ones', () => {
  test('check and check-and-failover are served by the good ones; check says one sentence of each bad one', async (t) => {
    const stage = await openInside(t, { speed: 20 });
    const tls = await labCertificate(join(stage.dir, '.lab'), Date.now());
    const sockets = new Set<Socket>();
    const requests: string[] = [];
    const ports = new Map<string, number>();
    const servers: Server[] = [];
    for (const [name, act] of Object.entries(BEFORE_TLS)) {
      const server = createServer(act);
      servers.push(server);
      ports.set(name, await listening(server, sockets));
    }
    for (const [name, act] of Object.entries(AFTER_TLS)) {
      const server = createTls(tls, (socket) => {
        socket.on('error', () => undefined);
        socket.once('data', (data: Buffer) => {
          requests.push(data.toString('latin1').split('\r\n')[0] ?? '');
          act(socket);
        });
      });
      server.on('tlsClientError', () => undefined);
      servers.push(server);
      ports.set(name, await listening(server, sockets));
    }
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      for (const server of servers) server.close();
    });
    const bad = [...ports.values()].map((port) => `    - https://127.0.0.1:${port}\n`).join('');
    const dir = stage.inventory('bad', (yaml) => yaml.replace(/endpoints:\n/, `endpoints:\n${bad}`));
    const state = join(stage.folder, 'state-bad');
    for (const command of ['check', 'check-and-failover'] as const) {
      requests.length = 0;
      const ran = await inProcess([command, '--inventory', dir, '--state', state]);
      assert.equal(ran.code, 0, told(ran));
      assert.match(ran.stdout, /4 of 4 containers healthy|healthy/, told(ran));
      const lines = ran.stderr.trimEnd().split('\n');
      // What cron runs every minute does not say every minute which endpoint is down.
      if (command === 'check-and-failover') assert.equal(ran.stderr, '');
      else assert.equal(lines.length, ports.size, told(ran));
      for (const [name, port] of command === 'check' ? ports : []) {
        const about = lines.filter((line) => line.includes(`:${port}`));
        assert.equal(about.length, 1, `${name} (port ${port}): ${told(ran)}`);
        assert.match(about[0] ?? '', /^warning: cluster home: /, told(ran));
      }
      // Asked once for its view, and never again in this run; never to do anything.
      assert.ok(
        requests.every((line) => line === 'GET /api2/json/cluster/status HTTP/1.1'),
        requests.join('\n'),
      );
      assert.ok(ran.ms < 20_000, `${ran.ms} ms`);
    }
    assertUntouched(stage);
  });
});
