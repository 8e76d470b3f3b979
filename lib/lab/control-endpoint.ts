/** What the `lab` command asks of a running lab: an HTTP endpoint on loopback, behind a random token. */
import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { InputError, ProxwardenError, messageOf } from '../errors.ts';
import { LAB_VERBS, LabPct, type LabReport, type LabVerb } from './control-protocol.ts';
import { listenTcp } from './listen.ts';
import type { LabControl, LabStatus } from './types.ts';

export interface ControlOptions {
  readonly lab: LabControl;
  readonly storages: readonly string[];
  readonly token: string;
  readonly report: () => LabReport;
  /** Resolves when all sockets match the lab's state: only then a command is answered. */
  readonly settled: () => Promise<void>;
  /** Ends everything except this endpoint. */
  readonly down: () => Promise<void>;
}

const HOST = '127.0.0.1';

export interface Control {
  /** Base URL. */
  readonly url: string;
  /** Resolves when nothing is answered any more. */
  readonly closed: Promise<void>;
  close(): Promise<void>;
}

/** Starts the endpoint on an ephemeral port. After `down` has been answered it closes itself. */
export async function startControl(options: ControlOptions): Promise<Control> {
  const server = createServer((request, response) => {
    answer(options, request, response, () => listener.close()).catch(() => request.socket.destroy());
  });
  const closed = new Promise<void>((done) => {
    server.once('close', done);
  });
  const listener = await listenTcp(server, HOST, 0, "the lab's control endpoint");
  return {
    url: `http://${HOST}:${listener.port}`,
    closed,
    close: async () => {
      listener.close();
      await closed;
    },
  };
}

async function answer(
  options: ControlOptions,
  request: IncomingMessage,
  response: ServerResponse,
  closeListener: () => void,
): Promise<void> {
  const { status, body, last } = await respond(options, request).catch(failure);
  if (last === true) response.once('close', closeListener);
  response.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' });
  response.end(JSON.stringify(body));
}

interface Reply {
  readonly status: number;
  readonly body: unknown;
  /** Nothing is answered after this. */
  readonly last?: boolean;
}

function failure(error: unknown): Reply {
  // JSON leaves out a hint that is undefined.
  if (error instanceof ProxwardenError)
    return { status: 400, body: { error: error.message, hint: error.hint } };
  return { status: 500, body: { error: messageOf(error) } };
}

async function respond(options: ControlOptions, request: IncomingMessage): Promise<Reply> {
  if (!authorised(request, options.token)) return { status: 401, body: { error: 'wrong token' } };
  const url = new URL(request.url ?? '/', 'http://lab.invalid');
  const command = url.pathname.slice(1);
  if (request.method === 'GET' && command === 'status') return { status: 200, body: options.report() };
  if (request.method === 'POST' && command === 'pct') {
    const given = LabPct.safeParse(JSON.parse(await bodyOf(request)));
    if (!given.success) return { status: 400, body: { error: 'pct needs a node and its arguments' } };
    return { status: 200, body: await options.lab.pct(given.data.node, given.data.args) };
  }
  const verb = LAB_VERBS.find((candidate) => candidate === command);
  if (request.method !== 'POST' || (verb === undefined && command !== 'down')) {
    return { status: 404, body: { error: `the lab knows no ${request.method} ${command}` } };
  }
  if (verb !== undefined) {
    const message = await perform(options, verb, url.searchParams.get('name') ?? '');
    await options.settled();
    return { status: 200, body: { message } };
  }
  await options.down();
  return { status: 200, body: { message: 'the lab is down' }, last: true };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}

function authorised(request: IncomingMessage, token: string): boolean {
  const given = Buffer.from(request.headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/** Does it, and says what happened. Throws InputError for a name that the lab doesn't have. */
async function perform(options: ControlOptions, verb: LabVerb, name: string): Promise<string> {
  const { lab, storages } = options;
  const { nodes, containers } = lab.status();
  const nodeNames = nodes.map((entry) => entry.name);
  const hostnames = containers.map((entry) => entry.hostname);
  const node = (): string => known('node', nodeNames, name);
  const hostname = (): string => known('container', hostnames, name);
  switch (verb) {
    case 'kill':
      lab.kill(node());
      return `${name} has lost power`;
    case 'revive': {
      const before = nodes.find((entry) => entry.name === node());
      if (before?.power === 'on')
        return before.network === 'cut'
          ? `${name} was never off, only cut off the network: \`lab mend ${name}\` brings it back`
          : `${name} is on already`;
      lab.revive(name);
      return `${name} has power again and boots`;
    }
    case 'shutdown':
    case 'reboot': {
      if (nodes.find((entry) => entry.name === node())?.power === 'off') return `${name} is off`;
      lab[verb](name);
      return `${name} shuts its containers down, then ${verb === 'reboot' ? 'reboots' : 'powers off'}`;
    }
    case 'cut':
      lab.cut(node());
      return `${name} is cut off the network; its containers run on`;
    case 'hang':
      lab.hang(node());
      return `the API of ${name} hangs: it accepts connections and answers nothing`;
    case 'mend-network':
      lab.mendNetwork(node());
      lab.unhang(name);
      return `${name} is on the network again, and its API answers`;
    case 'break':
      lab.breakService(hostname());
      return `the services of ${name} no longer answer; it runs on`;
    case 'mend':
      if (nodeNames.includes(name)) return perform(options, 'mend-network', name);
      lab.mendService(hostname());
      return `the services of ${name} answer again`;
    case 'fill':
      lab.fill(known('storage', storages, name));
      return `storage ${name} is full`;
    case 'drain':
      lab.drain(known('storage', storages, name));
      return `storage ${name} has room again`;
    case 'unmount':
    case 'mount': {
      const [storage = '', from] = name.split('@', 2);
      lab[verb](
        known('storage', storages, storage),
        from === undefined ? from : known('node', nodeNames, from),
      );
      const of = from === undefined ? '' : ` of ${from}`;
      return `storage ${storage} is ${verb === 'mount' ? `in reach${of} again` : `out of reach${of}`}`;
    }
    case 'verify':
    case 'spoil': {
      const volids = lab.status().backups.map((entry) => entry.volid);
      const result = verb === 'verify' ? 'ok' : 'failed';
      lab.verify(known('backup', volids, name), result);
      return `verification of ${name}: ${result}`;
    }
    case 'start-by-hand': {
      const vmid = vmidOf(containers, name);
      await lab.startByHand(vmid);
      return `CT ${vmid} was started by hand`;
    }
    case 'stop-by-hand': {
      const vmid = vmidOf(containers, name);
      await lab.stopByHand(vmid);
      return `CT ${vmid} was stopped by hand`;
    }
    default:
      return verb satisfies never;
  }
}

function known(kind: string, names: readonly string[], name: string): string {
  if (names.includes(name)) return name;
  throw unknown(kind, names, name);
}

function unknown(kind: string, names: readonly string[], name: string): InputError {
  return new InputError(`the lab has no ${kind} ${name === '' ? 'without a name' : name}`, {
    hint: `Its ${kind}s are ${[...new Set(names)].toSorted().join(', ')}.`,
  });
}

/** A container may be named by vmid or by hostname, as long as only one copy has that. */
function vmidOf(containers: LabStatus['containers'], name: string): number {
  const byVmid = containers.find((entry) => String(entry.vmid) === name);
  if (byVmid !== undefined) return byVmid.vmid;
  const hostnames = containers.map((entry) => entry.hostname);
  const [first, ...others] = containers.filter((entry) => entry.hostname === name);
  if (first === undefined) throw unknown('container', hostnames, name);
  if (others.length === 0) return first.vmid;
  const vmids = [first, ...others].map((entry) => `${entry.vmid} on ${entry.node}`);
  throw new InputError(`there are ${vmids.length} copies of ${name}`, {
    hint: `Say which by its vmid: ${vmids.join(', ')}.`,
  });
}
