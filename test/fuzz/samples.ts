/** Genuine files of a state folder, as runs in a scenario's world have left them there. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { Stage } from '../scenarios/harness/stage.ts';
import { carryOut } from '../scenarios/harness/steps.ts';
import { WorldFile } from '../scenarios/harness/world.ts';

const SCENARIO = join('test', 'scenarios', 'node-dies');

export interface StateSamples {
  readonly inventory: string;
  /** The virtual time at which the last of them was written, epoch ms. */
  readonly now: number;
  readonly states: readonly string[];
  readonly observations: readonly string[];
  readonly plans: readonly { readonly id: string; readonly text: string }[];
  readonly journals: readonly { readonly id: string; readonly text: string }[];
  readonly events: readonly string[];
}

/** A scenario's world before its first step. One failure is enough. */
export function openWorld(scenario = SCENARIO): { stage: Stage; inventory: string } {
  const read = (name: string): string => readFileSync(join(scenario, name), 'utf8');
  const inventory = read('inventory.yaml').replace('defaults:', 'defaults:\n  failureThreshold: 1');
  return { stage: new Stage(WorldFile.parse(parse(read('world.yaml'))), { inventory }), inventory };
}

/** Before a failover, in the middle of it (its runner was killed), and after it. */
export async function stateSamples(): Promise<StateSamples> {
  const { stage, inventory } = openWorld();
  const step = async (...texts: readonly string[]): Promise<void> => {
    for (const text of texts) await carryOut(stage, text);
  };
  const folder = (name: string): string => join(stage.stateOf('a'), name);
  const named = (name: string) =>
    readdirSync(folder(name))
      .filter((file) => /^[\w-]+\.json$/.test(file))
      .map((file) => ({ id: file.slice(0, -5), text: readFileSync(join(folder(name), file), 'utf8') }));
  const states: string[] = [];
  const observations: string[] = [];
  const look = (): void => {
    states.push(readFileSync(folder('state.json'), 'utf8'));
    observations.push(readFileSync(folder('observation.json'), 'utf8'));
  };
  try {
    await step('cron', 'wait 20s', 'kill pve1', 'wait 60s', 'run check --count', 'run decide');
    look();
    const plans = named('plans');
    await step('doom 8 calls', 'cron');
    look();
    const journals = named('operations');
    await step('cron');
    look();
    journals.push(...named('operations'));
    const events = [readFileSync(folder('events.ndjson'), 'utf8')];
    return { inventory, now: stage.clock.now(), states, observations, plans, journals, events };
  } finally {
    stage.close();
  }
}
