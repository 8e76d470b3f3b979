/** Starts the example lab with everything around it. How it is talked to from then on: client.ts. */
import { randomBytes, X509Certificate } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { systemClock, type Clock } from '../clock.ts';
import { InputError } from '../errors.ts';
import { labCertificate } from './certificate.ts';
import { startControl } from './control-endpoint.ts';
import type { LabReport } from './control-protocol.ts';
import { EXAMPLE_TOKEN_ID, examplePorts, exampleWorld } from './example.ts';
import { Lab } from './lab.ts';
import { startPlugs } from './plugs.ts';
import { writePct } from './pct-program.ts';
import { claimRunFile, labToken, makeLabFolder, refuseSecondLab, releaseRunFile } from './runfile.ts';
import { startLabServer } from './server.ts';
import { startNas, startServices } from './services.ts';
import type { LabControl, WorldSpec } from './types.ts';

const EVENTS_SHOWN = 50;
const PROBLEMS_KEPT = 20;

export interface LabUpOptions {
  /** The inventory folder; the lab's own files go to `.lab` in it. */
  readonly dir: string;
  /** What takes time in the lab is divided by it. */
  readonly speed: number;
  /** All fixed ports follow from it, see `examplePorts`. */
  readonly portBase: number;
  readonly clock?: Clock;
  /** Another world than the example's, for tests: made from it. */
  readonly world?: (example: WorldSpec) => WorldSpec;
}

export interface RunningLab {
  readonly lab: LabControl;
  readonly dir: string;
  /** By what listens there: `pve1`, `plugs`, `nas`, `dns`, … */
  readonly ports: Readonly<Record<string, number>>;
  /** Resolves when all sockets match the lab's state. */
  settled(): Promise<void>;
  /** Resolves when the lab is down, whoever ended it. */
  readonly closed: Promise<void>;
  /** Closes all sockets and removes the run file. May be called more than once. */
  close(): Promise<void>;
}

/**
 * Starts the example world with all its sockets in this process, and writes the run file, the API token and the CA
 * to `<dir>/.lab`. Throws LockedError when a lab is running there, InputError for a folder, speed or port base that
 * won't do, FailedError when a port is taken.
 */
export async function labUp(options: LabUpOptions): Promise<RunningLab> {
  const dir = resolve(options.dir);
  const { speed, portBase } = options;
  if (!(speed > 0 && Number.isFinite(speed)))
    throw new InputError(`the lab's speed must be above 0, not ${speed}`);
  const { api, ...others } = examplePorts(portBase);
  const ports = { ...api, ...others };
  const folder = await makeLabFolder(dir);
  await refuseSecondLab(dir);
  // The world begins anew, so what was remembered of the last one is of no use.
  await rm(join(folder, 'state'), { recursive: true, force: true });

  await writePct(folder);

  const clock = options.clock ?? systemClock;
  const example = exampleWorld({ portBase, secret: await labToken(folder, EXAMPLE_TOKEN_ID) });
  const tls = await labCertificate(folder, systemClock.now());
  const { fingerprint256: fingerprint } = new X509Certificate(tls.cert);
  const given = options.world?.(example) ?? example;
  const world = { ...given, nodes: given.nodes.map((node) => ({ fingerprint, ...node })) };
  const token = randomBytes(32).toString('hex');
  const startedAt = clock.now();
  const problems: string[] = [];
  const onProblem = (sentence: string): void => {
    if (problems.length < PROBLEMS_KEPT && !problems.includes(sentence)) problems.push(sentence);
  };

  const lab: LabControl = new Lab({
    clock,
    world,
    speed,
    randomHex: (bytes) => randomBytes(bytes).toString('hex'),
  });
  const parts: { close(): Promise<void> }[] = [];
  let ending: Promise<void> | null = null;
  /** Everything except the control endpoint, which has to answer `down` after it. */
  const end = (): Promise<void> => (ending ??= endAll());
  async function endAll(): Promise<void> {
    lab.close();
    await Promise.all(parts.map((part) => part.close()));
    await releaseRunFile(dir, token);
  }

  const report = (): LabReport => ({
    ...lab.status(),
    pid: process.pid,
    startedAt,
    speed,
    ports,
    plugs: Object.fromEntries(world.nodes.map(({ name }) => [name, lab.plug(name)])),
    events: lab.events.slice(-EVENTS_SHOWN),
    problems,
  });
  try {
    const nodes = Object.entries(api).map(([name, port]) => ({ name, port }));
    const server = await startLabServer({ lab, nodes, tls, onProblem });
    parts.push(server);
    parts.push(await startPlugs({ lab, nodes: Object.keys(api), port: ports.plugs }));
    parts.push(await startNas(ports.nas));
    const services = await startServices({ lab, onProblem });
    parts.push(services);
    const settled = async (): Promise<void> => {
      await Promise.all([server.settled(), services.settled()]);
    };
    const storages = world.storages.map(({ id }) => id);
    const control = await startControl({ lab, storages, token, report, settled, down: end });
    try {
      await claimRunFile(dir, { pid: process.pid, control: control.url, token, ports, startedAt });
    } catch (error) {
      await control.close();
      throw error;
    }
    return {
      lab,
      dir,
      ports,
      settled,
      closed: control.closed,
      close: async () => {
        await end();
        await control.close();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}
