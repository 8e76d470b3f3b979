/** A disk that fails: one of the writes of state and journals, or all from it on, in one of its system calls. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** The calls of one write under the lock, in their order. */
export const CALLS = ['lock', 'open', 'write', 'fsync', 'rename', 'folder', 'release'] as const;
export type Call = (typeof CALLS)[number];

/** What each of them may fail with. */
export const CODES: Readonly<Record<Call, readonly string[]>> = {
  lock: ['ENOSPC', 'EROFS', 'EDQUOT'],
  open: ['EROFS', 'ENOSPC', 'EIO'],
  write: ['ENOSPC', 'EFBIG', 'EDQUOT', 'EIO'],
  fsync: ['EIO', 'ENOSPC'],
  rename: ['EIO', 'ENOSPC', 'EROFS'],
  folder: ['EIO'],
  release: ['ENOSPC', 'EIO'],
};

export interface Fault {
  readonly call: Call;
  /** The n-th of these calls, from 1. */
  readonly n: number;
  /** All that come later fail, too, whatever they are. */
  readonly stays: boolean;
  readonly code: string;
}

export class BrokenDisk {
  /** Since the last `arm`: how many of each call there were, and the file whose write has failed first. */
  readonly made: Record<Call, number> = {
    lock: 0,
    open: 0,
    write: 0,
    fsync: 0,
    rename: 0,
    folder: 0,
    release: 0,
  };
  failed: string | null = null;
  #fault: Fault | null = null;
  readonly #root: string;
  readonly #open = new Map<number, string>();
  readonly #real = { ...fs };

  /** Watches what happens below `root`. */
  constructor(root: string) {
    this.#root = root;
    this.#patch();
  }

  /** null: from now on it works. */
  arm(fault: Fault | null): void {
    this.#fault = fault;
    this.failed = null;
    for (const call of CALLS) this.made[call] = 0;
  }

  stop(): void {
    const { openSync, writeFileSync, writeSync, fsyncSync, renameSync, symlinkSync, closeSync } = this.#real;
    Object.assign(fs, { openSync, writeFileSync, writeSync, fsyncSync, renameSync, symlinkSync, closeSync });
    syncBuiltinESMExports();
  }

  /** Throws when it is this call's turn. `path`: what is being written. */
  #reach(call: Call, path: string): void {
    if (!path.startsWith(this.#root)) return;
    this.made[call] += 1;
    const fault = this.#fault;
    if (fault === null) return;
    const hit = fault.call === call && this.made[call] === fault.n;
    if (!hit && !(fault.stays && this.failed !== null)) return;
    this.failed ??= path;
    throw Object.assign(new Error(`${fault.code}: a test's`), { code: fault.code });
  }

  #patch(): void {
    const real = this.#real;
    fs.openSync = (path, flags, mode) => {
      if (flags !== 'r') this.#reach('open', String(path));
      const file = real.openSync(path, flags, mode);
      this.#open.set(file, flags === 'r' ? `${String(path)}/` : String(path));
      return file;
    };
    fs.closeSync = (file) => {
      this.#open.delete(file);
      real.closeSync(file);
    };
    fs.writeFileSync = (file, data, options) => {
      const path = typeof file === 'number' ? this.#open.get(file) : undefined;
      try {
        if (path !== undefined) this.#reach('write', path);
      } catch (error) {
        // As much as there was room for.
        if (typeof data === 'string') real.writeFileSync(file, data.slice(0, data.length >> 1));
        throw error;
      }
      real.writeFileSync(file, data, options);
    };
    fs.fsyncSync = (file) => {
      const path = this.#open.get(file) ?? '';
      this.#reach(path.endsWith('/') ? 'folder' : 'fsync', path);
      real.fsyncSync(file);
    };
    fs.renameSync = (from, to) => {
      if (!String(to).includes('/lock/')) this.#reach('rename', String(to));
      real.renameSync(from, to);
    };
    fs.symlinkSync = (target, path, type) => {
      this.#reach(String(target) === 'released' ? 'release' : 'lock', String(path));
      real.symlinkSync(target, path, type);
    };
    syncBuiltinESMExports();
  }
}
