import { createHash } from 'node:crypto';
import type { HaGroup, HaResource } from './ha.ts';
import { crmState, serviceState } from './ha-service.ts';
import { ApiError } from './http.ts';
import { splitList } from './params.ts';
import type { Call, Route } from './route.ts';
import { majorOf } from './routes-cluster.ts';

export const READ = ['/', 'Sys.Audit'] as const;
export const WRITE = ['/', 'Sys.Console'] as const;

export const haRoutes: readonly Route[] = [
  { endpoint: 'GET /cluster/ha/resources', demands: READ, answer: list },
  { endpoint: 'POST /cluster/ha/resources', demands: WRITE, answer: create },
  { endpoint: 'GET /cluster/ha/resources/{sid}', demands: READ, answer: read },
  { endpoint: 'PUT /cluster/ha/resources/{sid}', demands: WRITE, answer: update },
  { endpoint: 'DELETE /cluster/ha/resources/{sid}', demands: WRITE, answer: remove },
  {
    endpoint: 'GET /cluster/ha/groups',
    demands: READ,
    answer: listGroups,
  },
  { endpoint: 'POST /cluster/ha/groups', demands: WRITE, answer: createGroup },
  { endpoint: 'GET /cluster/ha/groups/{group}', demands: READ, answer: readGroup },
  { endpoint: 'DELETE /cluster/ha/groups/{group}', demands: WRITE, answer: removeGroup },
  { endpoint: 'GET /cluster/ha/status/current', demands: READ, answer: status },
  { endpoint: 'GET /cluster/ha/status/manager_status', demands: READ, answer: managerStatus },
];

/** pmxcfs blocks while membership changes; without quorum the lock can't be had, after nine seconds. */
export async function writable({ world, node }: Call, what: string, domain: string): Promise<void> {
  await world.nodes.settled(node);
  if (world.nodes.quorate(node)) return;
  await world.core.sleep(9_000);
  throw new ApiError(500, `${what} failed: cfs-lock 'domain-${domain}' error: no quorum!`);
}

function sidOf(text: string): string {
  return text.includes(':') ? text : `ct:${text}`;
}

function entry({ world }: Call, resource: HaResource): Record<string, unknown> {
  const all = [...world.ha.resources.values()]
    .map((one) => `${one.sid} ${one.state} ${one.group ?? ''}`)
    .join();
  return {
    sid: resource.sid,
    type: 'ct',
    state: resource.state,
    ...(resource.group === undefined ? {} : { group: resource.group }),
    ...(resource.comment === undefined ? {} : { comment: resource.comment }),
    ...(resource.maxRestart === undefined ? {} : { max_restart: resource.maxRestart }),
    ...(resource.maxRelocate === undefined ? {} : { max_relocate: resource.maxRelocate }),
    digest: createHash('sha1').update(all).digest('hex'),
  };
}

function list(call: Call): unknown {
  return [...call.world.ha.resources.values()].map((resource) => entry(call, resource));
}

async function create(call: Call): Promise<unknown> {
  const { world, params } = call;
  if (params.has('group')) refuseGroups(call, "invalid parameter 'group'");
  await writable(call, 'create resource', 'ha');
  const sid = sidOf(params.must('sid'));
  const state = params.text('state') ?? 'started';
  world.ha.create({
    sid,
    vmid: Number(sid.slice(3)),
    state: state === 'enabled' ? 'started' : state,
    group: params.text('group'),
    comment: params.text('comment'),
    maxRestart: params.integer('max_restart'),
    maxRelocate: params.integer('max_relocate'),
  });
  return null;
}

function found({ world, params }: Call): HaResource {
  const sid = sidOf(params.must('sid'));
  const resource = world.ha.resources.get(sid);
  if (resource === undefined) throw new ApiError(500, `no such resource '${sid}'`);
  return resource;
}

function read(call: Call): unknown {
  return entry(call, found(call));
}

async function update(call: Call): Promise<unknown> {
  const { world, params } = call;
  if (params.has('group')) refuseGroups(call, "invalid parameter 'group'");
  await writable(call, 'update resource', 'ha');
  const resource = found(call);
  const group = params.text('group');
  if (group !== undefined && !world.ha.groups.has(group))
    throw new ApiError(500, `update resource failed: HA group '${group}' does not exist`);
  resource.group = group ?? resource.group;
  resource.comment = params.text('comment') ?? resource.comment;
  const state = params.text('state');
  if (state !== undefined && state !== resource.state) world.ha.setState(resource, state);
  return null;
}

async function remove(call: Call): Promise<unknown> {
  await writable(call, 'delete resource', 'ha');
  const sid = sidOf(call.params.must('sid'));
  if (!call.world.ha.resources.has(sid))
    throw new ApiError(500, `cannot delete service '${sid}', not HA managed!`);
  call.world.ha.remove(sid);
  if (call.params.text('purge') !== '0') call.world.ha.purge(sid);
  return null;
}

/** 9.x has no groups any more, once all nodes run it (its source; unmeasured). */
function refuseGroups({ world }: Call, what: string): void {
  if (majorOf(world) >= 9) throw new ApiError(500, `${what}: ha groups have been migrated to rules`);
}

function listGroups(call: Call): unknown {
  refuseGroups(call, 'cannot index groups');
  return [...call.world.ha.groups.values()].map(groupEntry);
}

/** `pve2:1,pve3` without the priorities. */
export function nodesOf(text: string): string[] {
  return splitList(text).map((one) => one.split(':')[0] ?? one);
}

function groupEntry(group: HaGroup): Record<string, unknown> {
  return {
    group: group.group,
    type: 'group',
    nodes: group.nodes.join(','),
    ...(group.restricted ? { restricted: 1 } : {}),
    ...(group.nofailback ? { nofailback: 1 } : {}),
    ...(group.comment === undefined ? {} : { comment: group.comment }),
    digest: createHash('sha1').update(group.group).digest('hex'),
  };
}

async function createGroup(call: Call): Promise<unknown> {
  const { world, params } = call;
  refuseGroups(call, 'cannot create group');
  await writable(call, 'create ha group', 'ha');
  const group = params.must('group');
  if (world.ha.groups.has(group))
    throw new ApiError(500, `create ha group failed: ha group ID '${group}' already defined`);
  world.ha.groups.set(group, {
    group,
    nodes: nodesOf(params.must('nodes')),
    restricted: params.flag('restricted'),
    nofailback: params.flag('nofailback'),
    comment: params.text('comment'),
  });
  return null;
}

function readGroup({ world, params }: Call): unknown {
  const group = world.ha.groups.get(params.must('group'));
  if (group === undefined) throw new ApiError(500, `no such ha group '${params.must('group')}'`);
  return groupEntry(group);
}

async function removeGroup(call: Call): Promise<unknown> {
  const { world, params } = call;
  await writable(call, 'delete ha group', 'ha');
  const group = params.must('group');
  const user = [...world.ha.resources.values()].find((resource) => resource.group === group);
  if (user !== undefined)
    throw new ApiError(500, `delete ha group failed: ha group is used by service '${user.sid}'`);
  world.ha.groups.delete(group);
  return null;
}

function status({ world, node: viewer }: Call): unknown {
  const { nodes, ha, cfs, core, watchdog } = world;
  const quorate = nodes.quorate(viewer);
  const quorum = {
    id: 'quorum',
    type: 'quorum',
    node: viewer,
    quorate: quorate ? 1 : 0,
    status: quorate ? 'OK' : `No quorum on node '${viewer}'!`,
  };
  if (ha.resources.size === 0) return [quorum];
  const at = core.seconds();
  const when = new Date(at * 1000)
    .toUTCString()
    .replace(/^(\w+), (\d+) (\w+) (\d+) (\S+) GMT$/, '$1 $3 $2 $5 $4');
  const master = nodes.all().find((node) => node.member && node.api)?.name ?? viewer;
  const lrms = nodes.all().map((node) => {
    const word = node.member ? (watchdog.armed(node.name) ? 'active' : 'idle') : 'old timestamp - dead?';
    return {
      id: `lrm:${node.name}`,
      type: 'lrm',
      node: node.name,
      timestamp: at,
      status: `${node.name} (${word}, ${when})`,
    };
  });
  const services = [...ha.resources.values()].map((one) => {
    const node = cfs.find(one.vmid) ?? '';
    const state = serviceState(world, one);
    const crm = crmState(world, one);
    return {
      id: `service:${one.sid}`,
      type: 'service',
      sid: one.sid,
      node,
      state,
      request_state: one.state,
      ...(crm === null ? {} : { crm_state: crm }),
      status: `${one.sid} (${node}, ${state})`,
      max_restart: one.maxRestart ?? 1,
      max_relocate: one.maxRelocate ?? 1,
      ...(one.comment === undefined ? {} : { comment: one.comment }),
    };
  });
  return [
    quorum,
    { id: 'master', type: 'master', node: master, timestamp: at, status: `${master} (active, ${when})` },
    ...lrms,
    ...services,
  ];
}

/** Of an HA manager that has never had an entry there is no `manager_status` yet (PVE's source; unmeasured). */
function managerStatus({ world, node: viewer }: Call): unknown {
  const { nodes, ha, cfs, core, watchdog } = world;
  const quorum = { node: viewer, quorate: nodes.quorate(viewer) ? '1' : '' };
  if (ha.resources.size === 0 && ha.maintained.size === 0) return { manager_status: {}, quorum };
  const services = [...ha.resources.values()].filter((one) => one.state !== 'ignored');
  return {
    quorum,
    lrm_status: Object.fromEntries(
      nodes.all().map(({ name }) => {
        const mode = ha.maintained.has(name) ? { mode: 'maintenance' } : {};
        return [name, { ...watchdog.word(name), ...mode, results: {} }];
      }),
    ),
    manager_status: {
      master_node: nodes.all().find((node) => node.member && node.api)?.name ?? viewer,
      // The manager writes it once in ten seconds.
      timestamp: Math.floor(core.seconds() / 10) * 10,
      node_status: Object.fromEntries(
        nodes
          .all()
          .map(({ name, member }) => [
            name,
            ha.maintained.has(name) ? 'maintenance' : member ? 'online' : 'unknown',
          ]),
      ),
      ...(ha.maintained.size === 0
        ? {}
        : {
            node_request: Object.fromEntries([...ha.maintained].map((node) => [node, { maintenance: 1 }])),
          }),
      service_status: Object.fromEntries(
        services.map((one) => [
          one.sid,
          {
            node: cfs.find(one.vmid) ?? '',
            state: one.state === 'started' ? 'started' : 'stopped',
            uid: one.sid,
          },
        ]),
      ),
    },
  };
}
