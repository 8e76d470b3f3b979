/** Clusters on loopback for the tests of `init`. */
import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import type { TestContext } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { Lab } from '../../lib/lab/lab.ts';
import { startLabServer } from '../../lib/lab/server.ts';
import { startServices } from '../../lib/lab/services.ts';
import type { WorldSpec } from '../../lib/lab/types.ts';
import { containers, network } from '../e2e/init-stage.ts';
import { countingHex } from '../lab/world.ts';
import { identity, listen, type Identity } from '../observe/probe-helpers.ts';

export const SECRET = '0badc0de-aaaa-bbbb-cccc-0123456789ab';
export const TOKEN = `proxwarden@pve!cli=${SECRET}`;

function fingerprint(id: Identity): string {
  return new X509Certificate(id.cert).fingerprint256;
}

export interface Cluster {
  readonly endpoint: (node: string) => string;
  readonly pins: Readonly<Record<string, string>>;
  readonly at: (host: number) => string;
}

/** A cluster whose nodes each have a certificate of their own, as genuine ones do. */
export async function cluster(
  t: TestContext,
  change: (world: WorldSpec) => WorldSpec = (world) => world,
): Promise<Cluster> {
  const at = network();
  const names = ['pve1', 'pve2', 'pve3'];
  const ids = await Promise.all(names.map((name) => identity({ common: name })));
  const world = change({
    cluster: 'home',
    nodes: names.map((name, index) => ({
      name,
      ip: at(200 + index),
      ...(ids[index] === undefined ? {} : { fingerprint: fingerprint(ids[index]) }),
    })),
    storages: [
      { id: 'local', path: '/x', content: ['rootdir'] },
      { id: 'nas', path: '/y', content: ['backup'], shared: true, type: 'nfs', server: at(60) },
    ],
    containers: containers(at),
    tokens: [{ id: 'proxwarden@pve!cli', secret: SECRET, privileges: { '/': ['*'] } }],
  });
  const lab = new Lab({ clock: systemClock, world, randomHex: countingHex() });
  t.after(() => lab.close());
  const services = await startServices({ lab });
  t.after(() => services.close());
  const ports: Record<string, number> = {};
  for (const [index, tls] of ids.entries()) {
    const name = names[index];
    if (name === undefined || !world.nodes.some((node) => node.name === name)) continue;
    const server = await startLabServer({ lab, nodes: [{ name, port: 0 }], tls });
    t.after(() => server.close());
    ports[name] = server.ports[name] ?? 0;
  }
  return {
    at,
    endpoint: (node) => `https://127.0.0.1:${ports[node] ?? 0}`,
    pins: Object.fromEntries(
      names.map((name, index) => [name, ids[index] === undefined ? '' : fingerprint(ids[index])]),
    ),
  };
}

/** Something with a certificate that counts what it is told. */
export async function listener(
  t: TestContext,
): Promise<{ endpoint: string; bytes: () => number; pin: string }> {
  const id = await identity();
  let bytes = 0;
  const server = createServer({ ...id }, (_request, response) => response.end('ok'));
  server.on('secureConnection', (socket) =>
    socket.on('data', (chunk: Buffer) => void (bytes += chunk.length)),
  );
  const port = await listen(t, server);
  return { endpoint: `https://127.0.0.1:${port}`, bytes: () => bytes, pin: fingerprint(id) };
}
