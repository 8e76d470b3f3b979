import type { Caller } from './auth.ts';
import { changedConfig, formatNet, netKeys, parseConfig, parseProperties } from './ct-config.ts';
import type { CtConfig } from './ct-config.ts';
import { ApiError, denied, parameterError } from './http.ts';
import { checkGivenMounts, givenMounts } from './restore-disks.ts';
import type { Params } from './params.ts';
import { splitList } from './params.ts';
import { TaskFailure } from './tasks.ts';
import { archiveVmid, badVolume } from './storage.ts';
import type { World } from './world.ts';

/** What a POST to …/lxc asks for, after all the checks that Proxmox makes before it answers. */
export interface CreateRequest {
  readonly node: string;
  readonly vmid: number;
  readonly archive: string;
  readonly restore: boolean;
  /** An own, stopped container of that vmid will be destroyed first. */
  readonly overwrite: boolean;
  readonly storage: string;
  readonly unique: boolean;
  readonly start: boolean;
  /** Config keys of the call; `description` apart. */
  readonly given: ReadonlyMap<string, string>;
  readonly description: string | undefined;
}

const NOT_CONFIG = new Set(
  'node vmid ostemplate restore force storage unique start description password ssh-public-keys pool bwlimit ignore-unpack-errors ha-managed'.split(
    ' ',
  ),
);

/** Privilege that a config key needs, besides those of the call itself. */
export function privilegeOf(key: string): string {
  if (/^(net\d+|hostname|nameserver|searchdomain)$/.test(key)) return 'VM.Config.Network';
  if (/^(memory|swap)$/.test(key)) return 'VM.Config.Memory';
  if (/^(cores|cpulimit|cpuunits)$/.test(key)) return 'VM.Config.CPU';
  if (/^(rootfs|mp\d+|unused\d+|dev\d+)$/.test(key)) return 'VM.Config.Disk';
  return 'VM.Config.Options';
}

/** Checks a create or restore in Proxmox's order; throws what it answers. */
export function checkCreate(world: World, caller: Caller, node: string, params: Params): CreateRequest {
  const { cfs, guests, nodes, storages } = world;
  const vmid = params.vmid();
  const restore = params.flag('restore');
  const archive = params.must('ostemplate');
  if (!nodes.quorate(node)) throw new ApiError(500, 'cluster not ready - no quorum?');
  const owner = cfs.find(vmid);
  const overwrite = owner === node && restore && params.flag('force');
  if (!overwrite && owner !== null) throw new ApiError(500, `CT ${vmid} already exists on node '${owner}'`);
  if (overwrite) {
    if (guests.copy(node, vmid) !== undefined) throw new ApiError(500, "can't overwrite running container");
    if (guests.config(node, vmid).config.values.get('protection') === '1')
      throw new ApiError(500, `unable to restore CT ${vmid} - protection mode enabled`);
  }
  const mayCreate =
    caller.may(`/vms/${vmid}`, 'VM.Allocate') || (overwrite && caller.may(`/vms/${vmid}`, 'VM.Backup'));
  if (!mayCreate) throw denied();
  const given = new Map(params.entries().filter(([key]) => !NOT_CONFIG.has(key)));
  for (const key of given.keys())
    if (key !== 'unprivileged' && !(key === 'rootfs' && !restore))
      caller.demand(`/vms/${vmid}`, privilegeOf(key));
  if (params.has('description')) caller.demand(`/vms/${vmid}`, 'VM.Config.Options');
  if (restore) checkGivenMounts(caller, given);
  demandBridges(caller, given);
  const storageId = params.text('storage') ?? storageOfRootfs(params.text('rootfs')) ?? 'local';
  checkArchiveAccess(world, caller, node, vmid, archive, restore);
  const named = restore ? givenMounts(given).flatMap(([, value]) => /^([^:/]+):/.exec(value)?.[1] ?? []) : [];
  // The storage of the call isn't looked at when a root disk is given.
  for (const id of named.length > 0 ? new Set(named) : [storageId]) {
    if (!storages.demand(id, node).content.includes('rootdir'))
      throw parameterError({ storage: `storage '${id}' does not support container directories` });
    caller.demand(`/storage/${id}`, 'Datastore.AllocateSpace');
  }
  const lock = overwrite ? guests.config(node, vmid).config.values.get('lock') : undefined;
  if (lock !== undefined) throw new ApiError(500, `unable to restore CT ${vmid} - CT is locked (${lock})`);
  return {
    node,
    vmid,
    archive,
    restore,
    overwrite,
    storage: storageId,
    unique: params.flag('unique'),
    start: params.flag('start'),
    given: normalised(given),
    description: params.text('description'),
  };
}

/** Access to the archive: the storage's, and that of the container it was made from. */
function checkArchiveAccess(
  world: World,
  caller: Caller,
  node: string,
  vmid: number,
  archive: string,
  restore: boolean,
): void {
  const [storageId = ''] = archive.split(':', 1);
  if (!restore) {
    world.storages.demand(storageId, node);
    return;
  }
  if (world.storages.find(storageId) === undefined)
    throw new ApiError(500, `storage '${storageId}' does not exist`);
  const source = archiveVmid(archive);
  if (source === null) throw badVolume(world.storages.find(storageId), archive);
  if (source !== vmid) caller.demand(`/storage/${storageId}`, 'Datastore.AllocateSpace');
  caller.demand(`/vms/${source}`, 'VM.Backup');
  world.storages.demand(storageId, node);
}

/** SDN.Use on every bridge that is named. */
export function demandBridges(caller: Caller, values: ReadonlyMap<string, string>): void {
  for (const bridge of bridgesOf(values)) caller.demand(`/sdn/zones/localnetwork/${bridge}`, 'SDN.Use');
}

function bridgesOf(values: ReadonlyMap<string, string>): string[] {
  return [...values].flatMap(([key, value]) => {
    const bridge = /^net\d+$/.test(key) ? parseProperties(value).get('bridge') : undefined;
    return bridge === undefined ? [] : [bridge];
  });
}

function storageOfRootfs(rootfs: string | undefined): string | undefined {
  return rootfs === undefined ? undefined : rootfs.split(/[:,]/)[0];
}

/** The values as Proxmox writes them: tags sorted and unique. */
export function normalised(values: ReadonlyMap<string, string>): Map<string, string> {
  const result = new Map(values);
  const tags = result.get('tags');
  if (tags !== undefined)
    result.set('tags', [...new Set(splitList(tags.toLowerCase()))].toSorted().join(';'));
  return result;
}

/** net0 as it is stored: with a MAC, a type, in order. */
export function storedNet(value: string, newMac: () => string): string {
  const parts = parseProperties(value);
  if (!parts.has('hwaddr')) parts.set('hwaddr', newMac());
  parts.set('hwaddr', (parts.get('hwaddr') ?? '').toUpperCase());
  if (!parts.has('type')) parts.set('type', 'veth');
  return formatNet(parts);
}

/** What the archive's config becomes: parameters win over it; the disk is the new one. */
export function restoredConfig(
  archived: CtConfig,
  request: CreateRequest,
  { mounts, asRoot }: { mounts: ReadonlyMap<string, string>; asRoot: boolean },
  newMac: () => string,
): CtConfig {
  const changes = new Map<string, string | null>([['lock', null]]);
  for (const [key, value] of request.given) {
    if (/^(rootfs|mp\d+)$/.test(key)) continue;
    changes.set(key, /^net\d+$/.test(key) ? storedNet(value, newMac) : value);
  }
  for (const key of archived.values.keys())
    if (/^(rootfs|mp\d+|unused\d+)$/.test(key) || (key.startsWith('lxc.') && !asRoot)) changes.set(key, null);
  for (const [key, value] of mounts) changes.set(key, value);
  if (request.unique)
    // unique=1 throws a net0 of the call away and gives the archive's a new MAC.
    for (const key of netKeys(archived)) {
      const parts = parseProperties(archived.values.get(key) ?? '');
      parts.set('hwaddr', newMac());
      changes.set(key, formatNet(parts));
    }
  return changedConfig(archived, changes, request.description);
}

/**
 * What is found only when the archive's config has been read. Features, devices and a hookscript of the archive are not
 * looked at: they are taken over, whoever restores (Proxmox's source checks the call's own; unmeasured).
 */
export function checkArchivedConfig(
  caller: Caller,
  vmid: number,
  config: string,
  given: ReadonlyMap<string, string>,
): void {
  const { values } = parseConfig(config);
  const refuse = (text: string): never => {
    throw new TaskFailure(`unable to restore CT ${vmid} - 403 Permission check failed (${text})`);
  };
  for (const bridge of bridgesOf(new Map([...values].filter(([key]) => !given.has(key)))))
    if (!caller.may(`/sdn/zones/localnetwork/${bridge}`, 'SDN.Use'))
      refuse(`/sdn/zones/localnetwork/${bridge}, SDN.Use`);
  // Proxmox's source; unmeasured.
  if ((given.get('unprivileged') ?? values.get('unprivileged')) !== '1' && !caller.may('/', 'Sys.Modify'))
    refuse('/, Sys.Modify');
}
