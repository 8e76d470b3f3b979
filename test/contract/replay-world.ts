/** The machines of the recordings, as far as they are the same in several parts. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerSpec, UserSpec, WorldSpec } from '../../lib/lab/types.ts';
import type { Part, Replay } from './replay.ts';

/** What the lab does not have at all. */
export const NOT_IN_LAB: Part['skip'] = [
  [/(add|add disabled|del) storage|noquorum: add storage/, 'endpoint not in the lab: changing storages'],
  [/prunebackups/, 'endpoint not in the lab: prunebackups'],
  [/migrate 103/, 'endpoint not in the lab: migrate'],
  [/cluster config|cluster\/config|join /, 'endpoint not in the lab: cluster/config'],
  [
    /access\/users|create (user|token|expired)|root token|list tokens|(dis|en)able user|create role|acl (for|\/)|noquorum: (create token|put acl)|role PW/,
    'endpoint not in the lab: users, tokens, roles',
  ],
];

/** Most calls were recorded with a ticket of this user. */
export const ROOT: UserSpec = { id: 'root@pam', password: 'the-recorder', privileges: { '/': ['*'] } };

export const CLUSTER = {
  cluster: 'testcluster',
  version: '8.4.21',
  nodes: [1, 2, 3].map((index) => ({ name: `pve${index}`, ip: `10.88.0.${index}` })),
  // Fast enough for small archives to take no time at all.
  throughputMiB: 5_000,
  users: [ROOT],
} as const;

export const LOCAL = {
  id: 'local',
  path: '/var/lib/vz',
  content: ['images', 'backup', 'iso', 'vztmpl', 'snippets', 'rootdir'],
};

export const SHARED = {
  id: 'shared',
  path: '/mnt/pve/shared',
  content: ['backup', 'vztmpl', 'rootdir', 'snippets'],
  shared: true,
};

/** A container as the recordings' tools made them. */
export function container(vmid: number, node: string, extra: Partial<ContainerSpec> = {}): ContainerSpec {
  const config = {
    net0: `name=eth0,bridge=vmbr0,gw=10.88.0.254,hwaddr=${macOf(vmid)},ip=10.88.0.${vmid}/24,type=veth`,
    cores: '1',
  };
  return { vmid, node, hostname: `ct${vmid}`, running: true, memoryMiB: 128, diskMiB: 256, config, ...extra };
}

function macOf(vmid: number): string {
  return `BC:24:11:00:${String(Math.floor(vmid / 100)).padStart(2, '0')}:${String(vmid % 100).padStart(2, '0')}`;
}

export const FIRST = container(101, 'pve1', {
  onboot: true,
  tags: ['proxwarden', 'test'],
  description: 'first ct',
});

/** Epoch seconds of a UPID's start time. */
export function at(hex: string): number {
  return Number.parseInt(hex, 16);
}

/** As the tools of the HA recordings made them: two cores' worth by default, no tags. */
export function bare(vmid: number, node: string): ContainerSpec {
  const net0 = `name=eth0,bridge=vmbr0,gw=10.88.0.254,hwaddr=${macOf(vmid)},ip=10.88.0.${vmid}/24,type=veth`;
  return container(vmid, node, { onboot: true, memoryMiB: 64, diskMiB: 102, config: { net0 } });
}

export const DEATH_WORLD: WorldSpec = {
  ...CLUSTER,
  storages: [LOCAL, SHARED],
  containers: [
    FIRST,
    container(102, 'pve2'),
    container(103, 'pve3'),
    container(401, 'pve1', {
      hostname: 'zz',
      memoryMiB: 64,
      tags: ['b'],
      config: { net0: 'name=eth0,bridge=vmbr0,hwaddr=BC:24:11:58:BE:63,ip=manual,type=veth' },
    }),
  ],
  tokens: [{ id: 'root@pam!admin', secret: 'secret', privileges: { '/': ['*'] } }],
};

export const LOCKED = container(401, 'pve1', {
  running: false,
  hostname: 'zz',
  memoryMiB: 64,
  diskMiB: 102,
  description: 'b',
  tags: ['b'],
  config: { net0: 'name=eth0,bridge=vmbr0,hwaddr=BC:24:11:58:BE:63,ip=manual,type=veth' },
});

export function edit(replay: Replay, node: string, vmid: number, change: (text: string) => string): void {
  const file = join(replay.configDir, 'nodes', node, 'lxc', `${vmid}.conf`);
  writeFileSync(file, change(readFileSync(file, 'utf8')));
}

/** `mv` of a config by a root shell: to another node, or (null) out of nodes/. */
export function moveConfig(replay: Replay, vmid: number, from: string, to: string | null): void {
  const file = (node: string): string => join(replay.configDir, 'nodes', node, 'lxc', `${vmid}.conf`);
  renameSync(file(from), to === null ? join(replay.configDir, `${vmid}.conf.${from}`) : file(to));
}
