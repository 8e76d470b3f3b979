import { ApiError, parameterError } from './http.ts';
import { splitList } from './params.ts';
import type { Call, Route } from './route.ts';
import { demandArchive } from './routes-storage.ts';
import { pbsTrouble } from './pbs.ts';
import { archiveVmid, badVolume } from './storage.ts';
import { Vzdump } from './vzdump.ts';
import type { World } from './world.ts';

export const vzdumpRoutes: readonly Route[] = [
  { endpoint: 'POST /nodes/{node}/vzdump', answer: backup },
  { endpoint: 'GET /nodes/{node}/vzdump/extractconfig', answer: extractConfig },
];

const jobsOf = new WeakMap<World, Vzdump>();

export function vzdumpJobs(world: World): Vzdump {
  const jobs = jobsOf.get(world) ?? new Vzdump(world);
  jobsOf.set(world, jobs);
  return jobs;
}

const MODES = { snapshot: 'snapshot', suspend: 'suspend', stop: 'stop' } as const;

function backup({ world, caller, node, params }: Call): unknown {
  const list = params.text('vmid');
  if (list === undefined && !params.flag('all')) throw parameterError({ vmid: 'property is missing' });
  const storage = params.text('storage') ?? 'local';
  if (world.storages.find(storage) !== undefined)
    caller.demand(`/storage/${storage}`, 'Datastore.AllocateSpace');
  if (params.has('bwlimit')) caller.demand('/', 'Sys.Modify');
  if (params.has('prune-backups')) caller.demand(`/storage/${storage}`, 'Datastore.Allocate');
  const vmids = list === undefined ? world.cfs.list(node) : splitList(list).map(Number);
  // The trap: when all of them are on other nodes, there is nothing to do here, and that is fine.
  const mine = vmids.filter((vmid) => [null, node].includes(world.cfs.find(vmid)));
  if (mine.length === 0) return 'OK';
  const options = params
    .entries()
    .filter(([key]) => key !== 'vmid' && key !== 'node')
    .map(([key, value]) => `--${key} ${/[\s{}']/.test(value) ? `'${value}'` : value}`);
  const request = {
    vmids,
    storage,
    mode: MODES[modeOf(params.text('mode'))],
    compress: params.text('compress') ?? '0',
    notesTemplate: params.text('notes-template'),
    protected: params.flag('protected'),
    remove: params.has('remove') ? params.flag('remove') : true,
    lockwait: params.integer('lockwait') ?? 180,
    bwlimit: params.integer('bwlimit') ?? 0,
    commandLine: [...vmids, `--node ${node}`, ...options].join(' '),
  };
  const id = vmids.length === 1 ? String(vmids[0]) : '';
  return world.tasks.spawn(node, 'vzdump', id, caller.id, (worker) =>
    vzdumpJobs(world).run(worker, node, caller, request),
  ).upid;
}

function modeOf(text: string | undefined): keyof typeof MODES {
  return text === 'stop' || text === 'suspend' ? text : 'snapshot';
}

function extractConfig({ world, caller, node, params }: Call): unknown {
  const volid = params.must('volume');
  const [storage = ''] = volid.split(':', 1);
  const spec = world.storages.demand(storage, node);
  const vmid = archiveVmid(volid);
  if (vmid === null) throw badVolume(spec, volid);
  demandArchive(caller, storage, vmid);
  world.storages.demandReachable(spec, node);
  const archive = world.storages.archive(volid, node);
  if (archive === undefined) throw new ApiError(500, `volume '${volid}' does not exist`);
  const trouble = pbsTrouble(spec, archive);
  if (trouble !== null) throw new ApiError(500, trouble);
  return archive.config;
}
