/**
 * /etc/pve as programs on the nodes of a lab see it: real files in a temporary folder, and what was measured of pmxcfs
 * (facts, section 8). One tree for all nodes with quorum; a node that has lost it goes on to see what was there then, and
 * has all writes refused, until it is back.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../../../lib/lab/lab.ts';

const ROOT = '/etc/pve';
const LOCAL = '/var/lib/proxwarden';
const LOCKS = 'priv/lock/';
const EXPIRY_MS = 120_000;
/** How long a change of membership holds up all writes. */
const MEMBERSHIP_MS = 8_000;
export const FILE_MAX_BYTES = 1_048_576;

/** What it has to know of the cluster. */
export type Membership = Pick<Lab, 'clusterWrite' | 'clusterView' | 'status'>;

/** The line of a mount in /proc/self/mountinfo; `fs`: `nfs4 rw,nocto`. */
export function mountLine(point: string, fs: string): string {
  const [type = '', options = 'rw'] = fs.split(' ');
  return `60 22 0:49 / ${point} rw,relatime shared:1 - ${type} source ${options}\n`;
}

/** As Proxmox VE mounts it. */
export const CLUSTER_MOUNT = mountLine(ROOT, 'fuse rw,user_id=0,group_id=0');

/** A program on a node, as far as its files go. */
export interface Machine {
  readonly node: string;
  readonly fs: ClusterFs;
}

/** Who does it: its clock, and what holds it up. */
export interface Caller {
  now(): number;
  /** It stands still until then (epoch ms). */
  block(until: number): void;
}

/** As Node throws it. */
export function systemError(code: string, syscall: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${syscall} '${path}'`), { code, syscall, path });
}

export class ClusterFs {
  readonly #folder: string;
  readonly #lab: Membership;
  /** When each lock was made or renewed, by the name of its folder. */
  readonly #locks = new Map<string, number>();
  /** The next such call of a node takes so long, for whatever reason. */
  readonly #slow = new Map<string, { readonly syscall: string; readonly ms: number }>();
  /** Nodes that only corosync can't reach, and since when: their APIs answer as ever. */
  readonly #parted = new Map<string, number>();

  constructor(folder: string, lab: Membership) {
    this.#folder = folder;
    this.#lab = lab;
    mkdirSync(join(this.#shared, 'priv'), { recursive: true });
    for (const { name } of lab.status().nodes) mkdirSync(join(folder, name, 'var'), { recursive: true });
  }

  get #shared(): string {
    return join(this.#folder, 'pve');
  }

  /** To be called when membership may have changed: who loses quorum keeps what it sees, who is back sees the others'. */
  settle(): void {
    for (const { name } of this.#lab.status().nodes) {
      const kept = join(this.#folder, name, 'pve');
      const { quorate } = this.#view(name);
      if (quorate) rmSync(kept, { recursive: true, force: true });
      else if (!existsSync(kept)) cpSync(this.#shared, kept, { recursive: true, preserveTimestamps: true });
    }
  }

  /** The next call of that name on a node is held up for so long. */
  slowDown(node: string, syscall: string, ms: number): void {
    this.#slow.set(node, { syscall, ms });
  }

  /** Corosync's own network to a node fails, or is mended. */
  part(node: string, at: number | null): void {
    if (at === null) this.#parted.delete(node);
    else this.#parted.set(node, at);
    this.settle();
  }

  /** The real path of what a program on `node` calls `path`; null: it is on no file system that is simulated. */
  real(node: string, path: string): string | null {
    if (path === LOCAL || path.startsWith(`${LOCAL}/`))
      return join(this.#folder, node, 'var', path.slice(LOCAL.length));
    if (!this.holds(path)) return null;
    if (path === `${ROOT}/.members`) return this.#members(node);
    const kept = join(this.#folder, node, 'pve');
    return join(existsSync(kept) ? kept : this.#shared, path.slice(ROOT.length));
  }

  holds(path: string): boolean {
    return path === ROOT || path.startsWith(`${ROOT}/`);
  }

  /** Before anything is written: holds the caller up, and throws without quorum. */
  admit(node: string, caller: Caller, syscall: string, path: string): void {
    const { heldUntil, quorate } = this.#write(node, caller.now());
    const trap = this.#slow.get(node);
    const slow = trap?.syscall === syscall ? trap.ms : 0;
    if (slow > 0) this.#slow.delete(node);
    if (heldUntil !== null || slow > 0) caller.block(Math.max(heldUntil ?? 0, caller.now() + slow));
    if (!quorate) throw systemError(heldUntil === null ? 'EACCES' : 'EPERM', syscall, path);
  }

  /** A folder has been made. */
  made(path: string, caller: Caller): void {
    const lock = lockName(path);
    if (lock !== null) this.#locks.set(lock, caller.now());
  }

  /** `utime` of a lock: 0 asks for its end, which comes when it has expired. */
  touch(node: string, path: string, mtime: number, caller: Caller): void {
    const lock = lockName(path);
    const real = this.real(node, path) ?? path;
    if (!existsSync(real)) throw systemError('ENOENT', 'utime', path);
    if (lock === null) return;
    if (mtime > 0) this.#locks.set(lock, caller.now());
    else if (caller.now() - (this.#locks.get(lock) ?? 0) <= EXPIRY_MS)
      throw systemError('EACCES', 'utime', path);
    else rmSync(real, { recursive: true });
  }

  #view(node: string): ReturnType<Membership['clusterView']> {
    const { online, quorate } = this.#lab.clusterView(node);
    if (this.#parted.has(node)) return { online: new Set([node]), quorate: false };
    return { online: new Set([...online].filter((one) => !this.#parted.has(one))), quorate };
  }

  #write(node: string, now: number): ReturnType<Membership['clusterWrite']> {
    const { heldUntil, quorate } = this.#lab.clusterWrite(node);
    const parting = Math.max(0, ...this.#parted.values()) + MEMBERSHIP_MS;
    return {
      heldUntil: parting > now ? Math.max(heldUntil ?? 0, parting) : heldUntil,
      quorate: quorate && !this.#parted.has(node),
    };
  }

  /** As recorded in 11-no-quorum-minority. */
  #members(node: string): string {
    const { online, quorate } = this.#view(node);
    const names = this.#lab.status().nodes.map(({ name }) => name);
    const nodelist = Object.fromEntries(
      names.map((name, index) => [
        name,
        { id: index + 1, online: Number(online.has(name)), ip: `10.0.0.${11 + index}` },
      ]),
    );
    const path = join(this.#folder, node, 'members');
    const cluster = { name: 'home', version: 3, nodes: names.length, quorate: Number(quorate) };
    writeFileSync(path, JSON.stringify({ nodename: node, version: 6, cluster, nodelist }, null, 1));
    return path;
  }
}

function lockName(path: string): string | null {
  const below = path.slice(ROOT.length + 1);
  return below.startsWith(LOCKS) && !below.slice(LOCKS.length).includes('/') ? below : null;
}

/** Only empty folders can be renamed. */
export function refuseFullFolder(real: string, path: string): void {
  if (statSync(real, { throwIfNoEntry: false })?.isDirectory() === true && readdirSync(real).length > 0)
    throw systemError('ENOTEMPTY', 'rename', path);
}
