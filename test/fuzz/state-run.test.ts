/**
 * Whole runs on a state folder in which one file says something else than was written: before, in the midst of and after
 * a failover. Never two, no rule broken; a state that makes no sense is refused, and one that does is not believed more
 * than the cluster.
 *
 * The same few every time; `FUZZ_RUNS=500`, or SOAK=1, takes a tenth of that: each plays a story of its own.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import * as z from 'zod';
import { count } from '../contract/count.ts';
import type { Stage } from '../scenarios/harness/stage.ts';
import { carryOut } from '../scenarios/harness/steps.ts';
import { inWorker, serve, Workers } from '../scenarios/harness/workers.ts';
import { assertReadable } from './clear.ts';
import { bentBytes, bentJson } from './edits.ts';
import { RUNS } from './fuzz.ts';
import { edits, rarely } from './mutate.ts';
import { openWorld } from './samples.ts';

const DIES = ['cron', 'wait 20s', 'kill pve1', 'wait 60s'] as const;
const MOMENTS: string[][] = [
  ['cron'],
  [...DIES, 'run check --count', 'run decide'],
  [...DIES, 'doom 4 calls', 'cron'],
  [...DIES, 'doom 12 writes', 'cron'],
  [...DIES, 'doom 25 writes', 'cron'],
  ['cron', 'doom 9 writes', 'run failover web --planned --to pve3'],
  ['cron', 'doom 20 writes', 'run failover web --planned --to pve3'],
  [...DIES, 'cron', 'revive pve1', 'wait 40s'],
];
const AFTER = ['cron', 'run failover web --plan PLAN', 'run failover web', 'cron 2', 'run status'] as const;
const FOLDERS = ['', 'operations', 'plans'] as const;

const input = fc.record({
  moment: fc.constantFrom(...MOMENTS),
  folder: fc.constantFrom(...FOLDERS, 'operations' as const),
  file: fc.nat(20),
  tree: edits,
  bytes: rarely,
  after: fc.array(fc.constantFrom(...AFTER), { minLength: 1, maxLength: 3 }),
});
type Input = z.infer<typeof Input>;
const Edits = z.array(z.object({ at: z.number(), how: z.number(), what: z.number() }));
const Input = z.object({
  moment: z.array(z.string()),
  folder: z.string(),
  file: z.number(),
  tree: Edits,
  bytes: Edits,
  after: z.array(z.string()),
});

function spoil(stage: Stage, { folder, file, tree, bytes }: Input): void {
  const dir = join(stage.stateOf('a'), folder);
  const names = existsSync(dir) ? readdirSync(dir).filter((name) => /^[\w-]+\.json$/.test(name)) : [];
  const name = names[file % Math.max(names.length, 1)];
  if (name === undefined) return;
  const text = bentJson(readFileSync(join(dir, name), 'utf8'), tree);
  writeFileSync(join(dir, name), bentBytes(Buffer.from(text), bytes));
}

async function play(one: Input): Promise<void> {
  const { stage } = openWorld();
  let now = '';
  const step = async (text: string): Promise<void> => {
    now = text;
    await carryOut(stage, text);
    await stage.run(stage.settled());
    stage.check();
  };
  try {
    for (const text of one.moment) await step(text);
    spoil(stage, one);
    for (const text of one.after) {
      await step(text);
      assertReadable(stage.log.recent(), 'the log');
      assert.ok([0, 1, 2, 3, 4, 5, 75].includes(stage.exit ?? -1), `exit ${stage.exit ?? 'killed'}`);
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`at "${now}": ${why}\n${stage.finish().split('\n').slice(-40).join('\n')}`, {
      cause: error,
    });
  } finally {
    stage.close();
  }
}

const Task = z.object({ seed: z.number(), runs: z.number(), path: z.string().optional() });

async function playAll({ seed, runs, path }: z.infer<typeof Task>): Promise<void> {
  const result = await fc.check(fc.asyncProperty(input, play), {
    seed,
    numRuns: runs,
    ...(path === undefined ? {} : { path }),
  });
  if (!result.failed) return;
  throw new Error(
    `replay it with: FUZZ_NAME=state-run FUZZ_SEED=${result.seed} FUZZ_PATH=${result.counterexamplePath ?? ''} npm test -- fuzz/state-run\n${JSON.stringify(result.counterexample)}\n${result.errorInstance instanceof Error ? result.errorInstance.message : ''}`,
  );
}

if (inWorker) serve(async (task) => JSON.stringify((await playAll(Task.parse(JSON.parse(task)))) ?? {}));
else {
  const workers = new Workers(import.meta.url);
  after(() => workers.close());
  test('a file of the state that says something else', async (t) => {
    const { FUZZ_SEED: seed, FUZZ_PATH: path } = process.env;
    const first = seed === undefined ? (RUNS === 0 ? 1 : randomInt(2 ** 31 - 100)) : Number(seed);
    const runs = path === undefined ? Math.ceil((RUNS === 0 ? 20 : RUNS) / 10) : 1;
    const tasks =
      path === undefined
        ? [first, first + 1].map((n) => ({ seed: n, runs: Math.ceil(runs / 2) }))
        : [{ seed: first, runs: 1, path }];
    const done = await Promise.allSettled(tasks.map((task) => workers.run(JSON.stringify(task))));
    const failures = done.flatMap((d) => (d.status === 'rejected' ? [String(d.reason)] : []));
    count(t, `fuzzed state files under whole runs: ${runs} stories, violations: ${failures.length}`);
    assert.equal(failures.length, 0, failures.join('\n\n'));
  });
}
