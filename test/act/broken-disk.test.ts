/**
 * Each single write of a failover fails: once, or from then on until the run has ended. What could not be journalled is
 * not asked for, the operation stays in hand, and the next run brings it to the end of an undisturbed one.
 */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { carryOut, takeOver } from '../../lib/act/operate.ts';
import { LockedError, StateError } from '../../lib/errors.ts';
import { count } from '../contract/count.ts';
import { BrokenDisk, CALLS, CODES, type Call, type Fault } from '../state/broken-disk.ts';
import { ActBench } from './bench.ts';

const ALL = process.env['SOAK'] !== undefined;

interface Story {
  readonly name: string;
  /** One write in so many, of each kind of call; `npm run soak` takes all. */
  readonly step: number;
  readonly open: (t: TestContext) => Promise<ActBench>;
  readonly act: (bench: ActBench) => Promise<unknown>;
  readonly ends: string;
}

const stories: readonly Story[] = [
  {
    name: 'the failover of a dead node',
    step: 1,
    async open(t) {
      const bench = new ActBench(t, { failover: { proof: 'offline-accepted' } });
      await bench.look();
      bench.pve.kill('pve1');
      await bench.fail();
      return bench;
    },
    act: (bench) => bench.act(),
    ends: 'pve2/1000101',
  },
  {
    name: 'a planned move',
    step: 4,
    async open(t) {
      const bench = new ActBench(t);
      await bench.look();
      return bench;
    },
    act: (bench) => bench.act({ mode: 'planned' }),
    ends: 'pve2/1000101',
  },
];

/** Plays the story on a disk with this fault; returns how many calls of each kind there were. */
async function play(
  t: TestContext,
  story: Story,
  fault: Fault | null,
): Promise<Readonly<Record<Call, number>>> {
  const bench = await story.open(t);
  const disk = new BrokenDisk(bench.dir);
  try {
    disk.arm(fault);
    const after: string[] = [];
    bench.pve.onWrite = (call) => void (disk.failed !== null && after.push(call));
    const made = disk.made;
    if (fault === null) await story.act(bench);
    else
      await assert.rejects(
        story.act(bench),
        (error) => error instanceof StateError || error instanceof LockedError,
      );
    assert.deepEqual(after, [], 'nothing is asked for that could not be journalled');
    const counted = { ...made };
    disk.arm(null);
    await goOn(bench, story);
    assertEnd(bench, story);
    return counted;
  } finally {
    disk.stop();
  }
}

/** The next run: goes on with what is in the journal, or decides anew. */
async function goOn(bench: ActBench, story: Story): Promise<void> {
  const { operations, problems } = bench.context.operations.list();
  assert.deepEqual(problems, []);
  const cut = operations.find((op) => op.status === 'running');
  if (cut !== undefined) {
    await bench.run(takeOver(bench.context, cut));
    await bench.run(carryOut(bench.context, cut));
  } else if (operations.length === 0) await story.act(bench);
}

function assertEnd({ pve, context }: ActBench, story: Story): void {
  assert.deepEqual(pve.violations, []);
  assert.deepEqual(pve.running(), [story.ends]);
  const [op, ...others] = context.operations.list().operations;
  assert.deepEqual(others, []);
  assert.equal(op?.status, 'done');
  const record = context.state.read().containers['dns'];
  assert.deepEqual([record?.current?.epoch, record?.error], [1, null]);
  const tasks = pve.writes.filter((write) => write.startsWith('vz'));
  assert.equal(new Set(tasks).size, tasks.length, `asked for twice: ${tasks.join()}`);
  assert.ok(
    pve.backups.every((backup) => !backup.protected),
    'no backup stays protected',
  );
}

function faultsOf(made: Readonly<Record<Call, number>>, step: number): Fault[] {
  const faults = CALLS.flatMap((call) =>
    Array.from({ length: made[call] }, (_, at) =>
      [false, true].map((stays, m): Fault => {
        const codes = CODES[call];
        return { call, n: at + 1, stays, code: codes[(at + m) % codes.length] ?? 'EIO' };
      }),
    ).flat(),
  );
  if (ALL) return faults;
  // Each write once, in turn with another of its calls, once or until the end.
  return faults.filter(({ call, n, stays }) => {
    const turn = (n + CALLS.indexOf(call)) % CALLS.length === 0;
    return turn && n % step === 0 && stays === (n % 2 === 0);
  });
}

for (const story of stories)
  test(`each write of ${story.name} fails`, async (t) => {
    const faults = faultsOf(await play(t, story, null), story.step);
    for (const fault of faults) {
      try {
        await play(t, story, fault);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        throw new Error(`${JSON.stringify(fault)}: ${why}`, { cause: error });
      }
    }
    assert.ok(faults.length >= 8, `${faults.length}`);
    count(
      t,
      `${faults.length} writes of ${story.name} failed: nothing done that was not journalled, the same end`,
    );
  });
