/**
 * Hooks, exec checks and CA files: only what lies inside the inventory folder, or what the runner's own configuration
 * names. A pull request must not be able to run something else of the runner.
 */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, normalize, relative, sep } from 'node:path';
import { errorCode } from './files.ts';

export type Found = { readonly path: string } | { readonly message: string; readonly fix: string };

/** Absolute path of a program that may be run. `allowed`: absolute paths that the runner's owner permits. */
export function findProgram(root: string, allowed: readonly string[], written: string): Found {
  if (isAbsolute(written)) {
    if (!allowed.includes(normalize(written))) {
      return {
        message: 'is outside of the inventory folder',
        fix: "put it into the inventory folder, or allow it on the runner: PROXWARDEN_ALLOWED_HOOKS (paths separated by ':')",
      };
    }
    return isProgram(normalize(written));
  }
  const found = findInside(root, written);
  return 'path' in found ? isProgram(found.path) : found;
}

/** Absolute path of an existing file inside the folder, with symbolic links followed. */
export function findInside(root: string, written: string): Found {
  let path: string;
  try {
    path = realpathSync(join(root, written));
  } catch (error) {
    return errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR'
      ? { message: 'does not exist', fix: 'paths are relative to the inventory folder' }
      : { message: `can't be reached (${errorCode(error)})`, fix: 'check the path and its permissions' };
  }
  const inside = relative(root, path);
  if (inside === '' || inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) {
    return {
      message: 'is outside of the inventory folder',
      fix: 'put the file itself into the inventory folder',
    };
  }
  return { path };
}

/**
 * Like findInside for what lives on the runner and not in git (a token, a CA): it may be missing where the inventory
 * is only validated, and is looked for when it is used.
 */
export function placeInside(root: string, written: string): Found {
  const path = join(root, written);
  const inside = relative(root, path);
  if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside))
    return { message: 'is outside of the inventory folder', fix: 'name it by its absolute path' };
  return existsSync(path) ? findInside(root, written) : { path };
}

function isProgram(path: string): Found {
  try {
    const status = statSync(path);
    if (!status.isFile()) return { message: 'is not a regular file', fix: 'name an executable file' };
    // Not access(2): root may execute what carries any x, and this should be the same for every user.
    if ((status.mode & 0o111) === 0)
      return { message: 'is not executable', fix: 'chmod +x it (git keeps that)' };
    return { path };
  } catch (error) {
    return { message: `can't be reached (${errorCode(error)})`, fix: 'check that it exists on this runner' };
  }
}
