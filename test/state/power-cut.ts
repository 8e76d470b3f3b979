/**
 * What a power cut can leave of a folder. The calls that change it are followed in a model that knows what has been
 * promised: the content of a file by its fsync, the names in a folder by that of the folder, and nothing else. At any
 * instant the folder can be laid out as the disk might have it then. Patches node:fs, as the scenarios' runner does.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, dirname, join } from 'node:path';

/**
 * `synced`: what was promised, and nothing else. `empty`, `zeros`, `torn`: every name is there, and of what has not been
 * synced nothing, zeros (ext4 and xfs after a power cut), or half. `all`: as `kill -9` leaves it.
 */
export const REMAINS = ['synced', 'empty', 'zeros', 'torn', 'all'] as const;
export type Remains = (typeof REMAINS)[number];

interface File {
  written: Buffer;
  synced: Buffer;
}
interface Folder {
  readonly written: Map<string, Node>;
  synced: Map<string, Node>;
}
/** Its target is part of its name: both are journalled together. */
type Node = File | Folder | string;

function isFolder(node: Node | undefined): node is Folder {
  return typeof node === 'object' && node.written instanceof Map;
}

function isFile(node: Node | undefined): node is File {
  return typeof node === 'object' && node.written instanceof Buffer;
}

export class PowerCut {
  /** Called after every call that changes something. */
  onCall: ((call: string) => void) | null = null;
  readonly #root: string;
  readonly #tree: Folder = { written: new Map(), synced: new Map() };
  readonly #open = new Map<number, Node>();
  readonly #real = { ...fs };
  /** What Node calls within a call of its own is not looked at again. */
  #laying = false;

  /** Follows what happens below `root`, which is there and empty. */
  constructor(root: string) {
    this.#root = root;
    this.#patch();
  }

  stop(): void {
    const { openSync, closeSync, fsyncSync, writeFileSync, writeSync } = this.#real;
    const { renameSync, rmSync, symlinkSync, mkdirSync } = this.#real;
    const files = { openSync, closeSync, fsyncSync, writeFileSync, writeSync };
    Object.assign(fs, { ...files, renameSync, rmSync, symlinkSync, mkdirSync });
    syncBuiltinESMExports();
  }

  /** Lays out at `into`, which is not there yet, what would be found after a power cut now. */
  leave(into: string, remains: Remains): void {
    this.#laying = true;
    this.#lay(this.#tree, into, remains);
    this.#laying = false;
  }

  #lay(folder: Folder, into: string, remains: Remains): void {
    const { mkdirSync, writeFileSync, symlinkSync } = this.#real;
    mkdirSync(into, { mode: 0o700 });
    for (const [name, node] of remains === 'synced' ? folder.synced : folder.written) {
      const path = join(into, name);
      if (isFolder(node)) this.#lay(node, path, remains);
      else if (isFile(node)) writeFileSync(path, contentOf(node, remains), { mode: 0o600 });
      else symlinkSync(node, path);
    }
  }

  #find(path: string): Node | undefined {
    if (path === this.#root) return this.#tree;
    if (!path.startsWith(`${this.#root}/`)) return undefined;
    const parent = this.#find(dirname(path));
    return isFolder(parent) ? parent.written.get(basename(path)) : undefined;
  }

  #parent(path: string): Map<string, Node> | undefined {
    const parent = this.#find(dirname(path));
    return isFolder(parent) ? parent.written : undefined;
  }

  #did(call: string, path: string): void {
    this.onCall?.(`${call} ${path.slice(this.#root.length + 1)}`);
  }

  #patch(): void {
    const real = this.#real;
    fs.openSync = (path, flags, mode) => {
      const file = real.openSync(path, flags, mode);
      const name = String(path);
      const parent = this.#parent(name);
      if (flags !== 'r' && parent !== undefined && !parent.has(name.slice(dirname(name).length + 1)))
        parent.set(basename(name), { written: Buffer.alloc(0), synced: Buffer.alloc(0) });
      const node = this.#find(name);
      if (node !== undefined) this.#open.set(file, node);
      if (flags !== 'r' && node !== undefined) this.#did('open', name);
      return file;
    };
    fs.closeSync = (file) => {
      this.#open.delete(file);
      real.closeSync(file);
    };
    fs.fsyncSync = (file) => {
      real.fsyncSync(file);
      const node = this.#open.get(file);
      if (isFile(node)) node.synced = node.written;
      else if (isFolder(node)) node.synced = new Map(node.written);
    };
    // Only what the state uses: a whole file by its number, and an append.
    fs.writeFileSync = (file, data, options) => {
      this.#laying = true;
      real.writeFileSync(file, data, options);
      this.#laying = false;
      const node = typeof file === 'number' ? this.#open.get(file) : undefined;
      if (!isFile(node) || typeof data !== 'string') return;
      node.written = Buffer.from(data);
      this.onCall?.('write');
    };
    const append = (file: number, bytes: Buffer, from: number): number => {
      const done = real.writeSync(file, bytes, from);
      const node = this.#open.get(file);
      if (this.#laying || !isFile(node)) return done;
      node.written = Buffer.concat([node.written, bytes.subarray(from, from + done)]);
      this.onCall?.('append');
      return done;
    };
    Object.assign(fs, { writeSync: append });
    fs.renameSync = (from, to) => {
      real.renameSync(from, to);
      const node = this.#find(String(from));
      if (node === undefined) return;
      this.#parent(String(from))?.delete(basename(String(from)));
      this.#parent(String(to))?.set(basename(String(to)), node);
      this.#did('rename', String(to));
    };
    fs.rmSync = (path, options) => {
      real.rmSync(path, options);
      if (this.#parent(String(path))?.delete(basename(String(path))) === true)
        this.#did('remove', String(path));
    };
    fs.symlinkSync = (target, path, type) => {
      real.symlinkSync(target, path, type);
      this.#parent(String(path))?.set(basename(String(path)), String(target));
      this.#did('link', String(path));
    };
    Object.assign(fs, {
      mkdirSync: (path: string, options: fs.MakeDirectoryOptions) => {
        real.mkdirSync(path, options);
        this.#parent(path)?.set(basename(path), { written: new Map(), synced: new Map() });
        this.#did('mkdir', path);
      },
    });
    syncBuiltinESMExports();
  }
}

function contentOf({ written, synced }: File, remains: Remains): Buffer {
  if (remains === 'synced' || written === synced) return synced;
  if (remains === 'all') return written;
  if (remains === 'empty') return synced;
  // Appended to: what was there before is there.
  const kept = written.subarray(0, synced.length).equals(synced) ? synced.length : 0;
  const added = written.subarray(kept);
  const rest = remains === 'zeros' ? Buffer.alloc(added.length) : added.subarray(0, added.length >> 1);
  return Buffer.concat([written.subarray(0, kept), rest]);
}
