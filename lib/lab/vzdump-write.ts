/** The part of a backup that writes: a file, or a snapshot on a backup server; and the storage's own retention. */
import { beginLines, endLines } from './pbs.ts';
import { archiveStamp, archiveVolid, isPbs, retention } from './storage.ts';
import type { Archive, Disk, DiskContent, Storages } from './storage.ts';
import type { Worker } from './tasks.ts';
import type { StorageSpec } from './types.ts';
import type { VzdumpRequest } from './vzdump.ts';
import type { World } from './world.ts';

/** One guest's backup failed; the job goes on with the next, unless a person has stopped it. */
export class BackupFailure extends Error {
  readonly stopped: boolean;
  constructor(message: string, stopped = false) {
    super(message);
    this.stopped = stopped;
  }
}

export interface WriteJob {
  readonly node: string;
  readonly vmid: number;
  readonly hostname: string;
  readonly at: number;
  readonly storage: StorageSpec;
  /** How long reading all of it takes. */
  readonly seconds: number;
  readonly disk: Disk;
  readonly mode: VzdumpRequest['mode'];
  readonly request: VzdumpRequest;
  readonly config: string;
}

const EXTENSIONS: Readonly<Record<string, string>> = {
  zstd: 'tar.zst',
  gzip: 'tar.gz',
  '1': 'tar.lzo',
  lzo: 'tar.lzo',
};

/** Where mode suspend copies to. */
export function tempFolder(storages: Storages, storage: StorageSpec, vmid: number, at: number): string {
  return isPbs(storage)
    ? `/var/tmp/vzdumptmp1_${vmid}`
    : `${storages.pathOf(`${storage.id}:backup/vzdump-lxc-${vmid}-${archiveStamp(at)}`)}.tmp`;
}

/** With retention on the storage and `remove=0`, Proxmox refuses a backup too many (its source; unmeasured). */
export function demandRoom({ storages }: World, storage: StorageSpec, vmid: number, remove: boolean): void {
  const most = retention(storage);
  if (most === null || remove || unprotected(storages, storage, vmid).length < most) return;
  throw new BackupFailure(
    `There is a max backup limit of ${most} enforced by the target storage or the vzdump parameters. Either increase the limit or delete old backups.`,
  );
}

function unprotected({ archives }: Storages, storage: StorageSpec, vmid: number): Archive[] {
  return archives
    .filter((one) => one.storage === storage.id && one.vmid === vmid && !one.protected && !one.unfinished)
    .toSorted((a, b) => b.at - a.at);
}

/** The file has its name only when it is whole. */
export async function writeFile(world: World, worker: Worker, job: WriteJob): Promise<void> {
  const { storages } = world;
  const { storage, vmid, at, seconds, mode, request, disk } = job;
  const volid = archiveVolid(storage, vmid, at, EXTENSIONS[request.compress] ?? 'tar');
  const path = storages.pathOf(volid);
  worker.log(`INFO: creating vzdump archive '${path}'`);
  await worker.sleep(seconds * (mode === 'suspend' ? 250 : 500));
  if (storages.isFull(storage.id)) {
    worker.log('INFO: zstd: error 70 : Write error : cannot write block : No space left on device');
    throw new BackupFailure(
      `command 'set -o pipefail && lxc-usernsexec -m u:0:100000:65536 -m g:0:100000:65536 -- tar cpf - --totals --one-file-system -p --sparse --numeric-owner --acls --xattrs ./ | zstd --rsyncable '--threads=1' >${path.replace(/\.tar.*$/, '')}.tar.dat' failed: exit code 1`,
    );
  }
  await worker.sleep(seconds * (mode === 'suspend' ? 250 : 500));
  const bytes = Math.round(disk.content.usedMiB * 1_048_576);
  const size = request.compress === '0' ? bytes : Math.round(bytes * 0.6);
  worker.log(
    `INFO: Total bytes written: ${bytes} (${amount(disk.content.usedMiB)}, ${amount(disk.content.usedMiB / seconds)}/s)`,
  );
  worker.log(`INFO: archive file size: ${Math.floor(size / 1_048_576)}MB`);
  finish(world, worker, job, archiveOf(world, job, { volid, size }));
}

/** The server lists a snapshot from its beginning; its manifest comes last. */
export async function writeSnapshot(world: World, worker: Worker, job: WriteJob): Promise<void> {
  const { storages, core } = world;
  const { storage, vmid, node, at, seconds, disk, mode } = job;
  const volid = archiveVolid(storage, vmid, at, '');
  worker.log(`INFO: creating Proxmox Backup Server archive '${volid.slice(volid.indexOf(':backup/') + 8)}'`);
  const previous = storages.archives
    .filter((one) => one.storage === storage.id && one.vmid === vmid && !one.unfinished)
    .toSorted((a, b) => b.at - a.at)[0];
  const from = mode === 'suspend' ? tempFolder(storages, storage, vmid, at) : '/mnt/vzsnap0';
  for (const line of beginLines(storage, { vmid, volid, node, from, at, previous: previous?.at ?? null }))
    worker.log(line);
  const archive = archiveOf(world, job, { volid, size: Math.round(disk.content.usedMiB * 1_048_576) });
  archive.unfinished = true;
  storages.addArchive(archive);
  try {
    await worker.sleep(seconds * (mode === 'suspend' ? 250 : 500));
    if (storages.isFull(storage.id)) {
      worker.log('INFO: Error: upload failed: No space left on device (os error 28)');
      throw new BackupFailure(
        `command '/usr/bin/proxmox-backup-client backup --crypt-mode=none …' failed: exit code 255`,
      );
    }
    await worker.sleep(seconds * (mode === 'suspend' ? 250 : 500));
  } catch (error) {
    // The server drops what a client that says so has not finished. One that just vanishes leaves it.
    storages.removeArchive(archive);
    throw error;
  }
  for (const line of endLines({
    mib: disk.content.usedMiB,
    seconds,
    at: core.now(),
    incremental: previous !== undefined,
  }))
    worker.log(line);
  archive.unfinished = false;
  finish(world, worker, job, archive);
}

function finish({ core, storages }: World, worker: Worker, job: WriteJob, archive: Archive): void {
  const { node, vmid, hostname, request, storage } = job;
  if (request.notesTemplate !== undefined) worker.log('INFO: adding notes to backup');
  if (request.protected) worker.log('INFO: marking backup as protected');
  if (!storages.archives.includes(archive)) storages.addArchive(archive);
  core.event(`${node}: CT ${vmid} (${hostname}) backed up to ${archive.volid}`);
  const most = retention(storage);
  if (!request.remove || most === null) return;
  worker.log(`INFO: prune older backups with retention: ${storage.pruneBackups ?? ''}`);
  const gone = unprotected(storages, storage, vmid).slice(most);
  for (const one of gone) storages.removeArchive(one);
  worker.log(
    `INFO: pruned ${gone.length} backup(s)${gone.length > 0 ? ' not covered by keep-retention policy' : ''}`,
  );
}

function archiveOf(
  { storages, spec }: World,
  { node, vmid, hostname, at, storage, disk, request, config }: WriteJob,
  { volid, size }: { volid: string; size: number },
): Archive {
  return {
    volid,
    storage: storage.id,
    node: storages.placeOf(storage, node),
    vmid,
    at,
    size,
    notes: notesOf(request.notesTemplate, {
      guestname: hostname,
      vmid: String(vmid),
      node,
      cluster: spec.cluster ?? 'standalone node',
    }),
    protected: request.protected,
    verification: null,
    encrypted: isPbs(storage) ? (storage.encryptionKey ?? null) : null,
    unfinished: false,
    truncated: false,
    config: config.replace(/^lock: .*\n/m, ''),
    content: contentOf(disk.content),
  };
}

function contentOf({ identity, services, usedMiB }: DiskContent): DiskContent {
  return { identity, services, usedMiB };
}

function notesOf(template: string | undefined, values: Readonly<Record<string, string>>): string {
  if (template === undefined) return '';
  return template
    .replaceAll(/\{\{(\w+)\}\}/g, (whole, key: string) => values[key] ?? whole)
    .replaceAll('\\n', '\n');
}

/** `5.3MiB`, as tar prints it. */
export function amount(mib: number): string {
  return mib >= 10 ? `${Math.round(mib)}MiB` : `${mib.toFixed(1)}MiB`;
}
