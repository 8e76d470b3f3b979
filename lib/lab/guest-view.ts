import { parseConfig, parseProperties, sizeMiB } from './ct-config.ts';
import type { World } from './world.ts';

const MIB = 1_048_576;

/** How a guest is shown: in lists, in status/current, in cluster/resources. */
export interface GuestFigures {
  readonly status: 'running' | 'stopped';
  readonly name: string;
  readonly vmid: number;
  readonly uptime: number;
  readonly cpu: number;
  readonly mem: number;
  readonly maxmem: number;
  readonly disk: number;
  readonly maxdisk: number;
  readonly netin: number;
  readonly netout: number;
  readonly diskread: 0;
  readonly diskwrite: 0;
  readonly cores: number;
  readonly pid: number | undefined;
  readonly tags: string | undefined;
  readonly lock: string | undefined;
  readonly template: boolean;
  readonly maxswap: number;
}

export function guestFigures(world: World, node: string, vmid: number): GuestFigures {
  const config = parseConfig(world.cfs.read(node, vmid) ?? '');
  const { values } = config;
  const copy = world.guests.copy(node, vmid);
  const root = parseProperties(values.get('rootfs') ?? '');
  const size = sizeMiB(root.get('size')) * MIB;
  const uptime = copy === undefined ? 0 : Math.floor((world.core.now() - copy.startedAt) / 1000);
  const running = copy !== undefined;
  return {
    status: running ? 'running' : 'stopped',
    name: values.get('hostname') ?? `CT${vmid}`,
    vmid,
    uptime,
    cpu: running ? 0.001 : 0,
    // All that it may, as its node's own figure has it.
    mem: (copy?.memoryMiB ?? 0) * MIB,
    maxmem: Number(values.get('memory') ?? '512') * MIB,
    disk: running ? Math.round((copy.disk?.content.usedMiB ?? 0) * MIB) : 0,
    maxdisk: Math.floor(size),
    netin: running ? 70 * uptime : 0,
    netout: running ? 516 : 0,
    diskread: 0,
    diskwrite: 0,
    cores: Number(values.get('cores') ?? '2'),
    pid: copy?.pid,
    tags: values.get('tags'),
    lock: values.get('lock'),
    template: values.get('template') === '1',
    maxswap: Number(values.get('swap') ?? '512') * MIB,
  };
}

/** An entry of …/lxc; status/current adds `ha`. */
export function guestStatus(world: World, node: string, vmid: number): Record<string, unknown> {
  const { cores, pid, tags, lock, template, ...rest } = guestFigures(world, node, vmid);
  return {
    ...rest,
    type: 'lxc',
    cpus: cores,
    swap: 0,
    ...(pid === undefined ? {} : { pid }),
    ...(tags === undefined ? {} : { tags }),
    ...(lock === undefined ? {} : { lock }),
    ...(template ? { template: 1 } : {}),
  };
}

/**
 * An entry of /cluster/resources: what was last heard of it. Its lock, its tags and its HA state are read from the
 * cluster's files, and so are never old (PVE's source).
 */
export function guestResource(
  world: World,
  viewer: string,
  node: string,
  vmid: number,
): Record<string, unknown> {
  const { tags, lock } = guestFigures(world, node, vmid);
  const managed = world.ha.resources.get(`ct:${vmid}`);
  return {
    status: 'unknown',
    ...world.statd.shown(viewer, vmid),
    ...(tags === undefined ? {} : { tags }),
    ...(lock === undefined ? {} : { lock }),
    ...(managed === undefined ? {} : { hastate: managed.state }),
    id: `lxc/${vmid}`,
    type: 'lxc',
    vmid,
    node,
  };
}

export function nodeUsage(
  world: World,
  name: string,
): Record<'cpu' | 'maxcpu' | 'mem' | 'maxmem' | 'disk' | 'maxdisk' | 'uptime', number> {
  const node = world.nodes.get(name);
  const guests = world.guests.copies().filter((copy) => copy.node === name);
  const mem = Math.min(
    node.memoryBytes,
    1024 * MIB + guests.reduce((sum, copy) => sum + copy.memoryMiB * MIB, 0),
  );
  return {
    cpu: 0.05,
    maxcpu: 2,
    mem,
    maxmem: node.memoryBytes,
    disk: 9_285_632,
    maxdisk: 16_729_894_912,
    uptime: Math.floor((world.core.now() - node.bootedAt) / 1000),
  };
}
