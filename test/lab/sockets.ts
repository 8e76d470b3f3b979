/** Clients and ports for the tests of the lab's sockets. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request as httpsRequest } from 'node:https';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** One HTTPS request; rejects with the socket's error. */
export function callHttps(
  port: number,
  path: string,
  options: { ca: string; method?: string; headers?: Record<string, string>; body?: string; agent?: Agent },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port,
        path,
        method: options.method ?? 'GET',
        headers: options.headers ?? {},
        ca: options.ca,
        agent: options.agent ?? new Agent({ keepAlive: false }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const body = Buffer.concat(chunks).toString();
          const { statusCode: status = 0, statusMessage: reason = '', headers } = response;
          resolve({ status, reason, headers, body });
        });
      },
    );
    request.on('error', reject);
    request.end(options.body);
  });
}

/** `open`, or the code of the error: what a TCP connection to the port comes to. */
export async function tcp(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return 'open';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  } finally {
    socket.destroy();
  }
}

/** A connected socket that swallows its errors; its `close` event is what tests wait for. */
export async function dial(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => socket.destroy());
  await once(socket, 'connect');
  // What nobody listens for is thrown away; unread data would hold back the end.
  socket.resume();
  return socket;
}

/** A listener that is not the lab's. */
export async function occupy(t: TestContext, port = 0): Promise<number> {
  const server: Server = createServer((socket) => socket.destroy());
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => void server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

/**
 * A port such that it and `others` at fixed distances from it are free at this moment. Below the range that the
 * kernel deals out, so that no other test gets one of them by chance while it is closed for a moment.
 */
export async function freePort(...others: readonly number[]): Promise<number> {
  for (;;) {
    const base = randomInt(20_000, 31_000);
    const used = await Promise.all(
      [0, ...others].map(async (offset) => (await tcp(base + offset)) === 'open'),
    );
    if (!used.includes(true)) return base;
  }
}

export async function temporaryFolder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'proxwarden-lab-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}
