/** Finds and reads the inventory's files: nothing but ordinary files directly in the folder, and only small ones. */
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { NotAFile, readRegularFile } from '../file.ts';
import { printable } from '../text.ts';
import type { Problem } from './problems.ts';

const MOST_FILES = 200;
const MOST_BYTES = 1024 ** 2;
/** All files together: thousands of containers. */
const MOST_BYTES_IN_ALL = 4 * 1024 ** 2;

export interface SourceFile {
  /** As a person would name it. */
  readonly file: string;
  readonly text: string;
}

export interface Folder {
  /** Its real path. */
  readonly root: string;
  /** The files that can be read, and what is wrong with the others. */
  readonly sources: readonly SourceFile[];
  readonly problems: readonly Problem[];
}

/** Reads the folder's files. Never throws for what a user can cause. */
export function readFolder(dir: string): Folder {
  const problems: Problem[] = [];
  const sources: SourceFile[] = [];
  const add = (file: string, message: string, fix: string): void => {
    problems.push({ file, line: 0, col: 0, path: '', message, fix });
  };
  const fail = (message: string, fix: string): Folder => {
    add(dir, message, fix);
    return { root: dir, sources, problems };
  };
  let root: string;
  let names: string[];
  try {
    if (!statSync(dir).isDirectory())
      return fail('is not a folder', 'give the folder that holds the inventory');
    root = realpathSync(dir);
    names = readdirSync(dir).filter(isInventoryFile).toSorted();
  } catch (error) {
    const missing = errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR';
    return missing
      ? fail(
          'the inventory folder does not exist',
          'name it with --inventory DIR or PROXWARDEN_INVENTORY, or create it',
        )
      : fail(`the inventory folder can't be read (${errorCode(error)})`, 'check its permissions');
  }
  if (names.length === 0)
    return fail('the inventory folder holds no *.yaml file', 'add one file per cluster');
  if (names.length > MOST_FILES) {
    return fail(`holds ${names.length} inventory files`, `at most ${MOST_FILES} are read: join some`);
  }
  let left = MOST_BYTES_IN_ALL;
  for (const name of names) {
    const file = join(dir, name);
    const read = readSmallFile(file);
    if (typeof read !== 'string') {
      add(file, read.message, read.fix);
      continue;
    }
    left -= Buffer.byteLength(read);
    if (left < 0) {
      add(dir, 'holds more than 4 MiB of inventory files', 'split it into several inventories');
      return { root, sources: [], problems };
    }
    sources.push({ file: printable(file), text: read });
  }
  return { root, sources, problems };
}

/**
 * The folder, or a file of it, that every user of the machine can write, with the command that mends it; null: there is
 * none. It says what is run here, and where secrets are sent. Throws nothing for what has gone meanwhile.
 */
export function openToAll(root: string): { readonly path: string; readonly fix: string } | null {
  const names = readdirSync(root).filter(isInventoryFile);
  for (const path of [root, ...names.map((name) => join(root, name))]) {
    const status = statSync(path, { throwIfNoEntry: false });
    if (status !== undefined && (status.mode & 0o002) !== 0)
      return { path: printable(path), fix: `chmod o-w ${printable(path)}` };
  }
  return null;
}

function isInventoryFile(name: string): boolean {
  return !name.startsWith('.') && /\.ya?ml$/i.test(name);
}

/** Text of a regular file, or what is wrong with it. Doesn't follow links and doesn't wait for pipes. */
function readSmallFile(path: string): string | { message: string; fix: string } {
  try {
    const { bytes } = readRegularFile(path, { most: MOST_BYTES, follow: false });
    if (bytes.length > MOST_BYTES)
      return { message: 'is larger than 1 MiB', fix: 'split it into several files' };
    // `fatal`: a wrong encoding must not become replacement characters in names. A leading BOM is dropped.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return { message: 'is not UTF-8 text', fix: 'save it as UTF-8' };
    if (error instanceof NotAFile)
      return { message: 'is not a regular file', fix: 'remove it or give it another ending' };
    if (errorCode(error) === 'ELOOP') {
      return { message: 'is a symbolic link', fix: 'put the file itself into the inventory folder' };
    }
    return {
      message: `can't be read (${errorCode(error)})`,
      fix: 'check that it exists and its permissions',
    };
  }
}

/** `ENOENT` and the like; rethrows what doesn't come from the operating system. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  throw error;
}
