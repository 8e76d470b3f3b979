/**
 * The places where a process can be killed, numbered in the order in which its run comes to them: around everything that
 * it writes below the state folder, and around everything that it asks of the world.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, dirname } from 'node:path';
import type { Point, PointKind } from './wire.ts';

export class Points {
  readonly #dieAt: number | null;
  readonly #tell: (point: Point) => void;
  readonly #last: () => void;
  #number = 0;

  /** `dieAt`: where the process dies, after `last`; null: it lives, and tells of all points. */
  constructor(dieAt: number | null, tell: (point: Point) => void, last: () => void) {
    this.#dieAt = dieAt;
    this.#tell = tell;
    this.#last = last;
  }

  /** Whether the process has to die at the point that comes next. */
  get isNext(): boolean {
    return this.#dieAt === this.#number + 1;
  }

  /** The run has come to its next point; the process doesn't survive it if that is the one. */
  at(kind: PointKind, label: string): void {
    if (!this.reserve(kind, label)) return;
    this.#last();
    // As `kill -9` does it, and not one statement later.
    process.kill(process.pid, 'SIGKILL');
    for (;;);
  }

  /** The same for a point that the world comes to for us: true if it is to kill us there. */
  reserve(kind: PointKind, label: string): boolean {
    this.#number += 1;
    const dies = this.#dieAt === this.#number;
    if (dies || this.#dieAt === null) this.#tell({ number: this.#number, kind, label });
    return dies;
  }
}

/** `operations/op-….json` for the path of a journal or of its temp file; ids and random digits left out. */
function nameOf(path: string): string {
  const folder = basename(dirname(path));
  const name = basename(path)
    .replace(/^op-.*(?=\.json$)/, 'ID')
    .replace(/^[0-9a-f]{12}(?=\.json$)/, 'ID')
    .replace(/^\.(.+?)\.\d+\.[0-9a-f]+\.tmp$/, 'temp of $1')
    .replace(/op-[^ ]*(?=\.json$)/, 'ID');
  return folder.startsWith('state-') ? name : `${folder}/${name}`;
}

/** From now on, everything that is written below a state folder is a point. */
export function watchFiles(points: Points): void {
  const { openSync, closeSync, writeFileSync, writeSync, renameSync, rmSync, symlinkSync } = fs;
  /** Files of ours that are being written. */
  const open = new Map<number, string>();
  const isOurs = (path: unknown): path is string => typeof path === 'string' && /\/state-\w+\//.test(path);

  fs.openSync = (path, flags, mode) => {
    const file = openSync(path, flags, mode);
    if (isOurs(path) && flags !== 'r') {
      open.set(file, path);
      if (flags === 'wx') points.at('torn', `${nameOf(path)} is empty`);
    }
    return file;
  };
  fs.closeSync = (file) => {
    open.delete(file);
    closeSync(file);
  };
  fs.writeFileSync = (file, data, options) => {
    const path = typeof file === 'number' ? open.get(file) : undefined;
    if (typeof file === 'number' && path !== undefined && typeof data === 'string') {
      if (points.isNext) writeSync(file, data.slice(0, data.length / 2));
      points.at('torn', `${nameOf(path)} is half written`);
    }
    writeFileSync(file, data, options);
    if (path !== undefined) points.at('torn', `${nameOf(path)} is whole`);
  };
  // Only events are appended like that, from a buffer.
  const append = (file: number, data: NodeJS.ArrayBufferView, from = 0): number => {
    const path = open.get(file);
    const rest = Buffer.from(data.buffer, data.byteOffset + from, data.byteLength - from);
    if (path === undefined) return writeSync(file, rest);
    if (points.isNext) writeSync(file, rest, 0, Math.floor(rest.length / 2));
    points.at('torn', `half a line of ${nameOf(path)}`);
    const written = writeSync(file, rest);
    points.at('write', `a line of ${nameOf(path)}`);
    return written;
  };
  fs.writeSync = (file: number, data: NodeJS.ArrayBufferView | string, from?: unknown): number =>
    typeof data === 'string'
      ? writeSync(file, data)
      : append(file, data, typeof from === 'number' ? from : 0);
  fs.renameSync = (from, to) => {
    renameSync(from, to);
    if (!isOurs(to)) return;
    const lock = basename(dirname(to)) === 'lock';
    points.at(lock ? 'lock' : 'write', lock ? 'the lock is released' : nameOf(to));
  };
  fs.symlinkSync = (target, path, type) => {
    symlinkSync(target, path, type);
    if (isOurs(path) && !basename(path).startsWith('.')) points.at('lock', 'the lock is taken');
  };
  fs.rmSync = (path, options) => {
    rmSync(path, options);
    if (isOurs(path)) points.at('lock', `${nameOf(path).replace(/\d+$/, 'an old ticket')} is deleted`);
  };
  syncBuiltinESMExports();
}
