/** Making, protecting and pruning backups, around a cluster in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backUpNow, describeBackup } from '../../lib/act/backup-op.ts';
import { containerBackups } from '../../lib/act/container-backups.ts';
import { planPrune, pruneNow, type PruneResult } from '../../lib/act/prune-op.ts';
import { formatNotes, parseNotes } from '../../lib/decide/notes.ts';
import { BlockedError, PveError } from '../../lib/errors.ts';
import type { PveApi } from '../../lib/pve/api.ts';
import { backupOf } from '../decide/parts.ts';
import { ActBench } from './bench.ts';

const NOTES = formatNotes({
  container: 'dns',
  epoch: 0,
  purpose: 'by hand',
  operation: 'op-20261122T100000-aaaaaa',
});
const KEEP = { keep: { last: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 }, all: false };

function apiOf(bench: ActBench): PveApi {
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  return api;
}

async function looked(t: ConstructorParameters<typeof ActBench>[0], mode: 'auto' | 'snapshot' = 'auto') {
  const made = new ActBench(t, { backup: { mode } });
  await made.look();
  return made;
}

function told(b: ActBench): string {
  return b.events.map((event) => ('text' in event ? event.text : '')).join('\n');
}

test('the mode is chosen by the storages of its volumes, and said; the notes say what it is for', async (t) => {
  const b = await looked(t);
  const dump = t.mock.method(apiOf(b), 'vzdump');
  assert.match(
    await b.run(describeBackup(b.context, b.container)),
    /^would back up dns \(CT 101 on pve1\) to nas; mode suspend, /,
  );
  assert.equal(dump.mock.callCount(), 0);
  await b.run(backUpNow(b.context, b.container));
  const request = dump.mock.calls[0]?.arguments[1];
  assert.equal(request?.mode, 'suspend');
  assert.equal(request?.prune, false);
  assert.deepEqual(parseNotes(request?.notes ?? ''), { container: 'dns', epoch: 0 });
  assert.match(told(b), /rootfs on local \(dir\) has no snapshots/);
});

test('an explicit mode wins; storages that cannot be read leave the choice to PVE', async (t) => {
  const explicit = await looked(t, 'snapshot');
  const first = t.mock.method(apiOf(explicit), 'vzdump');
  await explicit.run(backUpNow(explicit.context, explicit.container));
  assert.equal(first.mock.calls[0]?.arguments[1].mode, 'snapshot');
  const unread = await looked(t);
  t.mock.method(apiOf(unread).inspect, 'storages', () =>
    Promise.reject(new PveError('403', { outcome: 'refused', status: 403 })),
  );
  const second = t.mock.method(apiOf(unread), 'vzdump');
  await unread.run(backUpNow(unread.context, unread.container));
  assert.equal(second.mock.calls[0]?.arguments[1].mode, 'snapshot');
});

test('a storage that holds as many backups as its retention keeps: PVE prunes by it, and that is said', async (t) => {
  const b = await looked(t);
  const dump = t.mock.method(apiOf(b), 'vzdump');
  let full = true;
  b.pve.onTask = (type) => {
    if (type !== 'vzdump' || !full) return null;
    full = false;
    return 'Backup of VM 101 failed - There is a max backup limit of 3 enforced by the target storage or the vzdump parameters. Either increase the limit or delete old backups.';
  };
  await b.run(backUpNow(b.context, b.container));
  assert.deepEqual(
    dump.mock.calls.map((call) => call.arguments[1].prune),
    [false, true],
  );
  assert.match(told(b), /nas holds as many backups of CT 101 as its retention keeps/);
});

test('another failure of a backup is not tried again', async (t) => {
  const b = await looked(t);
  b.pve.onTask = (type) => (type === 'vzdump' ? 'Backup of VM 101 failed - no space' : null);
  await assert.rejects(b.run(backUpNow(b.context, b.container)), /no space/);
  assert.deepEqual(b.pve.writes, ['vzdump pve1/101']);
});

test('a backup that cannot be protected is used all the same, and nothing is left to lift', async (t) => {
  const b = new ActBench(t, { failover: { proof: 'offline-accepted' } });
  await b.look();
  b.pve.kill('pve1');
  await b.fail();
  b.pve.onWrite = (call) => {
    if (call.startsWith('protect '))
      throw new PveError("The number of protected backups per guest is limited to 5 on storage 'nas'", {
        outcome: 'refused',
        status: 500,
      });
  };
  const { op, outcome } = await b.act();
  assert.equal(outcome.status, 'done');
  assert.match(outcome.text, /warning: nas:backup\/ct101-60min could not be protected .* limited to 5/);
  assert.deepEqual(b.pve.running(), ['pve2/1000101']);
  assert.equal(b.journal(op.id).data.weProtected, false);
  assert.ok(!b.pve.writes.some((call) => call.startsWith('unprotect')));
});

/** `dns` has three backups of ours (10, 20, 30 minutes) beside the one of an hour ago. */
async function withThree(t: ConstructorParameters<typeof ActBench>[0]): Promise<ActBench> {
  const b = await looked(t);
  b.pve.backups.push(...[10, 20, 30].map((minutes) => backupOf({ minutes, notes: NOTES })));
  return b;
}

async function pruned(b: ActBench): Promise<PruneResult> {
  const found = await b.run(containerBackups(b.context, b.container));
  return b.run(pruneNow(b.context, b.container, found, planPrune(b.context, b.container, found, KEEP)));
}

function left(b: ActBench): string[] {
  return b.pve.backups.map(({ volid }) => volid.replace('nas:backup/ct101-', ''));
}

test('prune removes one by one, oldest first, each step in the journal', async (t) => {
  const b = await withThree(t);
  const { removed, failures } = await pruned(b);
  assert.deepEqual(failures, []);
  assert.deepEqual(removed, ['nas:backup/ct101-30min', 'nas:backup/ct101-20min']);
  assert.deepEqual(left(b), ['60min', '10min']);
  const op = b.context.operations.list().operations.at(-1);
  assert.deepEqual([op?.kind, op?.status], ['prune', 'done']);
  assert.deepEqual(
    op?.steps.map((s) => [s.name, s.status, s.task?.type]),
    [
      ['remove nas:backup/ct101-30min', 'done', 'imgdel'],
      ['remove nas:backup/ct101-20min', 'done', 'imgdel'],
    ],
  );
  assert.deepEqual((await pruned(b)).removed, []);
});

test('one that has been protected since it was decided stays; the others go', async (t) => {
  const b = await withThree(t);
  b.pve.onWrite = (call) => {
    if (call.startsWith('delete nas:backup/ct101-30min'))
      for (const backup of b.pve.backups) backup.protected ||= backup.volid.endsWith('-20min');
  };
  const { removed, failures } = await pruned(b);
  assert.deepEqual(removed, ['nas:backup/ct101-30min']);
  assert.deepEqual(failures, ['nas:backup/ct101-20min: it has been protected meanwhile']);
  assert.equal(b.context.operations.list().operations.at(-1)?.status, 'failed');
});

test('one that is gone already is no failure; a lost answer is settled by looking', async (t) => {
  const b = await withThree(t);
  const found = await b.run(containerBackups(b.context, b.container));
  const entries = planPrune(b.context, b.container, found, KEEP);
  b.pve.backups.splice(
    b.pve.backups.findIndex((backup) => backup.volid.endsWith('-30min')),
    1,
  );
  t.mock.method(apiOf(b), 'deleteBackup', (_: string, volid: string) => {
    b.pve.backups.splice(
      b.pve.backups.findIndex((backup) => backup.volid === volid),
      1,
    );
    return Promise.reject(new PveError('connection lost', { outcome: 'unknown' }));
  });
  const { removed, failures } = await b.run(pruneNow(b.context, b.container, found, entries));
  assert.deepEqual([removed.length, failures], [2, []]);
  assert.deepEqual(left(b), ['60min', '10min']);
});

test('a refusal is told, and the backup is still there', async (t) => {
  const b = await withThree(t);
  b.pve.onWrite = (call) => {
    if (call.startsWith('delete'))
      throw new PveError('403 Permission check failed', { outcome: 'refused', status: 403 });
  };
  const { removed, failures } = await pruned(b);
  assert.deepEqual(removed, []);
  assert.equal(failures.length, 2);
  assert.match(failures[0] ?? '', /^nas:backup\/ct101-30min: 403/);
  assert.equal(left(b).length, 4);
});

test('what an operation under way uses stays', async (t) => {
  const b = await withThree(t);
  const other = b.operation({ volid: 'nas:backup/ct101-20min' });
  const found = await b.run(containerBackups(b.context, b.container));
  const entries = planPrune(b.context, b.container, found, KEEP);
  assert.equal(entries.find((e) => e.backup.volid.endsWith('-20min'))?.why, 'in use by an operation');
  // And nothing is pruned of a container while an operation of it is under way.
  await assert.rejects(b.run(pruneNow(b.context, b.container, found, entries)), new RegExp(other.op.id));
});

test('nothing is pruned while it is not clear which copy is the current one', async (t) => {
  const b = await withThree(t);
  b.pve.add('pve2', 1_000_101, {
    running: false,
    config: { tags: ['proxwarden'], description: '', lock: null },
  });
  b.pve.cut('pve2');
  const found = await b.run(containerBackups(b.context, b.container));
  assert.throws(() => planPrune(b.context, b.container, found, KEEP), BlockedError);
});
