/** The services of the lab's running containers as real sockets, so that probes are real probes. */
import { createSocket } from 'node:dgram';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createTcpServer, isIPv6 } from 'node:net';
import * as dnsPacket from 'dns-packet';
import { FailedError } from '../errors.ts';
import { bindError, listenTcp, serialised } from './listen.ts';
import type { LabControl, RunningCopy, ServiceSpec } from './types.ts';

/** What the lab's name server says, whatever it is asked. */
const DNS_ANSWER = '10.0.0.1';

export interface LabServices {
  /** Resolves when the sockets match the running copies. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

interface Wanted {
  /** The copy it belongs to: another copy of the same container means a new socket. */
  readonly owner: string;
  readonly copy: RunningCopy;
  readonly service: ServiceSpec;
}

interface Closable {
  readonly close: () => void;
}

interface Open extends Closable {
  readonly owner: string;
}

/**
 * Opens a socket for each service that is up of each running copy, and follows the lab from then on. When two copies
 * claim one address the first has it; that they run together is the lab's violation, not a fault here.
 * Throws FailedError when a port is taken at the start; later on such a port is reported and tried again with the
 * next change.
 */
export async function startServices(options: {
  readonly lab: LabControl;
  readonly onProblem?: (sentence: string) => void;
}): Promise<LabServices> {
  const open = new Map<string, Open>();
  let starting = true;
  let closed = false;

  async function apply(): Promise<void> {
    const wanted = closed ? new Map<string, Wanted>() : wantedOf(options.lab);
    // All closing first: a service that moves to another copy needs its port.
    for (const [address, service] of open) {
      if (wanted.get(address)?.owner === service.owner) continue;
      service.close();
      open.delete(address);
    }
    for (const [address, { owner, copy, service }] of wanted) {
      if (open.has(address)) continue;
      try {
        const { close } = await openService(copy, service);
        open.set(address, { owner, close });
      } catch (error) {
        if (starting || !(error instanceof FailedError)) throw error;
        options.onProblem?.(error.message);
      }
    }
  }

  const closeAll = async (): Promise<void> => {
    closed = true;
    sync.request();
    await sync.idle();
  };
  const sync = serialised(apply);
  sync.request();
  try {
    await sync.idle();
  } catch (error) {
    await closeAll();
    throw error;
  }
  starting = false;
  options.lab.onChange(() => sync.request());
  sync.request();
  await sync.idle();
  return { settled: () => sync.idle(), close: closeAll };
}

/** Something that always accepts connections, as a NAS would: a canary. Throws FailedError when the port is taken. */
export async function startNas(port: number): Promise<{ close(): Promise<void> }> {
  const listener = await listenTcp(
    createTcpServer((socket) => socket.resume()),
    '127.0.0.1',
    port,
    "the NAS's port",
  );
  return { close: async () => listener.close() };
}

function wantedOf(lab: LabControl): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  for (const copy of lab.running()) {
    for (const service of copy.services) {
      const address = `${service.kind === 'dns' ? 'udp' : 'tcp'} ${service.host}:${service.port}`;
      if (!service.up || wanted.has(address)) continue;
      wanted.set(address, { owner: `${copy.node}/${copy.vmid}`, copy, service });
    }
  }
  return wanted;
}

async function openService(copy: RunningCopy, service: ServiceSpec): Promise<Closable> {
  const what = `the ${service.kind} service of ${copy.hostname} (${copy.vmid} on ${copy.node})`;
  switch (service.kind) {
    case 'tcp':
      return listenTcp(
        createTcpServer((socket) => {
          socket.resume();
          socket.write(`${copy.hostname} ${copy.vmid}\n`);
        }),
        service.host,
        service.port,
        what,
      );
    case 'http':
      return listenTcp(
        createHttpServer((request, response) => {
          // Unread bodies of a POST are thrown away with the connection.
          response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' });
          response.end(request.method === 'HEAD' ? '' : (service.body ?? `${copy.hostname} ${copy.vmid}\n`));
        }),
        service.host,
        service.port,
        what,
      );
    case 'dns':
      return listenDns(service.host, service.port, what);
    default:
      return service.kind satisfies never;
  }
}

async function listenDns(host: string, port: number, what: string): Promise<Closable> {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  socket.on('message', (message, from) => {
    const answer = dnsAnswer(message);
    // A client that is gone already is its own affair.
    if (answer !== null) socket.send(answer, from.port, from.address, () => undefined);
  });
  await new Promise<void>((resolve, reject) => {
    socket.on('error', (error) => reject(bindError(error, host, port, what)));
    socket.bind({ address: host, port, exclusive: true }, resolve);
  });
  return { close: () => void socket.close() };
}

/** The answer to one DNS message, or null for what is no query (a name server keeps silent then, too). */
function dnsAnswer(message: Buffer): Buffer | null {
  let query: dnsPacket.DecodedPacket;
  try {
    query = dnsPacket.decode(message);
  } catch {
    return null;
  }
  if (query.type !== 'query') return null;
  const questions = query.questions ?? [];
  return dnsPacket.encode({
    type: 'response',
    id: query.id ?? 0,
    flags: dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE,
    questions,
    answers: questions
      .filter((question) => question.type === 'A')
      .map((question) => ({ type: 'A', name: question.name, ttl: 60, data: DNS_ANSWER })),
  });
}
