/** Which file system a folder is on, by the kernel's own list of mounts. */
import { readFileSync } from 'node:fs';
import { errnoOf } from './durable.ts';

export interface Mount {
  /** Where it is mounted. */
  readonly point: string;
  /** As the kernel calls it: `ext4`, `nfs4`, `fuse`, `fuse.sshfs`. */
  readonly type: string;
  /** Of the file system itself: `vers=4.2`, `nocto`. */
  readonly options: readonly string[];
}

/** The mounts of this process as text, one a line; empty where there is no /proc. */
export function readMounts(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8');
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    // Nothing is known then, and nothing is refused for it.
    return '';
  }
}

/** The mount that an absolute path without symbolic links is on; null: the list does not say. Pure. */
export function mountOf(path: string, mounts: string): Mount | null {
  let found: Mount | null = null;
  for (const line of mounts.split('\n')) {
    // 36 35 98:0 /root /mount\040point rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
    const [before = '', after = ''] = line.split(' - ');
    const point = unescaped(before.split(' ')[4] ?? '');
    const [type = '', , options = ''] = after.split(' ');
    if (point === '' || type === '') continue;
    const holds = path === point || path.startsWith(point.endsWith('/') ? point : `${point}/`);
    // Of two mounts at one place the later one is seen.
    if (holds && point.length >= (found?.point.length ?? 0))
      found = { point, type, options: options.split(',') };
  }
  return found;
}

function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCodePoint(Number.parseInt(digits, 8)),
  );
}
