/** Parts with dead, cut or moved things, locks and odd requests. */
import type { Part } from './replay.ts';
import {
  NOT_IN_LAB,
  CLUSTER,
  LOCAL,
  SHARED,
  container,
  FIRST,
  at,
  DEATH_WORLD,
  LOCKED,
  edit,
  moveConfig,
} from './replay-world.ts';

export const minority: Part = {
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

const LOCKS_START = at('6B0353A2');

export const locks: Part = {
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
    tokens: [{ id: 'root@pam!admin', secret: 'secret', privileges: { '/': ['*'] } }],
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

export const configMove: Part = {
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
  skip: [...NOT_IN_LAB],
};

export const orphans: Part = {
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
    [/resources 104/, 'the genuine list had the copies of files that are not replayed here'],
  ],
};

const HUNG_START = at('6B035722');

export const midBackup: Part = {
  files: ['15-hung-and-midbackup-death'],
  start: HUNG_START,
  world: {
    ...CLUSTER,
    throughputMiB: 5,
    storages: [LOCAL, SHARED],
    containers: [FIRST, container(102, 'pve2'), container(103, 'pve1')],
    tokens: [],
  },
  before: {
    '#1': (replay) => replay.lab.hang('pve3'),
    // What had been asked of it meanwhile is carried out; it was refused there as well.
    '#3': (replay) => replay.lab.unhang('pve3'),
    'slow vzdump 102 on pve2': (replay) => replay.does('POST', '/nodes/pve1/lxc/103/status/stop'),
    'pve2 died: task status poll via pve1': async (replay) => {
      await replay.pass(4);
      replay.lab.kill('pve2');
    },
    'pve2 rebooted: task status': async (replay) => {
      replay.lab.revive('pve2');
      await replay.pass(30);
    },
  },
  skip: [
    ...NOT_IN_LAB,
    [/: pve(daemon|proxy) down/, 'one of a node’s two daemons that is stopped by shell'],
    [/resources 102/, 'the genuine list had the copies of files that are not replayed here'],
  ],
};

const FACTS_START = at('6B0356F0');

export const facts: Part = {
  files: ['14-misc-client-facts'],
  start: FACTS_START,
  world: {
    ...CLUSTER,
    throughputMiB: 100,
    storages: [LOCAL, SHARED],
    containers: [FIRST, container(102, 'pve2'), { ...LOCKED, running: true }],
    backups: [
      { vmid: 101, storage: 'shared', ageSeconds: FACTS_START - Date.UTC(2026, 10, 22, 20, 21, 44) / 1000 },
    ],
    tokens: [
      {
        id: 'proxwarden@pve!ha',
        secret: 'secret',
        privileges: {
          '/': ['Sys.Audit'],
          '/vms': ['VM.Audit', 'VM.Backup', 'VM.PowerMgmt', 'VM.Config.Options', 'VM.Allocate'],
          '/storage/shared': ['Datastore.Audit', 'Datastore.AllocateSpace'],
          '/storage/local': ['Datastore.Audit', 'Datastore.AllocateSpace'],
          '/sdn/zones/localnetwork': ['SDN.Use'],
        },
      },
    ],
  },
  before: {
    'JSON body PUT': (replay) => replay.does('POST', '/nodes/pve1/lxc/401/status/start'),
    'scoped: stop': (replay) => replay.pass(20),
    'scoped: put onboot': (replay) => replay.pass(5),
  },
  skip: [
    ...NOT_IN_LAB,
    [/start with WARNINGS|statusfilter=warning/, 'warnings that a hook put there by shell'],
    [
      /task log (default|start|limit|beyond)|unescaped UPID/,
      'names a task of a file that is not replayed here',
    ],
    [
      /slow vzdump|other vzdump|waiting vzdump|second vzdump/,
      'depends on how fast the disks of two containers are; tested in test/lab/vzdump.test.ts',
    ],
    [
      /JSON array vmid/,
      'depends on how fast the disks of two containers are; tested in test/lab/vzdump.test.ts',
    ],
    [/: pending/, 'endpoint not in the lab: pending changes of a running container'],
    [/unmounted|is_mountpoint/, 'lists the storage that a call has tried to make'],
    [
      /permissions$|scoped: resources|list backups/,
      'lists paths, copies and archives of files that are not replayed here',
    ],
  ],
};
