import { changedConfig, formatConfig, formatNet, formatSize } from './ct-config.ts';
import { archiveVolid } from './storage.ts';
import type { DiskContent } from './storage.ts';
import type { BackupSpec, ContainerSpec } from './types.ts';
import type { World } from './world.ts';

const DISK_MIB = 512;

/** Fills a fresh world with what its specification says: configs, disks, running copies, backups. */
export function populate(world: World): void {
  for (const container of world.spec.containers) addContainer(world, container);
  for (const backup of world.spec.backups ?? []) addBackup(world, backup);
}

function addContainer(world: World, spec: ContainerSpec): void {
  const { cfs, core, storages, guests } = world;
  const storage = storages.demand(spec.storage ?? 'local', spec.node);
  const volid = storages.nextVolid(storage, spec.node, spec.vmid);
  const size = spec.diskMiB ?? DISK_MIB;
  storages.addDisk({
    volid,
    storage: storage.id,
    node: storages.placeOf(storage, spec.node),
    vmid: spec.vmid,
    sizeMiB: size,
    ctime: core.seconds() - 86_400,
    content: contentOf(spec),
  });
  const values = new Map<string, string>([
    ['arch', 'amd64'],
    ['hostname', spec.hostname],
    ['memory', String(spec.memoryMiB ?? 128)],
    ['ostype', 'alpine'],
    ['rootfs', `${volid},size=${formatSize(size)}`],
    ['swap', '0'],
    ['unprivileged', '1'],
  ]);
  const net = netOf(spec);
  if (net !== null) values.set('net0', net);
  if (spec.onboot !== undefined) values.set('onboot', spec.onboot ? '1' : '0');
  if (spec.template === true) values.set('template', '1');
  if (spec.tags !== undefined && spec.tags.length > 0) values.set('tags', spec.tags.toSorted().join(';'));
  for (const [key, value] of Object.entries(spec.config ?? {}))
    if (value === '') values.delete(key);
    else values.set(key, value);
  for (const [key, value] of values) {
    const [, mounted, on, gib] = /^(([^:/,]+):[^,]+),.*\bsize=(\d+)G/.exec(value) ?? [];
    if (!/^mp\d+$/.test(key) || mounted === undefined || on === undefined) continue;
    storages.addDisk({
      volid: mounted,
      storage: on,
      node: storages.placeOf(storages.demand(on, spec.node), spec.node),
      vmid: spec.vmid,
      sizeMiB: Number(gib) * 1024,
      ctime: core.seconds() - 86_400,
      content: { identity: `${spec.hostname}-${key}`, services: [], usedMiB: 1 },
    });
  }
  const config = changedConfig({ description: '', values }, new Map(), spec.description ?? '');
  // A folder that holds a config of it already is a lab that was stopped: its state goes on.
  if (cfs.find(spec.vmid) === null) cfs.write(spec.node, spec.vmid, formatConfig(config));
  if (spec.running === true) guests.began(spec.node, spec.vmid, '', core.now() - 86_400_000);
}

/** A network interface when the container has an address or a MAC of its own. */
function netOf(spec: ContainerSpec): string | null {
  if (spec.mac === undefined && spec.ip === undefined) return null;
  const parts = new Map([
    ['name', 'eth0'],
    ['bridge', 'vmbr0'],
    ['hwaddr', (spec.mac ?? macOf(spec.vmid)).toUpperCase()],
    ['type', 'veth'],
  ]);
  if (spec.ip !== undefined) parts.set('ip', spec.ip);
  if (spec.gateway !== undefined) parts.set('gw', spec.gateway);
  return formatNet(parts);
}

/** The same for a vmid every time. */
export function macOf(vmid: number): string {
  const digits = vmid.toString(16).padStart(6, '0').slice(-6);
  return `BC:24:11:${digits.slice(0, 2)}:${digits.slice(2, 4)}:${digits.slice(4, 6)}`;
}

function contentOf(spec: ContainerSpec): DiskContent {
  return {
    identity: `ct-${spec.hostname}`,
    services: spec.services ?? [],
    usedMiB: spec.diskMiB ?? DISK_MIB,
  };
}

function addBackup(world: World, backup: BackupSpec): void {
  const { cfs, core, storages, spec } = world;
  const container = spec.containers.find((one) => one.vmid === backup.vmid);
  const node = container?.node ?? spec.nodes[0]?.name ?? '';
  const storage = storages.demand(backup.storage, node);
  const at = Math.floor(core.now() / 1000) * 1000 - backup.ageSeconds * 1000;
  const content =
    container === undefined
      ? { identity: `ct-${backup.vmid}`, services: [], usedMiB: DISK_MIB }
      : contentOf(container);
  const own = cfs.read(node, backup.vmid);
  const text =
    own ??
    `arch: amd64\nhostname: CT${backup.vmid}\nostype: alpine\nrootfs: local:${backup.vmid}/vm-${backup.vmid}-disk-0.raw,size=${DISK_MIB}M\nunprivileged: 1\n`;
  storages.addArchive({
    volid: archiveVolid(storage, backup.vmid, at, 'tar.zst'),
    storage: storage.id,
    node: storages.placeOf(storage, node),
    vmid: backup.vmid,
    at,
    size: Math.round(content.usedMiB * 1_048_576 * 0.6),
    notes: backup.notes ?? '',
    protected: backup.protected ?? false,
    verification: backup.verification ?? null,
    encrypted: backup.encrypted ?? null,
    unfinished: backup.unfinished ?? false,
    truncated: backup.truncated ?? false,
    config: backup.foreign === undefined ? text : foreignConfig(text, backup.foreign),
    content:
      backup.foreign === undefined ? content : { ...content, identity: `ct-${backup.foreign.hostname}` },
  });
}

function foreignConfig(text: string, { hostname, mac }: NonNullable<BackupSpec['foreign']>): string {
  const renamed = text.replace(/^hostname: .*$/m, `hostname: ${hostname}`).replace(/^net0: .*\n/m, '');
  return `${renamed}net0: name=eth0,bridge=vmbr0,hwaddr=${mac.toUpperCase()},type=veth\n`;
}
