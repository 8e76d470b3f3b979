/** A lab on virtual time with everything in order, and doctor in front of it. Tests plant what is wrong. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Certificate, Facts, RunnerFacts } from '../../lib/decide/doctor/facts.ts';
import { diagnose, type Diagnosis } from '../../lib/decide/doctor/diagnose.ts';
import { PveError } from '../../lib/errors.ts';
import { execFile } from '../../lib/exec.ts';
import { loadInventory } from '../../lib/inventory/load.ts';
import { labDispatcher } from '../../lib/lab/dispatcher.ts';
import type { Shelves } from '../../lib/lab/shelf.ts';
import type { WorldSpec } from '../../lib/lab/types.ts';
import { VirtualClock } from '../../lib/lab/virtual-clock.ts';
import type { Observation } from '../../lib/decide/model.ts';
import type { Inventory } from '../../lib/inventory/types.ts';
import { observe } from '../../lib/observe/observe.ts';
import { examine, type Access } from '../../lib/observe/doctor/examine.ts';
import { createPveClient } from '../../lib/pve/client.ts';
import type { Runtime, ShellResult } from '../../lib/runtime.ts';
import { emptyState, type State } from '../../lib/state/model.ts';
import { probeLab, type Network } from '../scenarios/harness/prober.ts';
import { PLUGS, StagedLab } from '../scenarios/harness/staged-lab.ts';
import { TOKEN, worldOf, WorldFile } from '../scenarios/harness/world.ts';

const DAY_MS = 86_400_000;

/** What can be wrong, and where. */
export interface Patient {
  /** The inventory's files. */
  files: Record<string, string>;
  world: WorldSpec;
  /** Further labs by themselves: stand-alone nodes, other clusters. */
  readonly others: WorldSpec[];
  readonly network: Network;
  readonly state: State;
  runner: RunnerFacts;
  certificate: (endpoint: string) => Certificate | null;
  /** Why TLS to an endpoint fails; null: it doesn't. */
  refuse: (endpoint: string) => string | null;
  /** What becomes of a greeting of a root shell. */
  shell: (node: string) => ShellResult;
  /** By cluster; default: the lab's token. */
  readonly credentials: Map<string, Access>;
  /** Last touches on the running lab. */
  readonly meanwhile: ((lab: StagedLab, clock: VirtualClock) => Promise<void> | void)[];
}

const NODES = [1, 2, 3, 4, 5, 6, 7];

function plug(node: string): string {
  return `http://10.0.0.8/plug/${node}/relay`;
}

/** A fingerprint for a name. */
export function print(name: string): string {
  return createHash('sha256')
    .update(name)
    .digest('hex')
    .toUpperCase()
    .replaceAll(/..(?=.)/g, '$&:');
}

/** YAML of a node with a smart plug. */
export function plugged(node: string): string {
  return `  ${node}:
    fence:
      - http:
          off: { url: '${plug(node)}?turn=off' }
          status: { url: '${plug(node)}', field: ison, off: false }
`;
}

/** The inventory: ct1 is CT 101 on pve1 at 10.0.0.101, and so on. */
export function healthyInventory(nodes: readonly number[] = NODES): string {
  const next = (n: number): number => nodes[(nodes.indexOf(n) + 1) % nodes.length] ?? n;
  return `cluster: home
api:
  endpoints: [${nodes.map((n) => `https://10.0.0.${10 + n}:8006`).join(', ')}]
  token: env:PROXWARDEN_TOKEN
canaries: [tcp:10.0.0.1:53, tcp:10.0.0.9:8007, tcp:10.0.0.7:22]
nodes:
${nodes.map((n) => plugged(`pve${n}`)).join('')}defaults:
  backup: { storage: nas }
  failover: { auto: true, restoreStorage: local }
containers:
${nodes
  .map(
    (n) => `  ct${n}:
    vmid: ${100 + n}
    nodes: [pve${next(n)}]
    checks: [http: 'http://10.0.0.${100 + n}/']
`,
  )
  .join('')}`;
}

export function healthyWorld(nodes: readonly number[] = NODES, cluster: string | null = 'home'): WorldSpec {
  const world = worldOf(
    WorldFile.parse({
      cluster,
      nodes: nodes.map((n) => `pve${n}`),
      containers: nodes.map((n) => ({
        vmid: 100 + n,
        name: `ct${n}`,
        node: `pve${n}`,
        serves: [`http 10.0.0.${100 + n}:80`],
      })),
      backups: nodes.map((n) => ({ vmid: 100 + n, age: '4h' })),
    }),
  );
  return {
    ...world,
    nodes: world.nodes.map((node, index) => ({ ...node, ip: `10.0.0.${10 + (nodes[index] ?? 0)}` })),
    jobs: [{ id: 'nightly', storage: 'nas', schedule: '21:00', prune: { 'keep-last': 7 } }],
  };
}

export function healthy(now: number): Patient {
  return {
    files: { 'home.yaml': healthyInventory() },
    world: healthyWorld(),
    others: [],
    network: {
      runnerCut: false,
      outside: new Set(['10.0.0.1:53', '10.0.0.9:8007', '10.0.0.7:22']),
      forced: new Map(),
      nodes: new Map(),
    },
    state: { ...emptyState(), lastRunAt: now - 30_000 },
    runner: {
      addresses: ['10.0.0.5'],
      macs: ['02:00:00:00:00:05'],
      stateDir: '/state',
      stateProblem: null,
      stateFs: { kind: 'own', type: 'ext4' },
    },
    certificate: (endpoint) => ({ fingerprint: print(endpoint), expires: now + 400 * DAY_MS }),
    refuse: () => null,
    shell: () => ({ kind: 'ended', exitCode: 0, output: '' }),
    credentials: new Map(),
    meanwhile: [],
  };
}

export interface Visit {
  readonly facts: Facts;
  readonly diagnosis: Diagnosis;
  /** Writing calls that doctor made. */
  readonly writes: readonly string[];
}

/** What a test can go on with after the examination, on the same lab. */
export interface Aftermath {
  readonly lab: StagedLab;
  readonly clock: VirtualClock;
  readonly inventory: Inventory;
  readonly facts: Facts;
  /** Looks as a run does, at everything closely. */
  readonly observe: (state: State) => Promise<Observation>;
}

/** Plants, examines, and tidies up. */
export async function visit(
  plant: (patient: Patient) => void = () => undefined,
  afterwards?: (aftermath: Aftermath) => Promise<void>,
): Promise<Visit> {
  const clock = new VirtualClock();
  const patient = healthy(clock.now());
  plant(patient);
  const folder = mkdtempSync(join(tmpdir(), 'proxwarden-doctor-'));
  const { network } = patient;
  let digits = 0;
  const randomHex = (bytes: number): string =>
    String((digits += 1))
      .padStart(bytes * 2, '0')
      .slice(-bytes * 2);
  const shelves: Shelves = new Map();
  const labs = [patient.world, ...patient.others].map(
    (world) => new StagedLab({ clock, world, randomHex, shelves }, network),
  );
  const labAt = (host: string): StagedLab => {
    const found = labs.find((_, i) =>
      [patient.world, ...patient.others][i]?.nodes.some((n) => n.ip === host),
    );
    if (found === undefined) throw new Error(`no lab has ${host}`);
    return found;
  };
  try {
    for (const [name, text] of Object.entries(patient.files)) writeFileSync(join(folder, name), text);
    const inventory = loadInventory(folder, { env: {} });
    const [lab] = labs;
    if (lab === undefined) throw new Error('no lab');
    const runtime: Runtime = {
      clock,
      env: { PROXWARDEN_TOKEN: TOKEN },
      randomHex,
      dispatcher: (endpoint) => {
        const { hostname } = new URL(endpoint);
        const why = patient.refuse(endpoint);
        if (why !== null) return Promise.reject(new PveError(why, { outcome: 'not-sent' }));
        const there = labAt(hostname);
        return Promise.resolve(labDispatcher(there, clock, () => there.nodeAt(hostname)));
      },
      mail: () => Promise.reject(new Error('no mail is sent here')),
      detach: () => Promise.reject(new Error('no process is started here')),
      httpDispatcher: () => Promise.resolve(labDispatcher(lab, clock, () => PLUGS)),
      probe: (spec, signal) => probeLab(spec, { labs, network, clock, signal }),
      exec: execFile,
      shell: ({ node }) => Promise.resolve(patient.shell(node)),
    };
    const access = new Map<string, Access>();
    for (const { name, endpoints, tls, timeoutMs } of Object.values(inventory.clusters))
      access.set(
        name,
        patient.credentials.get(name) ?? {
          tokenId: TOKEN.slice(0, TOKEN.indexOf('=')),
          api: createPveClient({
            cluster: name,
            endpoints,
            credentials: { kind: 'token', token: TOKEN },
            tls,
            timeoutMs,
            runtime,
          }),
        },
      );
    const facts = await clock.run(
      (async () => {
        for (const touch of patient.meanwhile) await touch(lab, clock);
        for (const each of labs) each.calls.length = 0;
        return examine({
          inventory,
          state: patient.state,
          access,
          runner: patient.runner,
          certificate: (endpoint) => Promise.resolve(patient.certificate(endpoint)),
          runtime,
        });
      })(),
    );
    const writes = labs.flatMap((each) => [...each.calls]);
    const diagnosis = diagnose(inventory, facts);
    if (afterwards !== undefined) {
      const apis = new Map(
        [...access].flatMap(([name, one]) => ('api' in one ? [[name, one.api] as const] : [])),
      );
      const focus = new Set(Object.keys(inventory.containers));
      const look = (state: State): Promise<Observation> =>
        observe({ inventory, state, apis, runtime, focus });
      await clock.run(afterwards({ lab, clock, inventory, facts, observe: look }));
    }
    return { facts, diagnosis, writes };
  } finally {
    for (const each of labs) each.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
