/** Which storage each disk of a copy goes to, and what a restore call says about them. Pure. */
import type { Container } from '../inventory/types.ts';
import type { ArchivedConfig, Mount } from './guest-config.ts';

const GIB = 1024 ** 3;

type Failover = Container['failover'];

/** The storage for one disk of the copy: its own, or that of the root disk. */
export function storageFor(
  { restoreStorage, mountStorage }: Pick<Failover, 'restoreStorage' | 'mountStorage'>,
  key: string,
): string {
  return mountStorage[key] ?? restoreStorage;
}

/**
 * The mount points that the call has to name (`rootfs`, `mp0`, …, with their values), or null when Proxmox VE is to make
 * all disks as the archive says on one storage. As soon as one is named it ignores what the archive says of any, so all
 * are: volumes anew with their size, a node's own paths as they are (only for root). A token leaves those out, and they
 * are only left out here: whether that loss is accepted is decided elsewhere.
 */
export function mountsToName(
  failover: Pick<Failover, 'restoreStorage' | 'mountStorage' | 'restoreVia'>,
  { mounts }: Pick<ArchivedConfig, 'mounts'>,
): Readonly<Record<string, string>> | null {
  const spread = mounts.some(
    ({ key, kind }) => kind === 'volume' && storageFor(failover, key) !== failover.restoreStorage,
  );
  const leftOut = failover.restoreVia === 'api' && mounts.some(({ kind }) => kind !== 'volume');
  if (!spread && !leftOut) return null;
  return Object.fromEntries(
    mounts
      .filter(({ kind }) => kind === 'volume' || failover.restoreVia === 'shell')
      .map((mount) => [mount.key, mountValue(mount, storageFor(failover, mount.key))]),
  );
}

/** `big:8,mp=/data,backup=1`: `storage:GiB` makes a new volume of that size. */
function mountValue({ key, kind, source, path, bytes, backup, options }: Mount, storage: string): string {
  const volume = kind === 'volume' ? `${storage}:${gib(bytes ?? 0)}` : source;
  const rest = Object.entries(options).map(([name, value]) => `${name}=${value}`);
  return [
    volume,
    ...(key === 'rootfs' ? [] : [`mp=${path}`]),
    ...(backup && key !== 'rootfs' ? ['backup=1'] : []),
    ...rest,
  ].join(',');
}

/** A decimal number without an exponent. */
function gib(bytes: number): string {
  return (bytes / GIB).toFixed(6).replace(/\.?0+$/, '');
}
