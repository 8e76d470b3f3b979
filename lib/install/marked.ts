/**
 * Files of ours in folders that belong to others: each says in its first line that it is ours, with a fingerprint of the
 * rest. What somebody has edited is neither written over nor removed.
 */
import { createHash } from 'node:crypto';
import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BlockedError, InputError } from '../errors.ts';
import { readRegularFile } from '../file.ts';
import { errnoOf } from '../state/durable.ts';
import type { InstalledFile } from './texts.ts';

const FIRST = '# Made by `proxwarden install`; `proxwarden uninstall` removes it. Edited, it is left alone.';

/** A file as it is written: with the line that says whose it is. */
export function marked(text: string): string {
  return `${FIRST} ${createHash('sha256').update(text).digest('hex').slice(0, 16)}\n${text}`;
}

export type Standing = 'missing' | 'same' | 'older';

/**
 * How a file of ours stands in its folder. Throws BlockedError when there is one that isn't ours, or that somebody has
 * edited; InputError when it can't be read.
 */
export function standingOf(dir: string, file: InstalledFile): Standing {
  const path = join(dir, file.name);
  let text: string;
  try {
    text = readRegularFile(path).bytes.toString('utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 'missing';
    throw cannot('read', path, error);
  }
  if (text === marked(file.text)) return 'same';
  if (!text.startsWith('# Made by `proxwarden install`'))
    throw new BlockedError(`${path} is there already, and not by \`proxwarden install\`: it is left alone`, {
      hint: 'move it away, or name another folder with --dir',
    });
  const rest = text.slice(text.indexOf('\n') + 1);
  if (marked(rest) !== text)
    throw new BlockedError(`${path} has been edited since it was installed: it is left alone`, {
      hint: `move it away (settings of your own belong into a drop-in: systemctl edit ${file.name})`,
    });
  return 'older';
}

/** Writes it whole or not at all. Throws InputError. */
export function writeMarked(dir: string, file: InstalledFile): void {
  const path = join(dir, file.name);
  // A name that neither systemd nor cron reads.
  const temp = join(dir, `.${file.name}.${process.pid}.tmp`);
  try {
    writeFileSync(temp, marked(file.text), { flag: 'wx', mode: 0o644 });
    // Whatever the umask: cron and systemd read it as root, people may.
    chmodSync(temp, 0o644);
    renameSync(temp, path);
  } catch (error) {
    rmSync(temp, { force: true });
    throw cannot('write', path, error);
  }
}

export function removeMarked(dir: string, file: Pick<InstalledFile, 'name'>): void {
  const path = join(dir, file.name);
  try {
    rmSync(path);
  } catch (error) {
    throw cannot('remove', path, error);
  }
}

function cannot(verb: string, path: string, error: unknown): Error {
  const code = errnoOf(error);
  if (code === undefined) return error instanceof Error ? error : new Error(String(error));
  return new InputError(`cannot ${verb} ${path} (${code})`, {
    hint: code === 'EACCES' || code === 'EPERM' ? 'run it as root (sudo)' : 'check that its folder is there',
    cause: error,
  });
}
