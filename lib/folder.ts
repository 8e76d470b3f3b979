/** Making folders, and making names in them last. */
import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * `mkdir -p`; what is made gets `mode` and survives a power loss. Throws the system's error. Not Node's own `recursive`:
 * below /proc, where mkdir says ENOENT although the parent is there, that never comes to an end (Node 20 to 24).
 */
export function makeFolder(folder: string, mode = 0o777): void {
  if (make(folder, mode)) return;
  makeFolder(dirname(folder), mode);
  if (!make(folder, mode)) throw noFolderHere(folder);
}

/** One folder in another that must be there. What is made survives a power loss. Throws the system's error. */
export function makeSubfolder(folder: string, mode: number): void {
  if (!make(folder, mode)) throw noFolderHere(folder);
}

/** Makes names that were added to, removed from or changed in a folder durable. Throws the system's error. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } catch (error) {
    // Some network file systems cannot sync a folder; for them the server sees to it.
    if (codeOf(error) !== 'EINVAL' && codeOf(error) !== 'ENOTSUP') throw error;
  } finally {
    closeSync(handle);
  }
}

/** false: its parent is missing. */
function make(folder: string, mode: number): boolean {
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    // Another process may have been faster.
    if (codeOf(error) === 'EEXIST' && statSync(folder).isDirectory()) return true;
    if (codeOf(error) !== 'ENOENT' || dirname(folder) === folder) throw error;
    return false;
  }
  // Else a journal that is synced in it could be lost with it.
  syncFolder(dirname(folder));
  return true;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function noFolderHere(folder: string): Error {
  return Object.assign(new Error(`no folder can be made here: ${folder}`), { code: 'ENOENT' });
}
