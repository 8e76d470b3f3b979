import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uncovered } from '../../lib/decide/coverage.ts';
import type { BackupJob } from '../../lib/decide/doctor/facts.ts';
import { containerOf } from './parts.ts';

/** Covers CT 101 by name. */
function job(patch: Partial<BackupJob> = {}): BackupJob {
  return {
    id: 'nightly',
    enabled: true,
    storage: 'nas',
    schedule: '21:00',
    byVmid: true,
    vmids: [101, 300],
    pool: null,
    retention: null,
    guests: [101],
    ...patch,
  };
}

const ALL = { byVmid: false, vmids: [], guests: [101, 1_000_101] };
const said = (...jobs: BackupJob[]) => uncovered(containerOf(), { vmid: 1_000_101 }, jobs);

test('a job of all guests, or one that names the copy, covers it', () => {
  assert.equal(said(job(ALL)), null);
  assert.equal(said(job({ vmids: [101, 1_000_101] })), null);
  assert.equal(said(job(), job({ id: 'other', ...ALL })), null);
});

test('where no job covered the original either, a failover has changed nothing', () => {
  assert.equal(said(), null);
  assert.equal(said(job({ vmids: [300], guests: [300] })), null);
  assert.equal(said(job({ enabled: false })), null);
});

test('the command keeps everything that the job names already, virtual machines too', () => {
  assert.deepEqual(said(job()), {
    what: 'no backup job covers CT 1000101, the current copy of dns; nightly covers CT 101',
    command: 'pvesh set /cluster/backup/nightly --vmid 101,300,1000101',
  });
});

test('the copy is put into the pool of a job of a pool', () => {
  const of = said(job({ byVmid: false, vmids: [], pool: 'prod' }));
  assert.equal(of?.command, 'pvesh set /pools --poolid prod --vms 1000101');
});

test('a disabled job covers nothing, and the job to the storage that is looked at comes first', () => {
  const other = job({ id: 'elsewhere', storage: 'usb' });
  assert.match(
    said(job({ enabled: false, vmids: [1_000_101] }), other, job())?.what ?? '',
    /; nightly covers/,
  );
});
