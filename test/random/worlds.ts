/** Random worlds: a cluster, its containers and backups, and an inventory that says what may be done about them. */
import * as fc from 'fast-check';
import { stringify } from 'yaml';
import { WorldFile } from '../scenarios/harness/world.ts';

/** One container as it is at the start. */
export interface RandomContainer {
  readonly vmid: number;
  readonly name: string;
  readonly node: string;
  readonly host: string;
}

export interface RandomWorld {
  readonly world: WorldFile;
  /** YAML of its only file. */
  readonly inventory: string;
  readonly nodes: readonly string[];
  readonly containers: readonly RandomContainer[];
}

export const NAMES = ['web', 'db', 'dns', 'mail'] as const;
export const NODES = ['pve1', 'pve2', 'pve3', 'pve4'] as const;

type Fence = 'plug' | 'plug-and-word' | 'word' | 'none';

interface Draw {
  readonly nodes: number;
  readonly homes: readonly number[];
  readonly onboot: boolean;
  readonly guardRight: boolean;
  readonly fence: Fence;
  readonly backupAges: readonly number[];
  readonly truncated: boolean;
  readonly proof: 'stopped' | 'fenced';
  readonly threshold: number;
  readonly restart: 0 | 1;
  readonly attempts: number;
  readonly perRun: number;
  readonly storageMiB: number;
  readonly identity: 'new-vmid' | 'same-vmid';
  readonly autostart: 'pve' | 'proxwarden';
}

const draw: fc.Arbitrary<Draw> = fc.record({
  nodes: fc.constantFrom(3, 3, 3, 4, 2),
  homes: fc.array(fc.nat(3), { minLength: 1, maxLength: NAMES.length }),
  onboot: fc.boolean(),
  // Without it a dead node's container can't be kept from starting later: mostly it is there.
  guardRight: fc.constantFrom(true, true, true, false),
  fence: fc.constantFrom<Fence>('plug', 'plug', 'plug-and-word', 'word', 'none'),
  // Hours.
  backupAges: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 0, maxLength: 3 }),
  truncated: fc.constantFrom(false, false, false, true),
  proof: fc.constantFrom<Draw['proof']>('stopped', 'stopped', 'fenced'),
  threshold: fc.integer({ min: 1, max: 3 }),
  restart: fc.constantFrom<0 | 1>(1, 0),
  attempts: fc.integer({ min: 1, max: 3 }),
  perRun: fc.integer({ min: 1, max: 3 }),
  storageMiB: fc.constantFrom(102_400, 102_400, 1_000),
  identity: fc.constantFrom<Draw['identity']>('new-vmid', 'new-vmid', 'same-vmid'),
  autostart: fc.constantFrom<Draw['autostart']>('pve', 'pve', 'proxwarden'),
});

/** Nothing in it accepts a risk by name: whatever happens, two copies never run. */
export const randomWorld: fc.Arbitrary<RandomWorld> = draw.map(build);

function build(drawn: Draw): RandomWorld {
  const nodes = NODES.slice(0, drawn.nodes);
  const containers = drawn.homes.map((home, index) => ({
    vmid: 101 + index,
    name: NAMES[index] ?? 'more',
    node: nodes[home % nodes.length] ?? 'pve1',
    host: `10.0.0.${101 + index}`,
  }));
  const world = WorldFile.parse({
    nodes: nodes.map((name) => ({ name, memoryMiB: 8192 })),
    storages: [
      { id: 'local', content: ['rootdir', 'images'], sizeMiB: drawn.storageMiB },
      { id: 'nas', content: ['backup'], shared: true },
    ],
    containers: containers.map(({ vmid, name, node, host }) => ({
      vmid,
      name,
      node,
      onboot: drawn.onboot,
      serves: [`http ${host}:80`],
    })),
    backups: containers.flatMap(({ vmid }) =>
      drawn.backupAges.map((age, index) => ({
        vmid,
        age: `${age}h`,
        truncated: drawn.truncated && index === 0,
      })),
    ),
    rights: ['Sys.Audit', ...(drawn.guardRight ? ['Sys.Console'] : [])],
  });
  return { world, inventory: stringify(inventoryOf(drawn, { nodes, containers })), nodes, containers };
}

function inventoryOf(
  drawn: Draw,
  { nodes, containers }: Pick<RandomWorld, 'nodes' | 'containers'>,
): Record<string, unknown> {
  return {
    cluster: 'home',
    api: {
      endpoints: nodes.map((_, index) => `https://10.0.0.${11 + index}:8006`),
      token: 'env:PROXWARDEN_TOKEN',
    },
    // Root on the nodes, for what moves a config aside.
    ...(drawn.identity === 'same-vmid' ? { shell: { ssh: { user: 'root' } } } : {}),
    canaries: ['tcp:10.0.0.1:53', 'tcp:10.0.0.9:8007'],
    nodes: Object.fromEntries(nodes.map((node) => [node, { fence: fenceOf(node, drawn.fence) }])),
    defaults: {
      failureThreshold: drawn.threshold,
      backup: { storage: 'nas' },
      failover: {
        auto: true,
        identity: drawn.identity,
        proof: drawn.proof,
        autostart: drawn.autostart,
        restoreStorage: 'local',
        restart: drawn.restart,
        maxAttempts: drawn.attempts,
        cooldown: '10m',
      },
    },
    limits: { failoversPerRun: drawn.perRun, failoversPerHour: 6 },
    containers: Object.fromEntries(
      containers.map(({ vmid, name, host }) => [
        name,
        { vmid, nodes: [...nodes], checks: [{ http: `http://${host}/` }] },
      ]),
    ),
  };
}

function fenceOf(node: string, fence: Fence): unknown[] {
  const plug = {
    http: {
      off: { url: `http://10.0.0.8/plug/${node}/relay?turn=off` },
      status: { url: `http://10.0.0.8/plug/${node}/relay`, field: 'ison', off: false },
    },
  };
  return [
    ...(fence === 'plug' || fence === 'plug-and-word' ? [plug] : []),
    ...(fence === 'word' || fence === 'plug-and-word' ? ['manual'] : []),
  ];
}
