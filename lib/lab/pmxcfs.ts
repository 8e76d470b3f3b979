import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The cluster file system, as far as guests' configs go: `nodes/NODE/lxc/ID.conf`. In a folder it is read anew each
 * time, so that moving a file by hand is what it is on a genuine cluster. A vmid exists at most once.
 */
export class Pmxcfs {
  readonly #nodes: readonly string[];
  readonly #dir: string | undefined;
  readonly #memory = new Map<string, string>();

  constructor(nodes: readonly string[], dir?: string) {
    this.#nodes = nodes;
    this.#dir = dir;
    if (dir !== undefined)
      for (const node of nodes) mkdirSync(join(dir, 'nodes', node, 'lxc'), { recursive: true });
  }

  read(node: string, vmid: number): string | null {
    const path = this.#path(node, vmid);
    if (this.#dir === undefined) return this.#memory.get(path) ?? null;
    const file = join(this.#dir, path);
    return existsSync(file) ? readFileSync(file, 'utf8') : null;
  }

  /** Throws when the vmid exists on another node: pmxcfs answers EEXIST. */
  write(node: string, vmid: number, text: string): void {
    const owner = this.find(vmid);
    if (owner !== null && owner !== node) throw new Error(`EEXIST: ${vmid}.conf exists on node '${owner}'`);
    const path = this.#path(node, vmid);
    if (this.#dir === undefined) {
      this.#memory.set(path, text);
      return;
    }
    const file = join(this.#dir, path);
    writeFileSync(`${file}.tmp`, text);
    renameSync(`${file}.tmp`, file);
  }

  remove(node: string, vmid: number): void {
    const path = this.#path(node, vmid);
    if (this.#dir === undefined) this.#memory.delete(path);
    else rmSync(join(this.#dir, path), { force: true });
  }

  move(vmid: number, from: string, to: string): void {
    const text = this.read(from, vmid);
    if (text === null) return;
    this.remove(from, vmid);
    this.write(to, vmid, text);
  }

  /** Any file, by its path below /etc/pve; null: there is none. */
  file(path: string): string | null {
    if (this.#dir === undefined) return this.#memory.get(path) ?? null;
    const file = join(this.#dir, path);
    return existsSync(file) ? readFileSync(file, 'utf8') : null;
  }

  /** The paths of all files in a folder. */
  files(folder: string): string[] {
    if (this.#dir === undefined)
      return [...this.#memory.keys()].filter((path) => path.startsWith(`${folder}/`)).toSorted();
    const there = join(this.#dir, folder);
    return existsSync(there)
      ? readdirSync(there)
          .toSorted()
          .map((name) => `${folder}/${name}`)
      : [];
  }

  /** Moves any file; folders are made. Throws EEXIST when it becomes a second config of its vmid. */
  rename(from: string, to: string): void {
    const text = this.file(from);
    if (text === null) throw new Error(`ENOENT: there is no ${from}`);
    const [, vmid] = /^nodes\/[^/]+\/lxc\/(\d+)\.conf$/.exec(to) ?? [];
    const owner = vmid === undefined || from.startsWith('nodes/') ? null : this.find(Number(vmid));
    if (owner !== null) throw new Error(`EEXIST: ${vmid ?? ''}.conf exists on node '${owner}'`);
    if (this.#dir === undefined) {
      this.#memory.delete(from);
      this.#memory.set(to, text);
      return;
    }
    mkdirSync(dirname(join(this.#dir, to)), { recursive: true });
    renameSync(join(this.#dir, from), join(this.#dir, to));
  }

  /** `.members`, as far as scripts read it; only where there is a folder. */
  setQuorate(quorate: boolean): void {
    if (this.#dir === undefined) return;
    const cluster = `"cluster": { "name": "lab", "version": 3, "nodes": ${this.#nodes.length}, "quorate": ${Number(quorate)} },`;
    writeFileSync(
      join(this.#dir, '.members'),
      `{\n"nodename": "lab",\n"version": 6,\n${cluster}\n"nodelist": {\n  }\n}\n`,
    );
  }

  /** The node whose folder holds the vmid, or null. */
  find(vmid: number): string | null {
    return this.#nodes.find((node) => this.read(node, vmid) !== null) ?? null;
  }

  /** The vmids of a node, ascending. */
  list(node: string): number[] {
    const prefix = `nodes/${node}/lxc/`;
    const names =
      this.#dir === undefined
        ? [...this.#memory.keys()]
            .filter((path) => path.startsWith(prefix))
            .map((path) => path.slice(prefix.length))
        : readdirSync(join(this.#dir, prefix));
    return names
      .filter((name) => /^\d+\.conf$/.test(name))
      .map((name) => Number(name.slice(0, -'.conf'.length)))
      .toSorted((a, b) => a - b);
  }

  all(): { vmid: number; node: string }[] {
    return this.#nodes.flatMap((node) => this.list(node).map((vmid) => ({ vmid, node })));
  }

  #path(node: string, vmid: number): string {
    return `nodes/${node}/lxc/${vmid}.conf`;
  }
}
