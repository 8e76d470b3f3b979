import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

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
