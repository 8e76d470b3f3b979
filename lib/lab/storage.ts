import type { Core } from './core.ts';
import { ApiError } from './http.ts';
import type { ServiceSpec, StorageSpec, WorldSpec } from './types.ts';

/** What a disk holds, beside bytes: which container it is, and what that container serves. */
export interface DiskContent {
  /** Identity of a container without a network interface. */
  readonly identity: string;
  readonly services: readonly ServiceSpec[];
  readonly usedMiB: number;
}

export interface Disk {
  readonly volid: string;
  readonly storage: string;
  /** null: on shared storage. */
  readonly node: string | null;
  readonly vmid: number;
  readonly sizeMiB: number;
  readonly ctime: number;
  readonly content: DiskContent;
}

export interface Archive {
  readonly volid: string;
  readonly storage: string;
  readonly node: string | null;
  readonly vmid: number;
  /** Epoch ms of its start, whole seconds: the name and ctime say so. */
  readonly at: number;
  readonly size: number;
  notes: string;
  protected: boolean;
  readonly truncated: boolean;
  readonly config: string;
  readonly content: DiskContent;
}

const MIB = 1_048_576;
export const TEMPLATE = 'alpine-3.19-default_20240207_amd64.tar.zst';

/** Storages, the disks and the archives on them. */
export class Storages {
  readonly #core: Core;
  readonly #specs: readonly StorageSpec[];
  readonly #full = new Set<string>();
  disks: Disk[] = [];
  archives: Archive[] = [];

  constructor(core: Core, spec: WorldSpec) {
    this.#core = core;
    this.#specs = spec.storages;
  }

  all(): readonly StorageSpec[] {
    return this.#specs;
  }

  find(id: string): StorageSpec | undefined {
    return this.#specs.find((storage) => storage.id === id);
  }

  on(node: string): readonly StorageSpec[] {
    return this.#specs.filter((storage) => storage.nodes === undefined || storage.nodes.includes(node));
  }

  /** Throws Proxmox's 500 unless the storage exists and is there on the node. */
  demand(id: string, node: string): StorageSpec {
    const storage = this.find(id);
    if (storage === undefined) throw new ApiError(500, `storage '${id}' does not exist`);
    if (storage.nodes !== undefined && !storage.nodes.includes(node))
      throw new ApiError(500, `storage '${id}' is not available on node '${node}'`);
    return storage;
  }

  fill(id: string): void {
    this.#full.add(id);
    this.#core.event(`storage ${id}: full`);
  }

  drain(id: string): void {
    this.#full.delete(id);
    this.#core.event(`storage ${id}: has space again`);
  }

  isFull(id: string): boolean {
    return this.#full.has(id);
  }

  /** Bytes. */
  usage(storage: StorageSpec, node: string): { total: number; used: number; avail: number } {
    const total = (storage.sizeMiB ?? 102_400) * MIB;
    if (this.#full.has(storage.id)) return { total, used: total, avail: 0 };
    const here = (one: { storage: string; node: string | null }): boolean =>
      one.storage === storage.id && (one.node === null || one.node === node);
    const disks = this.disks.filter(here).reduce((sum, disk) => sum + disk.content.usedMiB * MIB, 0);
    const archives = this.archives.filter(here).reduce((sum, archive) => sum + archive.size, 0);
    const used = Math.min(total, 4 * MIB + disks + archives);
    return { total, used, avail: total - used };
  }

  /** Where something on this storage lies, seen from a node: nowhere in particular when it is shared. */
  placeOf(storage: StorageSpec, node: string): string | null {
    return storage.shared === true ? null : node;
  }

  disk(volid: string, node: string): Disk | undefined {
    return this.disks.find((disk) => disk.volid === volid && (disk.node === null || disk.node === node));
  }

  addDisk(disk: Disk): void {
    this.disks.push(disk);
  }

  /** False when it was not there. */
  removeDisk(volid: string, node: string): boolean {
    const disk = this.disk(volid, node);
    this.disks = this.disks.filter((one) => one !== disk);
    return disk !== undefined;
  }

  /** The name of the next free volume of a vmid there. */
  nextVolid(storage: StorageSpec, node: string, vmid: number): string {
    for (let index = 0; ; index += 1) {
      const volid = isDirectory(storage)
        ? `${storage.id}:${vmid}/vm-${vmid}-disk-${index}.raw`
        : `${storage.id}:vm-${vmid}-disk-${index}`;
      if (this.disk(volid, node) === undefined) return volid;
    }
  }

  archive(volid: string, node: string): Archive | undefined {
    return this.archives.find((one) => one.volid === volid && (one.node === null || one.node === node));
  }

  addArchive(archive: Archive): void {
    this.archives.push(archive);
  }

  removeArchive(archive: Archive): void {
    this.archives = this.archives.filter((one) => one !== archive);
  }

  /** The path of a volume on the node's file system. */
  pathOf(volid: string): string {
    const at = volid.indexOf(':');
    const storage = this.find(volid.slice(0, at));
    const base = storage?.path ?? '';
    const name = volid.slice(at + 1);
    if (name.startsWith('backup/')) return `${base}/dump/${name.slice('backup/'.length)}`;
    if (name.startsWith('vztmpl/')) return `${base}/template/cache/${name.slice('vztmpl/'.length)}`;
    return name.includes('/') ? `${base}/images/${name}` : `/dev/${storage?.id ?? ''}/${name}`;
  }
}

export function isDirectory(storage: StorageSpec): boolean {
  return ['dir', 'nfs', 'cifs', 'btrfs'].includes(storage.type ?? 'dir');
}

/** `2026_11_22-20_16_47`, in UTC as the nodes' clocks are. */
export function archiveStamp(at: number): string {
  const text = new Date(at).toISOString();
  return `${text.slice(0, 10).replaceAll('-', '_')}-${text.slice(11, 19).replaceAll(':', '_')}`;
}

/** `2026-11-22 20:16:47` */
export function logStamp(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace('T', ' ');
}

/** The vmid in an archive's name, or null when it isn't a container's archive. */
export function archiveVmid(volid: string): number | null {
  const match =
    /^[^:]+:backup\/vzdump-lxc-(\d+)-\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d\.(?:tar|tar\.zst|tar\.gz|tar\.lzo)$/.exec(
      volid,
    );
  return match?.[1] === undefined ? null : Number(match[1]);
}
