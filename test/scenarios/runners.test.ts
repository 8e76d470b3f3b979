/**
 * A runner on every node, one state on the cluster's file system, and a dead node whose container has to be failed over.
 * Right after each durable write of the runner that acts, and right after each of its writing calls, something befalls it
 * or its node. Whatever it is and whenever: the others bring the same end, and nothing is asked for twice.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import * as z from 'zod';
import { count } from '../contract/count.ts';
import { Stage } from './harness/stage.ts';
import { carryOut } from './harness/steps.ts';
import { inWorker, serve, Workers } from './harness/workers.ts';
import { WorldFile } from './harness/world.ts';

const FOLDER = join('test', 'scenarios', 'runner-node-dies');
const ACTING = 'pve2';

const FATES: Readonly<Record<string, (stage: Stage) => void>> = {
  'it is killed': (stage) => stage.lastRunner?.die(),
  'its node dies': (stage) => stage.lab.kill(ACTING),
  'its node is cut off': (stage) => stage.lab.cut(ACTING),
  'corosync loses its node': (stage) => stage.clusterFs?.part(ACTING, stage.clock.now()),
};

const AT_MOST_ONCE = [
  /^POST .nodes.pve\d.lxc vmid=.* 200$/,
  /^POST .*.status.start.* 200$/,
  /^POST .*.vzdump .* 200$/,
];

const Task = z.object({
  fate: z.string().nullable(),
  writesLeft: z.number().optional(),
  callsLeft: z.number().optional(),
});
type Task = z.infer<typeof Task>;
const Made = z.object({ writes: z.number(), calls: z.number() });

/** Tells the story; returns how many writes and calls the acting runner has made. */
async function tell({ fate, ...doom }: Task): Promise<z.infer<typeof Made>> {
  const read = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');
  const world = WorldFile.parse(parse(read('world.yaml').replace(/diskMiB: \d+/, 'diskMiB: 100')));
  const stage = new Stage(world, { inventory: read('inventory.yaml') });
  const step = async (text: string): Promise<void> => {
    await carryOut(stage, text);
    await stage.run(stage.settled());
    stage.check();
  };
  try {
    for (const text of ['cron on pve2 pve4', 'wait 20s', 'kill pve1', 'cron on pve2 pve4', 'join'])
      await step(text);
    const befall = fate === null ? undefined : FATES[fate];
    stage.doom = befall === undefined ? {} : { ...doom, fate: () => befall(stage) };
    await step(`cron on ${ACTING}`);
    const acting = stage.lastRunner;
    for (const text of ['cron on pve2 pve4, 3 times', 'join', 'as pve4']) await step(text);
    await step('expect running web on pve3');
    await step('expect answers web');
    await step('expect no error of web');
    await step('expect 0 protected backups');
    for (const pattern of AT_MOST_ONCE) {
      const found = stage.lab.calls.filter((call) => pattern.test(call));
      assert.ok(found.length <= 1, `asked for twice: ${found.join('; ')}`);
    }
    return { writes: acting?.writes ?? 0, calls: acting?.calls ?? 0 };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${fate ?? 'nothing'} ${JSON.stringify(doom)}: ${why}\n${stage.finish().split('\n').slice(-70).join('\n')}`,
      { cause: error },
    );
  } finally {
    stage.close();
  }
}

if (inWorker) serve(async (text) => JSON.stringify(await tell(Task.parse(JSON.parse(text)))));
else {
  const workers = new Workers(import.meta.url);
  after(() => workers.close());
  const told = async (task: Task) => Made.parse(JSON.parse(await workers.run(JSON.stringify(task))));

  test('whatever befalls the runner that acts, another one goes on', async (t) => {
    const { writes, calls } = await told({ fate: null });
    const points = [
      ...Array.from({ length: writes }, (_, n) => ({ writesLeft: n + 1 })),
      ...Array.from({ length: calls }, (_, n) => ({ callsLeft: n + 1 })),
    ];
    const every = process.env['SOAK'] !== undefined;
    const all = Object.keys(FATES).flatMap((fate) => points.map((point) => ({ fate, ...point })));
    // The scenarios of runners tell some of them anyway.
    const tasks = every ? all : all.filter((_, n) => n === Math.floor(all.length * 0.6));
    const results = await Promise.allSettled(tasks.map(told));
    const failures = results.flatMap((r) => (r.status === 'rejected' ? [String(r.reason)] : []));
    count(
      t,
      `${tasks.length} of ${all.length} points at which the acting one of several runners is lost (SOAK=1: all of them)`,
    );
    assert.equal(
      failures.length,
      0,
      `${failures.length} of ${tasks.length} went wrong:\n${failures[0] ?? ''}`,
    );
  });
}
