import { parseProperties } from './ct-config.ts';
import { archiveStamp, isDirectory, logStamp } from './storage.ts';
import type { Archive, DiskContent } from './storage.ts';
import { TaskAborted, TaskFailure } from './tasks.ts';
import type { Worker } from './tasks.ts';
import type { Caller } from './auth.ts';
import type { StorageSpec } from './types.ts';
import { VzdumpLock } from './vzdump-lock.ts';
import type { World } from './world.ts';

export interface VzdumpRequest {
  readonly vmids: readonly number[];
  readonly storage: string;
  readonly mode: 'snapshot' | 'suspend' | 'stop';
  readonly compress: string;
  readonly notesTemplate: string | undefined;
  readonly protected: boolean;
  /** Minutes to wait for another vzdump on the node. */
  readonly lockwait: number;
  /** KiB/s, 0 without limit. */
  readonly bwlimit: number;
  /** The command line that the log shows. */
  readonly commandLine: string;
}

const EXTENSIONS: Readonly<Record<string, string>> = {
  zstd: 'tar.zst',
  gzip: 'tar.gz',
  '1': 'tar.lzo',
  lzo: 'tar.lzo',
};

/** Backups. One at a time on a node: the others wait for its global lock. */
export class Vzdump {
  readonly #world: World;
  readonly #lock: VzdumpLock;

  constructor(world: World) {
    this.#world = world;
    this.#lock = new VzdumpLock(world.core);
  }

  /** The worker of one job. */
  async run(worker: Worker, node: string, caller: Caller, request: VzdumpRequest): Promise<void> {
    await this.#lock.take(worker, node, request.lockwait);
    try {
      await this.#job(worker, node, caller, request);
    } finally {
      this.#lock.release(node, worker);
    }
  }

  /** Power loss: nobody holds or waits for the lock any more. */
  nodeLost(node: string): void {
    this.#lock.nodeLost(node);
  }

  async #job(worker: Worker, node: string, caller: Caller, request: VzdumpRequest): Promise<void> {
    const { core, storages, cfs } = this.#world;
    const storage = storages.find(request.storage);
    const activation = 'could not activate storage';
    if (storage === undefined) {
      const text = `storage '${request.storage}' does not exist`;
      throw new TaskFailure(
        `${activation} '${request.storage}': ${text}\ncould not get storage information for '${request.storage}': ${text}`,
      );
    }
    if (storage.nodes !== undefined && !storage.nodes.includes(node))
      throw new TaskFailure(
        `${activation} '${storage.id}': storage '${storage.id}' is not available on node '${node}'`,
      );
    for (const vmid of request.vmids) if (cfs.find(vmid) !== null) demandBackup(caller, vmid);
    worker.log(`INFO: starting new backup job: vzdump ${request.commandLine}`);
    let failed = false;
    for (const vmid of request.vmids) {
      const owner = cfs.find(vmid);
      if (owner !== null && owner !== node) continue; // guests of other nodes are skipped in silence
      const at = Math.floor(core.now() / 1000) * 1000;
      try {
        if (owner === null) throw new BackupFailure(`unable to find VM '${vmid}'`);
        worker.log(`INFO: Starting Backup of VM ${vmid} (lxc)`);
        worker.log(`INFO: Backup started at ${logStamp(at)}`);
        await this.#one(worker, node, vmid, at, storage, request);
        worker.log(`INFO: Finished Backup of VM ${vmid} (${clockOf(core.since(at))})`);
        worker.log(`INFO: Backup finished at ${logStamp(core.now())}`);
      } catch (error) {
        const aborted = error instanceof TaskAborted;
        if (!aborted && !(error instanceof BackupFailure) && !(error instanceof TaskFailure)) throw error;
        failed = true;
        worker.log(
          `ERROR: Backup of VM ${vmid} failed - ${aborted ? 'interrupted by signal' : error.message}`,
        );
        worker.log(`INFO: Failed at ${logStamp(core.now())}`);
        if (aborted || (error instanceof BackupFailure && error.stopped)) break;
      }
    }
    worker.log(`INFO: Backup job finished ${failed ? 'with errors' : 'successfully'}`);
    if (failed) throw new TaskFailure('job errors');
  }

  async #one(
    worker: Worker,
    node: string,
    vmid: number,
    at: number,
    storage: StorageSpec,
    request: VzdumpRequest,
  ): Promise<void> {
    const { guests, core, storages, spec } = this.#world;
    const { pid } = worker.task;
    const running = guests.copy(node, vmid) !== undefined;
    const before = guests.workerConfig(node, vmid);
    worker.log(`INFO: status = ${running ? 'running' : 'stopped'}`);
    const lock = before.values.get('lock');
    if (lock !== undefined) throw new BackupFailure(`CT is locked (${lock})`);
    const volid = parseProperties(before.values.get('rootfs') ?? '').get('') ?? '';
    const disk = storages.disk(volid, node);
    const snapshots = disk !== undefined && !isDirectory(storages.find(disk.storage) ?? storage);
    const hostname = before.values.get('hostname') ?? `CT${vmid}`;
    await guests.setLock(node, vmid, 'backup', pid);
    const config = this.#world.cfs.read(node, vmid) ?? '';
    const name = `vzdump-lxc-${vmid}-${archiveStamp(at)}`;
    const extension = EXTENSIONS[request.compress] ?? 'tar';
    const archiveVolid = `${storage.id}:backup/${name}.${extension}`;
    let mode = running ? request.mode : 'stop';
    let stopped = false;
    try {
      if (mode === 'snapshot' && !snapshots) {
        worker.log(`INFO: CT Name: ${hostname}`);
        worker.log("INFO: including mount point rootfs ('/') in backup");
        worker.log('INFO: mode failure - some volumes do not support snapshots');
        worker.log("INFO: trying 'suspend' mode instead");
        mode = 'suspend';
      }
      worker.log(`INFO: backup mode: ${mode}`);
      if (request.bwlimit > 0) worker.log(`INFO: bandwidth limit: ${request.bwlimit} KiB/s`);
      worker.log('INFO: ionice priority: 7');
      worker.log(`INFO: CT Name: ${hostname}`);
      worker.log("INFO: including mount point rootfs ('/') in backup");
      if (disk === undefined) throw new BackupFailure(`volume '${volid}' does not exist`);
      const seconds = Math.max(0.5, disk.content.usedMiB / throughput(spec.throughputMiB, request.bwlimit));
      if (mode === 'snapshot') worker.log("INFO: create storage snapshot 'vzdump'");
      if (mode === 'stop' && running) {
        worker.log('INFO: stopping virtual guest');
        await worker.sleep(1_000);
        guests.ended(node, vmid, 'stopped for its backup');
        stopped = true;
      }
      const dump = storages.pathOf(`${storage.id}:backup/${name}`);
      if (mode === 'suspend') {
        const root = `/proc/${guests.copy(node, vmid)?.pid ?? 0}/root/`;
        worker.log(`INFO: starting first sync ${root} to ${dump}.tmp`);
        await worker.sleep(seconds * 500).catch((error: unknown) => {
          throw error instanceof TaskAborted
            ? new BackupFailure(interruptedRsync(request.bwlimit, root, `${dump}.tmp`), true)
            : error;
        });
        worker.log(
          `INFO: first sync finished - transferred ${disk.content.usedMiB.toFixed(2)}M bytes in ${Math.round(seconds / 2)}s`,
        );
        worker.log('INFO: suspending guest');
        worker.log(`INFO: starting final sync ${root} to ${dump}.tmp`);
        worker.log('INFO: final sync finished - transferred 0 bytes in 0s');
        worker.log('INFO: resuming guest');
        worker.log('INFO: guest is online again after <1 seconds');
      }
      worker.log(`INFO: creating vzdump archive '${dump}.${extension}'`);
      await worker.sleep(seconds * (mode === 'suspend' ? 250 : 500));
      if (storages.isFull(storage.id)) {
        worker.log('INFO: zstd: error 70 : Write error : cannot write block : No space left on device');
        throw new BackupFailure(
          `command 'set -o pipefail && lxc-usernsexec -m u:0:100000:65536 -m g:0:100000:65536 -- tar cpf - --totals --one-file-system -p --sparse --numeric-owner --acls --xattrs ./ | zstd --rsyncable '--threads=1' >${dump}.tar.dat' failed: exit code 1`,
        );
      }
      await worker.sleep(seconds * (mode === 'suspend' ? 250 : 500));
      const bytes = Math.round(disk.content.usedMiB * 1_048_576);
      const size = request.compress === '0' ? bytes : Math.round(bytes * 0.6);
      worker.log(
        `INFO: Total bytes written: ${bytes} (${amount(disk.content.usedMiB)}, ${amount(disk.content.usedMiB / seconds)}/s)`,
      );
      worker.log(`INFO: archive file size: ${Math.floor(size / 1_048_576)}MB`);
      const notes = notesOf(request.notesTemplate, {
        guestname: hostname,
        vmid: String(vmid),
        node,
        cluster: spec.cluster ?? 'standalone node',
      });
      if (request.notesTemplate !== undefined) worker.log('INFO: adding notes to backup');
      if (request.protected) worker.log('INFO: marking backup as protected');
      const archive: Archive = {
        volid: archiveVolid,
        storage: storage.id,
        node: storages.placeOf(storage, node),
        vmid,
        at,
        size,
        notes,
        protected: request.protected,
        truncated: false,
        config: withoutLock(config),
        content: contentOf(disk.content),
      };
      storages.addArchive(archive);
      core.event(`${node}: CT ${vmid} (${hostname}) backed up to ${archiveVolid}`);
      if (mode === 'snapshot') worker.log("INFO: cleanup temporary 'vzdump' snapshot");
    } finally {
      // Power loss never gets here: a worker that is gone doesn't clean up.
      if (stopped) {
        worker.log('INFO: restarting vm');
        guests.began(node, vmid, 'started again after its backup');
        worker.log(
          `INFO: guest is online again after ${Math.max(1, Math.round(core.since(at) / 1000))} seconds`,
        );
      }
      await this.#unlock(node, vmid, pid);
    }
  }

  /** The lock stays when quorum was lost meanwhile, and Proxmox still says OK. */
  async #unlock(node: string, vmid: number, pid: number): Promise<void> {
    const { guests, nodes, cfs } = this.#world;
    await nodes.settled(node);
    if (cfs.read(node, vmid) === null || !nodes.quorate(node)) return;
    await guests.setLock(node, vmid, null, pid);
  }
}

/** One guest's backup failed; the job goes on with the next, unless a person has stopped it. */
class BackupFailure extends Error {
  readonly stopped: boolean;
  constructor(message: string, stopped = false) {
    super(message);
    this.stopped = stopped;
  }
}

function interruptedRsync(bwlimit: number, from: string, to: string): string {
  const limit = bwlimit > 0 ? `'--bwlimit=${bwlimit}' ` : '';
  return `command 'rsync --stats -h -X -A --numeric-ids -aH --delete --no-whole-file --sparse --one-file-system --relative ${limit}'--exclude=/tmp/?*' '--exclude=/var/tmp/?*' '--exclude=/var/run/?*.pid' ${from}/./ ${to}' failed: interrupted by signal`;
}

function demandBackup(caller: Caller, vmid: number): void {
  if (!caller.may(`/vms/${vmid}`, 'VM.Backup'))
    throw new TaskFailure(`403 Permission check failed (/vms/${vmid}, VM.Backup)`);
}

function throughput(mibPerSecond: number | undefined, bwlimit: number): number {
  const full = mibPerSecond ?? 100;
  return bwlimit > 0 ? Math.min(full, bwlimit / 1024) : full;
}

function contentOf(content: DiskContent): DiskContent {
  return { identity: content.identity, services: content.services, usedMiB: content.usedMiB };
}

function withoutLock(config: string): string {
  return config.replace(/^lock: .*\n/m, '');
}

function notesOf(template: string | undefined, values: Readonly<Record<string, string>>): string {
  if (template === undefined) return '';
  return template
    .replaceAll(/\{\{(\w+)\}\}/g, (whole, key: string) => values[key] ?? whole)
    .replaceAll('\\n', '\n');
}

function clockOf(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const part = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  return `${part(seconds / 3600)}:${part((seconds / 60) % 60)}:${part(seconds % 60)}`;
}

/** `5.3MiB`, as tar prints it. */
export function amount(mib: number): string {
  return mib >= 10 ? `${Math.round(mib)}MiB` : `${mib.toFixed(1)}MiB`;
}
