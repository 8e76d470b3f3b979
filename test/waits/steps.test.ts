/**
 * SIGTERM in each step of an operation, as the undisturbed run has journalled them (issue 5, item 7): the command ends
 * within a second and says where the operation stands and who goes on with it; the next run does, and is stopped in the
 * step after that, until nothing is left to stop. The end is that of the undisturbed run. On virtual time.
 *
 * SOAK=1 takes all stories, and stops each step in a story of its own, too; STEPS_STORY=word: those with that word.
 */
import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { describe, test } from 'node:test';
import { main } from '../../lib/cli/main.ts';
import type { Operation } from '../../lib/state/model.ts';
import { openOperations } from '../../lib/state/operations.ts';
import { COMMANDS } from '../../scripts/commands.ts';
import { count } from '../contract/count.ts';
import { assertSameEnd, hooksUnderWay, onStage, tellWhole, type Told } from '../faults/staged.ts';
import { STORIES, type Story } from '../faults/stories.ts';
import { runners } from '../scenarios/harness/runner.ts';
import { plain, type Program, type Stage } from '../scenarios/harness/stage.ts';

const ALL = process.env['SOAK'] !== undefined;
const WORD = process.env['STEPS_STORY'];

/** Both identities of a failover, the way back, and what people do by hand. */
const USUAL = [
  'a failover of a dead node, with a fence and hooks',
  'a failover with the same vmid',
  'a failback',
  'a backup by hand',
  'a restore by hand',
];
const CHOSEN = STORIES.filter(({ name }) =>
  WORD === undefined ? ALL || USUAL.includes(name) : name.includes(WORD),
);

/** One step of an undisturbed run. */
interface Moment {
  readonly step: string;
  /** From its beginning to the signal. */
  readonly afterMs: number;
}

interface Stopped {
  said: string;
  /** From the signal to the end; null: it was not stopped. */
  tookMs: number | null;
}

/** The last operation that was begun at `since` or later. */
function operationSince(stage: Stage, since: number): Operation | undefined {
  const { operations, problems } = openOperations(stage.stateOf(stage.who), { clock: stage.clock }).list();
  assert.deepEqual(problems, []);
  return operations.findLast(({ createdAt }) => createdAt >= since);
}

/** What comes of the story, and its steps, each with the time in its middle. */
async function undisturbed(story: Story): Promise<{ whole: Told; moments: readonly Moment[] }> {
  let since = 0;
  let moments: readonly Moment[] = [];
  const program: Program = (start) => {
    since = start.clock.now();
    return plain(start);
  };
  const whole = await tellWhole(story, program, (stage) => {
    moments = (operationSince(stage, since)?.steps ?? []).map(({ name, startedAt, endedAt }) => ({
      step: name,
      afterMs: Math.floor(((endedAt ?? startedAt) - startedAt) / 2),
    }));
  });
  assert.ok(moments.length > 0, 'it has steps');
  return { whole, moments };
}

/** The commands, in this process, and SIGTERM when the journal says that the step has begun, and some time after that. */
function stoppedIn({ afterMs }: Moment, hasBegun: () => boolean, stopped: Stopped): Program {
  return async ({ argv, cwd, runtime, io, clock, runner }) => {
    const controller = new AbortController();
    setMaxListeners(0, controller.signal);
    let [isDue, at] = [false, Number.NaN];
    const stop = (): void => {
      at = clock.now();
      controller.abort(new Error('stopped by SIGTERM'));
    };
    runner.onWrite = () => {
      if (isDue || !hasBegun()) return;
      isDue = true;
      if (afterMs === 0) stop();
      else void clock.sleep(afterMs).then(stop);
    };
    const hear = (how: 'out' | 'err') => (text: string) => {
      stopped.said += `${text}\n`;
      io[how](text);
    };
    const heard = { ...io, out: hear('out'), err: hear('err') };
    const { signal } = controller;
    const code = await runners.run(runner, () => main(argv, COMMANDS, { runtime, io: heard, signal, cwd }));
    stopped.tookMs = signal.aborted ? clock.now() - at : null;
    return code;
  };
}

/** One line that says where it stands; and, unless nothing of it goes on, who goes on with it. */
function assertSaid(said: string, { id, status }: Operation): void {
  const [line, ...others] = said.split('\n').filter((one) => one.startsWith('proxwarden: '));
  assert.ok(
    others.length === 0 && line?.startsWith(`proxwarden: ${id} (web) was interrupted`) === true,
    said,
  );
  const next = /^ {2}→ the next `proxwarden check-and-failover` /m;
  if (status === 'running') assert.match(said, next);
  else assert.match(line, /; (nothing of it goes on|the \w+ of CT \d+ on \w+ was stopped)$/);
}

/** Tells the story with a stop in each of these steps, the next of them when the next run has come to it. */
async function stopIn(story: Story, whole: Told, moments: readonly Moment[]): Promise<void> {
  await onStage(story, async (stage, step) => {
    for (const text of story.before) await step(text);
    let since: number | null = null;
    const again: string[] = [];
    for (const moment of moments) {
      const stopped: Stopped = { said: '', tookMs: null };
      const now = (): Operation | undefined => operationSince(stage, since ?? Number.POSITIVE_INFINITY);
      const hasBegun = (): boolean => {
        const last = now()?.steps.at(-1);
        return last?.name === moment.step && last.status === 'started';
      };
      const program = stoppedIn(moment, hasBegun, stopped);
      stage.program = (start) => {
        since ??= start.clock.now();
        return program(start);
      };
      await step(moment === moments[0] ? story.cut : 'cron');
      const op = now();
      assert.ok(op !== undefined && stopped.tookMs !== null, `it does not come to ${moment.step}`);
      assert.equal(stage.exit, 1, moment.step);
      assert.ok(stopped.tookMs <= 1_000, `${moment.step}: it ended after ${stopped.tookMs} ms`);
      assertSaid(stopped.said, op);
      again.push(...hooksUnderWay(stage));
    }
    stage.program = plain;
    await assertSameEnd(stage, step, { story, whole, begun: true, again });
    stage.rules.files(stage.folder);
  });
}

describe('SIGTERM in each step of', () => {
  let stops = 0;
  for (const story of CHOSEN)
    test(story.name, async (t) => {
      const { whole, moments } = await undisturbed(story);
      const alone = moments.map((moment) => [moment]);
      // What a person began and interrupted is ended by the next run, and not gone on with.
      const ways = story.maybe === true ? alone : ALL ? [moments, ...alone] : [moments];
      for (const way of ways) await stopIn(story, whole, way);
      stops += ways.flat().length;
      t.diagnostic(moments.map((moment) => moment.step).join(', '));
    });
  test('all of it', (t) => count(t, `${stops} stops by SIGTERM, each in a step of an operation`));
});
