/** What a failover costs beside what Proxmox VE does for it, in real time, with real sockets. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { systemClock } from '../../lib/clock.ts';
import { tokenSecret } from '../secrets.ts';
import { PROXWARDEN, timed } from './child.ts';
import { TOKEN_ID } from './fleet.ts';
import { median, ms, type Bench, type Measure } from './measure.ts';
import { startPeer } from './peers.ts';

const Ports = z.object({ api: z.record(z.string(), z.number()), plugs: z.number(), control: z.number() });
const Report = z.object({
  offline: z.boolean(),
  taskMs: z.array(z.number()),
  vainMs: z.number(),
  calls: z.number(),
  writes: z.array(z.string()),
  violations: z.array(z.unknown()),
});
type Report = z.infer<typeof Report>;

/** In a lab that is five times as fast. */
const QUICK_MS = 1000;
const OFFLINE_WITHIN_MS = 30_000;
const RAW = [process.execPath, join(dirname(fileURLToPath(import.meta.url)), 'raw-failover.js')] as const;

/** Measured on two cores. */
const LIMIT =
  'a failover is 1.2 s of ProxWarden’s own work when the machine has nothing else to do, whatever the restore takes: it looks at the whole cluster five times (rule 1: fresh reads before the fence, the restore and the start), asks each endpoint for quorum before each write (rule 4), and writes its journal to the disk some fifty times before it goes on (rule 6; up to 0.5 s); the script does none of that';

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

interface Place {
  readonly folder: string;
  readonly ports: z.infer<typeof Ports>;
  readonly service: number;
}

/** A cluster of its own; its node has died and is known to be offline when `work` begins. */
async function withDeadNode<T>(
  restoreMs: number,
  before: (place: Place) => Promise<unknown>,
  work: (place: Place) => Promise<T>,
): Promise<{ readonly result: T; readonly report: Report }> {
  const folder = mkdtempSync(join(tmpdir(), 'proxwarden-bench-'));
  try {
    mkdirSync(join(folder, 'inventory'), { mode: 0o700 });
    const service = await freePort();
    const lab = await startPeer(
      'failing',
      { folder: join(folder, 'inventory'), restoreMs, service, speed: restoreMs === QUICK_MS ? 5 : 1 },
      Ports,
    );
    const place = { folder, ports: lab.said, service };
    try {
      const control = async (what: string): Promise<Report> =>
        Report.parse(await (await fetch(`http://127.0.0.1:${lab.said.control}/${what}`)).json());
      await before(place);
      await control('kill');
      const until = Date.now() + OFFLINE_WITHIN_MS;
      while (!(await control('report')).offline) {
        if (Date.now() > until) throw new Error('the dead node is not seen to be offline');
        await systemClock.sleep(100);
      }
      const result = await work(place);
      const report = await control('report');
      if (report.taskMs.length !== 3 || report.violations.length > 0) throw new Error(JSON.stringify(report));
      return { result, report };
    } finally {
      lab.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function inventoryOf({ ports, service }: Place): string {
  const plug = (node: string): string => `http://127.0.0.1:${ports.plugs}/plug/${node}/relay`;
  return [
    'cluster: home',
    'api:',
    `  endpoints: [${Object.values(ports.api)
      .map((port) => `'https://127.0.0.1:${port}'`)
      .join(', ')}]`,
    '  token: file:token',
    '  tls: { ca: ca.pem }',
    `canaries: [tcp:127.0.0.1:${ports.plugs}]`,
    'nodes:',
    ...Object.keys(ports.api).flatMap((node) => [
      `  ${node}:`,
      '    fence:',
      '      - http:',
      `          off: { url: '${plug(node)}?turn=off' }`,
      `          status: { url: '${plug(node)}', field: ison, off: false }`,
    ]),
    'defaults:',
    // The runs that count are no part of the failover.
    '  failureThreshold: 1',
    '  interval: 2s',
    '  backup: { storage: nas }',
    '  failover: { auto: true, restoreStorage: local }',
    'containers:',
    '  app:',
    '    vmid: 101',
    '    nodes: [pve2, pve3]',
    `    checks: [http: 'http://127.0.0.1:${service}/']`,
    '',
  ].join('\n');
}

interface One {
  /** Without the probes of what is dead: a question to the dead node takes its neighbour 3 s. */
  readonly wallMs: number;
  readonly tasksMs: number;
}

function oneOf(wallMs: number, { taskMs, vainMs }: Report): One {
  return { wallMs: wallMs - vainMs, tasksMs: taskMs.reduce((a, b) => a + b, 0) };
}

async function ours(restoreMs: number): Promise<One> {
  const command = ({ folder }: Place): string[] => [
    ...PROXWARDEN,
    'check-and-failover',
    '--inventory',
    join(folder, 'inventory'),
    '--state',
    join(folder, 'state'),
  ];
  const { result, report } = await withDeadNode(
    restoreMs,
    async (place) => {
      const inventory = join(place.folder, 'inventory');
      writeFileSync(join(inventory, 'token'), `${TOKEN_ID}=${tokenSecret()}\n`, { mode: 0o600 });
      writeFileSync(join(inventory, 'home.yaml'), inventoryOf(place));
      await timed(command(place));
    },
    (place) => timed(command(place)),
  );
  return oneOf(result.wallMs, report);
}

async function raw(restoreMs: number): Promise<One> {
  const { result, report } = await withDeadNode(
    restoreMs,
    () => Promise.resolve(),
    ({ folder, ports, service }) =>
      timed([...RAW, JSON.stringify({ ca: join(folder, 'inventory', 'ca.pem'), ports, service })]),
  );
  return oneOf(result.wallMs, report);
}

export const failover: Bench = async ({ quick, long }) => {
  const measures: Measure[] = [];
  const lengths = quick ? [QUICK_MS] : [2000, 20_000, ...(long ? [200_000] : [])];
  for (const restoreMs of lengths) {
    const rounds = !quick && restoreMs < 10_000 ? 3 : 1;
    const mine: One[] = [];
    const theirs: One[] = [];
    for (let round = 0; round < rounds; round += 1) {
      mine.push(await ours(restoreMs));
      theirs.push(await raw(restoreMs));
    }
    const beside = (those: readonly One[]): number => median(those.map((o) => o.wallMs - o.tasksMs));
    const wall = (those: readonly One[]): number => median(those.map((o) => o.wallMs));
    const against = `the same API calls as a script: ${ms(wall(theirs))}, ${ms(beside(theirs))} of them beside the tasks`;
    const what = `failover, a restore of ${ms(restoreMs)}`;
    measures.push(
      restoreMs < 10_000
        ? {
            what: `${what}: what is not Proxmox VE's own tasks`,
            against,
            ours: ms(beside(mine)),
            value: beside(mine),
            goal: 500,
            unit: 'ms',
            limit: LIMIT,
          }
        : {
            what,
            against,
            ours: ms(wall(mine)),
            value: wall(mine) / wall(theirs),
            goal: 1.03,
            unit: '×',
            limit: restoreMs < 100_000 ? LIMIT : undefined,
          },
    );
  }
  return measures;
};
