/** Stories on a stage of their own, and what is looked at when they have ended: for those that kill a process in them or stop it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import * as z from 'zod';
import { openOperations } from '../../lib/state/operations.ts';
import { plain, Stage, type Program } from '../scenarios/harness/stage.ts';
import { carryOut } from '../scenarios/harness/steps.ts';
import { WorldFile } from '../scenarios/harness/world.ts';
import { End, endOf } from './end.ts';
import type { Story } from './stories.ts';

/** What has come of a story that nobody disturbs. */
export const Told = z.object({
  end: End,
  /** The same, had the command never been given; cron gives its own again. */
  without: End,
  /** How often each task was asked for, by its call. */
  tasks: z.record(z.string(), z.number()),
  hooks: z.array(z.string()),
});
export type Told = z.infer<typeof Told>;

/** Calls that make a task of PVE, and orders to root shells: none of them may be given twice. */
const TASKS =
  /^(POST .*\/(lxc|vzdump|status\/(start|stop|shutdown))( .*)?|DELETE .*\/lxc\/\d+( .*)?) 200$|^(pct|SHELL stop-orphan) /;
/** Nor may a config be moved twice; an order for what is done already does nothing. */
const MOVED = /^\/etc\/pve: .* moved to /;

/** Tells the whole story, its command run by `program`; `look`: at what that has left. */
export async function tellWhole(
  story: Story,
  program: Program,
  look: (stage: Stage) => void = () => undefined,
): Promise<Told> {
  return onStage(story, async (stage, step) => {
    for (const text of story.before) await step(text);
    stage.program = program;
    await step(story.cut);
    assert.notEqual(stage.exit, 2, 'the inventory is refused, or the command');
    look(stage);
    stage.program = plain;
    const end = await endAfter(stage, step);
    const without =
      story.cut === 'cron'
        ? end
        : await onStage(story, async (other, otherStep) => {
            for (const text of story.before) await otherStep(text);
            return endAfter(other, otherStep);
          });
    return { end, without, tasks: tasksOf(stage), hooks: stage.hooksRun.map(withoutId) };
  });
}

export interface CutShort {
  readonly story: Story;
  readonly whole: Told;
  /** Its operation was in the journal by then. */
  readonly begun: boolean;
  /** Hooks of the steps that were cut. */
  readonly again: readonly string[];
}

/** Goes on after the story's command was cut: the end is the whole story's, and nothing was asked for twice. */
export async function assertSameEnd(
  stage: Stage,
  step: (text: string) => Promise<void>,
  { story, whole, begun, again }: CutShort,
): Promise<void> {
  const end = await endAfter(stage, step);
  // A person's command that was cut before its operation was in the journal has simply not been given.
  const { without } = whole;
  const wanted = begun || story.cut === 'cron' ? whole.end : without;
  if (story.maybe !== true || JSON.stringify(end) !== JSON.stringify(without))
    assert.deepEqual(end, wanted, 'another end');
  assertOnce(stage, whole, again);
  if (wanted !== without)
    assert.deepEqual(new Set(stage.hooksRun.map(withoutId)), new Set(whole.hooks), 'other hooks');
}

/** The next run does what is left, the one after it finds everything in order. */
async function endAfter(stage: Stage, step: (text: string) => Promise<void>): Promise<End> {
  await step('cron 2');
  return endOf(stage);
}

/** Throws with the story's log when `tell` does. */
export async function onStage<T>(
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
function assertOnce(stage: Stage, whole: Told, again: readonly string[]): void {
  for (const [task, count] of Object.entries(tasksOf(stage))) {
    // An unstarted copy may be taken away again.
    const most = Math.max(whole.tasks[task] ?? 0, task.startsWith('DELETE ') ? 1 : 0);
    assert.ok(count <= most, `asked for too often: ${task}`);
  }
  const times = new Map<string, number>();
  for (const hook of stage.hooksRun) times.set(hook, (times.get(hook) ?? 0) + 1);
  for (const [hook, count] of times)
    assert.ok(count <= 1 + again.filter((one) => hook.startsWith(one)).length, `run too often: ${hook}`);
}

/** `before of op-…` for the hooks of a step that was cut. */
export function hooksUnderWay(stage: Stage): string[] {
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

function withoutId(text: string): string {
  return text.replaceAll(/op-\d{8}T\d{6}-[0-9a-f]{6}/g, 'OP');
}
