/**
 * The answer to one write is lost, or the write itself: whatever it was, the world is read back first, and the end is
 * the same. Every writing call of a few stories takes its turn: POST, PUT and DELETE, of tasks and of settings
 * (issue 3, item 4; scenario 35). `npm test` takes every eighth loss, `npm run soak` all.
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
  readonly folder: string;
  readonly before: readonly string[];
  readonly step: string;
  readonly ends: readonly string[];
  /** Calls that the other stories don't have. */
  readonly only?: RegExp;
}

const stories: readonly Story[] = [
  {
    name: 'the failover of a dead node',
    folder: 'node-dies',
    before: ['cron', 'wait 20s', 'kill pve1'],
    step: 'cron',
    ends: ['pve2'],
    only: /cluster.ha/,
  },
  {
    name: 'a planned move',
    folder: 'node-dies',
    before: ['cron'],
    step: 'run failover web --planned --to pve3',
    ends: ['pve3'],
  },
  {
    name: 'a planned move that is undone',
    folder: 'node-dies',
    before: [
      'cron',
      // Something answers there until the copy is gone again: it is not started.
      'before /POST .nodes.pve3.lxc vmid/: at 10.0.0.101:80 refused',
      'after /DELETE .nodes.pve3.lxc/: at 10.0.0.101:80 lab',
    ],
    step: 'run failover web --planned --to pve3',
    ends: ['pve1'],
    only: /DELETE|pve1|protected=0/,
  },
  {
    name: 'a start in place',
    folder: 'stopped-by-itself',
    before: ['cron', 'crash 101'],
    step: 'cron',
    ends: ['pve1'],
  },
  {
    name: 'keeping a returned original down',
    folder: 'node-dies',
    before: ['cron', 'wait 20s', 'kill pve1', 'cron', 'revive pve1', 'wait 40s'],
    step: 'cron',
    ends: ['pve2'],
  },
];

const ALL = process.env['SOAK'] !== undefined;
const STEP = ALL ? 1 : 8;

/** `lost`: carried out, and nothing comes back; `nothing`: it never arrives; else what a proxy says after carrying it out. */
const HOW = ['lost', 'nothing', '596', '502'] as const;
const Task = z.object({ story: z.number(), call: z.number(), how: z.enum(HOW) });
type Task = z.infer<typeof Task>;

const Told = z.array(z.string());

/** Tells a story in which that call is lost (0: none), and returns the calls of its step. */
async function tell(story: Story, { call, how }: Task): Promise<z.infer<typeof Told>> {
  const folder = join('test', 'scenarios', story.folder);
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const inventory = read('inventory.yaml').replace('defaults:', 'defaults:\n  failureThreshold: 1');
  const stage = new Stage(WorldFile.parse(parse(read('world.yaml'))), { inventory });
  const step = async (text: string): Promise<void> => {
    await carryOut(stage, text);
    await stage.run(stage.settled());
    stage.check();
  };
  let lost = '';
  try {
    for (const text of story.before) await step(text);
    const made = stage.lab.calls.length;
    let calls = 0;
    stage.lab.traps.push({
      pattern: /^(POST|PUT|DELETE)/,
      times: null,
      when: how === 'nothing' ? 'before' : 'after',
      spring() {
        calls += 1;
        if (calls !== call) return undefined;
        lost = stage.lab.calls.at(-1) ?? '';
        if (how === 'lost' || how === 'nothing') return 'lost';
        return { status: Number(how), statusText: 'Connection timed out', headers: {}, body: '' };
      },
    });
    await step(story.step);
    const told = stage.lab.calls.slice(made);
    assertEnd(stage, story, made);
    // Whatever is left of it is done by the next runs, and nothing else.
    await step('cron 2');
    assertEnd(stage, story, made);
    await step('expect 0 protected backups');
    return told;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `call ${call} (${lost}) ${how}: ${why}\n${stage.finish().split('\n').slice(-60).join('\n')}`,
      { cause: error },
    );
  } finally {
    stage.close();
  }
}

function assertEnd(stage: Stage, story: Story, made: number): void {
  const running = stage.lab.running().filter((copy) => copy.hostname === 'web');
  assert.deepEqual(
    running.map((copy) => copy.node),
    story.ends,
    'where it runs',
  );
  assert.ok(
    running.every((copy) => copy.services.every((s) => s.up)),
    'it answers',
  );
  const tasks = stage.lab.calls
    .slice(made)
    .filter((c) => /^POST .*(lxc vmid|status|vzdump)|^DELETE .*lxc/.test(c) && c.endsWith(' 200'));
  assert.equal(new Set(tasks).size, tasks.length, `asked for twice: ${tasks.join('; ')}`);
}

if (inWorker)
  serve(async (text) => {
    const task = Task.parse(JSON.parse(text));
    const story = stories[task.story];
    assert.ok(story !== undefined);
    return JSON.stringify(await tell(story, task));
  });
else loseAll();

function loseAll(): void {
  const workers = new Workers(import.meta.url, ALL ? 2 : 1);
  after(() => workers.close());
  const told = async (task: Task) => Told.parse(JSON.parse(await workers.run(JSON.stringify(task))));

  describe('the answer to one write is lost in', () => {
    for (const [index, story] of stories.entries())
      test(story.name, async (t) => {
        const calls = await told({ story: index, call: 0, how: 'lost' });
        const all = calls.flatMap((name, n) =>
          // A proxy's word is the same to the client as silence: in turn.
          HOW.filter((_, h) => h < 2 || (n + h) % 4 === 0)
            .filter(() => story.only?.test(name) !== false)
            .map((how) => ({ story: index, call: n + 1, how })),
        );
        assert.ok(all.length > 0);
        const taken = all.filter((_, n) => n % STEP === index % STEP);
        const results = await Promise.allSettled(taken.map((task) => told(task)));
        const failures = results.flatMap((r) => (r.status === 'rejected' ? [String(r.reason)] : []));
        t.diagnostic(`${calls.length} writes, ${taken.length} of ${all.length} losses`);
        assert.equal(
          failures.length,
          0,
          `${failures.length} of ${taken.length} went wrong:\n${failures.map((f) => f.split('\n')[0]).join('\n')}\n${failures[0] ?? ''}`,
        );
      });
  });
}
