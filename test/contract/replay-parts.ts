import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerSpec, TokenSpec, WorldSpec } from '../../lib/lab/types.ts';
import type { Part, Replay } from './replay.ts';

/** What the lab does not have at all. */
const NOT_IN_LAB: Part['skip'] = [
  [/(add|add disabled|del) storage|noquorum: add storage/, 'endpoint not in the lab: changing storages'],
  [/prunebackups/, 'endpoint not in the lab: prunebackups'],
  [/migrate 103/, 'endpoint not in the lab: migrate'],
  [/cluster config|cluster\/config|join /, 'endpoint not in the lab: cluster/config'],
  [
    /: ticket |access\/users|create (user|token|expired)|root token|list tokens|(dis|en)able user|create role|acl (for|\/)|noquorum: (create token|put acl)|role PW/,
    'endpoint not in the lab: users, roles, tickets',
  ],
  [/bad cookie|CSRF/, 'the lab has tokens only, no tickets'],
];

const CLUSTER = {
  cluster: 'testcluster',
  version: '8.4.21',
  nodes: [1, 2, 3].map((index) => ({ name: `pve${index}`, ip: `10.88.0.${index}` })),
  // Fast enough for small archives to take no time at all.
  throughputMiB: 5_000,
} as const;

const LOCAL = {
  id: 'local',
  path: '/var/lib/vz',
  content: ['images', 'backup', 'iso', 'vztmpl', 'snippets', 'rootdir'],
};
const SHARED = {
  id: 'shared',
  path: '/mnt/pve/shared',
  content: ['backup', 'vztmpl', 'rootdir', 'snippets'],
  shared: true,
};
const ROOT: TokenSpec = { id: 'root@pam', secret: 'ticket', privileges: { '/': ['*'] } };

/** A container as the recordings' tools made them. */
function container(vmid: number, node: string, extra: Partial<ContainerSpec> = {}): ContainerSpec {
  const config = {
    net0: `name=eth0,bridge=vmbr0,gw=10.88.0.254,hwaddr=${macOf(vmid)},ip=10.88.0.${vmid}/24,type=veth`,
    cores: '1',
  };
  return { vmid, node, hostname: `ct${vmid}`, running: true, memoryMiB: 128, diskMiB: 256, config, ...extra };
}

function macOf(vmid: number): string {
  return `BC:24:11:00:${String(Math.floor(vmid / 100)).padStart(2, '0')}:${String(vmid % 100).padStart(2, '0')}`;
}

const FIRST = container(101, 'pve1', { onboot: true, tags: ['proxwarden', 'test'], description: 'first ct' });

/** Epoch seconds of a UPID's start time. */
function at(hex: string): number {
  return Number.parseInt(hex, 16);
}

const standalone: Part = {
  files: ['00-standalone'],
  start: 1_795_378_456,
  world: {
    ...CLUSTER,
    cluster: null,
    nodes: [{ name: 'pve1', ip: '10.88.0.1' }],
    storages: [LOCAL],
    containers: [],
    tokens: [ROOT],
  },
  skip: NOT_IN_LAB,
};

const LIFE_START = at('6B034E70');
const lifecycle: Part = {
  files: ['03-lifecycle-and-errors', '04-vzdump', '05-restore', '06-auth'],
  start: LIFE_START,
  world: {
    ...CLUSTER,
    storages: [
      LOCAL,
      SHARED,
      // Made and removed by recorded calls that the lab hasn't; there from the start, and left out of lists.
      { id: 'only2', path: '/var/lib/vz2', content: ['rootdir', 'backup'], nodes: ['pve2'] },
      {
        id: 'onlybackup',
        path: '/mnt/pve/shared',
        content: ['backup'],
        shared: true,
        nodes: ['pve1', 'pve2', 'pve3'],
      },
    ],
    containers: [FIRST],
    backups: [
      {
        vmid: 101,
        storage: 'shared',
        ageSeconds: LIFE_START - 1_795_378_607,
        notes: 'ct101 101 pve1 standalone node',
      },
      { vmid: 101, storage: 'shared', ageSeconds: LIFE_START - Date.UTC(2021, 0, 1) / 1000, truncated: true },
    ],
    tokens: [
      ROOT,
      { id: 'root@pam!admin', secret: 'secret', privileges: { '/': ['*'] } },
      { id: 'proxwarden@pve!ha', secret: 'secret', privileges: {} },
    ],
  },
  skip: [
    ...NOT_IN_LAB,
    [/disabled storage/, 'the lab has no disabled storages'],
    [/extract config from backup/, 'the archive was removed by a call that the lab has not (prunebackups)'],
    [
      /storage list|standalone storage|resources( type=storage)?$|resources vm|resources$/,
      'lists the storages that stand in for those made by calls',
    ],
    [/token (expired|of disabled user)/, 'the lab has no users that can expire'],
    [/: token ok/, 'recorded before the token of the lab has its state'],
  ],
};

const privileges: Part = {
  files: ['07-privileges-calls'],
  start: at('6B035294'),
  world: {
    ...CLUSTER,
    storages: [LOCAL, SHARED],
    containers: [
      FIRST,
      container(401, 'pve1', { running: false, hostname: 'zz', memoryMiB: 64, tags: ['b'] }),
    ],
    tokens: [
      ROOT,
      { id: 'proxwarden@pve!ha', secret: 'secret', privileges: {} },
      { id: 'proxwarden@pve!ha2', secret: 'secret', privileges: { '/': PWTEST() } },
      {
        id: 'proxwarden@pve!ha3',
        secret: 'secret',
        privileges: { '/vms': ['VM.Backup', 'VM.Audit'], '/storage': ['Datastore.AllocateSpace'] },
      },
    ],
  },
  before: { 'own task status (token)': (replay) => replay.pass(10) },
  auth: (_file, entry) => {
    const auth = entry.request?.auth ?? '';
    if (auth === 'ticket root@pam') return 'PVEAPIToken=root@pam=ticket';
    if (
      /user ACL|path filter|own task|task list|vzdump by token/.test(entry.name) &&
      !/user without/.test(entry.name)
    )
      return `PVEAPIToken=proxwarden@pve!ha${/permissions|path filter/.test(entry.name) ? '2' : '3'}=secret`;
    if (/malformed upid|^unknown upid$/.test(entry.name)) return 'PVEAPIToken=proxwarden@pve!ha2=secret';
    return 'PVEAPIToken=proxwarden@pve!ha=secret';
  },
  skip: [
    ...NOT_IN_LAB,
    [
      /permissions of other user|privsep=0 token permissions/,
      'the lab has tokens only, no users behind them',
    ],
    [/user ACL: permissions/, 'lists paths of other tokens and users'],
    [
      /other users task|stop task|OTHER token|upid asked via wrong node/,
      'names a task of a file that is not replayed here',
    ],
  ],
};

function PWTEST(): readonly string[] {
  return 'VM.Audit,VM.Backup,VM.PowerMgmt,VM.Allocate,VM.Config.Options,VM.Config.Disk,VM.Config.CPU,VM.Config.Memory,VM.Config.Network,VM.Console,VM.Monitor,VM.Migrate,VM.Snapshot,Datastore.Audit,Datastore.AllocateSpace,Datastore.Allocate,Datastore.AllocateTemplate,Sys.Audit,Sys.Modify,SDN.Use,SDN.Audit,Pool.Audit,Pool.Allocate'.split(
    ',',
  );
}

const DEATH_WORLD: WorldSpec = {
  ...CLUSTER,
  storages: [LOCAL, SHARED],
  containers: [
    FIRST,
    container(102, 'pve2'),
    container(103, 'pve3'),
    container(401, 'pve1', {
      hostname: 'zz',
      memoryMiB: 64,
      tags: ['b'],
      config: { net0: 'name=eth0,bridge=vmbr0,hwaddr=BC:24:11:58:BE:63,ip=manual,type=veth' },
    }),
  ],
  tokens: [ROOT, { id: 'root@pam!admin', secret: 'secret', privileges: { '/': ['*'] } }],
};

const minority: Part = {
  files: ['11-no-quorum-minority'],
  start: at('6B0355EC') - 60,
  world: {
    ...DEATH_WORLD,
    containers: DEATH_WORLD.containers.map((one) => (one.vmid === 103 ? { ...one, running: true } : one)),
    backups: [
      { vmid: 101, storage: 'shared', ageSeconds: 3_000 },
      { vmid: 103, storage: 'shared', ageSeconds: 2_000 },
    ],
  },
  arrival: 'pve3',
  before: {
    // The genuine node was cut off; for its own API the death of both others is the same.
    'noquorum: /version': async (replay) => {
      replay.lab.kill('pve1');
      replay.lab.kill('pve2');
      await replay.pass(10);
    },
  },
  skip: [
    ...NOT_IN_LAB,
    [/shared\/content$/, 'lists archives of files that are not replayed here'],
    [/cluster\/resources$/, 'the genuine list had the copies of files that are not replayed here'],
  ],
};

const TOMB_VMIDS = [110, 111, 112, 113, 120, 121, 122, 123];
const guards: Part = {
  files: ['18-ha-tombstone'],
  start: at('6B035C18'),
  world: {
    ...CLUSTER,
    storages: [LOCAL, SHARED],
    containers: TOMB_VMIDS.map((vmid) => bare(vmid, 'pve3')),
    tokens: [ROOT],
  },
  before: {
    'tombstone: POST HA resource ct:110 disabled (owner pve3 dead)': async (replay) => {
      replay.lab.kill('pve3');
      await replay.pass(8.5);
    },
    'moved 110: config': (replay) => replay.pass(75),
  },
  skip: [
    ...NOT_IN_LAB,
    [/manager_status/, 'endpoint not in the lab: manager_status'],
    [/ha status/, "the CRM's and LRM's own states in between are not simulated"],
    [
      /: (A2|A3|B[: ]|B |T2|cleanup HA|GET deleted|DELETE again|pve3 |start=1|123|122|121|120|113|del$|del\/|moved 121|moved 122|restore 12)/,
      'later runs of the HA experiments, with steps by shell between them',
    ],
    [/moved 111/, 'the genuine CRM spread the containers over both nodes; the lab moves them to the first'],
    [
      /^18-ha-tombstone: 111 config/,
      'the genuine CRM spread the containers over both nodes; the lab moves them to the first',
    ],
  ],
};

const LOCKED = container(401, 'pve1', {
  running: false,
  hostname: 'zz',
  memoryMiB: 64,
  diskMiB: 102,
  description: 'b',
  tags: ['b'],
  config: { net0: 'name=eth0,bridge=vmbr0,hwaddr=BC:24:11:58:BE:63,ip=manual,type=veth' },
});
const LOCKS_START = at('6B0353A2');
const locks: Part = {
  files: ['08-locks-aborts-warnings'],
  start: LOCKS_START,
  world: {
    ...CLUSTER,
    storages: [LOCAL, SHARED],
    containers: [FIRST, LOCKED],
    backups: [
      { vmid: 401, storage: 'shared', ageSeconds: LOCKS_START - Date.UTC(2026, 10, 22, 20, 41, 45) / 1000 },
      {
        vmid: 401,
        storage: 'shared',
        ageSeconds: LOCKS_START - Date.UTC(2021, 0, 1) / 1000,
        truncated: true,
      },
    ],
    tokens: [ROOT, { id: 'root@pam!admin', secret: 'secret', privileges: { '/': ['*'] } }],
  },
  before: {
    '403 exists before bad restore': (replay) => replay.pass(10),
    'locked(backup): status': (replay) => edit(replay, 'pve1', 401, (text) => `${text}lock: backup\n`),
    'protection=1': (replay) => edit(replay, 'pve1', 401, (text) => text.replace('lock: backup\n', '')),
    'slow vzdump to be aborted': (replay) => replay.does('POST', '/nodes/pve1/lxc/401/status/start'),
    'abort running task (DELETE)': (replay) => replay.pass(2),
  },
  skip: [
    ...NOT_IN_LAB,
    [/kill(ed)? -9|killed -9/, 'a worker cannot be killed alone in the lab, only with its node'],
    [/start with WARNINGS/, 'a container that a shell gave raw lxc lines'],
    [/list of 401 backups/, 'lists archives of files that are not replayed here'],
  ],
};

function edit(replay: Replay, node: string, vmid: number, change: (text: string) => string): void {
  const file = join(replay.configDir, 'nodes', node, 'lxc', `${vmid}.conf`);
  writeFileSync(file, change(readFileSync(file, 'utf8')));
}

/** `mv` of a config by a root shell: to another node, or (null) out of nodes/. */
function moveConfig(replay: Replay, vmid: number, from: string, to: string | null): void {
  const file = (node: string): string => join(replay.configDir, 'nodes', node, 'lxc', `${vmid}.conf`);
  renameSync(file(from), to === null ? join(replay.configDir, `${vmid}.conf.${from}`) : file(to));
}

const configMove: Part = {
  files: ['09-node-death', '10-config-move-and-return'],
  start: at('6B03540F'),
  world: DEATH_WORLD,
  before: {
    'just after kill: GET /nodes/pve3/status (proxied to dead node)': (replay) => replay.lab.kill('pve3'),
    'dead +330s: GET /cluster/resources': (replay) => replay.pass(330),
    'after mv: config via pve1': (replay) => moveConfig(replay, 103, 'pve3', 'pve1'),
    'pve3 back: its lxc list': async (replay) => {
      replay.lab.revive('pve3');
      await replay.pass(20);
    },
  },
  skip: [
    ...NOT_IN_LAB,
    [
      /after mv: resources vm/,
      'a moved config is shown as unknown until pvestatd has reported it; the lab reports at once',
    ],
  ],
};

const orphans: Part = {
  files: ['13-orphan-after-heal'],
  start: at('6B03566A'),
  world: { ...DEATH_WORLD, containers: [FIRST, container(102, 'pve2')] },
  before: {
    'vzdump 104': (replay) => replay.pass(10),
    'majority: restore 104 on pve1': async (replay) => {
      replay.lab.cut('pve3');
      await replay.pass(10);
      moveConfig(replay, 104, 'pve3', null);
    },
    '104 on pve1': (replay) => replay.pass(5),
    'healed: pve3 lxc list while orphan CT 104 still runs': async (replay) => {
      replay.lab.mendNetwork('pve3');
      await replay.pass(5);
    },
  },
  skip: [
    ...NOT_IN_LAB,
    [/vzdump 104\/log/, 'the genuine worker met the start that was just over and waited for its lock'],
    [/resources 104/, 'the genuine list had the copies of files that are not replayed here'],
  ],
};

const C_VMIDS = [112, 114, 115];
const C_START = at('6B03613E');
const guardedOrphans: Part = {
  files: ['18-orphan-and-restricted-tombstone', '18-node-power-and-restricted-tombstone'],
  start: C_START,
  world: {
    ...CLUSTER,
    storages: [LOCAL, SHARED],
    containers: C_VMIDS.map((vmid) => bare(vmid, 'pve3')),
    tokens: [ROOT, { id: 'pwt@pve!t6', secret: 'secret', privileges: { '/': ['Sys.Audit'] } }],
  },
  before: {
    'C: restricted tombstone group': async (replay) => {
      replay.lab.cut('pve3');
      await replay.pass(10);
    },
    'C: restore 112 same vmid on pve1 start': (replay) => {
      moveConfig(replay, 112, 'pve3', null);
      moveConfig(replay, 115, 'pve3', null);
    },
    'C: GET /nodes/pve3/netstat (lists veth of orphans)': async (replay) => {
      await replay.pass(30);
      replay.lab.mendNetwork('pve3');
      await replay.pass(5);
    },
    'C: 114 status after hastop': (replay) => replay.pass(30),
    'C: 114 flip disabled': (replay) => replay.pass(0),
    'C: 115 conf moved back: status': (replay) =>
      renameSync(join(replay.configDir, '115.conf.pve3'), join(replay.configDir, 'nodes/pve3/lxc/115.conf')),
    'D: tombstone 115 disabled restricted': async (replay) => {
      replay.lab.kill('pve3');
      await replay.pass(10);
    },
    'D: pve3 lxc after return': async (replay) => {
      await replay.pass(100);
      replay.lab.revive('pve3');
      await replay.pass(60);
    },
  },
  skip: [
    ...NOT_IN_LAB,
    [/cleanup HA/, 'removes entries of files that are not replayed here'],
    [/ha status/, "the CRM's and LRM's own states in between are not simulated"],
    [/stopall|wakeonlan|pve3 network|status command/, 'endpoint not in the lab: node commands, network'],
    [/netstat/, 'the genuine list had the copies of files that are not replayed here, and reboots by API'],
    [
      /pve3 (lxc list|tasks since heal)|T6 |: start 115|pve3 lxc after return|D startall/,
      'depends on a reboot by API, or on copies of files that are not replayed here',
    ],
    [/DELETE purge|: E: 113|HA res 113/, 'about a container of a file that is not replayed here'],
  ],
};

/** As the tools of the HA recordings made them: two cores' worth by default, no tags. */
function bare(vmid: number, node: string): ContainerSpec {
  const net0 = `name=eth0,bridge=vmbr0,gw=10.88.0.254,hwaddr=${macOf(vmid)},ip=10.88.0.${vmid}/24,type=veth`;
  return container(vmid, node, { onboot: true, memoryMiB: 64, diskMiB: 102, config: { net0 } });
}

const OPTIONS_START = at('6B035DFC');
const DRILL_ALL = [
  'SDN.Use',
  'VM.Allocate',
  'VM.Backup',
  'Datastore.AllocateSpace',
  'VM.Config.Options',
  'VM.Config.Network',
  'VM.PowerMgmt',
  'VM.Audit',
  'Sys.Audit',
];
const DRILL_SETS: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(
    ['None', ...DRILL_ALL].map((left) => [`without ${left}`, DRILL_ALL.filter((one) => one !== left)]),
  ),
  minimal: DRILL_ALL.slice(0, 6),
  'memory/nameserver': DRILL_ALL,
  'HA priv Sys.Audit:': ['Sys.Audit'],
  'HA priv Sys.Console:': ['Sys.Console'],
  'HA priv Sys.Audit+Sys.Console:': ['Sys.Audit', 'Sys.Console'],
  'HA priv Sys.Console on / propagate=0': ['Sys.Console'],
};
const SET_NAMES = Object.keys(DRILL_SETS);

const restoreOptions: Part = {
  files: ['18-restore-options'],
  start: OPTIONS_START,
  world: {
    ...CLUSTER,
    storages: [LOCAL, SHARED],
    containers: [{ ...bare(110, 'pve1'), running: false }, FIRST],
    backups: [
      { vmid: 110, storage: 'shared', ageSeconds: OPTIONS_START - Date.UTC(2026, 10, 22, 21, 18, 16) / 1000 },
    ],
    tokens: [
      ROOT,
      ...SET_NAMES.map((name, index) => ({
        id: `pwt@pve!tst${index}`,
        secret: 'secret',
        privileges: { '/': DRILL_SETS[name] ?? [] },
      })),
    ],
  },
  before: {
    '9110 config': (replay) => replay.pass(5),
    'priv: no net0, without VM.Config.Network': (replay) =>
      replay.does('DELETE', '/nodes/pve2/lxc/9120?force=1&purge=1'),
    ...Object.fromEntries(
      ['None', 'VM.PowerMgmt', 'VM.Audit', 'Sys.Audit'].map((left) => [
        `priv drill restore (net0 onboot hostname tags start=1) without ${left}/log`,
        async (replay: Replay) => {
          await replay.pass(10);
          await replay.does('DELETE', '/nodes/pve2/lxc/9120?force=1&purge=1');
        },
      ]),
    ),
  },
  auth: (_file, entry) => {
    if (entry.request?.auth === 'ticket root@pam') return 'PVEAPIToken=root@pam=ticket';
    const at = SET_NAMES.findLastIndex((name) => entry.name.includes(name));
    return at < 0 ? 'PVEAPIToken=pwt@pve!tst3=secret' : `PVEAPIToken=pwt@pve!tst${at}=secret`;
  },
  skip: [
    ...NOT_IN_LAB,
    [/interfaces|termproxy/, 'endpoint not in the lab: interfaces, termproxy'],
    [
      /HA priv .*: GET|only on \/nodes|\.\.\. DELETE/,
      'lists entries of other experiments, or a privilege that does not propagate',
    ],
  ],
};

export const PARTS: Readonly<Record<string, Part>> = {
  standalone,
  lifecycle,
  privileges,
  configMove,
  minority,
  locks,
  orphans,
  guards,
  guardedOrphans,
  restoreOptions,
};
