/** Plays a scenario's folder from its first step to its last, and returns the log. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { parse } from 'yaml';
import { Stage } from './stage.ts';
import { carryOut } from './steps.ts';
import { WorldFile } from './world.ts';

const Steps = z.array(z.string());

export async function play(folder: string): Promise<string> {
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const world = WorldFile.parse(parse(read('world.yaml')) ?? {});
  const steps = Steps.parse(parse(read('steps.yaml')));
  const stage = new Stage(world, { inventory: read('inventory.yaml'), scenario: folder });
  let now = '';
  try {
    for (const step of steps) {
      now = step;
      await carryOut(stage, step);
      await stage.run(stage.settled());
      stage.check();
    }
    now = 'the end';
    stage.rules.files(stage.folder);
    return stage.finish();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`at "${now}": ${why}\n${stage.finish().split('\n').slice(-60).join('\n')}`, {
      cause: error,
    });
  } finally {
    stage.close();
  }
}
