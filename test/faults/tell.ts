/** Tells a story, with the process killed somewhere in it or not, and holds its end against the undisturbed one. */
import assert from 'node:assert/strict';
import { readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import * as z from 'zod';
import { openOperations } from '../../lib/state/operations.ts';
import { plain, Stage } from '../scenarios/harness/stage.ts';
import { carryOut } from '../scenarios/harness/steps.ts';
import { WorldFile } from '../scenarios/harness/world.ts';
import { End, endOf, temps } from './end.ts';
import type { Story } from './stories.ts';
import { Point } from './wire.ts';
import { inProcess, type Bundle } from './world.ts';

/** What happens when nothing is killed. */
export const Undisturbed = z.object({
  /** Where a process can be killed, in order. */
  points: z.array(Point),
  end: End,
  /** The same, had the command never been given; cron gives its own again. */
  without: End,
  /** How often each task was asked for, by its call. */
  tasks: z.record(z.string(), z.number()),
  hooks: z.array(z.string()),
});
export type Undisturbed = z.infer<typeof Undisturbed>;

/** Where it is killed. */
export const Cut = z.object({
  point: Point,
  /** The next run is killed, too, at the point of that number, if it comes to it. */
  again: z.number().nullable(),
});
export type Cut = z.infer<typeof Cut>;

/** Calls that make a task of PVE, and orders to root shells: none of them may be given twice. */
const TASKS =
  /^(POST .*\/(lxc|vzdump|status\/(start|stop|shutdown))( .*)?|DELETE .*\/lxc\/\d+( .*)?) 200$|^(pct|SHELL stop-orphan) /;
/** Nor may a config be moved twice; an order for what is done already does nothing. */
const MOVED = /^\/etc\/pve: .* moved to /;

export async function tellUndisturbed(story: Story, bundle: Bundle): Promise<Undisturbed> {
  return onStage(story, async (stage, step) => {
    for (const text of story.before) await step(text);
    const points: Point[] = [];
    stage.program = inProcess(bundle, null, { points });
    await step(story.cut);
    stage.program = plain;
    const end = await endAfter(stage, step);
    const without =
      story.cut === 'cron'
        ? end
        : await onStage(story, async (other, otherStep) => {
            for (const text of story.before) await otherStep(text);
            return endAfter(other, otherStep);
          });
    return { points, end, without, tasks: tasksOf(stage), hooks: stage.hooksRun.map(withoutId) };
  });
}

/** The next run does what is left, the one after it finds everything in order. */
async function endAfter(stage: Stage, step: (text: string) => Promise<void>): Promise<End> {
  await step('cron 2');
  return endOf(stage);
}

export async function tellCut(
  story: Story,
  bundle: Bundle,
  undisturbed: Undisturbed,
  cut: Cut,
): Promise<void> {
  await onStage(story, async (stage, step) => {
    for (const text of story.before) await step(text);
    const earlier = stage.lastOperation();
    const points: Point[] = [];
    stage.program = inProcess(bundle, cut.point.number, { points });
    await step(story.cut);
    assert.equal(stage.exit, null, 'it was to be killed');
    assert.deepEqual(points, [cut.point], 'it was to be killed there');
    const begun = stage.lastOperation() !== earlier;
    const again = hooksUnderWay(stage);
    if (cut.again !== null) {
      stage.program = inProcess(bundle, cut.again, { points });
      await step('cron');
      again.push(...hooksUnderWay(stage));
    }
    stage.program = plain;
    const end = await endAfter(stage, step);
    // A person's command that was killed before its operation was in the journal has simply not been given.
    const { without } = undisturbed;
    const wanted = begun || story.cut === 'cron' ? undisturbed.end : without;
    if (story.maybe !== true || JSON.stringify(end) !== JSON.stringify(without))
      assert.deepEqual(end, wanted, 'another end');
    assertOnce(stage, undisturbed, again);
    if (wanted !== without)
      assert.deepEqual(new Set(stage.hooksRun.map(withoutId)), new Set(undisturbed.hooks), 'other hooks');
    await assertNoTemps(stage, step);
    stage.rules.files(stage.folder);
  });
}

/** Throws with the story's log when `tell` does. */
async function onStage<T>(
  story: Story,
  tell: (stage: Stage, step: (text: string) => Promise<void>) => Promise<T>,
): Promise<T> {
  const folder = join('test', 'scenarios', story.folder);
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const inventory = read('inventory.yaml');
  // A disk that is fast makes no difference but for the number of questions how far a task is.
  const world = { ...WorldFile.parse(parse(read('world.yaml'))), throughputMiB: 1000 };
  const stage = new Stage(world, {
    inventory: story.inventory?.(inventory) ?? inventory,
    scenario: folder,
    realOwners: true,
  });
  stage.program = plain;
  let now = '';
  try {
    return await tell(stage, async (text) => {
      now = text;
      await carryOut(stage, text);
      await stage.run(stage.settled());
      stage.check();
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`at or after "${now}": ${why}\n${stage.finish().split('\n').slice(-90).join('\n')}`, {
      cause: error,
    });
  } finally {
    stage.close();
  }
}

/** No task is asked for twice, and no hook of a step that had ended is run again. */
function assertOnce(stage: Stage, undisturbed: Undisturbed, again: readonly string[]): void {
  for (const [task, count] of Object.entries(tasksOf(stage))) {
    // An unstarted copy may be taken away again.
    const most = Math.max(undisturbed.tasks[task] ?? 0, task.startsWith('DELETE ') ? 1 : 0);
    assert.ok(count <= most, `asked for too often: ${task}`);
  }
  const times = new Map<string, number>();
  for (const hook of stage.hooksRun) times.set(hook, (times.get(hook) ?? 0) + 1);
  for (const [hook, count] of times)
    assert.ok(count <= 1 + again.filter((one) => hook.startsWith(one)).length, `run too often: ${hook}`);
}

/** `before of op-…` for the hooks of a step that was cut. */
function hooksUnderWay(stage: Stage): string[] {
  const { operations } = openOperations(stage.stateOf(stage.who), { clock: stage.clock }).list();
  return operations.flatMap((op) =>
    op.steps.flatMap((step) =>
      step.status === 'started' && step.name.startsWith('hooks ')
        ? [`${step.name.slice('hooks '.length)} of ${op.id}`]
        : [],
    ),
  );
}

function tasksOf(stage: Stage): Record<string, number> {
  const counts: Record<string, number> = {};
  const moved = stage.labs.all.flatMap((lab) => lab.events.map(({ text }) => text));
  for (const call of [
    ...stage.labs.calls.filter((c) => TASKS.test(c)),
    ...moved.filter((e) => MOVED.test(e)),
  ]) {
    const name = withoutId(call.replace(/ (?!vmid)\w+=.*(?= \d+$)/, ''));
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** Temp files that the killed process has left are deleted when they are an hour old. */
async function assertNoTemps(stage: Stage, step: (text: string) => Promise<void>): Promise<void> {
  const left = temps(stage);
  if (left.length === 0) return;
  const old = (stage.clock.now() - 2 * 3_600_000) / 1000;
  for (const path of left) utimesSync(path, old, old);
  await step('cron');
  assert.deepEqual(temps(stage), [], 'temp files are left');
}

function withoutId(text: string): string {
  return text.replaceAll(/op-\d{8}T\d{6}-[0-9a-f]{6}/g, 'OP');
}
