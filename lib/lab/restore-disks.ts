/** The disks of a restored container: as its archive says, or as the call says (any of them given: all of them). */
import type { Caller } from './auth.ts';
import { parseConfig, parseProperties, sizeMiB } from './ct-config.ts';
import type { CtConfig } from './ct-config.ts';
import type { CreateRequest } from './create.ts';
import { ApiError } from './http.ts';
import { TaskFailure } from './tasks.ts';

/** One new volume. `options`: what follows in its config line, its size apart. */
export interface NewVolume {
  readonly key: string;
  readonly storage: string;
  readonly sizeMiB: number;
  readonly options: string;
}

export interface MountPlan {
  readonly volumes: readonly NewVolume[];
  /** The node's own paths, set when all else is done. */
  readonly paths: ReadonlyMap<string, string>;
}

const MOUNT = /^(rootfs|mp\d+)$/;

/** The mount points that a call names, its root disk among them. */
export function givenMounts(given: ReadonlyMap<string, string>): [string, string][] {
  return [...given].filter(([key]) => MOUNT.test(key)).toSorted(byKey);
}

/** Those of a config. */
export function mountsOf({ values }: CtConfig): [string, string][] {
  return [...values].filter(([key]) => MOUNT.test(key)).toSorted(byKey);
}

function byKey([a]: [string, string], [b]: [string, string]): number {
  return rank(a) - rank(b);
}

function rank(key: string): number {
  return key === 'rootfs' ? -1 : Number(key.slice(2));
}

/** What Proxmox says of given mount points before there is a task. Texts of its source; unmeasured. */
export function checkGivenMounts(caller: Caller, given: ReadonlyMap<string, string>): void {
  const mounts = givenMounts(given);
  for (const [, value] of mounts)
    if (value.startsWith('/') && caller.id !== 'root@pam')
      throw new ApiError(
        403,
        `Permission check failed (mount point type ${kindOf(value)} is only allowed for root@pam)`,
      );
  if (mounts.length > 0 && !given.has('rootfs'))
    throw new ApiError(500, "mount points configured, but 'rootfs' not set - aborting");
}

function kindOf(value: string): string {
  return value.startsWith('/dev/') ? 'device' : 'bind';
}

/** Throws TaskFailure with Proxmox's own words (of its source; unmeasured but for the size of the root disk). */
export function planMounts(caller: Caller, request: CreateRequest, archive: string): MountPlan {
  const failed = (why: string): TaskFailure =>
    new TaskFailure(`unable to restore CT ${request.vmid} - ${why}`);
  const volumes: NewVolume[] = [];
  const paths = new Map<string, string>();
  const given = givenMounts(request.given);
  if (given.length > 0) {
    for (const [key, value] of given) {
      if (value.startsWith('/')) {
        paths.set(key, value);
        continue;
      }
      const { volume, options } = split(value);
      const [, storage = '', gib = ''] = /^([^:\s]+):(\d+(?:\.\d+)?)$/.exec(volume) ?? [];
      if (storage === '') throw failed(`unable to parse volume ID '${volume}'`);
      volumes.push({ key, storage, sizeMiB: Number(gib) * 1024, options });
    }
    return { volumes, paths };
  }
  const archived = mountsOf(parseConfig(archive));
  if (!archived.some(([key]) => key === 'rootfs'))
    throw failed('rootfs configuration could not be recovered, please check and specify manually!');
  for (const [key, value] of archived) {
    if (value.startsWith('/')) {
      const kind = kindOf(value);
      if (key === 'rootfs')
        throw failed(`restoring rootfs to ${kind} mount is only possible by specifying -rootfs manually!`);
      if (caller.id !== 'root@pam')
        throw failed(`restoring '${key}' to ${kind} mount is only possible for root`);
      paths.set(key, value);
      continue;
    }
    const size = sizeMiB(parseProperties(value).get('size'));
    if (size === 0) throw failed(`unable to detect disk size - please specify ${key} (size)`);
    volumes.push({ key, storage: request.storage, sizeMiB: size, options: split(value).options });
  }
  return { volumes, paths };
}

/** A mount point's volume, and its options without the size. */
function split(value: string): { volume: string; options: string } {
  const [volume = '', ...rest] = value.split(',');
  return { volume, options: rest.filter((part) => !part.startsWith('size=')).join(',') };
}
