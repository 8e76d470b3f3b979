/** Pings of many addresses in one `check`, against fping alone. */
import { cpuOf, inTurn, missing, PROXWARDEN, timed, wallOf } from './child.ts';
import { ms, type Bench, type Measure } from './measure.ts';
import { openStage, type Stage } from './peers.ts';

/** As lib/observe/probes/fping.ts has it: a packet each millisecond, each address once, the timeout of a check. */
const FLAGS = ['-e', '-r', '0', '-i', '1', '-t', '3000'];
/** Few, with many addresses each: it is not their cluster that is measured. */
const CONTAINERS = 10;

export const ping: Bench = async ({ quick }) => {
  if (missing('fping').length > 0) return { skipped: 'fping not installed' };
  const each = quick ? 5 : 50;
  const addresses = Array.from({ length: CONTAINERS * each }, (_, n) => `127.2.${n >> 8}.${n & 255}`);
  const fleet = { clusters: 1, nodes: 2, containers: CONTAINERS, checks: ['ping'] } as const;
  let next = 0;
  const stage = await openStage(fleet, {
    edit: (yaml) =>
      yaml.replaceAll(/( +- ping: ).*\n/g, (_line, key: string) => {
        next += each;
        return addresses
          .slice(next - each, next)
          .map((address) => `${key}${address}\n`)
          .join('');
      }),
  });
  const stages = [stage];
  try {
    // The same with ten tcp checks instead: what is left is the pings, and the reading and reporting of their checks.
    const without = await openStage({ ...fleet, checks: ['tcp'] });
    stages.push(without);
    // What they make of the inventory is kept from then on.
    for (const { flags } of stages) await timed([...PROXWARDEN, 'check-and-failover', ...flags]);
    const check = ({ flags }: Stage) => timed([...PROXWARDEN, 'check', ...flags]);
    const [whole, rest, alone] = await inTurn(quick ? 1 : 15, [
      () => check(stage),
      () => check(without),
      () => timed(['fping', ...FLAGS, ...addresses]),
    ]);
    const measure = (what: string, ours: number, theirs: number, goal: number | null): Measure => ({
      what: `ping of ${addresses.length} addresses in one \`check\`: ${what}`,
      against: `fping alone: ${ms(theirs)}`,
      ours: ms(ours),
      value: ours / theirs,
      goal,
      unit: '×',
      limit: LIMIT,
    });
    return [
      measure('whole command, wall', wallOf(whole), wallOf(alone), null),
      measure('whole command, CPU', cpuOf(whole), cpuOf(alone), null),
      measure('beyond the same `check` with 10 tcp, wall', wallOf(whole) - wallOf(rest), wallOf(alone), 1.2),
      measure('beyond the same `check` with 10 tcp, CPU', cpuOf(whole) - cpuOf(rest), cpuOf(alone), 1.2),
    ];
  } finally {
    for (const one of stages) one.stop();
  }
};

const LIMIT =
  'fping needs a tenth of a millisecond for an address; a Node program that does nothing but start it and read its lines as they come needs as much again, and to read 500 checks more from YAML, to run and to report them costs several times that';
