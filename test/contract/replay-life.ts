/** Parts without a fault: life cycle, backups, restores, tokens and their privileges. */
import { TICKET, type Part, type Replay } from './replay.ts';
import { NOT_IN_LAB, CLUSTER, LOCAL, SHARED, container, FIRST, at, bare } from './replay-world.ts';

export const standalone: Part = {
  files: ['00-standalone'],
  start: 1_795_378_456,
  world: {
    ...CLUSTER,
    cluster: null,
    nodes: [{ name: 'pve1', ip: '10.88.0.1' }],
    storages: [LOCAL],
    containers: [],
    tokens: [],
  },
  skip: NOT_IN_LAB,
};

const LIFE_START = at('6B034E70');

export const lifecycle: Part = {
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
      { id: 'root@pam!admin', secret: 'secret', privileges: { '/': ['*'] } },
      { id: 'proxwarden@pve!ha', secret: 'secret', privileges: {} },
    ],
  },
  // Lists are as old as pvestatd's last round.
  before: { 'cluster/resources type=vm': (replay) => replay.pass(10) },
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

export const privileges: Part = {
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
    if (auth === TICKET) return TICKET;
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

export const restoreOptions: Part = {
  files: ['18-restore-options'],
  start: OPTIONS_START,
  world: {
    ...CLUSTER,
    storages: [LOCAL, SHARED],
    containers: [{ ...bare(110, 'pve1'), running: false }, FIRST],
    backups: [
      { vmid: 110, storage: 'shared', ageSeconds: OPTIONS_START - Date.UTC(2026, 10, 22, 21, 18, 16) / 1000 },
    ],
    tokens: SET_NAMES.map((name, index) => ({
      id: `pwt@pve!tst${index}`,
      secret: 'secret',
      privileges: { '/': DRILL_SETS[name] ?? [] },
    })),
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
    if (entry.request?.auth === TICKET) return TICKET;
    const set = SET_NAMES.findLastIndex((name) => entry.name.includes(name));
    return set < 0 ? 'PVEAPIToken=pwt@pve!tst3=secret' : `PVEAPIToken=pwt@pve!tst${set}=secret`;
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
