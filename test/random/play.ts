/** Plays a random story to its end, then heals everything and looks what has become of the containers. */
import assert from 'node:assert/strict';
import { assertReadable } from '../fuzz/clear.ts';
import { Stage } from '../scenarios/harness/stage.ts';
import { carryOut } from '../scenarios/harness/steps.ts';
import { isCommand } from './acts.ts';
import { Truth } from './truth.ts';
import type { RandomWorld } from './worlds.ts';

/** What a story has seen. */
export interface Told {
  steps: number;
  faults: number;
  operations: number;
  failovers: number;
  /** Containers that are down at the end, and the tool says why. */
  held: number;
  /** Answers that came out as something else. */
  garbled: number;
}

/** Plays it. Rejects with the first rule that is broken, and the end of the log. */
export async function playRandom(world: RandomWorld, steps: readonly string[]): Promise<Told> {
  const stage = new Stage(world.world, { inventory: world.inventory });
  const truth = new Truth(stage, world);
  const told: Told = { steps: 0, faults: 0, operations: 0, failovers: 0, held: 0, garbled: 0 };
  let now = '';
  const step = async (text: string): Promise<void> => {
    now = text;
    told.steps += 1;
    if (!isCommand(text)) told.faults += 1;
    const before = truth.journals();
    const lost = truth.canariesLost();
    await carryOut(stage, text);
    await stage.run(stage.settled());
    stage.check();
    assertReadable(stage.log.recent(), 'the log');
    truth.after(text, before, lost);
    assert.deepEqual(truth.broken, []);
  };
  try {
    await step('cron');
    for (const text of steps) await step(text);
    for (const text of healing(world, stage)) await step(text);
    await step('cron 8');
    stage.rules.files(stage.folder);
    told.held = theEnd(world, stage, truth);
    told.garbled = stage.labs.garbled;
    const operations = [...truth.journals().values()];
    told.operations = operations.length;
    told.failovers = operations.filter((op) => op.kind === 'failover' && op.status === 'done').length;
    return told;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`at "${now}": ${why}\n${stage.finish().split('\n').slice(-80).join('\n')}`, {
      cause: error,
    });
  } finally {
    stage.close();
  }
}

/** Everything is mended, and a person has looked at what needs one. */
function* healing({ nodes, containers }: RandomWorld, stage: Stage): Generator<string> {
  // What was to happen by itself has happened.
  yield* ['no faults', 'wait 7m', 'as a'];
  yield* ['runner mended', 'plugs well', 'canary 10.0.0.1:53 up', 'canary 10.0.0.9:8007 up'];
  yield* ['mount nas', 'drain nas', 'drain local'];
  for (const node of nodes) yield* [`unhang ${node}`, `mount nas on ${node}`, `mend ${node}`];
  for (const node of nodes) yield `revive ${node}`;
  for (const { name, host } of containers) yield* [`fix ${name}`, `at ${host}:80 lab`];
  if (stage.skewMs !== 0) yield `clock ${stage.skewMs < 0 ? '+' : '-'}${Math.abs(stage.skewMs) / 1000}s`;
  yield* ['run unpause', 'as b', 'run unpause'];
  yield* ['wait 2m', 'as b', 'cron 2', 'as a', 'cron 2'];
  for (const { name } of containers) yield `run ack ${name}`;
}

/** Nobody is lost, nobody is there twice, and nothing is left lying about. Returns how many are down for a reason that is said. */
function theEnd(world: RandomWorld, stage: Stage, truth: Truth): number {
  let held = 0;
  const status = stage.lab.status();
  for (const { name } of world.containers) {
    const copies = status.containers.filter((c) => c.hostname === name);
    assert.ok(copies.length > 0, `2: no copy of ${name} is left`);
    const running = copies.filter((c) => c.state === 'running');
    assert.ok(running.length <= 1, `1: ${running.length} copies of ${name} run`);
    if (running.length === 0) {
      held += 1;
      assert.match(
        stage.log.recent(),
        new RegExp(`\\b${name}\\b`),
        `${name} does not run, and nothing is said of it`,
      );
    }
    if (running.length === 1)
      for (const other of copies.filter((c) => c.state === 'stopped'))
        assert.ok(!other.onboot, `1: CT ${other.vmid} of ${name} would start when ${other.node} boots`);
  }
  const cut = [...truth.journals().values()].filter((op) => op.status === 'running');
  assert.deepEqual(
    cut.map((op) => `${op.id} of ${op.container}`),
    [],
    '6: operations that nobody goes on with',
  );
  return held;
}
