import type { Caller } from './auth.ts';
import { changedConfig, formatSize, parseConfig, parseProperties } from './ct-config.ts';
import type { CtConfig } from './ct-config.ts';
import { checkArchivedConfig, restoredConfig, storedNet } from './create.ts';
import type { CreateRequest } from './create.ts';
import { mountsOf, planMounts } from './restore-disks.ts';
import type { Archive, Disk, DiskContent } from './storage.ts';
import { TaskAborted, TaskFailure } from './tasks.ts';
import type { Worker } from './tasks.ts';
import { isSnapshot, pbsTrouble, restoreCommand } from './pbs.ts';
import { amount } from './vzdump-write.ts';
import type { World } from './world.ts';

/** A mount point that no backup fills. */
const NOTHING = { services: [], usedMiB: 1 };
const EMPTY: CtConfig = { description: '', values: new Map() };

/** The worker of a restore. What it destroys and in which order is Proxmox's, dangers included (facts, section 1). */
export async function runRestore(
  world: World,
  worker: Worker,
  caller: Caller,
  request: CreateRequest,
): Promise<void> {
  const { guests, storages, core, cfs } = world;
  const { node, vmid } = request;
  const { pid } = worker.task;
  const failed = (reason: string): TaskFailure => new TaskFailure(`unable to restore CT ${vmid} - ${reason}`);
  if (cfs.find(vmid) !== null && !request.overwrite)
    throw failed(`CT ${vmid} already exists on node '${cfs.find(vmid) ?? ''}'`);
  const old = request.overwrite ? guests.workerConfig(node, vmid) : null;
  await guests.write(node, vmid, changedConfig(old ?? EMPTY, new Map([['lock', 'create']])), pid);
  worker.log(`recovering backed-up configuration from '${request.archive}'`);
  await worker.sleep(300).catch(async (error: unknown) => {
    await takeBack(world, request, old, pid);
    throw error;
  });
  const archive = storages.archive(request.archive, node);
  if (archive === undefined) {
    // Noticed before anything is destroyed: the old container survives.
    await takeBack(world, request, old, pid);
    throw failed(`volume '${request.archive}' does not exist`);
  }
  const trouble = pbsTrouble(storages.demand(archive.storage, node), archive);
  if (trouble !== null) {
    await takeBack(world, request, old, pid);
    throw failed(trouble);
  }
  const disks: Disk[] = [];
  try {
    checkArchivedConfig(caller, vmid, archive.config, request.given);
    const archived = parseConfig(archive.config);
    const plan = planMounts(caller, request, archive.config);
    const mounts = new Map(plan.paths);
    for (const volume of plan.volumes) {
      const content = volume.key === 'rootfs' ? archive.content : { ...NOTHING, identity: core.randomHex(8) };
      const disk = makeDisk(world, worker, { ...request, storage: volume.storage }, volume.sizeMiB, content);
      disks.push(disk);
      const options = volume.options === '' ? '' : `,${volume.options}`;
      mounts.set(volume.key, `${disk.volid}${options},size=${formatSize(disk.sizeMiB)}`);
    }
    if (old !== null) destroyOld(world, worker, node, old, disks, failed);
    worker.log(`restoring '${request.archive}' now..`);
    const full = disks.some((disk) => storages.isFull(disk.storage));
    await extract(world, worker, request, archive, { full, failed });
    worker.log('merging backed-up and given configuration..');
    if (caller.id !== 'root@pam') skipRawLines(worker, archived);
    const config = restoredConfig(archived, request, { mounts, asRoot: caller.id === 'root@pam' }, () =>
      core.newMac(),
    );
    await guests.write(node, vmid, config, pid);
    const name = config.values.get('hostname') ?? '';
    core.event(`${node}: CT ${vmid} (${name}) restored from ${request.archive}`);
  } catch (error) {
    // A failed restore leaves nothing, of the old container neither.
    for (const disk of disks) storages.removeDisk(disk.volid, node);
    if (cfs.read(node, vmid) !== null) cfs.remove(node, vmid);
    if (error instanceof TaskAborted) throw failed('interrupted by signal');
    throw error;
  }
  if (request.start) guests.spawnStart(node, vmid, caller.id, caller.id);
}

/** The worker of a plain create from a template. */
export async function runCreate(
  world: World,
  worker: Worker,
  caller: Caller,
  request: CreateRequest,
): Promise<void> {
  const { guests, storages, core, cfs } = world;
  const { node, vmid } = request;
  const size = Math.floor(
    Number(/:(\d+(?:\.\d+)?)/.exec(request.given.get('rootfs') ?? '')?.[1] ?? '4') * 1024,
  );
  await guests.write(node, vmid, changedConfig(EMPTY, new Map([['lock', 'create']])), worker.task.pid);
  const disk = makeDisk(world, worker, request, size, {
    identity: core.randomHex(8),
    services: [],
    usedMiB: Math.min(5, size),
  });
  if (!request.archive.endsWith(`vztmpl/${TEMPLATE_NAME}`)) {
    storages.removeDisk(disk.volid, node);
    cfs.remove(node, vmid);
    throw new TaskFailure(`unable to create CT ${vmid} - volume '${request.archive}' does not exist`);
  }
  worker.log(`extracting archive '${storages.pathOf(request.archive)}'`);
  await worker.sleep(500);
  worker.log('Total bytes read: 5150720 (5.0MiB, 177MiB/s)');
  worker.log('Detected container architecture: amd64');
  const values = new Map<string, string>([
    ['arch', 'amd64'],
    ['ostype', 'alpine'],
    ['hostname', `CT${vmid}`],
    ['memory', '512'],
    ['swap', '512'],
  ]);
  for (const [key, value] of request.given)
    values.set(key, /^net\d+$/.test(key) ? storedNet(value, () => core.newMac()) : value);
  values.set('rootfs', `${disk.volid},size=${formatSize(disk.sizeMiB)}`);
  await guests.write(
    node,
    vmid,
    changedConfig({ description: '', values }, new Map(), request.description),
    worker.task.pid,
  );
  if (request.start) guests.spawnStart(node, vmid, caller.id, caller.id);
}

const TEMPLATE_NAME = 'alpine-3.19-default_20240207_amd64.tar.zst';

function makeDisk(
  world: World,
  worker: Worker,
  request: CreateRequest,
  mib: number,
  content: DiskContent,
): Disk {
  const { storages, core } = world;
  const { node, vmid } = request;
  const storage = storages.demand(request.storage, node);
  const kib = Math.floor(mib * 1024);
  const small = mib < 512;
  const blocks = small ? kib : Math.floor(kib / 4);
  const volid = storages.nextVolid(storage, node, vmid);
  const sizeInMiB = Math.floor(mib * 1024) / 1024;
  worker.log(`Formatting '${storages.pathOf(volid)}', fmt=raw size=${kib * 1024} preallocation=off`);
  worker.log(
    `Creating filesystem with ${blocks} ${small ? '1k' : '4k'} blocks and ${inodes(blocks, small)} inodes`,
  );
  const uuid = core.randomHex(16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  worker.log(`Filesystem UUID: ${uuid}`);
  worker.log('Superblock backups stored on blocks: ');
  worker.log(`\t${superblocks(blocks, small).join(', ')}`);
  const disk: Disk = {
    volid,
    storage: storage.id,
    node: storages.placeOf(storage, node),
    vmid,
    sizeMiB: sizeInMiB,
    ctime: core.seconds(),
    content,
  };
  storages.addDisk(disk);
  return disk;
}

/** One for four blocks, spread evenly over the groups, in eights. */
function inodes(blocks: number, small: boolean): number {
  const groups = Math.ceil(blocks / (small ? 8192 : 32_768));
  return Math.floor(Math.ceil(blocks / 4 / groups) / 8) * 8 * groups;
}

/** ext4 keeps copies in the groups 1 and the powers of 3, 5 and 7. */
function superblocks(blocks: number, small: boolean): number[] {
  const [group, first] = small ? [8192, 1] : [32_768, 0];
  const groups = [1, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343];
  return groups.map((index) => index * group + first).filter((block) => block < blocks);
}

/** With force the old container goes before the new one is extracted. */
function destroyOld(
  world: World,
  worker: Worker,
  node: string,
  old: CtConfig,
  made: readonly Disk[],
  failed: (reason: string) => TaskFailure,
): void {
  const { storages } = world;
  for (const [, value] of mountsOf(old)) {
    const volid = parseProperties(value).get('');
    if (volid === undefined || volid === '' || volid.startsWith('/')) continue;
    // A config that was moved here names a volume that isn't here: the new one got its name, and is deleted as "old".
    const sameName = made.some((disk) => disk.volid === volid);
    if (sameName) worker.log(`disk image '${storages.pathOf(volid)}' does not exist`);
    storages.removeDisk(volid, node);
    if (sameName) throw failed(`volume '${volid}' does not exist`);
  }
}

/** Whoever isn't root gets a warning instead of them (Proxmox's source; unmeasured). */
function skipRawLines(worker: Worker, { values }: CtConfig): void {
  const lines = [...values].filter(([key]) => key.startsWith('lxc.'));
  if (lines.length === 0) return;
  worker.warn('skipping custom lxc options, restore manually as root:');
  worker.log('--------------------------------');
  for (const [key, value] of lines) worker.log(`${key}: ${value}`);
  worker.log('--------------------------------');
}

async function extract(
  world: World,
  worker: Worker,
  request: CreateRequest,
  archive: Archive,
  { full, failed }: { full: boolean; failed: (reason: string) => TaskFailure },
): Promise<void> {
  const { storages, spec } = world;
  const { usedMiB } = archive.content;
  const seconds = Math.max(0.5, usedMiB / (spec.throughputMiB ?? 100));
  if (isSnapshot(archive)) return extractSnapshot(world, worker, request, archive, seconds, failed);
  worker.log(`extracting archive '${storages.pathOf(archive.volid)}'`);
  await worker.sleep(seconds * 500);
  const problems = archive.truncated ? TRUNCATED : full ? NO_SPACE : null;
  if (problems !== null) {
    for (const line of problems) worker.log(line);
    throw failed(`command '${tarCommand(request.vmid)}' failed: exit code 2`);
  }
  await worker.sleep(seconds * 500);
  const bytes = Math.round(usedMiB * 1_048_576);
  worker.log(`Total bytes read: ${bytes} (${amount(usedMiB)}, ${amount(usedMiB / seconds)}/s)`);
}

/** From a backup server: its client says next to nothing (unmeasured). */
async function extractSnapshot(
  { storages }: World,
  worker: Worker,
  request: CreateRequest,
  archive: Archive,
  seconds: number,
  failed: (reason: string) => TaskFailure,
): Promise<void> {
  await worker.sleep(seconds * 500);
  const problem = archive.truncated
    ? 'Error: error extracting archive - unable to read chunk'
    : storages.isFull(request.storage)
      ? 'Error: error extracting archive - failed to copy file contents: No space left on device (os error 28)'
      : null;
  if (problem !== null) {
    worker.log(problem);
    throw failed(`command '${restoreCommand(archive, request.vmid)}' failed: exit code 255`);
  }
  await worker.sleep(seconds * 500);
}

const TRUNCATED = [
  '/*stdin*\\ : Read error (39) : premature end ',
  'tar: Unexpected EOF in archive',
  'tar: Unexpected EOF in archive',
  'tar: Error is not recoverable: exiting now',
];
const NO_SPACE = [
  'tar: ./usr/lib/libcrypto.so.3: Cannot write: No space left on device',
  'tar: ./usr/lib/libssl.so.3: Cannot write: No space left on device',
  'tar: Exiting with failure status due to previous errors',
];

function tarCommand(vmid: number): string {
  return `lxc-usernsexec -m u:0:100000:65536 -m g:0:100000:65536 -- tar xpf - --zstd --totals --one-file-system -p --sparse --numeric-owner --acls --xattrs '--xattrs-include=user.*' '--xattrs-include=security.capability' '--warning=no-file-ignored' '--warning=no-xattr-write' -C /var/lib/lxc/${vmid}/rootfs --skip-old-files --anchored --exclude './dev/*'`;
}

/** Before anything was destroyed: the config is what it was. */
async function takeBack(
  world: World,
  request: CreateRequest,
  old: CtConfig | null,
  pid: number,
): Promise<void> {
  if (old === null) world.cfs.remove(request.node, request.vmid);
  else await world.guests.write(request.node, request.vmid, old, pid);
}
