/** The labs of a fleet, with real sockets, in one process. */
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { systemClock } from '../../lib/clock.ts';
import { labCertificate } from '../../lib/lab/certificate.ts';
import { Lab } from '../../lib/lab/lab.ts';
import { startLabServer } from '../../lib/lab/server.ts';
import * as z from 'zod';
import { clusterNames, nodeNames, worldOf } from './fleet.ts';

const Input = z.object({
  /** ca.pem is left there. */
  folder: z.string(),
  fleet: z.object({
    clusters: z.number(),
    nodes: z.number(),
    containers: z.number(),
    checks: z.array(z.enum(['tcp', 'http', 'ping'])),
  }),
});

const { folder, fleet } = Input.parse(JSON.parse(process.argv[2] ?? ''));
const tls = await labCertificate(folder, systemClock.now());
const ports: Record<string, number> = {};
/** Since it was last asked for. */
let requests = 0;
for (const cluster of clusterNames(fleet)) {
  const lab = new Lab({
    clock: systemClock,
    world: worldOf(fleet, cluster),
    speed: 1,
    randomHex: (bytes) => randomBytes(bytes).toString('hex'),
  });
  const nodes = nodeNames(cluster, fleet).map((name) => ({ name, port: 0 }));
  const handle = lab.handle.bind(lab);
  lab.handle = (...request) => {
    requests += 1;
    return handle(...request);
  };
  Object.assign(ports, (await startLabServer({ lab, nodes, tls })).ports);
}
console.log(JSON.stringify(ports));
createInterface(process.stdin)
  .on('line', () => {
    console.log(String(requests));
    requests = 0;
  })
  .once('close', () => process.exit());
