/**
 * How the cluster is set up: clocks, votes, scheduled backups, replication. Unmeasured but for the stand-alone answer
 * of config/nodes: from the API schema, and where that has nothing (qdevice, replication) from Proxmox's source.
 */
import { parseConfig, parseProperties } from './ct-config.ts';
import { ApiError, denied } from './http.ts';
import type { Call, Route } from './route.ts';
import { versionOf } from './routes-cluster.ts';
import type { BackupJobSpec } from './types.ts';
import type { World } from './world.ts';

const AUDIT = ['/', 'Sys.Audit'] as const;

export const inspectRoutes: readonly Route[] = [
  { endpoint: 'GET /nodes/{node}/time', demands: ['/nodes/{node}', 'Sys.Audit'], answer: time },
  { endpoint: 'GET /nodes/{node}/version', answer: version },
  { endpoint: 'GET /cluster/config/nodes', demands: AUDIT, answer: configNodes },
  { endpoint: 'GET /cluster/config/qdevice', demands: AUDIT, answer: qdevice },
  { endpoint: 'GET /cluster/backup', answer: jobs },
  { endpoint: 'GET /cluster/backup/{id}/included_volumes', demands: AUDIT, answer: includedVolumes },
  { endpoint: 'GET /cluster/replication', answer: replication },
  { endpoint: 'GET /access/users/{userid}/token/{tokenid}', answer: token },
];

function time({ world, node }: Call): unknown {
  const offset = world.spec.nodes.find((one) => one.name === node)?.clockOffsetSeconds ?? 0;
  const now = world.core.seconds() + offset;
  return { timezone: 'UTC', time: now, localtime: now };
}

function version({ world, node }: Call): unknown {
  const full = world.spec.nodes.find((one) => one.name === node)?.version ?? versionOf(world);
  return { version: full, release: full.split('.').slice(0, 2).join('.'), repoid: '2606ac850d46da29' };
}

function configNodes({ world }: Call): unknown {
  if (world.spec.cluster === null) return [];
  return world.nodes.all().map(({ name, nodeid, ip }) => ({
    name,
    node: name,
    nodeid: String(nodeid),
    quorum_votes: '1',
    ring0_addr: ip,
  }));
}

function qdevice({ world }: Call): unknown {
  const device = world.spec.qdevice;
  if (device === undefined) return {};
  return {
    Algorithm: 'Fifty-Fifty split',
    Model: 'Net',
    'QNetd host': `${device.host}:5403`,
    State: device.connected === false ? 'Connect failed' : 'Connected',
    'Tie-breaker': 'Node with lowest node ID',
  };
}

/** Anybody may read the jobs: the schema names no privilege. */
function jobs({ world }: Call): unknown {
  return (world.spec.jobs ?? []).map((job) => ({
    id: job.id,
    type: 'vzdump',
    enabled: job.enabled === false ? 0 : 1,
    schedule: job.schedule,
    storage: job.storage,
    mode: 'snapshot',
    ...(job.vmids === undefined ? { all: 1 } : { vmid: job.vmids.join(',') }),
    ...(job.exclude === undefined ? {} : { exclude: job.exclude.join(',') }),
    ...(job.node === undefined ? {} : { node: job.node }),
    ...(job.prune === undefined ? {} : { 'prune-backups': job.prune }),
  }));
}

function includedVolumes({ world, params }: Call): unknown {
  const id = params.must('id');
  const job = world.spec.jobs?.find((one) => one.id === id);
  if (job === undefined) throw new ApiError(500, `No such job '${id}'`);
  return { children: coveredBy(world, job).map(({ vmid, node }) => guestEntry(world, vmid, node)) };
}

function coveredBy(world: World, job: BackupJobSpec): { vmid: number; node: string }[] {
  return world.cfs
    .all()
    .filter(({ vmid }) => job.vmids?.includes(vmid) ?? !(job.exclude ?? []).includes(vmid))
    .filter(({ node }) => job.node === undefined || job.node === node)
    .toSorted((a, b) => a.vmid - b.vmid);
}

function guestEntry(world: World, vmid: number, node: string): unknown {
  const { values } = parseConfig(world.cfs.read(node, vmid) ?? '');
  const volumes = [...values].filter(([key]) => key === 'rootfs' || /^mp\d+$/.test(key));
  return {
    id: vmid,
    name: values.get('hostname') ?? `CT${vmid}`,
    type: 'lxc',
    children: volumes.map(([key, value]) => ({
      id: `${vmid}:${key}`,
      name: value.split(',')[0] ?? '',
      ...inclusion(key, value),
    })),
  };
}

function inclusion(key: string, value: string): { included: 0 | 1; reason: string } {
  if (key === 'rootfs') return { included: 1, reason: 'rootfs' };
  if (value.startsWith('/')) return { included: 0, reason: 'not a volume' };
  const included = parseProperties(value).get('backup') === '1';
  return { included: included ? 1 : 0, reason: included ? 'enabled' : 'disabled' };
}

/** Only of guests that the caller may see. */
function replication({ world, caller }: Call): unknown {
  return (world.spec.replicated ?? [])
    .filter((vmid) => caller.may(`/vms/${vmid}`, 'VM.Audit'))
    .map((vmid) => ({
      id: `${vmid}-0`,
      type: 'local',
      guest: vmid,
      jobnum: 0,
      target: world.nodes.all().find(({ name }) => name !== world.cfs.find(vmid))?.name ?? '',
      schedule: '*/15',
    }));
}

/** A token is not its user, so `self` doesn't hold for it: User.Modify is needed. */
function token({ caller, params }: Call): unknown {
  const [user, id] = [params.must('userid'), params.must('tokenid')];
  if (!caller.may('/access/groups', 'User.Modify')) throw denied();
  if (caller.id !== `${user}!${id}`) throw new ApiError(500, `no such token '${id}' for user '${user}'`);
  return caller.about;
}
