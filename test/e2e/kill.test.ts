/** `kill -9` of real runs at random instants of a failover: the next runs bring it to the same end. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStage, type Ran, type Stage } from './stage.ts';
import { tasksOf } from './tasks.ts';

/** Slow enough for tasks to be under way when the blow falls. */
const SPEED = 6;
/** So long does a failover take here, from the start of the process on. */
const FAILOVER_MS = 3_600;
const SEED = 20_261_122;
const BLOWS = 8;
const RUNS_MAX = 8;

/** mulberry32: the same numbers for the same seed. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Only web is failed over, so that there is one copy to look for. */
async function webOnly(t: TestContext): Promise<Stage> {
  const stage = await openStage(t, {
    speed: SPEED,
    edit: (yaml) => yaml.replace('    vmid: 101\n', '    vmid: 101\n    mode: observe\n'),
  });
  const first = await stage.run('check-and-failover');
  assert.equal(first.code, 0, first.stderr);
  await stage.nodeDies('pve1');
  await sleep(600);
  return stage;
}

function told(runs: readonly Ran[]): string {
  return runs.map((r) => `--- exit ${r.code ?? r.signal} after ${Math.round(r.ms)} ms\n${r.stdout}${r.stderr}`).join('');
}

const random = numbers(SEED);
/** Some runs are killed twice, the second time in the run that resumes. */
const blows = Array.from({ length: BLOWS }, (_, n) =>
  n % 3 === 2
    ? [random() * FAILOVER_MS, random() * FAILOVER_MS]
    : [300 + ((n + random()) / BLOWS) * (FAILOVER_MS - 300)],
);

for (const blow of blows)
  test(`killed after ${blow.map((ms) => `${Math.round(ms)} ms`).join(' and again after ')}`, async (t) => {
    const stage = await webOnly(t);
    const runs: Ran[] = [];
    for (const ms of blow)
      runs.push(
        await stage.runWith(
          {
            meanwhile: async (child) => {
              const gone = new Promise((resolve) => child.once('exit', resolve));
              await Promise.race([sleep(ms), gone]);
              child.kill('SIGKILL');
            },
          },
          'check-and-failover',
        ),
      );
    const there = (): boolean => stage.running().join() === 'db,web,wiki';
    for (let n = 0; n < RUNS_MAX; n += 1) {
      await sleep(600);
      const run = await stage.run('check-and-failover', '--log-level', 'debug');
      runs.push(run);
      // 3: dns is only watched, and down with its node.
      assert.ok(run.code === 3, told(runs));
      if (there() && run.stdout.includes('3 of 4')) break;
    }
    assert.ok(there(), `${stage.running().join()}\n${told(runs)}`);
    assert.deepEqual(stage.lab.violations, [], told(runs));
    const status = await stage.run('status', 'web');
    assert.match(status.stdout, /failover web: done/, told(runs));
    assert.match(status.stdout, /pve3\/1000102@1/, told(runs));
    // Asked for exactly once each, whatever was killed when: the restore, the start, and the copy's first backup.
    assert.deepEqual(
      await tasksOf(stage),
      ['vzdump 1000102', 'vzrestore 1000102', 'vzstart 1000102'],
      told(runs),
    );
    const copy = stage.lab.status().containers.find((c) => c.vmid === 1_000_102);
    assert.deepEqual([copy?.node, copy?.state, copy?.onboot], ['pve3', 'running', true], told(runs));
  });
