/**
 * Plays random stories in worker threads. One that goes wrong is made shorter, and printed with the command that replays
 * it. A test file that calls `tellStories` is loaded as a worker, too.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import * as z from 'zod';
import { count } from '../contract/count.ts';
import { inWorker, serve, Workers } from '../scenarios/harness/workers.ts';
import { fitted } from './acts.ts';
import { playRandom } from './play.ts';
import { randomWorld, type RandomWorld } from './worlds.ts';

const Task = z.object({ seed: z.number(), runs: z.number(), path: z.string().optional() });
type Task = z.infer<typeof Task>;
const Sums = z.object({
  runs: z.number(),
  steps: z.number(),
  faults: z.number(),
  operations: z.number(),
  failovers: z.number(),
  held: z.number(),
  garbled: z.number(),
});
export type Sums = z.infer<typeof Sums>;

const NONE: Sums = { runs: 0, steps: 0, faults: 0, operations: 0, failovers: 0, held: 0, garbled: 0 };
const KEYS = ['runs', 'steps', 'faults', 'operations', 'failovers', 'held', 'garbled'] as const;

export interface Stories {
  /** `import.meta.url` of the test file. */
  readonly file: string;
  readonly title: string;
  readonly steps: fc.Arbitrary<string[]>;
  /** In every run, the same ones: so many, for each of these seeds. */
  readonly fixed: { readonly seeds: readonly number[]; readonly runs: number };
  /** `RANDOM`: RANDOM_RUNS asks for so many new ones; RANDOM_SEED and RANDOM_PATH replay one. */
  readonly variable: string;
  /** What `npm test` is given to run this file only. */
  readonly words: string;
  readonly told: (sums: Sums) => string;
}

function storyOf(world: RandomWorld, steps: readonly string[]): string[] {
  return steps.map((step) => fitted(step, world));
}

async function playAll(stories: Stories, { seed, runs, path }: Task): Promise<Sums> {
  const sums = { ...NONE };
  const result = await fc.check(
    fc.asyncProperty(fc.record({ world: randomWorld, steps: stories.steps }), async ({ world, steps }) => {
      const told = { ...(await playRandom(world, storyOf(world, steps))), runs: 1 };
      for (const key of KEYS) sums[key] += told[key];
    }),
    { seed, numRuns: runs, ...(path === undefined ? {} : { path }) },
  );
  if (!result.failed || result.counterexample === null) return sums;
  const { world, steps } = result.counterexample[0];
  const error = result.errorInstance instanceof Error ? result.errorInstance.message : 'it failed';
  const { variable, words } = stories;
  throw new Error(
    [
      `replay it with: ${variable}_SEED=${result.seed} ${variable}_PATH=${result.counterexamplePath} npm test -- ${words}`,
      'inventory.yaml:',
      world.inventory,
      `world.yaml: ${JSON.stringify(world.world)}`,
      `steps.yaml:\n${['cron', ...storyOf(world, steps)].map((step) => `- ${step}`).join('\n')}`,
      error,
    ].join('\n'),
  );
}

function tasks({ variable, fixed }: Stories): Task[] {
  const seed = process.env[`${variable}_SEED`];
  if (seed !== undefined) return [{ seed: Number(seed), runs: 1, path: process.env[`${variable}_PATH`] }];
  const runs = Number(process.env[`${variable}_RUNS`] ?? '0');
  if (runs === 0) return fixed.seeds.map((one) => ({ seed: one, runs: fixed.runs }));
  const first = randomInt(2 ** 31 - 64);
  return Array.from({ length: Math.ceil(runs / 50) }, (_, n) => ({
    seed: first + n,
    runs: Math.min(runs, 50),
  }));
}

/** A test that plays them all. */
export function tellStories(stories: Stories): void {
  if (inWorker) {
    serve(async (task) => JSON.stringify(await playAll(stories, Task.parse(JSON.parse(task)))));
    return;
  }
  const workers = new Workers(stories.file);
  after(() => workers.close());
  test(stories.title, async (t) => {
    const done = await Promise.allSettled(tasks(stories).map((task) => workers.run(JSON.stringify(task))));
    const failures = done.flatMap((d) => (d.status === 'rejected' ? [String(d.reason)] : []));
    const sums = { ...NONE };
    for (const one of done)
      if (one.status === 'fulfilled') {
        const told = Sums.parse(JSON.parse(one.value));
        for (const key of KEYS) sums[key] += told[key];
      }
    count(t, `${stories.told(sums)}, violations: ${failures.length}`);
    assert.equal(failures.length, 0, failures.join('\n\n'));
  });
}
