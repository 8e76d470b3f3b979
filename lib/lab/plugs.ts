/**
 * The lab's smart plugs, in the manner of a Shelly: one HTTP listener, a relay per node.
 * `GET /plug/pve1/relay` reads, `GET /plug/pve1/relay?turn=off` switches; both answer `{"ison":false}`.
 * They hang on their own network: a node that is dead or cut off can be switched all the same.
 */
import { createServer, type IncomingMessage } from 'node:http';
import { listenTcp } from './listen.ts';
import type { LabControl } from './types.ts';

export interface LabPlugs {
  readonly port: number;
  /** Base URL of a node's relay. */
  url(node: string): string;
  close(): Promise<void>;
}

/** Starts the plugs' listener on loopback; port 0 is an ephemeral one. Throws FailedError when the port is taken. */
export async function startPlugs(options: {
  readonly lab: LabControl;
  readonly nodes: readonly string[];
  readonly port: number;
}): Promise<LabPlugs> {
  const host = '127.0.0.1';
  const server = createServer((request, response) => {
    const [status, body] = answer(options.lab, options.nodes, request);
    response.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' });
    response.end(JSON.stringify(body));
  });
  const listener = await listenTcp(server, host, options.port, 'the smart plugs');
  return {
    port: listener.port,
    url: (node) => `http://${host}:${listener.port}/plug/${node}/relay`,
    close: async () => listener.close(),
  };
}

function answer(
  lab: LabControl,
  nodes: readonly string[],
  request: IncomingMessage,
): readonly [number, { readonly ison: boolean } | { readonly error: string }] {
  const target = `http://plug.invalid${request.url ?? '/'}`;
  const url = URL.canParse(target) ? new URL(target) : null;
  const node = nodes.find((name) => url?.pathname === `/plug/${name}/relay`);
  if (url === null || node === undefined) return [404, { error: 'no such plug' }];
  if (request.method !== 'GET') return [405, { error: 'only GET' }];
  const turn = url.searchParams.get('turn');
  if (turn === 'on' || turn === 'off') lab.setPlug(node, turn);
  else if (turn !== null) return [400, { error: 'turn must be on or off' }];
  return [200, { ison: lab.plug(node) === 'on' }];
}
