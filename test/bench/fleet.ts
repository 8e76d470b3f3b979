/** Clusters of any size: the worlds of their labs, and the inventory that goes with them. */
import type { ContainerSpec, WorldSpec } from '../../lib/lab/types.ts';
import { tokenSecret } from '../secrets.ts';

export interface Fleet {
  readonly clusters: number;
  /** Of each cluster. */
  readonly nodes: number;
  /** Of all of them together. */
  readonly containers: number;
  /** Of each container, asked at its own address; those of kind tcp and http at the ports of targets.ts. */
  readonly checks: readonly ('tcp' | 'http' | 'ping')[];
}

/** Where targets.ts listens, whatever the loopback address. */
export interface TargetPorts {
  readonly tcp: number;
  readonly http: number;
}

export const TOKEN_ID = 'proxwarden@pve!bench';
const CONTAINERS_MAX = 60_000;

export interface FleetContainer {
  readonly name: string;
  readonly vmid: number;
  readonly cluster: string;
  readonly node: string;
  /** A loopback address of its own. */
  readonly host: string;
}

export function clusterNames({ clusters }: Fleet): string[] {
  return Array.from({ length: clusters }, (_, n) => `c${n + 1}`);
}

export function nodeNames(cluster: string, { nodes }: Fleet): string[] {
  return Array.from({ length: nodes }, (_, n) => `${cluster}-pve${n + 1}`);
}

/** Dealt out to the clusters, and there to the nodes. */
export function containersOf(fleet: Fleet): FleetContainer[] {
  if (fleet.containers > CONTAINERS_MAX) throw new Error('more containers than loopback addresses');
  const clusters = clusterNames(fleet);
  return Array.from({ length: fleet.containers }, (_, n) => {
    const cluster = clusters[n % fleet.clusters] ?? '';
    const nth = Math.floor(n / fleet.clusters);
    const node = nodeNames(cluster, fleet)[nth % fleet.nodes] ?? '';
    return { name: `app-${n + 1}`, vmid: 1000 + nth, cluster, node, host: `127.1.${n >> 8}.${n & 255}` };
  });
}

/** The world of one cluster's lab. */
export function worldOf(fleet: Fleet, cluster: string, secret = tokenSecret()): WorldSpec {
  const containers = containersOf(fleet).filter((c) => c.cluster === cluster);
  return {
    cluster,
    nodes: nodeNames(cluster, fleet).map((name, n) => ({ name, ip: `192.0.2.${n + 1}`, memoryMiB: 262_144 })),
    storages: [
      { id: 'local', path: '/var/lib/vz', content: ['rootdir', 'images'] },
      { id: 'nas', path: '/mnt/pve/nas', content: ['backup'], shared: true },
    ],
    containers: containers.map(({ name, vmid, node }): ContainerSpec => ({
      vmid,
      node,
      hostname: name,
      onboot: true,
      running: true,
      memoryMiB: 128,
      diskMiB: 64,
      ip: 'dhcp',
    })),
    backups: containers.map(({ vmid }) => ({ vmid, storage: 'nas', ageSeconds: 3600 })),
    // A nightly job for all, so that every container is covered.
    jobs: [{ id: 'nightly', storage: 'nas', schedule: '21:00' }],
    tokens: [{ id: TOKEN_ID, secret, privileges: { '/': ['*'] } }],
  };
}

export interface InventoryPorts {
  /** Of the API, by node. */
  readonly api: Readonly<Record<string, number>>;
  readonly targets: TargetPorts;
}

/** One file for each cluster, by its name. They expect `token` and `ca.pem` beside them. */
export function inventoryOf(fleet: Fleet, { api, targets }: InventoryPorts): Record<string, string> {
  const all = containersOf(fleet);
  return Object.fromEntries(
    clusterNames(fleet).map((cluster) => {
      const nodes = nodeNames(cluster, fleet);
      const lines = [
        `cluster: ${cluster}`,
        'api:',
        '  endpoints:',
        ...nodes.map((node) => `    - https://127.0.0.1:${api[node] ?? 0}`),
        '  token: file:token',
        '  tls: { ca: ca.pem }',
        `canaries: [tcp:127.0.0.1:${targets.tcp}]`,
        'nodes:',
        ...nodes.map((node) => `  ${node}: { fence: [manual] }`),
        'defaults:',
        '  backup: { storage: nas }',
        '  failover: { auto: true, restoreStorage: local }',
        'containers:',
        ...all
          .filter((c) => c.cluster === cluster)
          .flatMap(({ name, vmid, node, host }) => [
            `  ${name}:`,
            `    vmid: ${vmid}`,
            `    nodes: [${nodes.filter((other) => other !== node).join(', ')}]`,
            '    checks:',
            ...fleet.checks.map((kind) => `      - ${kind}: ${targetOf(kind, host, targets)}`),
          ]),
      ];
      return [`${cluster}.yaml`, `${lines.join('\n')}\n`];
    }),
  );
}

function targetOf(kind: Fleet['checks'][number], host: string, targets: TargetPorts): string {
  switch (kind) {
    case 'tcp':
      return `${host}:${targets.tcp}`;
    case 'http':
      return `http://${host}:${targets.http}/`;
    case 'ping':
      return host;
  }
}
