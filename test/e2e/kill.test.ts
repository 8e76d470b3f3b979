/**
 * `kill -9` of real runs at random instants of a failover, in real time and with real sockets: the next runs bring it to the
 * same end. Every single instant, on virtual time: test/faults/kill.test.ts.
 */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { numbers } from '../numbers.ts';
import { openStage, until, type Ran, type Stage } from './stage.ts';
import { tasksOf } from './tasks.ts';

/** Slow enough for tasks to be under way when the blow falls. */
const SPEED = 6;
/** So long does the operation take here, on a machine that has nothing else to do. */
const OPERATION_MS = 2_600;
const SEED = 20_261_122;
const SOAK = process.env['SOAK'] !== undefined;
/** `npm test` deals one, in the middle. */
const BLOWS = SOAK ? 24 : 1;
/** A run that goes on after a blow between the journal and the request waits a real minute for the proof of absence. */
const LIMIT_MS = 180_000;
const RUNS_MAX = 8;

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

function nameOf({ since, ms }: { since: RegExp; ms: number }): string {
  return `${Math.round(ms)} ms after "${since.source === '^' ? 'its start' : since.source.trim()}"`;
}

function told(runs: readonly Ran[]): string {
  return runs
    .map((r) => `--- exit ${r.code ?? r.signal} after ${Math.round(r.ms)} ms\n${r.stdout}${r.stderr}`)
    .join('');
}

const random = numbers(SEED);
/** The first falls before an operation has begun, the others while it is under way; some runs get a second one. */
const blows = Array.from({ length: BLOWS }, (_, n) => {
  if (!SOAK) return [{ since: / started: /, ms: OPERATION_MS / 2 }];
  if (n === 0) return [{ since: /^/, ms: random() * 300 }];
  const first = { since: / started: /, ms: ((n - 1 + random()) / (BLOWS - 1)) * OPERATION_MS };
  const second = { since: / goes on after /, ms: (random() * OPERATION_MS) / 2 };
  return n % 3 === 2 ? [first, second] : [first];
});

/** Blows that fell while an operation was under way: the others prove little. */
let hits = 0;

describe('kill -9 at random instants', { concurrency: 3 }, () => {
  for (const blow of blows)
    test(`killed ${blow.map(nameOf).join(' and again ')}`, async (t) => {
      const stage = await webOnly(t);
      const runs: Ran[] = [];
      for (const { since, ms } of blow)
        runs.push(
          await stage.runWith(
            {
              limitMs: LIMIT_MS,
              meanwhile: async (child) => {
                let said = '';
                child.stderr?.on('data', (text: string) => (said += text));
                await until(() => since.test(said) || child.exitCode !== null, LIMIT_MS);
                await sleep(ms);
                child.kill('SIGKILL');
              },
            },
            'check-and-failover',
          ),
        );
      if ((await stage.run('status', 'web')).stdout.includes('failover in hand')) hits += 1;
      const there = (): boolean => stage.running().join() === 'db,web,wiki';
      for (let n = 0; n < RUNS_MAX; n += 1) {
        await sleep(600);
        const run = await stage.runWith({ limitMs: LIMIT_MS }, 'check-and-failover', '--log-level', 'debug');
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
});

test('blows fell while an operation was under way', () => {
  assert.ok(hits >= (SOAK ? 2 : 1), `${hits} of ${BLOWS}`);
});
