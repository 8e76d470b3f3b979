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
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { SyncAdapter } from 'lowdb';
import * as z from 'zod';
import { FailedError } from '../errors.ts';
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
  ENOENT: ['there can be no such folder', 'name another one with --state'],
  ENOTDIR: ['a part of the path is not a folder', 'name another folder with --state'],
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
  const [reason, advice] = REASONS[code] ?? [code, 'see to it and run the command again'];
  return new FailedError(`cannot ${what}: ${reason} — ${consequence}; ${advice}`, { cause: error });
}

/**
 * Replaces the file's text so that it is on the disk when this returns: temp file in the same folder (a rename does not
 * cross file systems), fsync, rename, fsync of the folder (else the rename itself may be lost). Mode 0600.
 * Throws FailedError; unless it says otherwise, the old file is as it was and no temp file is left.
 */
export function writeDurable(path: string, text: string): void {
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
    renameSync(temp, path);
  } catch (error) {
    rmSync(temp, { force: true });
    throw fileFailure(`write ${path}`, error);
  }
  try {
    syncFolder(dirname(path));
  } catch (error) {
    throw fileFailure(`make ${path} durable`, error, 'it is written, but might not survive a power loss');
  }
}

/** Makes names that were added to, removed from or changed in a folder durable. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } catch (error) {
    // Some network file systems cannot sync a folder; for them the server sees to it.
    if (errnoOf(error) !== 'EINVAL' && errnoOf(error) !== 'ENOTSUP') throw error;
  } finally {
    closeSync(handle);
  }
}

const ABANDONED_MS = 3_600_000;

/** Removes temp files of writers that were killed more than an hour ago. */
export function sweepTemps(folder: string, now: number): void {
  try {
    for (const name of readdirSync(folder)) {
      if (!name.startsWith('.') || !name.endsWith('.tmp')) continue;
      const path = join(folder, name);
      const changed = lstatSync(path, { throwIfNoEntry: false })?.mtimeMs;
      if (changed !== undefined && now - changed > ABANDONED_MS) rmSync(path, { force: true });
    }
  } catch (error) {
    throw fileFailure(`tidy up ${folder}`, error);
  }
}

/** The file's text, or null when there is none. Throws FailedError when it can't be read. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw fileFailure(`read ${path}`, error);
  }
}

const Versioned = z.looseObject({ version: z.number() });

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
}

/** A JSON file that is checked on its way in and out; lowdb's adapter. A file that can't be trusted is never replaced. */
export class DurableJson<T> implements SyncAdapter<T> {
  readonly path: string;
  readonly #file: JsonFile<T>;

  constructor(path: string, file: JsonFile<T>) {
    this.path = path;
    this.#file = file;
  }

  /** null when there is no file. Throws FailedError when it is corrupt or was written by a newer version. */
  read(): T | null {
    const text = readText(this.path);
    return text === null ? null : this.#parse(text);
  }

  /** Throws FailedError when it can't be written. Data that don't fit the schema are a bug, and nothing is written. */
  write(data: T): void {
    const { schema, what, indent } = this.#file;
    const checked = schema.safeParse(data);
    if (!checked.success)
      throw new Error(`bug: what should be written to the ${what} is wrong at ${firstIssue(checked.error)}`);
    writeDurable(this.path, `${JSON.stringify(checked.data, null, indent ?? 2)}\n`);
  }

  #parse(text: string): T {
    const { schema, version, what } = this.#file;
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch (error) {
      throw this.#corrupt(describeBadJson(text), error);
    }
    const found = Versioned.safeParse(parsed);
    if (found.success && found.data.version > version)
      throw new FailedError(
        `${what} ${this.path} was written by a newer ProxWarden (format ${found.data.version}, this one knows ${version}) — ` +
          'it was left as it is; update this installation or name another folder with --state',
      );
    const checked = schema.safeParse(parsed);
    if (!checked.success) throw this.#corrupt(firstIssue(checked.error), checked.error);
    return checked.data;
  }

  #corrupt(where: string, cause: unknown): FailedError {
    return new FailedError(
      `${this.#file.what} ${this.path} is corrupt (${where}) — it was left as it is; ${this.#file.advice}`,
      { cause },
    );
  }
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'an unknown place';
  return `${issue.path.length === 0 ? 'the top' : issue.path.map(String).join('.')}: ${issue.message}`;
}
