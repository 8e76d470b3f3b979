/** A client against a real server on loopback, and a clock that nobody waits for. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { generate } from 'selfsigned';
import { Agent, type Dispatcher } from 'undici';
import { abortReason, systemClock, type Clock } from '../../lib/clock.ts';
import type { Tls } from '../../lib/inventory/types.ts';
import type { PveApi } from '../../lib/pve/api.ts';
import { createPveClient } from '../../lib/pve/client.ts';
import type { PveCredentials } from '../../lib/pve/login.ts';
import { tokenSecret } from '../secrets.ts';

export const SECRET = tokenSecret();
export const TOKEN = `proxwarden@pve!cli=${SECRET}`;
export const UPID = 'UPID:pve1:0000022B:00043D51:6B034DAF:vzdump:101:root@pam:';

export interface TestServer {
  readonly endpoint: string;
  readonly server: Server;
  /** `GET /api2/json/version`, in order of arrival. */
  readonly seen: string[];
  close(): Promise<void>;
}

export type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

function listener(seen: string[], handler: Handler): RequestListener {
  return (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => undefined);
    request.on('end', () => {
      seen.push(`${request.method ?? ''} ${request.url ?? ''}`);
      handler(request, response, Buffer.concat(chunks).toString());
    });
  };
}

async function listening(server: Server, seen: string[], scheme: string): Promise<TestServer> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = addressOf(server);
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { endpoint: `${scheme}://127.0.0.1:${port}`, server, seen, close };
}

function addressOf(server: Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return address;
}

/** Plain HTTP: what is tested on it does not depend on TLS. */
export function serve(handler: Handler): Promise<TestServer> {
  const seen: string[] = [];
  return listening(createServer(listener(seen, handler)), seen, 'http');
}

/** HTTPS with a certificate of its own; `ca` is what a client must trust. */
export async function serveTls(handler: Handler): Promise<TestServer & { ca: string }> {
  const pems = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    keySize: 2048,
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  });
  const seen: string[] = [];
  const server = createTlsServer({ key: pems.private, cert: pems.cert }, listener(seen, handler));
  return { ...(await listening(server, seen, 'https')), ca: pems.cert };
}

/** A port of loopback that nothing listens on. */
export async function closedEndpoint(): Promise<string> {
  const made = await serve(() => undefined);
  await made.close();
  return made.endpoint;
}

export function json(response: ServerResponse, data: unknown, extra: Record<string, unknown> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json;charset=UTF-8' });
  response.end(JSON.stringify({ data, ...extra }));
}

/** An error as PVE gives it: the text is the reason phrase. */
export function refuse(response: ServerResponse, status: number, reason: string, body?: unknown): void {
  response.writeHead(status, reason, {
    connection: 'close',
    ...(body === undefined ? {} : { 'content-type': 'application/json;charset=UTF-8' }),
  });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

export function client(
  endpoints: readonly string[],
  options: {
    ca?: string;
    credentials?: PveCredentials;
    timeoutMs?: number;
    clock?: Clock;
    tls?: Tls;
    dispatcher?: (endpoint: string, tls: Tls) => Promise<Dispatcher>;
  } = {},
): PveApi {
  const connect = options.ca === undefined ? {} : { connect: { ca: options.ca } };
  return createPveClient({
    cluster: 'home',
    endpoints,
    credentials: options.credentials ?? { kind: 'token', token: TOKEN },
    tls: options.tls ?? { kind: 'system' },
    timeoutMs: options.timeoutMs ?? 5000,
    runtime: {
      clock: options.clock ?? systemClock,
      dispatcher: options.dispatcher ?? (() => Promise.resolve(new Agent(connect))),
    },
  });
}

/** Time passes only by sleeping, and at once. */
export function jumpingClock(start = 1_795_000_000_000): Clock & { slept: number[] } {
  let now = start;
  const slept: number[] = [];
  return {
    slept,
    now: () => now,
    sleep(ms, signal) {
      if (signal?.aborted === true) return Promise.reject(abortReason(signal));
      slept.push(ms);
      now += ms;
      return Promise.resolve();
    },
  };
}
