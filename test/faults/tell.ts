/** Tells a story, with the process killed somewhere in it or not, and holds its end against the undisturbed one. */
import assert from 'node:assert/strict';
import { utimesSync } from 'node:fs';
import * as z from 'zod';
import { plain, type Stage } from '../scenarios/harness/stage.ts';
import { endOf, temps } from './end.ts';
import { assertSameEnd, hooksUnderWay, onStage, tellWhole, Told } from './staged.ts';
import type { Story } from './stories.ts';
import { Point } from './wire.ts';
import { inProcess, type Bundle } from './world.ts';

/** What happens when nothing is killed. */
export const Undisturbed = Told.extend({
  /** Where a process can be killed, in order. */
  points: z.array(Point),
});
export type Undisturbed = z.infer<typeof Undisturbed>;

/** Where it is killed. */
export const Cut = z.object({
  point: Point,
  /** The next run is killed, too, at the point of that number, if it comes to it. */
  again: z.number().nullable(),
});
export type Cut = z.infer<typeof Cut>;

export async function tellUndisturbed(story: Story, bundle: Bundle): Promise<Undisturbed> {
  const points: Point[] = [];
  return { ...(await tellWhole(story, inProcess(bundle, null, { points }))), points };
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
    await assertSameEnd(stage, step, { story, whole: undisturbed, begun, again });
    await assertNoTemps(stage, step);
    stage.rules.files(stage.folder);
  });
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

/**
 * The same with something else that happens before the next run: there is no one end then, but nothing is ever broken, and
 * once all nodes are back the service answers, or a person is told.
 */
export async function tellMeanwhile(
  story: Story,
  bundle: Bundle,
  point: Point,
  meanwhile: readonly string[],
): Promise<void> {
  await onStage(story, async (stage, step) => {
    for (const text of story.before) await step(text);
    stage.program = inProcess(bundle, point.number, { points: [] });
    await step(story.cut);
    assert.equal(stage.exit, null, 'it was to be killed');
    stage.program = plain;
    for (const text of meanwhile) await step(text);
    await step('cron 4');
    for (const { name, power } of stage.labs.nodes()) if (power === 'off') await step(`revive ${name}`);
    await step('wait 60s');
    await step('cron 6');
    const { exit, running } = await endOf(stage);
    assert.deepEqual(running, [], 'an operation is left');
    const up = stage.labs.running().filter((copy) => copy.hostname === 'web');
    const answers = up.length === 1 && up.every((copy) => copy.services.every((service) => service.up));
    assert.ok(answers ? exit === 0 || exit === 4 : exit === 4, `${up.length} run, exit ${exit ?? 'none'}`);
  });
}
