/** Reading files whose place in the file system somebody else may have filled with something else. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

const CHUNK_BYTES = 65_536;

/** A pipe, a device, a folder: reading it may wait for ever, or never end. */
export class NotAFile extends Error {
  readonly code = 'ENOTAFILE';
  constructor() {
    super('it is not a regular file');
  }
}

/**
 * The bytes of a regular file, but no more than one beyond `most`, and its mode. A pipe is not waited for. Throws the
 * system's error, or NotAFile. `follow` false: a symbolic link is refused (ELOOP).
 */
export function readRegularFile(
  path: string,
  { most = Number.POSITIVE_INFINITY, follow = true }: { most?: number; follow?: boolean } = {},
): { readonly bytes: Buffer; readonly mode: number } {
  const file = openSync(
    path,
    constants.O_RDONLY | constants.O_NONBLOCK | (follow ? 0 : constants.O_NOFOLLOW),
  );
  try {
    const status = fstatSync(file);
    if (!status.isFile()) throw new NotAFile();
    const parts: Buffer[] = [];
    for (let left = most + 1; left > 0;) {
      const part = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, left));
      const got = readSync(file, part, 0, part.length, null);
      if (got === 0) break;
      parts.push(part.subarray(0, got));
      left -= got;
    }
    return { bytes: Buffer.concat(parts), mode: status.mode };
  } finally {
    closeSync(file);
  }
}
