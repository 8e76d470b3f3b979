/**
 * `kill -9` at every step (issue 5, item 1). The commands run in a real process, which is killed at one of its points; the
 * next runs bring the world to the end that an undisturbed story has, or to that of one in which the command was never
 * given. The points are those that the undisturbed process comes to: around every write, every request and every hook.
 *
 * `npm test` takes those of the first story at which something outside of the process has changed, and a few of the
 * others. SOAK=1 takes all, and those once more with something else that happens before the next run; KILL_PART=2/8 the
 * second eighth of what is taken; KILL_STORY=word only stories with that word.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import * as z from 'zod';
import { count } from '../contract/count.ts';
import { numbers } from '../numbers.ts';
import { inWorker, serve, Workers } from '../scenarios/harness/workers.ts';
import { draw, hasChanged } from './draw.ts';
import { STORIES } from './stories.ts';
import { Cut, tellCut, tellMeanwhile, tellUndisturbed, Undisturbed } from './tell.ts';
import { Point } from './wire.ts';
import type { Bundle } from './world.ts';

const ALL = process.env['SOAK'] !== undefined;
const [PART = 1, PARTS = 1] = (process.env['KILL_PART'] ?? '1/1').split('/').map(Number);
const WORD = process.env['KILL_STORY'] ?? '';
const SEED = Number(process.env['KILL_SEED'] ?? '20261122');

/** So many of the other stories are told in `npm test`, and so many points of each taken. */
const STORIES_DRAWN = 3;
const POINTS_DRAWN = 2;
/** Of the first story, beside those at which something has changed that a later run goes by. */
const FIRST_DRAWN = 4;

const Task = z.object({
  bundle: z.custom<Bundle>(),
  story: z.number(),
  /** null: nobody is killed. */
  cut: z
    .union([
      z.object({ undisturbed: Undisturbed, cut: Cut }),
      z.object({ point: Point, meanwhile: z.array(z.string()) }),
    ])
    .nullable(),
});
type Task = z.infer<typeof Task>;

async function tell({ bundle, story: index, cut }: Task): Promise<unknown> {
  const story = STORIES[index];
  assert.ok(story !== undefined);
  if (cut === null) return tellUndisturbed(story, bundle);
  if ('cut' in cut) await tellCut(story, bundle, cut.undisturbed, cut.cut);
  else await tellMeanwhile(story, bundle, cut.point, cut.meanwhile);
  return null;
}

/** The stories that are told, and how many of their points are taken. */
function chosen(): { index: number; name: string; choose: (points: readonly Point[]) => readonly Point[] }[] {
  const random = numbers(SEED);
  const named = STORIES.map(({ name }, index) => ({ index, name }));
  const meant = named.filter(({ name }) => name.includes(WORD));
  assert.ok(meant.length > 0, `no story has "${WORD}" in its name`);
  if (ALL || WORD !== '')
    return meant.map((one) => ({
      ...one,
      choose: (points) => (ALL ? points : draw(points, POINTS_DRAWN, random)),
    }));
  const [first, ...others] = named;
  assert.ok(first !== undefined);
  return [
    {
      ...first,
      choose: (points) => [
        ...points.filter(hasChanged),
        ...draw(
          points.filter((point) => !hasChanged(point)),
          FIRST_DRAWN,
          random,
        ),
      ],
    },
    ...draw(others, STORIES_DRAWN, random).map((one) => ({
      ...one,
      choose: (points: readonly Point[]) => draw(points, POINTS_DRAWN, random),
    })),
  ];
}

function nameOf(cut: Task['cut'] | undefined): string {
  if (cut == null) return 'no point';
  return 'cut' in cut
    ? JSON.stringify(cut.cut)
    : `${JSON.stringify(cut.point)}, then ${cut.meanwhile.join(', ')}`;
}

if (inWorker) serve(async (text) => JSON.stringify(await tell(Task.parse(JSON.parse(text)))));
else killAll();

function killAll(): void {
  const workers = new Workers(import.meta.url);
  let folder = '';
  let bundle: Bundle;
  let tried = 0;
  let moved = 0;
  const told = async (task: Omit<Task, 'bundle'>): Promise<unknown> =>
    JSON.parse(await workers.run(JSON.stringify({ bundle, ...task })));

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'proxwarden-kill-'));
    const { makeBundle } = await import('./bundle.ts');
    bundle = await makeBundle(folder);
  });
  after(async () => {
    await workers.close();
    rmSync(folder, { recursive: true, force: true });
  });

  describe('a process is killed anywhere in', () => {
    for (const { index, name, choose } of chosen())
      test(name, async (t) => {
        const undisturbed = Undisturbed.parse(await told({ story: index, cut: null }));
        const points = choose(undisturbed.points).filter((_, n) => n % PARTS === PART - 1);
        const brief = { ...undisturbed, points: [] };
        const again = numbers(SEED + index);
        const cuts = points.map((point) => {
          // Some of the next runs are killed, too.
          const number = ALL && again() < 0.125 ? Math.ceil(again() * undisturbed.points.length) : null;
          return { undisturbed: brief, cut: { point, again: number } };
        });
        const others = ALL
          ? points
              .filter(hasChanged)
              .flatMap((point) =>
                (STORIES[index]?.meanwhile ?? []).map((steps) => ({ point, meanwhile: [...steps] })),
              )
          : [];
        const all = [...cuts, ...others];
        const results = await Promise.allSettled(all.map((cut) => told({ story: index, cut })));
        const failures = results.flatMap((r, n) =>
          r.status === 'rejected' ? [`killed at ${nameOf(all[n])}: ${String(r.reason)}`] : [],
        );
        tried += points.length;
        moved += others.length;
        t.diagnostic(`${points.length} of ${undisturbed.points.length} cut points`);
        assert.equal(
          failures.length,
          0,
          `${failures.length} of ${all.length} went wrong:\n${failures.map((f) => f.split('\n')[0]).join('\n')}\n${failures.join('\n\n').slice(0, 60_000)}`,
        );
      });
    test('all of it', (t) => {
      count(t, `${tried} cut points at which a process was killed`);
      if (ALL) count(t, `${moved} of them once more with something else that happened meanwhile`);
    });
  });
}
