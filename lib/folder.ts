/** Making folders. */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * `mkdir -p`; what is made gets `mode`. Throws the system's error. Not Node's own `recursive`: below /proc, where mkdir
 * says ENOENT although the parent is there, that never comes to an end (Node 20 to 24).
 */
export function makeFolder(folder: string, mode = 0o777): void {
  if (make(folder, mode)) return;
  makeFolder(dirname(folder), mode);
  if (!make(folder, mode)) throw noFolderHere(folder);
}

/** false: its parent is missing. */
function make(folder: string, mode: number): boolean {
  try {
    mkdirSync(folder, { mode });
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    // Another process may have been faster.
    if (code === 'EEXIST' && statSync(folder).isDirectory()) return true;
    if (code !== 'ENOENT' || dirname(folder) === folder) throw error;
    return false;
  }
}

function noFolderHere(folder: string): Error {
  return Object.assign(new Error(`no folder can be made here: ${folder}`), { code: 'ENOENT' });
}
