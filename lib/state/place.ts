/**
 * Where a state folder is. On a node of Proxmox VE it may be on pmxcfs, the cluster's own file system: replicated to all
 * nodes, and read-only without quorum. What its runners have to share is there; what only the runs of one machine use
 * (observation, plans, events) is on that machine's disk, since every byte on pmxcfs is sent to all nodes and no file
 * there may have more than 1 MiB.
 */
import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { FailedError, InputError } from '../errors.ts';
import { CLUSTER_FS, isOnClusterFs } from './cluster-fs.ts';
import { errnoOf } from './durable.ts';
import { fitnessOf, type Fitness } from './fitness.ts';
import { mountOf, readMounts } from './mounts.ts';

/** What is ours there: the state folder is this one or below it. */
const OURS = `${CLUSTER_FS}/proxwarden`;
const OURS_LOCAL = '/var/lib/proxwarden';

export interface Place {
  /** The state folder, absolute and without symbolic links. */
  readonly dir: string;
  /** The folder for what only this machine's runs use; `dir` itself unless that is on pmxcfs. */
  readonly local: string;
}

/** What the file system is good for that a state folder is, or would be, on; `type`: its name, null where not known. */
export function fitnessAt(dir: string): Fitness & { readonly type: string | null } {
  const { dir: real } = placeOf(dir);
  if (isOnClusterFs(real)) return { kind: 'cluster', type: 'pmxcfs' };
  const mount = mountOf(real, readMounts());
  return { ...fitnessOf(mount), type: mount?.type ?? null };
}

/** Throws InputError when the state folder `dir` is on a file system that is known not to hold one. */
export function assertFit(dir: string): void {
  const found = fitnessAt(dir);
  if (found.kind === 'refused')
    throw new InputError(
      `the state folder ${dir} is on ${found.type ?? 'a file system'}, where it is not safe: ${found.why}; name a folder on a disk of this machine with --state`,
      { hint: 'README, “Several runners”, says what may be shared, and how' },
    );
}

/** Where the state folder `dir` is; it need not be there yet. */
export function placeOf(dir: string): Place {
  const real = realOf(resolve(dir));
  return { dir: real, local: isWithin(real, OURS) ? `${OURS_LOCAL}${real.slice(OURS.length)}` : real };
}

/**
 * Throws when the state folder is to be on pmxcfs and can't: InputError for a wrong user or path, FailedError when pmxcfs
 * is not there (what was written below its mount point would keep it from being mounted again).
 */
export function assertOnClusterFs({ dir }: Place): void {
  if (!isWithin(dir, OURS))
    throw new InputError(
      `the state folder ${dir} is among Proxmox VE's own files; name ${OURS}, or a folder below it, with --state`,
    );
  if (process.getuid?.() !== 0)
    throw new InputError(
      `the state folder ${dir} is on the cluster file system of Proxmox VE, where only root may write; run ProxWarden as root on the nodes, or name a folder elsewhere with --state`,
    );
  if (mountOf(CLUSTER_FS, readMounts())?.type.startsWith('fuse') !== true)
    throw new FailedError(
      `the state folder ${dir} is not to be had: Proxmox VE's cluster file system is not mounted at ${CLUSTER_FS}; on a node run systemctl status pve-cluster, elsewhere name another folder with --state`,
    );
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** What is not there yet has no links in it. */
function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    // What can't be looked at is refused, in words, by whoever opens it.
    return errnoOf(error) === 'ENOENT' && dirname(path) !== path
      ? join(realOf(dirname(path)), basename(path))
      : path;
  }
}
