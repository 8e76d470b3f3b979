/** Many probes in one `check`, half tcp, half http; and what becomes of them when some never answer. */
import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../lib/clock.ts';
import { inTurn, missing, PROXWARDEN, timed, wallOf } from './child.ts';
import { containersOf } from './fleet.ts';
import { ms, type Bench, type Measure } from './measure.ts';
import { openStage, type Stage } from './peers.ts';

const EXPORTER = 'prometheus-blackbox-exporter';
/** As many as `check` has under way (prober.ts). */
const CONCURRENCY = 256;
const EXPORTER_LIMIT =
  'half a second of it is no probing: Node’s start, the cluster, state, observation and table; with more probes that counts for less';
const BARE_LIMIT =
  'the whole command: inventory, cluster, state, decisions and table of so many containers are two thirds of it; the probes alone take 1.8 × the bare loop, for the deadline, the abort signal, the latency and the sentence of each';
const HANGING_LIMIT =
  'of what fails the configs, and of its nodes the tasks, are read once it is known, beside start, inventory and state';

const MODULES = `modules:
  http: { prober: http, timeout: 5s, http: { preferred_ip_protocol: ip4 } }
  tcp: { prober: tcp, timeout: 5s, tcp: { preferred_ip_protocol: ip4 } }
`;

export const probes: Bench = async ({ quick }) => {
  const measures: Measure[] = [];
  for (const count of quick ? [100] : [1_000, 10_000])
    measures.push(...(await compare(count, quick ? 1 : count > 5_000 ? 5 : 9)));
  measures.push(await hanging(quick));
  return measures;
};

/** Two nodes, so that next to nothing but the probes is done. */
function fleetOf(count: number) {
  return { clusters: 1, nodes: 2, containers: count / 2, checks: ['tcp', 'http'] } as const;
}

async function compare(count: number, rounds: number): Promise<Measure[]> {
  const fleet = fleetOf(count);
  const stage = await openStage(fleet);
  const exporter = missing(EXPORTER).length === 0 ? await startExporter(stage) : null;
  try {
    const targets = containersOf(fleet).flatMap(({ host }) =>
      fleet.checks.map((kind) => `${kind} ${host} ${stage.targets[kind]}\n`),
    );
    const file = join(stage.folder, 'targets');
    writeFileSync(file, targets.join(''));
    const here = dirname(fileURLToPath(import.meta.url));
    const program = (name: string, ...args: string[]) =>
      timed(['sh', '-c', 'exec "$@" <"$0"', file, process.execPath, join(here, `${name}.js`), ...args]);
    const all = async (run: ReturnType<typeof timed>) => {
      const one = await run;
      if (!one.stdout.includes(`${count} of ${count}`)) throw new Error(`not all answered: ${one.stdout}`);
      return one;
    };
    await cronHasRun(stage);
    const [ours, bare, exported] = await inTurn(rounds, [
      () => timed([...PROXWARDEN, 'check', ...stage.flags]),
      () => all(program('bare', String(CONCURRENCY))),
      ...(exporter === null ? [] : [() => all(program('ask-exporter', exporter.url, String(CONCURRENCY)))]),
    ]);
    const what = `${count.toLocaleString('en')} probes in one \`check\``;
    const measure = (against: string, theirs: typeof ours, goal: number, limit: string): Measure => ({
      what,
      against: `${against}: ${ms(wallOf(theirs))}`,
      ours: ms(wallOf(ours)),
      value: wallOf(ours) / wallOf(theirs),
      goal,
      unit: '×',
      limit,
    });
    return [
      ...(exporter === null ? [] : [measure('blackbox exporter, keep-alive', exported, 1, EXPORTER_LIMIT)]),
      measure('bare socket loop', bare, 1.5, BARE_LIMIT),
    ];
  } finally {
    exporter?.child.kill();
    stage.stop();
  }
}

/** It has read the containers' configs, and keeps what it has made of the inventory: what follows is an ordinary run. */
async function cronHasRun({ flags }: Stage): Promise<void> {
  await timed([...PROXWARDEN, 'check-and-failover', ...flags], { codes: [0, 3, 4, 5] });
}

async function startExporter(stage: Stage): Promise<{ child: ChildProcess; url: string }> {
  const config = join(stage.folder, 'exporter.yml');
  writeFileSync(config, MODULES);
  const port = await freePort();
  const args = [`--config.file=${config}`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=error'];
  const child = spawn(EXPORTER, args, { stdio: ['ignore', 'ignore', 'ignore'] });
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < 100; tries += 1) {
    const up = await fetch(`${url}/-/healthy`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (up) return { child, url };
    await systemClock.sleep(50);
  }
  child.kill();
  throw new Error(`${EXPORTER} does not answer on ${url}`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Their ports accept, and nothing ever answers: the whole `check` against one timeout of a probe. */
async function hanging(quick: boolean): Promise<Measure> {
  const [count, silent] = quick ? [100, 30] : [1_000, 300];
  const timeoutMs = quick ? 1_000 : 5_000;
  let nth = 0;
  const stage = await openStage(fleetOf(count), {
    edit: (yaml, targets) =>
      yaml.replaceAll(/( +)- http: (http:\/\/[\d.]+):\d+\/\n/g, (_all, indent: string, url: string) => {
        nth += 1;
        const port = nth <= silent ? targets.silent : targets.http;
        return `${indent}- http: ${url}:${port}/\n${indent}  timeout: ${timeoutMs / 1000}s\n${indent}  attempts: 1\n`;
      }),
  });
  try {
    await cronHasRun(stage);
    const [ours] = await inTurn(quick ? 1 : 3, [
      () => timed([...PROXWARDEN, 'check', ...stage.flags], { codes: [3, 5] }),
    ]);
    return {
      what: `${count.toLocaleString('en')} probes, ${silent} of which never answer`,
      against: `one timeout of a probe: ${ms(timeoutMs)}`,
      ours: ms(wallOf(ours)),
      value: wallOf(ours) / timeoutMs,
      goal: 1.2,
      unit: '×',
      limit: HANGING_LIMIT,
    };
  } finally {
    stage.stop();
  }
}
