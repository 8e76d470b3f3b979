import { changedConfig, configForApi, digestOf, netKeys, parseConfig, parseProperties } from './ct-config.ts';
import { checkCreate, demandBridges, normalised, privilegeOf, storedNet } from './create.ts';
import { guestStatus } from './guest-view.ts';
import { interfaces } from './interfaces.ts';
import { startAsked, stopAsked } from './ha-asked.ts';
import { ApiError, parameterError } from './http.ts';
import { splitList } from './params.ts';
import { runCreate, runRestore } from './restore.ts';
import type { Call, Route } from './route.ts';
import { TaskFailure } from './tasks.ts';
import { mountsOf } from './restore-disks.ts';
import type { Worker } from './tasks.ts';

const POWER = ['/vms/{vmid}', 'VM.PowerMgmt'] as const;
const AUDIT = ['/vms/{vmid}', 'VM.Audit'] as const;

export const lxcRoutes: readonly Route[] = [
  { endpoint: 'GET /nodes/{node}/lxc', answer: list },
  { endpoint: 'GET /nodes/{node}/lxc/{vmid}/config', demands: AUDIT, answer: config },
  { endpoint: 'GET /nodes/{node}/lxc/{vmid}/interfaces', demands: AUDIT, answer: interfaces },
  {
    endpoint: 'PUT /nodes/{node}/lxc/{vmid}/config',
    demands: [
      '/vms/{vmid}',
      'VM.Config.Disk',
      'VM.Config.CPU',
      'VM.Config.Memory',
      'VM.Config.Network',
      'VM.Config.Options',
    ],
    answer: putConfig,
  },
  { endpoint: 'GET /nodes/{node}/lxc/{vmid}/status/current', demands: AUDIT, answer: current },
  { endpoint: 'POST /nodes/{node}/lxc/{vmid}/status/start', demands: POWER, answer: start },
  { endpoint: 'POST /nodes/{node}/lxc/{vmid}/status/stop', demands: POWER, answer: stop },
  { endpoint: 'POST /nodes/{node}/lxc/{vmid}/status/shutdown', demands: POWER, answer: shutdown },
  { endpoint: 'POST /nodes/{node}/lxc/{vmid}/status/reboot', demands: POWER, answer: reboot },
  { endpoint: 'POST /nodes/{node}/lxc', answer: create },
  { endpoint: 'DELETE /nodes/{node}/lxc/{vmid}', demands: ['/vms/{vmid}', 'VM.Allocate'], answer: destroy },
];

function list({ world, caller, node }: Call): unknown {
  return world.cfs
    .list(node)
    .filter((vmid) => caller.may(`/vms/${vmid}`, 'VM.Audit'))
    .map((vmid) => guestStatus(world, node, vmid));
}

function config({ world, node, params }: Call): unknown {
  return configForApi(world.guests.config(node, params.vmid()).text);
}

function current({ world, node, params }: Call): unknown {
  const vmid = params.vmid();
  world.guests.config(node, vmid);
  const managed = world.ha.managing(vmid);
  const ha =
    managed === undefined
      ? { managed: 0 }
      : {
          managed: 1,
          state: managed.state === 'disabled' ? 'stopped' : managed.state,
          group: managed.group ?? null,
        };
  return { ...guestStatus(world, node, vmid), ha };
}

async function putConfig({ world, caller, node, params }: Call): Promise<unknown> {
  const vmid = params.vmid();
  const { guests } = world;
  const changes = new Map<string, string | null>();
  for (const key of splitList(params.text('delete') ?? '')) changes.set(key, null);
  const given = new Map(
    params
      .entries()
      .filter(([key]) => !['node', 'vmid', 'digest', 'delete', 'description', 'revert'].includes(key)),
  );
  for (const [key, value] of normalised(given)) changes.set(key, value);
  const description = changes.has('description') ? '' : params.text('description');
  if (changes.size === 0 && description === undefined) throw new ApiError(500, 'no options specified');
  for (const key of changes.keys()) caller.demand(`/vms/${vmid}`, privilegeOf(key));
  if (description !== undefined) caller.demand(`/vms/${vmid}`, 'VM.Config.Options');
  demandBridges(caller, given);
  const before = guests.config(node, vmid);
  const digest = params.text('digest');
  if (digest !== undefined && digest !== digestOf(before.text))
    throw new ApiError(500, 'detected modified configuration - file changed by other user? Try again.');
  const lock = before.config.values.get('lock');
  if (lock !== undefined) throw new ApiError(500, `CT is locked (${lock})`);
  for (const [key, value] of changes)
    if (value !== null && /^net\d+$/.test(key))
      changes.set(
        key,
        storedNet(value, () => world.core.newMac()),
      );
  await asAnswer(
    guests.write(node, vmid, changedConfig(before.config, changes, description), world.tasks.newPid(node)),
  );
  guests.reconfigured(node, vmid);
  return null;
}

/** What fails a task fails a call the same way, in its own clothes. */
async function asAnswer(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    throw error instanceof TaskFailure ? new ApiError(500, error.message) : error;
  }
}

function refuseSkiplock({ caller, params }: Call): void {
  if (params.flag('skiplock') && caller.id !== 'root@pam')
    throw parameterError({ skiplock: 'Only root may use this option.' });
}

function start(call: Call): unknown {
  const { world, caller, node, params } = call;
  const vmid = params.vmid();
  refuseSkiplock(call);
  if (!world.nodes.quorate(node)) throw new ApiError(500, 'cluster not ready - no quorum?');
  if (world.guests.copy(node, vmid) !== undefined) throw new ApiError(500, `CT ${vmid} already running`);
  return startAsked(world, node, vmid, caller.id).upid;
}

function stop(call: Call): unknown {
  const { world, caller, node, params } = call;
  const vmid = params.vmid();
  refuseSkiplock(call);
  if (world.guests.copy(node, vmid) === undefined) throw new ApiError(500, `CT ${vmid} not running`);
  return stopAsked(world, node, vmid, caller.id).upid;
}

function shutdown({ world, caller, node, params }: Call): unknown {
  const vmid = params.vmid();
  if (world.guests.copy(node, vmid) === undefined) throw new ApiError(500, `CT ${vmid} not running`);
  return world.guests.spawnShutdown(node, vmid, caller.id, 'vzshutdown').upid;
}

function reboot({ world, caller, node, params }: Call): unknown {
  const vmid = params.vmid();
  // Proxmox says VM here, and CT elsewhere.
  if (world.guests.copy(node, vmid) === undefined) throw new ApiError(500, `VM ${vmid} not running`);
  return world.guests.spawnShutdown(node, vmid, caller.id, 'vzreboot').upid;
}

function create({ world, caller, node, params }: Call): unknown {
  const request = checkCreate(world, caller, node, params);
  const run = request.restore ? runRestore : runCreate;
  return world.tasks.spawn(
    node,
    request.restore ? 'vzrestore' : 'vzcreate',
    String(request.vmid),
    caller.id,
    (worker) => run(world, worker, caller, request),
  ).upid;
}

function destroy(call: Call): unknown {
  const { world, caller, node, params } = call;
  const vmid = params.vmid();
  const { config: before } = world.guests.config(node, vmid);
  if (before.values.get('protection') === '1')
    throw new ApiError(500, `can't remove CT ${vmid} - protection mode enabled`);
  const lock = before.values.get('lock');
  if (lock !== undefined) throw new ApiError(500, `CT is locked (${lock})`);
  if (world.ha.managing(vmid) !== undefined && !params.flag('purge'))
    throw new ApiError(
      500,
      `unable to remove CT ${vmid} - used in HA resources and purge parameter not set.`,
    );
  if (world.guests.copy(node, vmid) !== undefined && !params.flag('force'))
    throw new ApiError(500, `unable to destroy CT ${vmid} - container is running`);
  return world.tasks.spawn(node, 'vzdestroy', String(vmid), caller.id, (worker) =>
    runDestroy(call, worker, vmid),
  ).upid;
}

/** Disk first, config last: without quorum the disk is gone and the config stays (facts, section 1). */
async function runDestroy({ world, node, params }: Call, worker: Worker, vmid: number): Promise<void> {
  const { guests, storages, ha, nodes } = world;
  const before = guests.workerConfig(node, vmid);
  if (guests.copy(node, vmid) !== undefined) {
    worker.log(`forced to stop CT ${vmid} before destroying!`);
    await worker.sleep(1_900);
    guests.ended(node, vmid, 'stopped to be destroyed');
  }
  await worker.sleep(500);
  for (const [, value] of mountsOf(before)) {
    const volid = parseProperties(value).get('') ?? '';
    if (!volid.startsWith('/') && !storages.removeDisk(volid, node))
      worker.log(`disk image '${storages.pathOf(volid)}' does not exist`);
  }
  await nodes.settled(node);
  if (!nodes.quorate(node))
    throw new TaskFailure(
      `unable to open file '/etc/pve/nodes/${node}/lxc/${vmid}.conf.tmp.${worker.task.pid}' - Permission denied`,
    );
  if (params.flag('purge')) {
    worker.log(`purging CT ${vmid} from related configurations..`);
    if (ha.resources.has(`ct:${vmid}`)) {
      ha.remove(`ct:${vmid}`);
      worker.log(`NOTE: removed CT ${vmid} from HA resource configuration.`);
    }
  }
  world.cfs.remove(node, vmid);
  world.core.event(`${node}: CT ${vmid} (${before.values.get('hostname') ?? ''}) destroyed`);
}

/** The vmids that have an interface on the node's host side: running copies, orphans among them. */
export const netstatRoute: Route = {
  endpoint: 'GET /nodes/{node}/netstat',
  demands: ['/nodes/{node}', 'Sys.Audit'],
  answer: ({ world, node }) =>
    world.guests
      .copies()
      .filter((copy) => copy.node === node && copy.mac !== null)
      .toSorted((a, b) => a.vmid - b.vmid)
      .map((copy) => ({
        vmid: String(copy.vmid),
        dev: netKeys(parseConfig(world.cfs.read(node, copy.vmid) ?? ''))[0] ?? 'net0',
        in: '70',
        out: '516',
      })),
};
