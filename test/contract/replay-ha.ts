/** Parts about the HA manager: entries for a dead node's containers, the inert guard, orphans under it. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Part } from './replay.ts';
import { NOT_IN_LAB, CLUSTER, LOCAL, SHARED, at, bare, moveConfig } from './replay-world.ts';

const TOMB_VMIDS = [110, 111, 112, 113, 120, 121, 122, 123];

export const guards: Part = {
  files: ['18-ha-tombstone'],
  start: at('6B035C18'),
  world: {
    ...CLUSTER,
    storages: [LOCAL, SHARED],
    containers: TOMB_VMIDS.map((vmid) => bare(vmid, 'pve3')),
    tokens: [],
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
    [/ha (manager_)?status/, "the CRM's and LRM's own states in between are not simulated"],
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

const C_VMIDS = [112, 114, 115];

const C_START = at('6B03613E');

export const guardedOrphans: Part = {
  files: ['18-orphan-and-restricted-tombstone', '18-node-power-and-restricted-tombstone'],
  start: C_START,
  world: {
    ...CLUSTER,
    storages: [LOCAL, SHARED],
    containers: C_VMIDS.map((vmid) => bare(vmid, 'pve3')),
    tokens: [{ id: 'pwt@pve!t6', secret: 'secret', privileges: { '/': ['Sys.Audit'] } }],
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
    [/stopall|wakeonlan|Sys.PowerMgmt token/, 'endpoint not in the lab: node commands'],
    [/netstat/, 'the genuine list had the copies of files that are not replayed here, and reboots by API'],
    [
      /pve3 (lxc list|tasks since heal)|T6 (netstat|vz|stopall)|: start 115|pve3 lxc after return|D startall/,
      'depends on a reboot by API, or on copies of files that are not replayed here',
    ],
    [/DELETE purge|: E: 113|HA res 113/, 'about a container of a file that is not replayed here'],
  ],
};
