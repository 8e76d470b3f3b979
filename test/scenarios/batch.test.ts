/**
 * A large batch (scenario 36): 40 containers on the node that dies, two nodes with room for 25. What is carried out, in which
 * order, how many at the same time, and how long it takes against what the limits allow at best.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import * as z from 'zod';
import { Stage } from './harness/stage.ts';
import { carryOut } from './harness/steps.ts';
import { WorldFile } from './harness/world.ts';

const FOLDER = join('test', 'scenarios', 'fleet');
const read = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');
const PER_NODE = 2;
const PER_STORAGE = 3;
const AHEAD = 2 * PER_NODE;

interface Restore {
  readonly container: string;
  readonly node: string;
  /** Seconds since the start: begun (decided), over. */
  readonly begun: number;
  readonly to: number;
}

/** A restore as Proxmox VE's own list of tasks has it, in seconds. */
interface Task {
  readonly starttime: number;
  readonly endtime: number;
}

const Tasks = z.object({ data: z.array(z.object({ starttime: z.number(), endtime: z.number() })) });

async function restoreTasks(stage: Stage, node: string): Promise<Task[]> {
  const answer = await stage.lab.admin('GET', `/nodes/${node}/tasks`, ['typefilter=vzrestore', 'limit=1000']);
  return Tasks.parse(JSON.parse(answer)).data;
}

/** `+1h02m03s`, in seconds. */
function seconds(stamp: string): number {
  const [, h = 0, m = 0, s = 0] = /^\+(?:(\d+)h)?(\d+)m(\d+)s/.exec(stamp) ?? [];
  return Number(h) * 3600 + Number(m) * 60 + Number(s);
}

/** When each restore was begun and over, by what was said. */
function restoresIn(log: string): Restore[] {
  const begun = new Map<string, number>();
  const found: Restore[] = [];
  for (const line of log.split('\n')) {
    const at = seconds(line);
    const [, started] = /err\s+(\S+): op#\d+ started: /.exec(line) ?? [];
    if (started !== undefined) begun.set(started, at);
    const [, node, container] = /lab\s+(\S+): CT \d+ \((\S+)\) restored from/.exec(line) ?? [];
    if (node !== undefined && container !== undefined)
      found.push({
        container,
        node,
        begun: begun.get(container) ?? NaN,
        to: at,
      });
  }
  return found;
}

/** The most of them that are under way at one time. */
function atOnce(tasks: readonly Task[]): number {
  return Math.max(
    0,
    ...tasks.map(({ starttime: at }) => tasks.filter((t) => t.starttime <= at && at < t.endtime).length),
  );
}

// The folders `batch`, `batch-over-runs` and `fleet` tell the same in less time.
const skip = process.env['SOAK'] === undefined && 'it takes 40 s of a processor: npm run soak';

test('40 containers, room for 25: by priority, within the limits, the rest named', { skip }, async (t) => {
  const world = WorldFile.parse(parse(read('world.yaml')));
  const slow = { ...world, containers: world.containers.map((c) => ({ ...c, diskMiB: 3000 })) };
  const limits = `failoversPerHour: 100, restoresPerNode: ${PER_NODE}, restoresPerStorage: ${PER_STORAGE}`;
  const inventory = read('inventory.yaml').replace('failoversPerHour: 100', limits);
  assert.ok(inventory.includes(limits));
  const stage = new Stage(slow, { inventory });
  try {
    for (const step of ['cron', 'wait 20s', 'kill pve1', 'cron 3']) {
      await carryOut(stage, step);
      await stage.run(stage.settled());
      stage.check();
    }
    const log = stage.finish();
    const restores = restoresIn(log);
    assert.equal(restores.length, 25, log.slice(-5000));
    assert.equal(stage.exit, 4);
    // Priority 1 is app-39, 40 is app: the first 25 have it, on the node that their copy was decided for.
    const expected = Array.from({ length: 25 }, (_, index) => `app-${39 - index}`);
    assert.deepEqual(new Set(restores.map((r) => r.container)), new Set(expected));
    const running = stage.lab.running().map((c) => `${c.hostname} ${c.node}`);
    assert.deepEqual(new Set(running), new Set(restores.map((r) => `${r.container} ${r.node}`)));
    for (let index = 25; index < 40; index += 1) {
      const name = index === 39 ? 'app' : `app-${39 - index}`;
      assert.match(
        log,
        new RegExp(`${name}: blocked: target: no node can take it: home/pve2: it has .* of memory free`),
      );
    }
    assert.equal(log.split('switched off').length - 1, 1, 'one fence for all of them');

    const tasks: Task[] = [];
    for (const node of ['pve2', 'pve3']) {
      const here = restores.filter((r) => r.node === node);
      const those = await restoreTasks(stage, node);
      tasks.push(...those);
      assert.equal(atOnce(those), PER_NODE);
      const order = here.toSorted((a, b) => a.begun - b.begun).map((r) => Number(r.container.slice(4)));
      for (const [index, one] of order.entries())
        // For each place one restores, and one is made ready.
        assert.ok(index < AHEAD || one < (order[index - AHEAD] ?? 0), `${node}: ${order.join(' ')}`);
    }
    assert.equal(atOnce(tasks), PER_STORAGE);

    const made = Math.max(...restores.map((r) => r.to)) - Math.min(...restores.map((r) => r.begun));
    const work = tasks.reduce((sum, { starttime, endtime }) => sum + endtime - starttime, 0);
    const bound = Math.ceil(work / PER_STORAGE);
    t.diagnostic(
      `${restores.length} restores of ${Math.round(work / restores.length)} s, ${PER_STORAGE} at a time: ${made} s from the first decision to the last restore; ${bound} s if the limits were always used up`,
    );
  } finally {
    stage.close();
  }
});
