/** Folders and file systems for tests. In memory where there is some: every journal write is synced to the disk otherwise. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SHM = '/dev/shm';

/** A new folder; whoever makes it removes it. */
export function scratchFolder(prefix: string): string {
  return mkdtempSync(join(existsSync(SHM) ? SHM : tmpdir(), `proxwarden-${prefix}-`));
}

export interface OwnDisk {
  readonly dir: string;
  /** Mounted again with this option. */
  remount(how: 'ro' | 'rw'): void;
}

/** A small file system of its own, mode 0700, until the test has ended; or the reason why there can't be one here. */
export function mountTmpfs(t: { after(end: () => void): void }, options: string): OwnDisk | { why: string } {
  if (process.getuid?.() !== 0) return { why: 'only root can mount a file system' };
  const dir = scratchFolder('disk');
  // In any case, and also under a process that still has something open there.
  t.after(() => {
    spawnSync('umount', ['-l', dir]);
    rmSync(dir, { recursive: true, force: true });
  });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `mode=700,${options}`, 'proxwarden-test', dir]);
  if (mounted.status !== 0)
    return { why: `no tmpfs can be mounted here: ${mounted.stderr.toString().trim()}` };
  return { dir, remount: (how) => void spawnSync('mount', ['-o', `remount,${how}`, dir]) };
}
