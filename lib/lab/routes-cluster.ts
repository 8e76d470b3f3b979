import { guestResource, nodeUsage } from './guest-view.ts';
import { parameterError } from './http.ts';
import type { Call, Route } from './route.ts';
import { taskEntry, visibleTasks } from './routes-tasks.ts';
import { isShared } from './storage.ts';
import type { World } from './world.ts';

const VERSION = '8.4.21';
/** A storage that no node reports any more is called available for so long. */
const STATUS_KEPT_MS = 300_000;

export const clusterRoutes: readonly Route[] = [
  { endpoint: 'GET /version', answer: version },
  { endpoint: 'GET /cluster/status', demands: ['/', 'Sys.Audit'], answer: clusterStatus },
  { endpoint: 'GET /cluster/resources', answer: resources },
  { endpoint: 'GET /cluster/tasks', answer: clusterTasks },
  { endpoint: 'GET /cluster/nextid', answer: nextId },
  { endpoint: 'GET /nodes', answer: nodeList },
  { endpoint: 'GET /access/permissions', answer: permissions },
];

export function versionOf(world: World): string {
  return world.spec.version ?? VERSION;
}

/** 8 or 9. */
export function majorOf(world: World): number {
  return Number.parseInt(versionOf(world), 10);
}

function version({ world }: Call): unknown {
  const full = versionOf(world);
  return { version: full, release: full.split('.').slice(0, 2).join('.'), repoid: '2606ac850d46da29' };
}

function clusterStatus({ world, node: viewer }: Call): unknown {
  const { nodes, spec } = world;
  const online = nodes.onlineFor(viewer);
  const entries = nodes.all().map((node) => ({
    id: `node/${node.name}`,
    name: node.name,
    type: 'node',
    ip: node.ip,
    nodeid: node.nodeid,
    online: online.has(node.name) ? 1 : 0,
    local: node.name === viewer ? 1 : 0,
    level: '',
  }));
  if (spec.cluster === null) return entries;
  const cluster = {
    id: 'cluster',
    type: 'cluster',
    name: spec.cluster,
    nodes: entries.length,
    quorate: nodes.quorate(viewer) ? 1 : 0,
    version: entries.length,
  };
  return [cluster, ...entries];
}

function resources({ world, caller, node: viewer, params }: Call): unknown {
  const type = params.text('type');
  const wanted = (kind: string): boolean => type === undefined || type === kind;
  const list: unknown[] = [];
  if (wanted('vm'))
    for (const { vmid, node } of world.cfs.all().toSorted((a, b) => a.vmid - b.vmid))
      if (caller.may(`/vms/${vmid}`, 'VM.Audit')) list.push(guestResource(world, viewer, node, vmid));
  if (wanted('node'))
    for (const node of world.nodes.all()) {
      const audit = caller.may(`/nodes/${node.name}`, 'Sys.Audit');
      list.push({ 'cgroup-mode': 1, ...nodeEntry(world, viewer, node.name, audit) });
    }
  if (wanted('storage'))
    list.push(...storageResources(world, viewer, (id) => caller.may(`/storage/${id}`, 'Datastore.Audit')));
  if (wanted('sdn') && caller.mayAny('/sdn/zones/localnetwork', ['SDN.Audit', 'SDN.Use', 'SDN.Allocate']))
    for (const node of world.nodes.all())
      list.push({
        id: `sdn/${node.name}/localnetwork`,
        type: 'sdn',
        node: node.name,
        sdn: 'localnetwork',
        status: 'ok',
      });
  return list;
}

function storageResources(world: World, viewer: string, visible: (id: string) => boolean): unknown[] {
  return world.storages
    .all()
    .filter((storage) => visible(storage.id))
    .flatMap((storage) =>
      world.nodes
        .all()
        .filter((node) => storage.nodes === undefined || storage.nodes.includes(node.name))
        .map((node) => {
          const base = {
            id: `storage/${node.name}/${storage.id}`,
            type: 'storage',
            node: node.name,
            storage: storage.id,
            plugintype: storage.type ?? 'dir',
            content: storage.content.join(','),
            shared: isShared(storage) ? 1 : 0,
          };
          const lost = world.storages.lostSince(storage.id, node.name);
          const forgotten = lost !== null && world.core.since(lost) > STATUS_KEPT_MS;
          if (forgotten || world.nodes.report(viewer, node.name) === 'none')
            return { ...base, status: 'unknown' };
          const usage = world.storages.usage(storage, node.name);
          return { ...base, status: 'available', disk: usage.used, maxdisk: usage.total };
        }),
    );
}

/** A node as GET /nodes and /cluster/resources list it. */
function nodeEntry(world: World, viewer: string, name: string, audit: boolean): Record<string, unknown> {
  const base = { id: `node/${name}`, type: 'node', node: name };
  const online = world.nodes.onlineFor(viewer).has(name);
  const report = world.nodes.report(viewer, name);
  const status = online ? (report === 'none' ? 'unknown' : 'online') : 'offline';
  if (!audit) return { ...base, level: '', status };
  if (report === 'none') return { ...base, status };
  const usage = nodeUsage(world, name);
  const limits = { level: '', maxcpu: usage.maxcpu, maxmem: usage.maxmem, maxdisk: usage.maxdisk };
  if (!online) return { ...base, status, ...limits };
  return {
    ...base,
    status,
    ...limits,
    cpu: usage.cpu,
    mem: world.statd.memoryOf(name),
    disk: usage.disk,
    uptime: usage.uptime,
  };
}

function nodeList({ world, caller, node: viewer }: Call): unknown {
  return world.nodes.all().map((node) => ({
    ...nodeEntry(world, viewer, node.name, caller.may(`/nodes/${node.name}`, 'Sys.Audit')),
    ssl_fingerprint: fingerprintOf(world, node.name),
  }));
}

/** Where nothing listens and no certificate is known: stable, and different for every node. */
function fingerprintOf(world: World, name: string): string {
  const known = world.spec.nodes.find((node) => node.name === name)?.fingerprint;
  if (known !== undefined) return known;
  const bytes = Array.from(
    { length: 32 },
    (_, index) => (name.charCodeAt(index % name.length) * (index + 7)) % 256,
  );
  return bytes.map((byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join(':');
}

function clusterTasks({ world, caller, node: viewer }: Call): unknown {
  const online = world.nodes.onlineFor(viewer);
  return visibleTasks(world, caller)
    .slice(0, 25 * world.nodes.all().length)
    .map((task) => {
      // What died with its node: the others go on showing what they heard at its start.
      if (task.exitstatus === 'unexpected status' && !online.has(task.node)) return taskEntry(task, true);
      const running = world.tasks.isRunning(task);
      return { ...taskEntry(task, running), saved: running ? '0' : '1' };
    });
}

function nextId({ world, params }: Call): unknown {
  const wanted = params.integer('vmid');
  if (wanted !== undefined) {
    if (world.cfs.find(wanted) !== null) throw parameterError({ vmid: `VM ${wanted} already exists` });
    return String(wanted);
  }
  const taken = new Set(world.cfs.all().map((guest) => guest.vmid));
  let free = 100;
  while (taken.has(free)) free += 1;
  return String(free);
}

function permissions({ caller, params }: Call): unknown {
  return caller.permissions(params.text('path'));
}
