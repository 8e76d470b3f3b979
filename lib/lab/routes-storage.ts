import type { Caller } from './auth.ts';
import { ApiError, parameterError } from './http.ts';
import { splitList } from './params.ts';
import type { Call, Route } from './route.ts';
import { TEMPLATE, archiveVmid, badVolume, isDirectory, isPbs, isShared } from './storage.ts';
import type { Archive } from './storage.ts';
import { TaskFailure } from './tasks.ts';
import type { StorageSpec } from './types.ts';
import type { World } from './world.ts';

const READ = ['/storage/{storage}', 'Datastore.Audit', 'Datastore.AllocateSpace'] as const;
const VOLUME = '/nodes/{node}/storage/{storage}/content/{volume}';

export const storageRoutes: readonly Route[] = [
  { endpoint: 'GET /storage', answer: definitions },
  { endpoint: 'GET /nodes/{node}/storage', answer: list },
  { endpoint: 'GET /nodes/{node}/storage/{storage}/status', demands: READ, answer: status },
  { endpoint: 'GET /nodes/{node}/storage/{storage}/content', demands: READ, answer: content },
  { endpoint: `GET ${VOLUME}`, answer: attributes },
  { endpoint: `PUT ${VOLUME}`, answer: change },
  { endpoint: `DELETE ${VOLUME}`, answer: remove },
];

function readable(caller: Caller, id: string): boolean {
  return caller.mayAny(`/storage/${id}`, ['Datastore.Audit', 'Datastore.AllocateSpace']);
}

function definitions({ world, caller, params }: Call): unknown {
  const type = params.text('type');
  return world.storages
    .all()
    .filter(
      (storage) => readable(caller, storage.id) && (type === undefined || type === (storage.type ?? 'dir')),
    )
    .map(definition);
}

function definition(storage: StorageSpec): Record<string, unknown> {
  const pbs = { datastore: storage.id, server: `${storage.id}.lab`, username: 'pve@pbs' };
  const type = storage.type ?? 'dir';
  return {
    storage: storage.id,
    type,
    ...(isDirectory(storage) ? { path: storage.path } : {}),
    ...(isPbs(storage) ? pbs : {}),
    ...(storage.server === undefined ? {} : { server: storage.server }),
    ...(storage.namespace === undefined ? {} : { namespace: storage.namespace }),
    ...(storage.encryptionKey === undefined ? {} : { 'encryption-key': storage.encryptionKey }),
    ...(storage.maxProtected === undefined ? {} : { 'max-protected-backups': storage.maxProtected }),
    content: storage.content.join(','),
    ...(isShared(storage) ? { shared: 1 } : { priority: 0 }),
    ...(storage.nodes === undefined ? {} : { nodes: storage.nodes.join(',') }),
    'prune-backups': storage.pruneBackups ?? 'keep-all=1',
    digest: 'da39a3ee5e6b4b0d3255bfef95601890afd80709',
  };
}

function entry(world: World, storage: StorageSpec, node: string): Record<string, unknown> {
  const usage = world.storages.usage(storage, node);
  return {
    type: storage.type ?? 'dir',
    content: storage.content.join(','),
    shared: isShared(storage) ? 1 : 0,
    enabled: 1,
    ...(world.storages.lostSince(storage.id, node) === null
      ? { active: 1, ...usage }
      : { active: 0, total: 0, used: 0, avail: 0 }),
  };
}

function list({ world, caller, node, params }: Call): unknown {
  const wanted = splitList(params.text('content') ?? '');
  const only = params.text('storage');
  return world.storages
    .on(node)
    .filter((storage) => readable(caller, storage.id))
    .filter((storage) => only === undefined || storage.id === only)
    .filter((storage) => wanted.length === 0 || wanted.some((type) => storage.content.includes(type)))
    .map((storage) => {
      const { total, used } = world.storages.usage(storage, node);
      return { storage: storage.id, ...entry(world, storage, node), used_fraction: used / total };
    });
}

function status({ world, node, params }: Call): unknown {
  const storage = world.storages.find(params.must('storage'));
  if (storage === undefined) throw parameterError({ storage: 'No such storage.' });
  if (storage.nodes !== undefined && !storage.nodes.includes(node))
    return {
      type: storage.type ?? 'dir',
      content: storage.content.join(','),
      shared: isShared(storage) ? 1 : 0,
      enabled: 0,
      active: 0,
      total: 0,
      used: 0,
      avail: 0,
    };
  return entry(world, storage, node);
}

function content({ world, caller, node, params }: Call): unknown {
  const storage = world.storages.demand(params.must('storage'), node);
  world.storages.demandReachable(storage, node);
  const type = params.text('content');
  const vmid = params.integer('vmid');
  const wanted = (kind: string): boolean =>
    (type === undefined ? true : type === kind) && storage.content.includes(kind);
  const here = (one: { storage: string; node: string | null }): boolean =>
    one.storage === storage.id && (one.node === null || one.node === node);
  const entries: Record<string, unknown>[] = [];
  if (wanted('backup'))
    for (const archive of world.storages.archives)
      if (here(archive) && mayRead(caller, archive.storage, archive.vmid))
        entries.push(isPbs(storage) ? snapshotEntry(archive) : archiveEntry(archive));
  // A disk is listed as rootdir while a container's config names it, as images otherwise.
  for (const disk of world.storages.disks) {
    if (!here(disk)) continue;
    const owner = world.cfs.find(disk.vmid);
    const used = owner !== null && (world.cfs.read(owner, disk.vmid) ?? '').includes(disk.volid);
    const kind = used ? 'rootdir' : 'images';
    // Of the guest that was asked for they are shown to whoever may read the storage (PVE's source; unmeasured).
    const shown = vmid === disk.vmid || caller.mayAny(`/storage/${storage.id}`, ['Datastore.Allocate']);
    if ((type !== undefined && type !== kind) || !shown) continue;
    entries.push({
      volid: disk.volid,
      content: kind,
      format: 'raw',
      vmid: disk.vmid,
      size: Math.floor(disk.sizeMiB * 1_048_576),
      used: Math.round(disk.content.usedMiB * 1_048_576),
      ctime: disk.ctime,
      parent: null,
    });
  }
  if (wanted('vztmpl') && vmid === undefined)
    entries.push({
      volid: `${storage.id}:vztmpl/${TEMPLATE}`,
      content: 'vztmpl',
      format: 'tzst',
      size: 4_082_397,
      ctime: 1_795_378_456,
    });
  return entries.filter((one) => vmid === undefined || one['vmid'] === vmid);
}

function archiveEntry(archive: Archive): Record<string, unknown> {
  return {
    volid: archive.volid,
    content: 'backup',
    subtype: 'lxc',
    format: archive.volid.slice(archive.volid.indexOf('.tar') + 1),
    vmid: archive.vmid,
    ctime: Math.floor(archive.at / 1000),
    size: archive.size,
    ...(archive.notes === '' ? {} : { notes: archive.notes }),
    ...(archive.protected ? { protected: 1 } : {}),
  };
}

/** As PVE turns a snapshot of the server into an entry (its source; unmeasured). Without a manifest its size is 1. */
function snapshotEntry(archive: Archive): Record<string, unknown> {
  const { verification, encrypted, unfinished } = archive;
  const upid = `UPID:${archive.storage}:00000A01:0001E240:00000001:6B035792:verificationjob:${archive.storage}:root@pam:`;
  return {
    ...archiveEntry(archive),
    format: 'pbs-ct',
    size: unfinished ? 1 : archive.size,
    ...(verification === null || unfinished ? {} : { verification: { state: verification, upid } }),
    ...(encrypted === null || unfinished ? {} : { encrypted }),
  };
}

function mayRead(caller: Caller, storage: string, vmid: number): boolean {
  if (caller.may(`/storage/${storage}`, 'Datastore.Allocate')) return true;
  return (
    caller.may(`/storage/${storage}`, 'Datastore.AllocateSpace') && caller.may(`/vms/${vmid}`, 'VM.Backup')
  );
}

/** Access to one archive, in Proxmox's order: the storage's, then the container's. */
export function demandArchive(caller: Caller, storage: string, vmid: number): void {
  if (caller.may(`/storage/${storage}`, 'Datastore.Allocate')) return;
  caller.demand(`/storage/${storage}`, 'Datastore.AllocateSpace');
  caller.demand(`/vms/${vmid}`, 'VM.Backup');
}

/** The volume id of a call: its storage may be left out of the name. */
function volumeOf({ params }: Call): { storage: string; volid: string } {
  const storage = params.must('storage');
  const volume = params.must('volume');
  return { storage, volid: volume.includes(':') ? volume : `${storage}:${volume}` };
}

function archiveOf(call: Call): Archive {
  const { storage, volid } = volumeOf(call);
  const spec = call.world.storages.demand(storage, call.node);
  const vmid = archiveVmid(volid);
  if (vmid === null) throw badVolume(spec, volid);
  demandArchive(call.caller, storage, vmid);
  const archive = call.world.storages.archive(volid, call.node);
  if (archive === undefined) throw new ApiError(500, `volume_size_info on '${volid}' failed - no format`);
  return archive;
}

function attributes(call: Call): unknown {
  const archive = archiveOf(call);
  return {
    path: call.world.storages.pathOf(archive.volid),
    size: archive.size,
    used: archive.size,
    format: 'raw',
    notes: archive.notes,
    protected: archive.protected ? 1 : 0,
  };
}

function change(call: Call): unknown {
  const archive = archiveOf(call);
  if (call.params.flag('protected') && !archive.protected) demandProtectable(call, archive);
  if (call.params.has('protected')) archive.protected = call.params.flag('protected');
  archive.notes = call.params.text('notes') ?? archive.notes;
  return null;
}

/** A guest may have so many protected backups on a storage, and no more (PVE's source; unmeasured). */
function demandProtectable({ world, caller }: Call, archive: Archive): void {
  const { storage, vmid } = archive;
  const unlimited = caller.may(`/storage/${storage}`, 'Datastore.Allocate');
  const most = world.storages.find(storage)?.maxProtected ?? (unlimited ? -1 : 5);
  const has = world.storages.archives.filter(
    (one) => one.storage === storage && one.vmid === vmid && one.protected,
  );
  if (most > -1 && most <= has.length)
    throw new ApiError(
      500,
      `The number of protected backups per guest is limited to ${most} on storage '${storage}'`,
    );
}

function remove(call: Call): unknown {
  const { world, caller, node } = call;
  const { storage, volid } = volumeOf(call);
  world.storages.demand(storage, node);
  const vmid = archiveVmid(volid);
  if (vmid === null) caller.demand(`/storage/${storage}`, 'Datastore.Allocate');
  else demandArchive(caller, storage, vmid);
  const owner = vmid ?? Number(/vm-(\d+)-/.exec(volid)?.[1] ?? '0');
  return world.tasks.spawn(node, 'imgdel', `${owner}@${storage}`, caller.id, async (worker) => {
    await world.nodes.settled(node);
    const spec = world.storages.demand(storage, node);
    if (!world.nodes.quorate(node) && isShared(spec)) {
      for (let attempt = 0; attempt < 9; attempt += 1) {
        worker.log(`trying to acquire cfs lock 'storage-${storage}' ...`);
        await worker.sleep(1_000);
      }
      throw new TaskFailure(`cfs-lock 'storage-${storage}' error: no quorum!`);
    }
    const archive = world.storages.archive(volid, node);
    // Of a file that isn't there a removal ends well; a backup server minds.
    if (archive === undefined && isPbs(spec))
      throw new TaskFailure('proxmox-backup-client failed: Error: snapshot does not exist');
    if (archive?.protected === true)
      throw new TaskFailure(
        `cannot remove protected volume '${volid.slice(volid.indexOf(':') + 1)}' on '${storage}'`,
      );
    await worker.sleep(200);
    if (archive !== undefined) world.storages.removeArchive(archive);
    else if (!world.storages.removeDisk(volid, node))
      worker.log(`disk image '${world.storages.pathOf(volid)}' does not exist`);
    worker.log(`Removed volume '${volid}'`);
  }).upid;
}
