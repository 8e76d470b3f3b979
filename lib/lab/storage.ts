import type { Core } from './core.ts';
import { InputError } from '../errors.ts';
import { ApiError } from './http.ts';
import { asSeen, type Shelves } from './shelf.ts';
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
  verification: 'ok' | 'failed' | null;
  /** Fingerprint of the key; null: not encrypted. */
  readonly encrypted: string | null;
  /** Being written, or left by a writer that was cut off: without a manifest. */
  unfinished: boolean;
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
  /** `storage` or `storage@node`, and since when. */
  readonly #unmounted = new Map<string, number>();
  readonly #shelves: Shelves;
  disks: Disk[] = [];
  #archives: Archive[] = [];

  constructor(core: Core, spec: WorldSpec, shelves: Shelves) {
    this.#core = core;
    this.#specs = spec.storages;
    this.#shelves = shelves;
  }

  /** Those that other labs have put on a storage of theirs which is one of ours, too. */
  get archives(): readonly Archive[] {
    const shared = this.#specs.flatMap(({ id, export: name }) =>
      name === undefined ? [] : this.#shelf(name).map((archive) => asSeen(archive, id)),
    );
    return [...this.#archives, ...shared];
  }

  #shelf(name: string): Archive[] {
    const shelf = this.#shelves.get(name) ?? [];
    this.#shelves.set(name, shelf);
    return shelf;
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

  /** Since when the storage can't be reached from a node; null: it can. */
  lostSince(id: string, node: string): number | null {
    return this.#unmounted.get(id) ?? this.#unmounted.get(`${id}@${node}`) ?? null;
  }

  /** Throws what Proxmox says of a storage that it can't activate. */
  demandReachable(storage: StorageSpec, node: string): void {
    if (this.lostSince(storage.id, node) === null) return;
    throw new ApiError(
      500,
      isPbs(storage)
        ? `${storage.id}: error fetching datastores - 500 Can't connect to ${storage.id}.lab:8007 (Connection timed out)`
        : `storage '${storage.id}' is not online`,
    );
  }

  unmount(id: string, node?: string): void {
    this.#unmounted.set(node === undefined ? id : `${id}@${node}`, this.#core.now());
    this.#core.event(`storage ${id}: out of reach${node === undefined ? '' : ` of ${node}`}`);
  }

  mount(id: string, node?: string): void {
    this.#unmounted.delete(node === undefined ? id : `${id}@${node}`);
    this.#core.event(`storage ${id}: in reach${node === undefined ? '' : ` of ${node}`} again`);
  }

  verify(volid: string, result: 'ok' | 'failed'): void {
    const archive = this.archives.find((one) => one.volid === volid);
    const storage = archive === undefined ? undefined : this.find(archive.storage);
    if (archive === undefined || storage === undefined || !isPbs(storage))
      throw new InputError(`${volid} is not on a backup server, and nothing else verifies backups`);
    archive.verification = result;
    this.#core.event(`backup ${volid}: verification ${result}`);
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
    return isShared(storage) ? null : node;
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
    const name = this.find(archive.storage)?.export;
    (name === undefined ? this.#archives : this.#shelf(name)).push(archive);
  }

  removeArchive(archive: Archive): void {
    const { storage } = archive;
    this.#archives = this.#archives.filter((one) => one !== archive);
    const name = this.find(storage)?.export;
    if (name === undefined) return;
    const others = this.#shelf(name).filter((one) => asSeen(one, storage).volid !== archive.volid);
    this.#shelves.set(name, others);
  }

  /** The path of a volume on the node's file system. */
  pathOf(volid: string): string {
    const at = volid.indexOf(':');
    const storage = this.find(volid.slice(0, at));
    const base = storage?.path ?? '';
    const name = volid.slice(at + 1);
    if (storage !== undefined && isPbs(storage)) return `pbs://${storage.id}.lab:${storage.id}/${name}`;
    if (name.startsWith('backup/')) return `${base}/dump/${name.slice('backup/'.length)}`;
    if (name.startsWith('vztmpl/')) return `${base}/template/cache/${name.slice('vztmpl/'.length)}`;
    return name.includes('/') ? `${base}/images/${name}` : `/dev/${storage?.id ?? ''}/${name}`;
  }
}

export function isDirectory(storage: StorageSpec): boolean {
  return ['dir', 'nfs', 'cifs', 'btrfs'].includes(storage.type ?? 'dir');
}

/** A Proxmox Backup Server. All about it is from PVE's schema and source: unmeasured. */
export function isPbs(storage: StorageSpec): boolean {
  return storage.type === 'pbs';
}

/** Some types are shared whatever storage.cfg says. */
export function isShared(storage: StorageSpec): boolean {
  return storage.shared === true || ['nfs', 'cifs', 'cephfs', 'rbd', 'pbs'].includes(storage.type ?? 'dir');
}

/** Whether containers' volumes on it can have snapshots. */
export function hasSnapshots(storage: StorageSpec): boolean {
  return ['lvmthin', 'zfspool', 'rbd', 'btrfs'].includes(storage.type ?? 'dir');
}

/** How many unprotected backups of a guest its retention keeps; null: all. */
export function retention(storage: StorageSpec): number | null {
  const parts = (storage.pruneBackups ?? 'keep-all=1').split(',').map((part) => part.split('='));
  if (parts.some(([key]) => key === 'keep-all')) return null;
  return parts.reduce((sum, [, count]) => sum + Number(count ?? '0'), 0);
}

/** The volid of a backup that is begun at `at`. */
export function archiveVolid(storage: StorageSpec, vmid: number, at: number, extension: string): string {
  return isPbs(storage)
    ? `${storage.id}:backup/ct/${vmid}/${new Date(at).toISOString().slice(0, 19)}Z`
    : `${storage.id}:backup/vzdump-lxc-${vmid}-${archiveStamp(at)}.${extension}`;
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
    ) ?? /^[^:]+:backup\/ct\/(\d+)\/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.exec(volid);
  return match?.[1] === undefined ? null : Number(match[1]);
}

/** What Proxmox says of a volume name that it can't take apart. */
export function badVolume(storage: StorageSpec | undefined, volid: string): ApiError {
  const name = volid.slice(volid.indexOf(':') + 1);
  return new ApiError(
    500,
    storage !== undefined && isPbs(storage)
      ? `unable to parse PBS volume name '${name}'`
      : `unable to parse directory volume name '${name}'`,
  );
}
