/**
 * A node with many containers dies: how long it takes until all are restored, on the virtual clock (the commands' own
 * processor time does not count), against what the limits allow at best.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import { systemClock } from '../../lib/clock.ts';
import { openOperations } from '../../lib/state/operations.ts';
import { plain, Stage } from '../scenarios/harness/stage.ts';
import { carryOut } from '../scenarios/harness/steps.ts';
import { WorldFile } from '../scenarios/harness/world.ts';
import { ms, type Bench, type Measure } from './measure.ts';

const TARGETS = ['pve2', 'pve3', 'pve4', 'pve5'];
const STORAGES = ['nas', 'pbs'];
const PER_NODE = 2;
const PER_STORAGE = 3;
const THROUGHPUT_MIB = 50;

interface One {
  readonly name: string;
  readonly vmid: number;
  readonly storage: string;
  /** Of its restore. */
  readonly seconds: number;
}

/** Small, and the same in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 0x80000000;
  };
}

function containersOf(count: number, secondsOf: (random: () => number) => number): One[] {
  const random = seeded(7);
  return Array.from({ length: count }, (_, n) => ({
    name: `app-${n + 1}`,
    vmid: 101 + n,
    storage: STORAGES[n % STORAGES.length] ?? '',
    seconds: Math.round(secondsOf(random)),
  }));
}

function worldOf(containers: readonly One[]): WorldFile {
  return WorldFile.parse({
    nodes: ['pve1', ...TARGETS].map((name) => ({ name, memoryMiB: 131_072 })),
    storages: [
      { id: 'local', content: ['rootdir', 'images'], sizeMiB: 10_000_000 },
      ...STORAGES.map((id) => ({ id, content: ['backup'], shared: true, sizeMiB: 10_000_000 })),
    ],
    containers: containers.map(({ name, vmid, seconds }, n) => ({
      vmid,
      name,
      node: 'pve1',
      diskMiB: seconds * THROUGHPUT_MIB,
      serves: [`http ${hostOf(n)}:80`],
    })),
    backups: containers.map(({ vmid, storage }) => ({ vmid, storage, age: '4h' })),
    throughputMiB: THROUGHPUT_MIB,
  });
}

function hostOf(n: number): string {
  return `10.0.1.${n + 1}`;
}

function inventoryOf(containers: readonly One[]): string {
  const nodes = ['pve1', ...TARGETS];
  return [
    'cluster: home',
    'api:',
    `  endpoints: [${nodes.map((_, n) => `'https://10.0.0.${11 + n}:8006'`).join(', ')}]`,
    '  token: env:PROXWARDEN_TOKEN',
    'canaries: [tcp:10.0.0.1:53, tcp:10.0.0.9:8007]',
    'nodes:',
    ...nodes.flatMap((node) => [
      `  ${node}:`,
      '    fence:',
      '      - http:',
      `          off: { url: 'http://10.0.0.8/plug/${node}/relay?turn=off' }`,
      `          status: { url: 'http://10.0.0.8/plug/${node}/relay', field: ison, off: false }`,
    ]),
    'defaults:',
    '  failover: { auto: true, restoreStorage: local, placement: spread }',
    `limits: { failoversPerRun: 100, failoversPerHour: 100, restoresPerNode: ${PER_NODE}, restoresPerStorage: ${PER_STORAGE} }`,
    'containers:',
    ...containers.flatMap(({ name, vmid, storage }, n) => [
      `  ${name}:`,
      `    vmid: ${vmid}`,
      `    priority: ${n + 1}`,
      `    nodes: [${TARGETS.join(', ')}]`,
      `    backup: { storage: ${storage} }`,
      `    checks: [http: 'http://${hostOf(n)}/']`,
    ]),
    '',
  ].join('\n');
}

/** Seconds that no schedule within the limits can do better than. */
function boundOf(containers: readonly One[]): number {
  const work = (some: readonly One[]): number => some.reduce((sum, { seconds }) => sum + seconds, 0);
  return Math.max(
    ...containers.map(({ seconds }) => seconds),
    ...STORAGES.map((id) => work(containers.filter(({ storage }) => storage === id)) / PER_STORAGE),
    work(containers) / (PER_NODE * TARGETS.length),
  );
}

const Tasks = z.object({
  data: z.array(z.object({ type: z.string(), starttime: z.number(), endtime: z.number().optional() })),
});

/** Seconds from the first decision to the end of the last restore. */
async function makespanOf(containers: readonly One[]): Promise<number> {
  const stage = new Stage(worldOf(containers), {
    inventory: inventoryOf(containers),
    hex: (bytes) => randomBytes(bytes).toString('hex'),
  });
  stage.program = plain;
  // What they watch over is what the scenarios are for.
  stage.lab.rules = null;
  try {
    for (const step of ['cron', 'wait 20s', 'kill pve1', 'cron 3']) await carryOut(stage, step);
    await stage.run(stage.settled());
    const log = stage.finish();
    const { operations } = openOperations(stage.stateOf('a'), { clock: systemClock }).list();
    const done = operations.filter((op) => op.kind === 'failover' && op.status === 'done');
    assert.equal(done.length, containers.length, log.slice(-3000));
    const tasks = await Promise.all(
      TARGETS.map(async (node) =>
        Tasks.parse(
          JSON.parse(
            await stage.lab.admin('GET', `/nodes/${node}/tasks`, ['typefilter=vzrestore', 'limit=1000']),
          ),
        ),
      ),
    );
    const restores = tasks.flatMap(({ data }) => data);
    assert.equal(restores.length, containers.length);
    return (
      Math.max(...restores.map(({ endtime = Infinity }) => endtime)) -
      Math.min(...done.map(({ createdAt }) => createdAt)) / 1000
    );
  } finally {
    stage.close();
  }
}

export const batch: Bench = async ({ quick }) => {
  const count = quick ? 10 : 100;
  const cases = [
    ['all of 60 s', containersOf(count, () => 60)],
    // As many small as large ones by their order of magnitude; fewer, since each costs a second of a processor.
    ['of 20 to 200 s', containersOf(quick ? 10 : 40, (random) => 20 * 10 ** random())],
  ] as const;
  const measures: Measure[] = [];
  for (const [what, containers] of cases) {
    const bound = boundOf(containers);
    const seconds = await makespanOf(containers);
    measures.push({
      what: `a node with ${containers.length} containers dies: all restored, ${what}`,
      against: `lower bound by the limits: ${ms(bound * 1000)}`,
      ours: ms(seconds * 1000),
      value: seconds / bound,
      goal: 1.1,
      unit: '×',
    });
  }
  return measures;
};
