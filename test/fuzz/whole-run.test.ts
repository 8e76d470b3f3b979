/**
 * Whole runs in random worlds while the API says things that make no sense: never two, nothing asked for outside of the
 * rules (test/scenarios/harness/rules.ts), and once it speaks clearly again every container is there, once.
 *
 * The same stories every time; `GARBLE_RUNS=200 npm test -- fuzz/whole-run` plays so many new ones.
 */
import * as fc from 'fast-check';
import { NAMES, NODES } from '../random/worlds.ts';
import { tellStories } from '../random/stories.ts';

const node = fc.constantFrom(...NODES);
const name = fc.constantFrom(...NAMES);

const garbled = fc
  .record({ percent: fc.constantFrom(2, 5, 10, 20, 40), seed: fc.nat(1_000_000) })
  .map(({ percent, seed }) => `${percent}% of answers garbled, seed ${seed}`);

const world = fc.oneof(
  { weight: 4, arbitrary: node.map((n) => `kill ${n}`) },
  { weight: 2, arbitrary: node.map((n) => `revive ${n}`) },
  { weight: 1, arbitrary: node.map((n) => `cut ${n}`) },
  { weight: 2, arbitrary: name.map((n) => `break ${n}`) },
  { weight: 2, arbitrary: name.map((n) => `crash of ${n}`) },
);

const command = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('cron', 'cron 3') },
  { weight: 2, arbitrary: name.map((n) => `run failover ${n} --planned`) },
  { weight: 1, arbitrary: name.map((n) => `run failback ${n}`) },
  { weight: 1, arbitrary: name.map((n) => `run backup ${n}`) },
  { weight: 1, arbitrary: name.map((n) => `run ack ${n}`) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'run check',
      'run decide --explain',
      'run reconcile',
      'run status --json',
      'run backup list',
      'run fence status',
    ),
  },
);

const then = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: command },
    { weight: 3, arbitrary: world },
    { weight: 1, arbitrary: garbled },
    { weight: 1, arbitrary: fc.constantFrom('no faults', 'doom 5 writes', 'doom 3 calls') },
  ),
  { minLength: 4, maxLength: 16, size: 'max' },
);

/** A node dies while answers are garbled, or whatever else happens. */
const steps = fc.oneof(
  fc.tuple(garbled, node, then).map(([first, n, more]) => [first, `kill ${n}`, 'cron 4', ...more]),
  fc.tuple(garbled, name, then).map(([first, n, more]) => [first, `run failover ${n} --planned`, ...more]),
  fc.tuple(garbled, then).map(([first, more]) => [first, ...more]),
);

tellStories({
  file: import.meta.url,
  title: 'whatever the API says, no rule is broken and no container is lost',
  steps,
  fixed: { seeds: [1], runs: 2 },
  variable: 'GARBLE',
  words: 'fuzz/whole-run',
  told: (all) =>
    `fuzzed whole runs: ${all.garbled} garbled answers in ${all.runs} stories of ${all.steps} steps, ${all.operations} operations (${all.failovers} failovers done)`,
});
