/** Folders for tests. In memory where there is some: every journal write is synced to the disk otherwise. */
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SHM = '/dev/shm';

/** A new folder; whoever makes it removes it. */
export function scratchFolder(prefix: string): string {
  return mkdtempSync(join(existsSync(SHM) ? SHM : tmpdir(), `proxwarden-${prefix}-`));
}
