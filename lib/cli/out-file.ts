/** A result that goes into a file: readers see the old one or the new one, never a part of it. */
import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { FailedError } from '../errors.ts';
import { errnoOf } from '../state/durable.ts';

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'its folder is not there',
  ENOTDIR: 'its folder is no folder',
  EISDIR: 'it is a folder',
  EACCES: 'permission denied',
  EROFS: 'read-only file system',
  ENOSPC: 'no space left on device',
};

/**
 * Replaces the file in one step; it can be read by everybody (node_exporter, a web server). Throws FailedError, and
 * leaves what was there.
 */
export function writeOut(file: string, text: string): void {
  // No reader may take it for a result: node_exporter reads what ends in .prom.
  const temp = join(dirname(file), `.${basename(file)}.${process.pid}.tmp`);
  try {
    writeFileSync(temp, text, { mode: 0o644 });
    chmodSync(temp, 0o644);
    renameSync(temp, file);
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') rmSync(temp, { force: true });
    throw new FailedError(`cannot write ${file}: ${REASONS[code] ?? code}; name another file with --out`, {
      cause: error,
    });
  }
}
