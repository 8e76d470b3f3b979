/**
 * The runner is killed right after each of its durable writes, and right after each writing call before it gets the
 * answer (scenario 2 and 32). Whatever the instant, the next runs bring the same end: one copy that runs and answers,
 * nothing asked for twice, no hands-off.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { parse } from 'yaml';
import * as z from 'zod';
import { Stage } from './harness/stage.ts';
import { carryOut } from './harness/steps.ts';
import { inWorker, serve, Workers } from './harness/workers.ts';
import { WorldFile } from './harness/world.ts';

interface Story {
  readonly name: string;
  /** Whose world and inventory. */
  readonly folder: string;
  readonly before: readonly string[];
  /** The step in which the runner is killed. */
  readonly cut: string;
  /** Where web may run in the end. */
  readonly ends: readonly string[];
  /** Where it runs when the command dies before its operation is in the journal; default pve1. */
  readonly unbegun?: readonly string[];
  /** Where its copies are in the end, running or not. */
  readonly moved?: readonly string[];
  /** It ends in hands off, as it would without a kill. */
  readonly failed?: boolean;
  /** All points, or every sixteenth: the stories share most of their steps. `CUT=all` takes all of all. */
  readonly everyPoint?: boolean;
  /** At most so many calls match over all runs. */
  readonly atMost: readonly (readonly [RegExp, number])[];
}

const RESTORE = /^POST .nodes.pve\d.lxc vmid=.* 200$/;
const START = /^POST .*.status.start.* 200$/;
const STOP = /^POST .*.status.(stop|shutdown).* 200$/;
const DUMP = /^POST .*.vzdump .* 200$/;

const stories: readonly Story[] = [
  {
    name: 'the failover of a dead node',
    folder: 'node-dies',
    before: ['cron', 'wait 20s', 'kill pve1'],
    cut: 'cron',
    ends: ['pve2'],
    everyPoint: true,
    atMost: [
      [RESTORE, 1],
      [START, 1],
      [DUMP, 1],
    ],
  },
  {
    name: 'a planned move',
    folder: 'node-dies',
    before: ['cron'],
    cut: 'run failover web --planned --to pve3',
    ends: ['pve3'],
    atMost: [
      [RESTORE, 1],
      [START, 1],
      [STOP, 1],
      [DUMP, 2],
    ],
  },
  {
    name: 'a way home',
    folder: 'node-dies',
    before: ['cron', 'run failover web --planned --to pve3', 'cron'],
    cut: 'run failback web',
    unbegun: ['pve3'],
    ends: ['pve1'],
    atMost: [
      [RESTORE, 2],
      [START, 2],
      [STOP, 2],
      [DUMP, 4],
    ],
  },
  {
    name: 'a planned move of a stopped container',
    folder: 'planned-move-stopped',
    before: ['cron', 'stop 101 by hand', 'cron'],
    cut: 'run failover web --planned --to pve3',
    ends: [],
    moved: ['pve1', 'pve3'],
    atMost: [
      [RESTORE, 1],
      [START, 0],
      [STOP, 0],
      [DUMP, 2],
    ],
  },
  {
    name: 'a failover whose first target fails',
    folder: 'start-fails-relocate',
    before: [
      'cron',
      'wait 20s',
      'kill pve1',
      'always /POST .nodes.pve2.lxc.\\d+.status.start/ answers 500 no',
    ],
    cut: 'cron',
    ends: ['pve3'],
    atMost: [
      [RESTORE, 2],
      [START, 1],
    ],
  },
  {
    name: 'a failover that is undone',
    folder: 'restore-storage-full',
    before: ['cron', 'fill nas'],
    cut: 'run failover web --planned --to pve3',
    ends: ['pve1'],
    failed: true,
    atMost: [
      [RESTORE, 0],
      [START, 1],
      [STOP, 1],
    ],
  },
  {
    name: 'a failover of a dead node with the same vmid',
    folder: 'same-vmid',
    before: ['cron', 'wait 20s', 'kill pve1'],
    cut: 'cron',
    ends: ['pve2'],
    atMost: [
      [RESTORE, 1],
      [START, 1],
      [DUMP, 1],
    ],
  },
  {
    name: 'a planned move with the same vmid',
    folder: 'same-vmid',
    before: ['cron'],
    cut: 'run failover web --planned --to pve3',
    ends: ['pve3'],
    atMost: [
      [RESTORE, 1],
      [START, 1],
      [STOP, 1],
      [DUMP, 2],
    ],
  },
  {
    name: 'a move with the same vmid that is undone',
    folder: 'same-vmid',
    before: ['cron', 'always /POST .nodes.pve3.lxc vmid=/ answers 500 no'],
    cut: 'run failover web --planned --to pve3',
    ends: ['pve1'],
    failed: true,
    atMost: [
      [RESTORE, 0],
      [START, 1],
      [STOP, 1],
      [DUMP, 1],
    ],
  },
  {
    name: 'a start in place',
    folder: 'stopped-by-itself',
    before: ['cron', 'crash 101'],
    cut: 'cron',
    ends: ['pve1'],
    atMost: [
      [RESTORE, 0],
      [START, 1],
    ],
  },
  {
    name: 'a cleanup',
    folder: 'cleanup',
    before: ['cron', 'run failover web --planned --to pve2', 'wait 168h', 'cron', 'run backup web'],
    cut: 'run cleanup web --yes web',
    unbegun: ['pve2'],
    ends: ['pve2'],
    atMost: [
      [START, 1],
      [/^DELETE .*.lxc.101 200$/, 1],
    ],
  },
  {
    name: 'keeping a returned original down',
    folder: 'node-dies',
    before: ['cron', 'wait 20s', 'kill pve1', 'cron', 'revive pve1', 'wait 40s'],
    cut: 'cron',
    ends: ['pve2'],
    atMost: [[START, 1]],
  },
];

const Task = z.object({
  story: z.number(),
  /** After which the runner dies; neither: it lives. */
  doom: z.object({ writesLeft: z.number().optional(), callsLeft: z.number().optional() }),
});
type Doom = z.infer<typeof Task>['doom'];
const Made = z.object({ writes: z.number(), calls: z.number() });

/** Tells a story with its runner killed there; returns how many writes and calls the cut step has made. */
async function tell(story: Story, doom: Doom): Promise<z.infer<typeof Made>> {
  const folder = join('test', 'scenarios', story.folder);
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  // One failure is enough here: what counts is what comes after.
  const inventory = read('inventory.yaml').replace('defaults:', 'defaults:\n  failureThreshold: 1');
  const stage = new Stage(WorldFile.parse(parse(read('world.yaml'))), { inventory });
  const step = async (text: string): Promise<void> => {
    await carryOut(stage, text);
    await stage.run(stage.settled());
    stage.check();
  };
  try {
    for (const text of story.before) await step(text);
    const earlier = stage.lastOperation();
    stage.doom = doom;
    await step(story.cut);
    const made = { writes: stage.lastRunner?.writes ?? 0, calls: stage.lastRunner?.calls ?? 0 };
    const killed = stage.exit === null;
    assert.equal(killed, doom.writesLeft !== undefined || doom.callsLeft !== undefined);
    const begun = stage.lastOperation() !== earlier;
    await step('cron 2');
    assertEnd(stage, story, begun);
    await step('expect 0 protected backups');
    return made;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `killed at ${JSON.stringify(doom)}: ${why}\n${stage.finish().split('\n').slice(-70).join('\n')}`,
      {
        cause: error,
      },
    );
  } finally {
    stage.close();
  }
}

/** `begun`: a person's command that dies before its operation is in the journal has simply not been given. */
function assertEnd(stage: Stage, story: Story, begun: boolean): void {
  const running = stage.lab.running().filter((copy) => copy.hostname === 'web');
  const ends =
    begun || story.cut === 'cron' || story.moved !== undefined ? story.ends : (story.unbegun ?? ['pve1']);
  if (begun && story.moved !== undefined) {
    const copies = stage.lab.status().containers.filter((c) => c.hostname === 'web');
    assert.deepEqual(
      copies.map((c) => c.node),
      story.moved,
      'where its copies are',
    );
    assert.equal(stage.state().containers['web']?.current?.epoch, 1);
  }
  assert.deepEqual(
    running.map((copy) => copy.node),
    ends,
    'where it runs',
  );
  assert.ok(
    running.every((copy) => copy.services.every((s) => s.up)),
    'it answers',
  );
  for (const [pattern, most] of story.atMost) {
    const found = stage.lab.calls.filter((call) => pattern.test(call));
    assert.ok(found.length <= most, `asked for twice: ${found.join('; ')}`);
  }
  const error = stage.state().containers['web']?.error ?? null;
  assert.equal(error !== null, begun && story.failed === true, `hands off: ${error?.reason ?? 'no'}`);
}

if (inWorker)
  serve(async (text) => {
    const task = Task.parse(JSON.parse(text));
    const story = stories[task.story];
    assert.ok(story !== undefined);
    return JSON.stringify(await tell(story, task.doom));
  });
else cutAll();

function cutAll(): void {
  const workers = new Workers(import.meta.url);
  after(() => workers.close());
  const told = async (story: number, doom: Doom) =>
    Made.parse(JSON.parse(await workers.run(JSON.stringify({ story, doom }))));

  describe('the runner is killed anywhere in', () => {
    for (const [index, story] of stories.entries())
      test(story.name, async (t) => {
        const { writes, calls } = await told(index, {});
        assert.ok(writes > 0);
        const step = story.everyPoint === true || process.env['CUT'] === 'all' ? 1 : 16;
        const all: Doom[] = [
          ...Array.from({ length: writes }, (_, n) => ({ writesLeft: n + 1 })),
          ...Array.from({ length: calls }, (_, n) => ({ callsLeft: n + 1 })),
        ];
        const points = all.filter((_, n) => n % step === 0);
        const results = await Promise.allSettled(points.map((doom) => told(index, doom)));
        const failures = results.flatMap((r) => (r.status === 'rejected' ? [String(r.reason)] : []));
        t.diagnostic(`${writes} writes and ${calls} calls: ${points.length} of ${all.length} cut points`);
        assert.equal(
          failures.length,
          0,
          `${failures.length} of ${points.length} went wrong:\n${failures[0] ?? ''}`,
        );
      });
  });
}
