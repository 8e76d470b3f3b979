/** Real HTTPS sockets in front of the lab: one listener per node, as port 8006 of a genuine node. */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { FailedError, messageOf } from '../errors.ts';
import { listenTcp, serialised, type TcpListener } from './listen.ts';
import { LabUnreachable, type LabControl, type LabResponse, type NodeStatus } from './types.ts';

/** What a genuine API daemon accepts at most. */
const BODY_LIMIT_BYTES = 64 * 1024;
/** First byte of a TLS handshake record. */
const TLS_HANDSHAKE = 0x16;

/** `up`: answers. `silent`: connections are accepted, nothing ever answers. `down`: connections are refused. */
type Mode = 'up' | 'silent' | 'down';

export interface LabServerOptions {
  readonly lab: LabControl;
  /** Port 0: an ephemeral one; it stays the same over the node's deaths. */
  readonly nodes: readonly { readonly name: string; readonly port: number }[];
  /** PEM texts. */
  readonly tls: { readonly cert: string; readonly key: string };
  readonly host?: '127.0.0.1';
  /** Called with a sentence when a port cannot be opened again, or the lab failed to answer. */
  readonly onProblem?: (sentence: string) => void;
}

export interface LabServer {
  /** Port by node name. */
  readonly ports: Readonly<Record<string, number>>;
  /** Resolves when the listeners match the nodes' state. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

interface ApiNode {
  readonly name: string;
  port: number;
  mode: Mode;
  listener: TcpListener | null;
}

/**
 * Starts one HTTPS listener per node on loopback. A dead node's port is really closed until its API is back; a cut
 * node accepts and never answers. Throws FailedError when a port is taken.
 */
export async function startLabServer(options: LabServerOptions): Promise<LabServer> {
  const host = options.host ?? '127.0.0.1';
  const report = options.onProblem ?? (() => undefined);
  const nodes: ApiNode[] = [];
  let closed = false;

  async function open(node: ApiNode): Promise<void> {
    const https = createHttpsServer({ cert: options.tls.cert, key: options.tls.key }, (request, response) => {
      answer(options.lab, node, request, response, report).catch((error: unknown) => {
        // The client went away while it sent: readBody rejects. Nobody is left to answer.
        if (!request.destroyed) report(`${node.name}: ${messageOf(error)}`);
        request.socket.destroy();
      });
    });
    // A client that doesn't trust the certificate hangs up in the handshake.
    https.on('tlsClientError', (_error, socket) => socket.destroy());
    const plain = createHttpServer(redirect);
    const tcp = createTcpServer((socket) => {
      if (node.mode === 'silent') socket.resume();
      else sortByFirstByte(socket, https, plain);
    });
    node.listener = await listenTcp(tcp, host, node.port, `the API of ${node.name}`);
    node.port = node.listener.port;
  }

  async function apply(): Promise<void> {
    if (closed) return;
    const status = new Map(options.lab.status().nodes.map((node) => [node.name, modeOf(node)]));
    for (const node of nodes) {
      const mode = status.get(node.name) ?? 'down';
      // In-flight answers of a node that is cut stay unanswered, and what hung in a cut is torn down by its end.
      if (node.mode === 'silent' && mode === 'up') node.listener?.dropConnections();
      node.mode = mode;
      if (mode === 'down') {
        node.listener?.close();
        node.listener = null;
      }
    }
    for (const node of nodes) {
      if (node.mode === 'down' || node.listener !== null) continue;
      try {
        await open(node);
      } catch (error) {
        if (!(error instanceof FailedError)) throw error;
        report(error.message);
      }
    }
    // close() may have come while a port was being opened.
    if (closed) closeAll();
  }

  function closeAll(): void {
    for (const node of nodes) {
      node.listener?.close();
      node.listener = null;
    }
  }

  const sync = serialised(apply);
  try {
    // Even a dead node's port is opened first: an ephemeral one has to be known, a taken one is told at the start.
    for (const { name, port } of options.nodes) {
      const node: ApiNode = { name, port, mode: 'up', listener: null };
      nodes.push(node);
      await open(node);
    }
  } catch (error) {
    closeAll();
    throw error;
  }
  options.lab.onChange(() => {
    if (!closed) sync.request();
  });
  sync.request();
  await sync.idle();
  return {
    ports: Object.fromEntries(nodes.map((node) => [node.name, node.port])),
    settled: () => sync.idle(),
    close: async () => {
      closed = true;
      await sync.idle();
      closeAll();
    },
  };
}

function modeOf(node: NodeStatus): Mode {
  if (node.power === 'off') return 'down';
  if (node.network === 'cut' || (node.api && node.hung)) return 'silent';
  return node.api ? 'up' : 'down';
}

/** The port speaks TLS; plain HTTP on it gets a redirect, as with a genuine node. */
function sortByFirstByte(
  socket: Socket,
  https: { emit(event: 'connection', socket: Socket): boolean },
  plain: { emit(event: 'connection', socket: Socket): boolean },
): void {
  socket.once('data', (chunk: Buffer) => {
    socket.pause();
    socket.unshift(chunk);
    (chunk[0] === TLS_HANDSHAKE ? https : plain).emit('connection', socket);
    process.nextTick(() => socket.resume());
  });
}

async function answer(
  lab: LabControl,
  node: ApiNode,
  request: IncomingMessage,
  response: ServerResponse,
  report: (sentence: string) => void,
): Promise<void> {
  const body = await readBody(request);
  if (body === null)
    return send(response, { status: 501, statusText: 'for data too large', headers: {}, body: '' });
  let reply: LabResponse;
  try {
    reply = await lab.handle(node.name, {
      method: request.method ?? 'GET',
      path: request.url ?? '/',
      headers: plainHeaders(request),
      body,
    });
  } catch (error) {
    if (error instanceof LabUnreachable) {
      if (error.how !== 'timeout') request.socket.destroy();
      return;
    }
    report(`the lab failed at ${request.method} ${request.url} on ${node.name}: ${messageOf(error)}`);
    return send(response, { status: 500, statusText: messageOf(error), headers: {}, body: '' });
  }
  // Cut while it worked: the answer is lost on the way.
  if (node.mode === 'silent') return;
  send(response, reply);
}

/** What the genuine daemon sends with everything; the lab's own headers win. */
const COMMON_HEADERS = { 'Cache-Control': 'max-age=0', Pragma: 'no-cache', Server: 'pve-api-daemon/3.0' };

function send(response: ServerResponse, reply: LabResponse): void {
  for (const [name, value] of Object.entries({ ...COMMON_HEADERS, ...reply.headers })) {
    // Lengths and connections are the HTTP server's business.
    if (!/^(content-length|connection|transfer-encoding)$/i.test(name)) response.setHeader(name, value);
  }
  response.setHeader('Content-Length', Buffer.byteLength(reply.body));
  if (reply.status >= 400) response.setHeader('Connection', 'close');
  response.writeHead(reply.status, reasonPhrase(reply.statusText));
  response.end(reply.body);
}

function redirect(request: IncomingMessage, response: ServerResponse): void {
  send(response, {
    status: 301,
    statusText: 'Moved Permanently',
    headers: { Location: `https://${request.headers.host ?? '127.0.0.1'}${request.url ?? '/'}` },
    body: 'Moved Permanently',
  });
}

/** The request's body, or null when it is longer than the daemon accepts. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    const part = Buffer.from(chunk);
    length += part.length;
    if (length > BODY_LIMIT_BYTES) return null;
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function plainHeaders(request: IncomingMessage): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : value,
    ]),
  );
}

/** A reason phrase travels in one line of Latin-1. */
function reasonPhrase(text: string): string {
  return text.replaceAll(/[^\t\u0020-\u007E\u0080-\u00FF]+/g, ' ').trim();
}
