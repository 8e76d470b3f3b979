/**
 * Files that survive a power loss and a full disk: a reader sees the old text or the new one, never a part. Everything
 * is synchronous: scenarios run on a virtual clock that must not have to wait for real I/O.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { SyncAdapter } from 'lowdb';
import * as z from 'zod';
import { StandbyError, StateError } from '../errors.ts';
import { readRegularFile } from '../file.ts';
import { syncFolder } from '../folder.ts';
import { plainText } from '../text.ts';
import { CLUSTER_FS, isOnClusterFs } from './cluster-fs.ts';
import { describeBadJson } from './json-position.ts';

/** What people understand of an error of the file system, and what they can do. */
const REASONS: Readonly<Record<string, readonly [reason: string, advice: string]>> = {
  ENOSPC: ['no space left on device', 'free space there and run the command again'],
  EDQUOT: ['disk quota exceeded', 'free space there and run the command again'],
  EFBIG: ['the file would be too large for this file system', 'keep the state on another file system'],
  EROFS: ['read-only file system', 'mount it writable or name another folder with --state'],
  EACCES: ['permission denied', 'run as the user that owns the folder or name another one with --state'],
  EPERM: ['operation not permitted', 'run as the user that owns the folder or name another one with --state'],
  EIO: ['input/output error', 'check the disk before anything else'],
  ENOENT: ['there is no such folder', 'see what became of it, or name another one with --state'],
  ENOTAFILE: ['it is not a regular file', 'see what it is, and move it away'],
  ENOTDIR: ['a part of the path is not a folder', 'name another folder with --state'],
};

/** The same on pmxcfs, where it differs (facts, section 8). */
const CLUSTER_REASONS: typeof REASONS = {
  EFBIG: [
    'a file on the cluster file system may have 1 MiB at most',
    'use several state folders, each for a part of the containers, or one on an ordinary disk',
  ],
  ENOTCONN: ['the cluster file system has stopped', 'run systemctl restart pve-cluster on this node'],
};

/** The code of a file system error (`ENOENT`), or undefined when it is something else. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * A file system error as a sentence; anything else (a bug) comes back as it is.
 * `what`: the verb and the path (`write state/state.json`); `consequence`: what has been left behind.
 */
export function fileFailure(what: string, error: unknown, consequence = 'nothing was changed'): Error {
  const code = errnoOf(error);
  if (code === undefined) return error instanceof Error ? error : new Error(String(error));
  const onCluster = what.includes(` ${CLUSTER_FS}/`);
  // pmxcfs says EPERM to what was under way when quorum was lost, and EACCES from then on.
  if (onCluster && (code === 'EACCES' || code === 'EPERM'))
    return new StandbyError(
      `cannot ${what}: this node has no quorum, so the cluster file system is read-only here — ${consequence}`,
      { hint: 'the runners on the nodes that have quorum go on', cause: error },
    );
  const [reason, advice] = (onCluster ? CLUSTER_REASONS[code] : undefined) ??
    REASONS[code] ?? [code, 'see to it and run the command again'];
  return new StateError(`cannot ${what}: ${reason} — ${consequence}; ${advice}`, { cause: error });
}

/**
 * Replaces the file's text so that it is on the disk when this returns: temp file in the same folder (a rename does not
 * cross file systems), fsync, rename, fsync of the folder (else the rename itself may be lost). Mode 0600.
 * `beforeReplace` is asked last of all, and what it throws leaves the old file.
 * Throws StateError (StandbyError on pmxcfs without quorum); unless it says otherwise, the old file is as it was and no
 * temp file is left.
 */
export function writeDurable(path: string, text: string | Buffer, beforeReplace?: () => void): void {
  // Two processes, even on two hosts that share the folder, must not write into the same temp file.
  const temp = join(dirname(path), `.${basename(path)}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`);
  try {
    const file = openSync(temp, 'wx', 0o600);
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    beforeReplace?.();
    renameSync(temp, path);
  } catch (error) {
    throw fileFailure(
      `write ${path}`,
      error,
      removed(temp) ? undefined : `nothing was changed (${temp} is left)`,
    );
  }
  try {
    syncFolder(dirname(path));
  } catch (error) {
    throw fileFailure(`make ${path} durable`, error, 'it is written, but might not survive a power loss');
  }
}

/** False when not even that is possible any more: it is swept later. */
function removed(temp: string): boolean {
  try {
    rmSync(temp, { force: true });
    return true;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

const ABANDONED_MS = 3_600_000;

/** Removes temp files of writers that were killed more than an hour ago. Throws FailedError. */
export function sweepTemps(folder: string, now: number): void {
  try {
    for (const name of readdirSync(folder)) {
      if (!name.startsWith('.') || !name.endsWith('.tmp')) continue;
      const path = join(folder, name);
      const changed = lstatSync(path, { throwIfNoEntry: false })?.mtimeMs;
      if (changed !== undefined && now - changed > ABANDONED_MS) rmSync(path, { force: true });
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw fileFailure(`tidy up ${folder}`, error);
  }
}

/** The file's text, or null when there is none. Throws StateError when it can't be read. */
export function readText(path: string): string | null {
  return readBytes(path)?.toString('utf8') ?? null;
}

function readBytes(path: string): Buffer | null {
  try {
    return isOnClusterFs(path) ? readFromCluster(path) : readRegularFile(path).bytes;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw fileFailure(`read ${path}`, error);
  }
}

const READS = 10;
const CHUNK_BYTES = 131_072;

/**
 * pmxcfs looks a file up anew for each part that is read of it, so one that is replaced meanwhile would give parts of
 * both: it is read until two reads agree. And up to its end: the kernel remembers its size for a second.
 */
function readFromCluster(path: string): Buffer {
  let before = readToEnd(path);
  for (let read = 1; read < READS; read += 1) {
    const again = readToEnd(path);
    if (again.equals(before)) return again;
    before = again;
  }
  throw new StateError(`cannot read ${path}: it changes all the time — run the command again`);
}

function readToEnd(path: string): Buffer {
  const parts: Buffer[] = [];
  const file = openSync(path, 'r');
  try {
    for (;;) {
      const part = Buffer.allocUnsafe(CHUNK_BYTES);
      const bytes = readSync(file, part);
      if (bytes === 0) return Buffer.concat(parts);
      parts.push(part.subarray(0, bytes));
    }
  } finally {
    closeSync(file);
  }
}

const Versioned = z.looseObject({ version: z.number() });
/** The format comes first in everything that is written here, so that it can be told without reading all of it. */
const HEAD = /^\s*\{\s*"version"\s*:\s*(\d{1,9})\b/;
const HEAD_BYTES = 64;

/** Far more than what can be in a packed file of 1 MiB that we have written. */
const UNPACKED_MAX_BYTES = 256 * 1024 * 1024;

export interface JsonFile<T> {
  readonly schema: z.ZodType<T>;
  /** The newest format this program knows: the value of the field `version`. */
  readonly version: number;
  /** How it is called in messages: `state file`. */
  readonly what: string;
  /** What a person should do when it is corrupt. */
  readonly advice: string;
  /** Spaces of indentation; 0 for large files that nobody reads. Default 2. */
  readonly indent?: number;
  /** Compressed: for what grows with the fleet where files must be small. */
  readonly packed?: boolean;
}

/** A JSON file that is checked on its way in and out; lowdb's adapter. A file that can't be trusted is never replaced. */
export class DurableJson<T> implements SyncAdapter<T> {
  readonly path: string;
  readonly #file: JsonFile<T>;
  /** What was read or written last, and what it says. */
  #seen: { readonly bytes: Buffer; readonly data: T } | null = null;

  constructor(path: string, file: JsonFile<T>) {
    this.path = path;
    this.#file = file;
  }

  /** null when there is no file. Throws StateError when it is corrupt, or of another version's format. */
  read(): T | null {
    const bytes = readBytes(this.path);
    return bytes === null ? null : this.#dataOf(bytes);
  }

  /**
   * The same for those who only look: as long as the file's bytes are the same it is one object, and frozen.
   * A large fleet's state takes a tenth of a second to check, and a run looks at it ten times.
   */
  peek(): T | null {
    const bytes = readBytes(this.path);
    if (bytes === null) return null;
    if (this.#seen?.bytes.equals(bytes) !== true) this.#seen = { bytes, data: this.#dataOf(bytes) };
    return frozen(this.#seen.data);
  }

  #dataOf(bytes: Buffer): T {
    return this.#parse(this.#file.packed === true ? this.#unpacked(bytes) : bytes);
  }

  /**
   * Throws StateError when it can't be written, or when a newer version has written the one that is there, and what
   * `beforeReplace` throws, which is asked right before the new text takes the old one's place. Data that don't fit the
   * schema are a bug, and nothing is written.
   */
  write(data: T, beforeReplace?: () => void): void {
    const { schema, what, indent, packed = false } = this.#file;
    // Of a packed one its reader sees that, who holds the lock meanwhile.
    if (!packed) this.#refuseNewer(Number(HEAD.exec(readHead(this.path))?.[1]));
    const checked = schema.safeParse(data);
    if (!checked.success)
      throw new Error(`bug: what should be written to the ${what} is wrong at ${firstIssue(checked.error)}`);
    const text = `${JSON.stringify(checked.data, null, packed ? 0 : (indent ?? 2))}\n`;
    const bytes = packed ? gzipSync(text) : Buffer.from(text);
    writeDurable(this.path, packed ? bytes : text, beforeReplace);
    // A copy of what was given, so that its owner may go on changing that.
    this.#seen = { bytes, data: checked.data };
  }

  #unpacked(bytes: Buffer): Buffer {
    try {
      return gunzipSync(bytes, { maxOutputLength: UNPACKED_MAX_BYTES });
    } catch (error) {
      throw this.#corrupt('it can’t be unpacked', error);
    }
  }

  #parse(bytes: Buffer): T {
    const { schema, version, what } = this.#file;
    const text = bytes.toString('utf8');
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch (error) {
      throw this.#corrupt(describeBadJson(text), error);
    }
    const found = Versioned.safeParse(parsed);
    if (found.success) {
      this.#refuseNewer(found.data.version);
      if (found.data.version < version)
        throw new StateError(
          `${what} ${this.path} is of an older format (${found.data.version}) that this ProxWarden does not read any more (it reads ${version}) — it was left as it is; ${this.#file.advice}`,
        );
    }
    const checked = schema.safeParse(parsed);
    if (!checked.success) throw this.#corrupt(firstIssue(checked.error), checked.error);
    return checked.data;
  }

  #refuseNewer(found: number): void {
    const { version, what } = this.#file;
    if (found > version)
      throw new StateError(
        `${what} ${this.path} was written by a newer ProxWarden (format ${found}, this one knows ${version}) — ` +
          'it was left as it is; update this installation or name another folder with --state',
      );
  }

  #corrupt(where: string, cause: unknown): StateError {
    return new StateError(
      `${this.#file.what} ${this.path} is corrupt (${where}) — it was left as it is; ${this.#file.advice}`,
      { cause },
    );
  }
}

/** The first bytes of a file; empty when there is none. Throws StateError. */
function readHead(path: string): string {
  try {
    return readRegularFile(path, { most: HEAD_BYTES }).bytes.toString('utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw fileFailure(`read ${path}`, error);
  }
}

/** The very value, with all that is in it, so that a change to it is an error and not somebody else's riddle. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) frozen(inner);
  return Object.freeze(value);
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'an unknown place';
  // Keys are the file's own words.
  const where = issue.path.length === 0 ? 'the top' : plainText(issue.path.map(String).join('.'), 200);
  return `${where}: ${plainText(issue.message, 200)}`;
}
