/** A backup or a restore by hand that is interrupted: what goes on in PVE, what is stopped, what the journal says. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { backUpNow } from '../../lib/act/backup-op.ts';
import { carryOut, takeOver } from '../../lib/act/operate.ts';
import { restoreByHand } from '../../lib/act/restore-op.ts';
import { FailedError, PveError } from '../../lib/errors.ts';
import type { Operation } from '../../lib/state/model.ts';
import { backupOf } from '../decide/parts.ts';
import { ActBench } from './bench.ts';

/** Interrupts `work` a second after its first task was asked for. */
async function interrupted(
  bench: ActBench,
  work: (context: ActBench['context']) => Promise<unknown>,
): Promise<{ error: unknown; op: Operation }> {
  const controller = new AbortController();
  bench.pve.onWrite = () => {
    bench.pve.onWrite = () => undefined;
    bench.clock.sleep(1_000).then(
      () => controller.abort(new Error('stopped by SIGINT')),
      () => undefined,
    );
  };
  const result = bench.run(work({ ...bench.context, signal: controller.signal }));
  const error: unknown = await result.then(
    () => null,
    (reason: unknown) => reason,
  );
  const op = bench.context.operations.list().operations.at(-1);
  assert.ok(op !== undefined);
  return { error, op };
}

const backUp = (bench: ActBench) => (context: ActBench['context']) => backUpNow(context, bench.container);

/** The next run goes on with it. */
async function resumed(bench: ActBench, op: Operation): Promise<Operation> {
  await bench.run(takeOver(bench.context, op));
  await bench.run(carryOut(bench.context, op));
  return bench.journal(op.id);
}

function told(bench: ActBench): string {
  return bench.events.map((event) => ('text' in event ? event.text : '')).join('\n');
}

async function looked(t: TestContext, entry?: ConstructorParameters<typeof ActBench>[1]): Promise<ActBench> {
  const bench = new ActBench(t, entry);
  await bench.look();
  return bench;
}

test('a backup that is interrupted is stopped in PVE, and its end waited for', async (t) => {
  const bench = await looked(t);
  const { error, op } = await interrupted(bench, backUp(bench));
  assert.ok(error instanceof FailedError);
  assert.match(error.message, /was interrupted; the vzdump of CT 101 on pve1 was stopped$/);
  assert.equal(op.status, 'cancelled');
  assert.deepEqual(bench.pve.writes, ['vzdump pve1/101', 'stop task vzdump']);
  assert.match(told(bench), /is being stopped; Ctrl-C once more leaves it running/);
  assert.equal(bench.pve.backups.length, 1, 'no archive is left of it');
});

test('it has ended well before it could be stopped: done', async (t) => {
  const bench = await looked(t);
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  const plain = { ...api };
  api.stopTask = async (upid) => {
    await bench.clock.sleep(3_000);
    bench.pve.settle();
    return plain.stopTask(upid);
  };
  const { error, op } = await interrupted(bench, backUp(bench));
  assert.equal(error, null);
  assert.equal(op.status, 'done');
  assert.equal(bench.pve.backups.length, 2);
});

test('a lock that its worker leaves behind is told', async (t) => {
  const bench = await looked(t);
  bench.pve.guest(101).config.lock = null;
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  const plain = { ...api };
  api.stopTask = async (upid) => {
    await plain.stopTask(upid);
    bench.pve.guest(101).config.lock = 'backup';
  };
  const { error } = await interrupted(bench, backUp(bench));
  assert.ok(error instanceof FailedError);
  assert.match(
    error.message,
    /was stopped, and CT 101 is still locked \(backup\): `pct unlock 101` on pve1$/,
  );
});

test('it can’t be stopped: it goes on, and the next run waits for its end', async (t) => {
  const bench = await looked(t);
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  api.stopTask = () => Promise.reject(new PveError('no such right', { outcome: 'refused', status: 403 }));
  const { error, op } = await interrupted(bench, backUp(bench));
  assert.ok(error instanceof FailedError);
  assert.match(error.message, /was interrupted; the vzdump of CT 101 on pve1 goes on$/);
  assert.match(
    error.hint ?? '',
    /waits for its end; to stop it: `pvesh delete \/nodes\/pve1\/tasks\/UPID:pve1:/,
  );
  assert.equal(op.status, 'running');
  const after = await resumed(bench, op);
  assert.equal(after.status, 'done');
  assert.match(after.steps[0]?.note ?? '', /^nas:backup\//);
  assert.equal(bench.pve.writes.length, 1, 'nothing was asked for twice');
});

test('in mode stop the container is down meanwhile: the vzdump goes on, and starts it again', async (t) => {
  const bench = await looked(t, { backup: { mode: 'stop' } });
  const { error, op } = await interrupted(bench, backUp(bench));
  assert.ok(error instanceof FailedError);
  assert.match(error.message, /goes on$/);
  assert.equal(op.status, 'running');
  assert.deepEqual(bench.pve.writes, ['vzdump pve1/101']);
});

test('a restore that is interrupted goes on, and the next run says how it has ended', async (t) => {
  const bench = await looked(t);
  const { error, op } = await interrupted(bench, (context) =>
    restoreByHand(context, {
      container: bench.container,
      backup: backupOf(),
      to: { cluster: 'home', node: 'pve2' },
      vmid: 901,
      startAfter: null,
    }),
  );
  assert.ok(error instanceof FailedError);
  assert.match(error.message, /the vzrestore of CT 901 on pve2 goes on$/);
  assert.equal(op.status, 'running');
  const after = await resumed(bench, op);
  assert.equal(after.status, 'done');
  assert.equal(bench.pve.guest(901).running, false);
});

test('cut before the answer, and nothing arrived: the next run says that nothing was begun', async (t) => {
  const bench = await looked(t);
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  const controller = new AbortController();
  api.vzdump = async () => {
    controller.abort(new Error('stopped by SIGTERM'));
    throw new PveError('given up', { outcome: 'unknown' });
  };
  const context = { ...bench.context, signal: controller.signal };
  await assert.rejects(
    bench.run(backUpNow(context, bench.container)),
    /was interrupted; nothing of it goes on$/,
  );
  const [op] = bench.context.operations.list().operations;
  assert.equal(op?.status, 'cancelled');
});

test('a cut backup of three hours ago keeps nobody’s hands off', async (t) => {
  const bench = await looked(t);
  const { op } = await interrupted(bench, (context) =>
    backUpNow(
      { ...context, inventory: context.inventory },
      { ...bench.container, backup: { ...bench.container.backup, mode: 'stop' } },
    ),
  );
  await bench.clock.advance(3 * 3_600_000);
  const after = await resumed(bench, op);
  assert.equal(after.status, 'done');
  assert.equal(bench.context.state.read().containers['dns']?.error ?? null, null);
});
