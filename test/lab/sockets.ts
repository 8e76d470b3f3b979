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

/** Of how many ports a test can be sure when it has one. */
const BLOCK = 100;

/**
 * A port such that it and those up to 99 above it are this process's own until it ends: a lab's ports are closed while
 * a node is dead, and no other test may get one of them meanwhile. Below the range that the kernel deals out.
 */
export async function freePort(...others: readonly number[]): Promise<number> {
  for (;;) {
    const base = 20_000 + randomInt(110) * BLOCK;
    if (!(await reserve(base))) continue;
    const used = await Promise.all(
      [0, ...others].map(async (offset) => (await tcp(base + offset)) === 'open'),
    );
    if (!used.includes(true)) return base;
  }
}

/** Listens on the last port of the block, which no lab uses: whoever else wants the block finds it taken. */
function reserve(base: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().unref();
    server.once('error', () => resolve(false));
    server.listen(base + BLOCK - 2, '127.0.0.1', () => resolve(true));
  });
}

export async function temporaryFolder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'proxwarden-lab-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}
