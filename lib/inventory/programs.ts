/**
 * Hooks, exec checks and CA files: only what lies inside the inventory folder, or what the runner's own configuration
 * names. A pull request must not be able to run something else of the runner.
 */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, normalize, relative, sep } from 'node:path';
import { printable } from '../text.ts';
import { errorCode } from './files.ts';

/** The runner's own word on programs outside of the inventory folder: absolute paths separated by `:`. */
const ALLOWED_HOOKS = 'PROXWARDEN_ALLOWED_HOOKS';

/** Absolute paths that the runner's owner permits. */
export function allowedPrograms(env: Readonly<Record<string, string | undefined>>): string[] {
  return (env[ALLOWED_HOOKS] ?? '').split(':').filter((path) => path !== '');
}

export type Found = { readonly path: string } | { readonly message: string; readonly fix: string };

/** What was looked for on this machine while an inventory was put together, and what was found. */
export interface Sought {
  readonly kind: 'program' | 'place';
  readonly written: string;
  readonly found: Found;
}

/** Finds what an inventory names, and notes it: the same files may mean something else when it changes (memo.ts). */
export class Finder {
  readonly sought: Sought[] = [];
  readonly #root: string;
  readonly #allowed: readonly string[];
  constructor(root: string, allowed: readonly string[]) {
    this.#root = root;
    this.#allowed = allowed;
  }

  program(written: string): Found {
    return this.#note('program', written, findProgram(this.#root, this.#allowed, written));
  }

  place(written: string): Found {
    return this.#note('place', written, placeInside(this.#root, written));
  }

  #note(kind: Sought['kind'], written: string, found: Found): Found {
    this.sought.push({ kind, written, found });
    return found;
  }
}

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

/**
 * Why a program that was found when the inventory was loaded is not run now; null: nothing. Meanwhile it, or a folder above
 * it, may have become a link that leads out of the inventory; and what every user of the machine can write is nobody's.
 * What doesn't exist any more is left to whoever runs it.
 */
export function hindrance(path: string, env: Readonly<Record<string, string | undefined>>): string | null {
  try {
    const real = realpathSync(path);
    if (real !== path && !allowedPrograms(env).includes(path))
      return `not run: since the inventory was read it has become a link to ${printable(real)}`;
    for (const each of [real, dirname(real)]) {
      const { mode } = statSync(each);
      // In a folder with the sticky bit nobody can exchange another's file.
      if ((mode & 0o002) !== 0 && (each === real || (mode & 0o1000) === 0))
        return `not run: every user of this machine can change ${each === real ? 'it' : `the files of ${printable(each)}`}; chmod o-w ${printable(each)}`;
    }
    return null;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error))) return null;
    return `not run: it can't be looked at (${errorCode(error)})`;
  }
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
