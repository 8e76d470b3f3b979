/** The first container of a node that was alone, the cluster that was made of it, and quorum lost in mid-task. */
import type { Part } from './replay.ts';
import { at, CLUSTER, DEATH_WORLD, LOCAL, moveConfig, NOT_IN_LAB, SHARED } from './replay-world.ts';

const BROKEN =
  'that machine’s tools were still being mended: no qemu-img, then a container that stopped by itself';

export const firstContainer: Part = {
  files: ['01-create-start'],
  start: at('6B034D29'),
  world: {
    ...CLUSTER,
    cluster: null,
    nodes: [{ name: 'pve1', ip: '10.88.0.1' }],
    storages: [LOCAL, SHARED],
    containers: [],
    tokens: [],
  },
  skip: [
    [/add shared dir storage/, 'endpoint not in the lab: changing storages'],
    [/^01-create-start#(1|2|3|4|11|12|13|14|25|26|27|28|29)$/, BROKEN],
  ],
};

export const joined: Part = {
  files: ['02-cluster'],
  start: at('6B034E2D'),
  world: { ...CLUSTER, storages: [LOCAL, SHARED], containers: [], tokens: [] },
  skip: NOT_IN_LAB,
};

const PARTITION = at('6B0355D2');

export const partition: Part = {
  files: ['12-partition-and-heal'],
  start: PARTITION,
  world: {
    ...DEATH_WORLD,
    containers: DEATH_WORLD.containers.map((one) => (one.vmid === 103 ? { ...one, running: false } : one)),
    backups: [
      {
        vmid: 103,
        storage: 'shared',
        ageSeconds: PARTITION - Date.UTC(2026, 10, 22, 20, 43, 59) / 1000,
      },
    ],
  },
  before: {
    // Its config was nowhere at that time, and its backup was there.
    '#0': (replay) => replay.does('DELETE', '/nodes/pve3/lxc/103'),
    '#9': async (replay) => {
      // On the genuine node it had ended before the link was up again.
      await replay.does('POST', '/nodes/pve3/lxc/103/status/stop');
      replay.lab.cut('pve3');
      await replay.pass(10);
      moveConfig(replay, 103, 'pve3', null);
    },
    '#23': async (replay) => {
      replay.lab.mendNetwork('pve3');
      await replay.pass(10);
    },
  },
  skip: [
    ...NOT_IN_LAB,
    [
      /resources vm|pve1 lxc list|local content/,
      'the genuine list had the copies of files that are not replayed here',
    ],
    [/delete disk of still running/, 'that disk had been removed outside of the API'],
  ],
};

export const quorumLost: Part = {
  files: ['16-quorum-lost-midway'],
  start: at('6B035897'),
  arrival: 'pve3',
  world: {
    ...CLUSTER,
    throughputMiB: 2,
    storages: [LOCAL, SHARED],
    containers: [],
    tokens: [],
  },
  before: {
    // For the API of the node that is cut off, the death of both others is the same.
    '#10': async (replay) => {
      await replay.pass(1);
      replay.lab.kill('pve1');
      replay.lab.kill('pve2');
      await replay.pass(10);
    },
    '#14': (replay) => replay.pass(200),
    '#19': async (replay) => {
      replay.lab.revive('pve1');
      replay.lab.revive('pve2');
      await replay.pass(60);
    },
  },
  skip: NOT_IN_LAB,
};
