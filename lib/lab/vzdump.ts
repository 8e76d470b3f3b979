import { parseProperties } from './ct-config.ts';
import { hasSnapshots, isPbs, logStamp } from './storage.ts';
import { TaskAborted, TaskFailure } from './tasks.ts';
import type { Worker } from './tasks.ts';
import type { Caller } from './auth.ts';
import type { StorageSpec } from './types.ts';
import { BackupFailure, demandRoom, tempFolder, writeFile, writeSnapshot } from './vzdump-write.ts';
import { VzdumpLock } from './vzdump-lock.ts';
import type { World } from './world.ts';

export interface VzdumpRequest {
  readonly vmids: readonly number[];
  readonly storage: string;
  readonly mode: 'snapshot' | 'suspend' | 'stop';
  readonly compress: string;
  readonly notesTemplate: string | undefined;
  readonly protected: boolean;
  /** Prune by the storage's retention afterwards. */
  readonly remove: boolean;
  /** Minutes to wait for another vzdump on the node. */
  readonly lockwait: number;
  /** KiB/s, 0 without limit. */
  readonly bwlimit: number;
  /** The command line that the log shows. */
  readonly commandLine: string;
}

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
    if (!storage.content.includes('backup'))
      throw new TaskFailure(
        `could not get storage information for '${storage.id}': can't use storage '${storage.id}' for backups - wrong content type`,
      );
    if (storages.lostSince(storage.id, node) !== null)
      throw new TaskFailure(`${activation} '${storage.id}': storage '${storage.id}' is not online`);
    for (const vmid of request.vmids) if (cfs.find(vmid) !== null) demandBackup(caller, vmid);
    worker.log(`INFO: starting new backup job: vzdump ${request.commandLine}`);
    let failed = false;
    for (const vmid of request.vmids) {
      const owner = cfs.find(vmid);
      if (owner !== null && owner !== node) continue; // guests of other nodes are skipped in silence
      const at = Math.floor(core.now() / 1000) * 1000;
      try {
        if (owner === null) throw new BackupFailure(`unable to find VM '${vmid}'`);
        demandRoom(this.#world, storage, vmid, request.remove);
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
    const snapshots = disk !== undefined && hasSnapshots(storages.find(disk.storage) ?? storage);
    const hostname = before.values.get('hostname') ?? `CT${vmid}`;
    await guests.setLock(node, vmid, 'backup', pid);
    const config = this.#world.cfs.read(node, vmid) ?? '';
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
      const dump = tempFolder(storages, storage, vmid, at);
      if (mode === 'suspend') {
        const root = `/proc/${guests.copy(node, vmid)?.pid ?? 0}/root/`;
        worker.log(`INFO: starting first sync ${root} to ${dump}`);
        await worker.sleep(seconds * 500).catch((error: unknown) => {
          throw error instanceof TaskAborted
            ? new BackupFailure(interruptedRsync(request.bwlimit, root, dump), true)
            : error;
        });
        worker.log(
          `INFO: first sync finished - transferred ${disk.content.usedMiB.toFixed(2)}M bytes in ${Math.round(seconds / 2)}s`,
        );
        worker.log('INFO: suspending guest');
        worker.log(`INFO: starting final sync ${root} to ${dump}`);
        worker.log('INFO: final sync finished - transferred 0 bytes in 0s');
        worker.log('INFO: resuming guest');
        worker.log('INFO: guest is online again after <1 seconds');
      }
      const job = { node, vmid, hostname, at, storage, seconds, disk, mode, request, config };
      if (isPbs(storage)) await writeSnapshot(this.#world, worker, job);
      else await writeFile(this.#world, worker, job);
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
      await this.#unlock(worker, node, vmid);
    }
  }

  /** The lock stays when quorum was lost meanwhile: a line in the log, and Proxmox still says OK. */
  async #unlock(worker: Worker, node: string, vmid: number): Promise<void> {
    const { guests, nodes, cfs } = this.#world;
    await nodes.settled(node);
    if (cfs.read(node, vmid) === null) return;
    try {
      await guests.setLock(node, vmid, null, worker.task.pid);
    } catch (error) {
      if (!(error instanceof TaskFailure)) throw error;
      worker.log(error.message);
    }
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

function clockOf(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const part = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  return `${part(seconds / 3600)}:${part((seconds / 60) % 60)}:${part(seconds % 60)}`;
}
