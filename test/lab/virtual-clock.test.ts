import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeadlineError, withDeadline } from '../../lib/clock.ts';
import { VirtualClock } from '../../lib/lab/virtual-clock.ts';

test('time passes only when nothing else can happen, and then at once', async () => {
  const clock = new VirtualClock(0);
  const order: string[] = [];
  const work = async (name: string, ms: number): Promise<void> => {
    for (let round = 0; round < 3; round += 1) {
      await clock.sleep(ms);
      order.push(`${name}@${clock.now()}`);
    }
  };
  await clock.run(Promise.all([work('a', 1_000), work('b', 1_500)]));
  assert.deepEqual(order, ['a@1000', 'b@1500', 'a@2000', 'b@3000', 'a@3000', 'b@4500']);
  assert.equal(clock.now(), 4_500);
});

test('advance fires what is due on the way and stops at the given time', async () => {
  const clock = new VirtualClock(0);
  let fired = 0;
  const repeat = async (): Promise<void> => {
    for (;;) {
      await clock.sleep(10);
      fired += 1;
    }
  };
  void repeat();
  await clock.advance(35);
  assert.deepEqual([fired, clock.now()], [3, 35]);
});

test('an aborted sleep rejects with its reason and leaves no timer', async () => {
  const clock = new VirtualClock(0);
  const slow = withDeadline(clock, 500, undefined, (signal) => clock.sleep(10_000, signal));
  await assert.rejects(clock.run(slow), DeadlineError);
  assert.equal(clock.now(), 500);
  await assert.rejects(clock.sleep(1, AbortSignal.abort(new Error('no'))), /^Error: no$/);
  await assert.rejects(clock.run(new Promise(() => undefined)), /deadlock/);
});

test('time stands still while files are written or a held child process runs', async () => {
  const clock = new VirtualClock(0);
  const dir = await mkdtemp(join(tmpdir(), 'clock-'));
  let passed = false;
  clock.sleep(60_000).then(
    () => (passed = true),
    () => undefined,
  );
  const real = async (): Promise<number> => {
    const file = await open(join(dir, 'x'), 'w');
    for (let round = 0; round < 5; round += 1) {
      await file.write('x'.repeat(100_000));
      await file.sync();
    }
    await file.close();
    const release = clock.hold();
    const code = await new Promise<number>((resolve) => {
      execFile(process.execPath, ['-e', 'process.exit(7)'], (error) => resolve(Number(error?.code ?? 0)));
    });
    release();
    return code;
  };
  assert.equal(await clock.run(real()), 7);
  assert.deepEqual([passed, clock.now()], [false, 0]);
  await rm(dir, { recursive: true });
});

test('what never ends is stopped by the limit, what fails fails', async () => {
  const clock = new VirtualClock(0);
  const forever = async (): Promise<void> => {
    for (;;) await clock.sleep(1_000);
  };
  await assert.rejects(clock.run(forever(), 10_000), /not done after 10 s of virtual time/);
  await assert.rejects(clock.run(Promise.reject(new Error('broken'))), /broken/);
});
