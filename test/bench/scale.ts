/** A quiet run of cron over a large fleet, against itself over a tenth of it. */
import { PROXWARDEN, timed, wallOf, type Timed } from './child.ts';
import type { Fleet } from './fleet.ts';
import { median, ms, type Bench } from './measure.ts';
import { openStage } from './peers.ts';

/** Prints the most memory that the process has had, in KiB, as its last line. */
const PEAK = 'data:text/javascript,process.on("exit",()=>console.error(process.resourceUsage().maxRSS))';

const MEMORY_LIMIT =
  'half of it is garbage that V8 has not collected yet, though it is told to be sparing with 2,000 containers and more; in use are 60 to 90 MB';

interface Tick {
  readonly runs: readonly Timed[];
  readonly peakMb: number;
  /** API requests in one run. */
  readonly requests: number;
}

export const scale: Bench = async ({ quick }) => {
  const [small, large]: readonly [Fleet, Fleet] = quick
    ? [
        { clusters: 2, nodes: 5, containers: 20, checks: ['tcp'] },
        { clusters: 4, nodes: 5, containers: 200, checks: ['tcp'] },
      ]
    : [
        { clusters: 2, nodes: 5, containers: 1_000, checks: ['tcp'] },
        { clusters: 20, nodes: 5, containers: 10_000, checks: ['tcp'] },
      ];
  const rounds = quick ? 1 : 5;
  const tenth = await ticks(small, rounds);
  const whole = await ticks(large, rounds);
  const { clusters, nodes, containers } = large;
  const what = `quiet run, ${containers.toLocaleString('en')} containers, ${clusters * nodes} nodes, ${clusters} clusters`;
  const ours = ms(wallOf(whole.runs));
  const allowed = 4 * clusters + 2 * clusters * nodes;
  return [
    {
      what: `${what}: time`,
      against: `itself at ${small.containers.toLocaleString('en')}: ${ms(wallOf(tenth.runs))}`,
      ours,
      value: wallOf(whole.runs) / wallOf(tenth.runs),
      goal: 11,
      unit: '×',
    },
    {
      what: `${what}: memory`,
      against: '',
      ours: `${Math.round(whole.peakMb)} MB`,
      value: whole.peakMb,
      goal: 300,
      unit: 'MB',
      limit: MEMORY_LIMIT,
    },
    {
      what: `${what}: API calls`,
      against: '4 a cluster, 2 a node',
      ours: String(whole.requests),
      value: whole.requests,
      goal: allowed,
      unit: 'calls',
    },
  ];
};

async function ticks(fleet: Fleet, rounds: number): Promise<Tick> {
  const stage = await openStage(fleet);
  const [node, program] = PROXWARDEN;
  const run = (): Promise<Timed> =>
    timed([node, '--import', PEAK, program, 'check-and-failover', ...stage.flags]);
  try {
    // The first one reads every container's config, the second finds what the first has kept.
    await run();
    await run();
    await stage.requests();
    const runs: Timed[] = [];
    for (let round = 0; round < rounds; round += 1) runs.push(await run());
    const requests = (await stage.requests()) / rounds;
    const peakMb = median(runs.map((one) => Number(one.stderr.trim().split('\n').at(-1)) / 1024));
    if (!runs.every((one) => one.stdout.startsWith(`${fleet.containers} of `)))
      throw new Error(`not quiet: ${runs[0]?.stdout}${runs[0]?.stderr}`);
    return { runs, peakMb, requests };
  } finally {
    stage.stop();
  }
}
