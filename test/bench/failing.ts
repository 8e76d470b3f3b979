/** A cluster whose first node is about to die, with real sockets, in a process of its own; told what to do by HTTP. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import * as z from 'zod';
import { systemClock } from '../../lib/clock.ts';
import { labCertificate } from '../../lib/lab/certificate.ts';
import { Lab } from '../../lib/lab/lab.ts';
import { startPlugs } from '../../lib/lab/plugs.ts';
import { startLabServer } from '../../lib/lab/server.ts';
import { startServices } from '../../lib/lab/services.ts';
import type { LabRequest, LabResponse, WorldSpec } from '../../lib/lab/types.ts';
import { tokenSecret } from '../secrets.ts';
import { TOKEN_ID } from './fleet.ts';

const Input = z.object({
  /** ca.pem is left there. */
  folder: z.string(),
  /** How long one restore takes. */
  restoreMs: z.number(),
  /** Everything in the lab is so many times faster. */
  speed: z.number(),
  /** Where the container's service answers. */
  service: z.number(),
});

const NODES = ['pve1', 'pve2', 'pve3'];
const THROUGHPUT_MIB = 100;
/** What the lab takes for a restore beside the data. */
const RESTORE_BASE_MS = 300;

/** Notes what was asked for, and when. */
class Heard extends Lab {
  readonly asked: { readonly at: number; readonly method: string; readonly path: string }[] = [];

  /** Questions to the dead node, which its neighbour waits for in vain (595): from, to. */
  readonly #vain: [number, number][] = [];

  override async handle(node: string, request: LabRequest): Promise<LabResponse> {
    const from = systemClock.now();
    this.asked.push({ at: from, method: request.method, path: request.path });
    const response = await super.handle(node, request);
    if (response.status === 595) this.#vain.push([from, systemClock.now()]);
    return response;
  }

  /** How long at least one of them was waited for. */
  vainMs(): number {
    let [sum, until] = [0, 0];
    for (const [from, to] of this.#vain.toSorted(([a], [b]) => a - b)) {
      sum += Math.max(0, to - Math.max(from, until));
      until = Math.max(until, to);
    }
    return sum;
  }

  /** What the tasks have taken, from the request to what the log of events has of their end. */
  taskMs(): number[] {
    const ends = [
      [/^\/api2\/json\/nodes\/pve2\/lxc$/, / restored from /],
      [/\/status\/start$/, / started by /],
      [/\/vzdump$/, / backed up to /],
    ] as const;
    return ends.flatMap(([path, text]) => {
      const from = this.asked.find((one) => one.method === 'POST' && path.test(one.path))?.at;
      const to = this.events.find(
        (event) => from !== undefined && event.at >= from && text.test(event.text),
      )?.at;
      return from === undefined || to === undefined ? [] : [to - from];
    });
  }
}

function worldOf(restoreMs: number, service: number): WorldSpec {
  return {
    cluster: 'home',
    nodes: NODES.map((name, n) => ({ name, ip: `192.0.2.${n + 1}`, memoryMiB: 8192 })),
    storages: [
      { id: 'local', path: '/var/lib/vz', content: ['rootdir', 'images'] },
      { id: 'nas', path: '/mnt/pve/nas', content: ['backup'], shared: true },
    ],
    containers: [
      {
        vmid: 101,
        node: 'pve1',
        hostname: 'app',
        onboot: true,
        running: true,
        memoryMiB: 512,
        diskMiB: ((restoreMs - RESTORE_BASE_MS) / 1000) * THROUGHPUT_MIB,
        storage: 'local',
        mac: 'BC:24:11:00:00:01',
        ip: '192.0.2.101/24',
        services: [{ kind: 'http', host: '127.0.0.1', port: service }],
      },
    ],
    backups: [{ vmid: 101, storage: 'nas', ageSeconds: 3600 }],
    jobs: [{ id: 'nightly', storage: 'nas', schedule: '21:00' }],
    tokens: [{ id: TOKEN_ID, secret: tokenSecret(), privileges: { '/': ['*'] } }],
    throughputMiB: THROUGHPUT_MIB,
  };
}

const { folder, restoreMs, service, speed } = Input.parse(JSON.parse(process.argv[2] ?? ''));
const tls = await labCertificate(folder, systemClock.now());
const lab = new Heard({
  clock: systemClock,
  world: worldOf(restoreMs, service),
  speed,
  randomHex: (bytes) => randomBytes(bytes).toString('hex'),
});
const nodes = NODES.map((name) => ({ name, port: 0 }));
const { ports: api } = await startLabServer({ lab, nodes, tls });
const plugs = await startPlugs({ lab, nodes: NODES, port: 0 });
await startServices({ lab });
const control = createServer((request, response) => {
  if (request.url === '/kill') lab.kill('pve1');
  const offline = lab.events.some(({ text }) => text === 'node pve1: offline for the others');
  const writes = lab.asked.filter(({ method }) => method !== 'GET').map((o) => `${o.method} ${o.path}`);
  response.end(
    JSON.stringify({
      offline,
      taskMs: lab.taskMs(),
      vainMs: lab.vainMs(),
      calls: lab.asked.length,
      writes,
      violations: lab.violations,
    }),
  );
});
control.listen(0, '127.0.0.1', () => {
  const address = control.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  console.log(JSON.stringify({ api, plugs: plugs.port, control: port }));
});
process.stdin.resume().once('end', () => process.exit());
