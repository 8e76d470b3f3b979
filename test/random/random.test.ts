/**
 * Random worlds in which random things happen while the real commands run, on virtual time: nodes die, links are cut,
 * storages fill, clocks jump, the API answers nonsense, the runner is killed, people act in between. After every step the
 * lab's ground truth is held against the rules that never break; at the end everything heals, and every container must
 * be there once. (Issue 4, item 9.)
 *
 * The same stories every time; `RANDOM_RUNS=1000 npm test -- random` plays so many new ones. One that goes wrong is made
 * shorter, and printed with the command that replays it.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import * as z from 'zod';
import { count } from '../contract/count.ts';
import { inWorker, serve, Workers } from '../scenarios/harness/workers.ts';
import { playRandom, type Told } from './play.ts';
import { fitted, randomSteps } from './acts.ts';
import { randomWorld, type RandomWorld } from './worlds.ts';

const RUNS = Number(process.env['RANDOM_RUNS'] ?? '0');
const Task = z.object({ seed: z.number(), runs: z.number(), path: z.string().optional() });
type Task = z.infer<typeof Task>;
const Sums = z.object({
  runs: z.number(),
  steps: z.number(),
  faults: z.number(),
  operations: z.number(),
  failovers: z.number(),
  held: z.number(),
});

const story = fc.record({ world: randomWorld, steps: randomSteps });

function storyOf(world: RandomWorld, steps: readonly string[]): string[] {
  return steps.map((step) => fitted(step, world));
}

async function playAll({ seed, runs, path }: Task): Promise<z.infer<typeof Sums>> {
  const sums = { runs: 0, steps: 0, faults: 0, operations: 0, failovers: 0, held: 0 };
  const result = await fc.check(
    fc.asyncProperty(story, async ({ world, steps }) => {
      const told: Told = await playRandom(world, storyOf(world, steps));
      sums.runs += 1;
      for (const key of ['steps', 'faults', 'operations', 'failovers', 'held'] as const)
        sums[key] += told[key];
    }),
    { seed, numRuns: runs, ...(path === undefined ? {} : { path }) },
  );
  if (!result.failed || result.counterexample === null) return sums;
  const { world, steps } = result.counterexample[0];
  const error = result.errorInstance instanceof Error ? result.errorInstance.message : 'it failed';
  throw new Error(
    [
      `replay it with: RANDOM_SEED=${result.seed} RANDOM_PATH=${result.counterexamplePath} npm test -- random`,
      'inventory.yaml:',
      world.inventory,
      `world.yaml: ${JSON.stringify(world.world)}`,
      `steps.yaml:\n${['cron', ...storyOf(world, steps)].map((step) => `- ${step}`).join('\n')}`,
      error,
    ].join('\n'),
  );
}

function tasks(): Task[] {
  const seed = process.env['RANDOM_SEED'];
  if (seed !== undefined) return [{ seed: Number(seed), runs: 1, path: process.env['RANDOM_PATH'] }];
  if (RUNS === 0) return [1, 2].map((fixed) => ({ seed: fixed, runs: 6 }));
  const first = randomInt(2 ** 31 - 64);
  return Array.from({ length: Math.ceil(RUNS / 50) }, (_, n) => ({ seed: first + n, runs: 50 }));
}

if (inWorker) serve(async (task) => JSON.stringify(await playAll(Task.parse(JSON.parse(task)))));
else {
  const workers = new Workers(import.meta.url);
  after(() => workers.close());
  test('whatever happens, no rule is broken and no container is lost', async (t) => {
    const done = await Promise.allSettled(tasks().map((task) => workers.run(JSON.stringify(task))));
    const failures = done.flatMap((d) => (d.status === 'rejected' ? [String(d.reason)] : []));
    const all = done.flatMap((d) => (d.status === 'fulfilled' ? [Sums.parse(JSON.parse(d.value))] : []));
    const sum = (key: keyof z.infer<typeof Sums>): number => all.reduce((total, one) => total + one[key], 0);
    count(
      t,
      `random stories: ${sum('runs')} runs, ${sum('steps')} steps, ${sum('faults')} faults and people's acts, ${sum('operations')} operations (${sum('failovers')} failovers done), ${sum('held')} containers down for a reason that is said, violations: ${failures.length}`,
    );
    assert.equal(failures.length, 0, failures.join('\n\n'));
  });
}
