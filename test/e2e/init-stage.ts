/** A lab whose containers have addresses of their own on loopback, for `init` to find. */
import { randomInt } from 'node:crypto';
import type { ContainerSpec, WorldSpec } from '../../lib/lab/types.ts';
import { openStage, type Stage } from './stage.ts';

/** Loopback addresses that no other test uses. */
export function network(): (host: number) => string {
  const net = `127.${randomInt(10, 250)}.${randomInt(0, 250)}`;
  return (host) => `${net}.${host}`;
}

const NODE = { onboot: true, running: true, memoryMiB: 256, diskMiB: 64, storage: 'local' } as const;

/** Containers of every kind that `init` has to tell apart. */
export function containers(at: (host: number) => string): ContainerSpec[] {
  const ip = (host: number): string => `${at(host)}/24`;
  const tcp = (host: number, port: number) => ({ kind: 'tcp', host: at(host), port }) as const;
  const http = (host: number, port: number) => ({ kind: 'http', host: at(host), port }) as const;
  return [
    { ...NODE, vmid: 101, node: 'pve1', hostname: 'web.example.org', ip: ip(11), services: [http(11, 8080)] },
    {
      ...NODE,
      vmid: 102,
      node: 'pve2',
      hostname: 'db',
      ip: ip(12),
      gateway: at(1),
      services: [tcp(12, 3306), tcp(12, 6379)],
    },
    {
      ...NODE,
      vmid: 103,
      node: 'pve3',
      hostname: 'mqtt',
      ip: 'dhcp',
      lease: ip(13),
      services: [tcp(13, 1883)],
    },
    { ...NODE, vmid: 104, node: 'pve3', hostname: 'quiet', ip: ip(14), onboot: false },
    { ...NODE, vmid: 105, node: 'pve1', hostname: 'template', ip: ip(15), template: true, running: false },
    { ...NODE, vmid: 106, node: 'pve1', hostname: 'resting', ip: ip(16), running: false },
    { ...NODE, vmid: 107, node: 'pve2', hostname: 'locked', ip: ip(17), config: { lock: 'backup' } },
    {
      ...NODE,
      vmid: 108,
      node: 'pve2',
      hostname: 'web',
      ip: ip(18),
      services: [http(18, 3000)],
      config: { features: 'nesting=1,keyctl=1' },
    },
    { ...NODE, vmid: 109, node: 'pve2', hostname: 'nowhere' },
  ];
}

export type InitStage = Stage & { readonly at: (host: number) => string };

export async function initStage(
  t: Parameters<typeof openStage>[0],
  change: (world: WorldSpec) => WorldSpec = (world) => world,
): Promise<InitStage> {
  const at = network();
  const world = (example: WorldSpec): WorldSpec =>
    change({
      ...example,
      // Where nothing listens: the lab's own ports are others.
      nodes: example.nodes.map((node, index) => ({ ...node, ip: at(200 + index) })),
      containers: containers(at),
      backups: [],
    });
  return { ...(await openStage(t, { world })), at };
}
