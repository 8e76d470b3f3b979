import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench, list, record } from './world.ts';

const NAS = { storage: 'nas', mode: 'stop', compress: 'zstd' } as const;

async function configOf(
  bench: Bench,
  node: string,
  vmid: number,
  via = node,
): Promise<Record<string, unknown>> {
  return record(await bench.data(via, 'GET', `/nodes/${node}/lxc/${vmid}/config`));
}

test('a backup in mode stop takes the container down for as long as it reads, and lists the archive with its notes', async () => {
  const bench = new Bench();
  const upid = String(
    await bench.data('pve1', 'POST', '/nodes/pve1/vzdump', {
      ...NAS,
      vmid: 101,
      'notes-template': '{{guestname}} on {{node}}',
      protected: 1,
    }),
  );
  await bench.clock.advance(2_000);
  assert.ok(!bench.runs().includes('pve1/101'));
  assert.equal((await configOf(bench, 'pve1', 101))['lock'], 'backup');
  assert.equal(
    (await bench.call('pve1', 'PUT', '/nodes/pve1/lxc/101/config', { onboot: 0 })).statusText,
    'CT is locked (backup)',
  );
  await bench.clock.advance(10_000);
  assert.ok(bench.runs().includes('pve1/101'));
  assert.equal((await configOf(bench, 'pve1', 101))['lock'], undefined);
  const status = record(
    await bench.data('pve2', 'GET', `/nodes/pve1/tasks/${encodeURIComponent(upid)}/status`),
  );
  assert.equal(status['exitstatus'], 'OK');
  const newest = list(await bench.data('pve1', 'GET', '/nodes/pve1/storage/nas/content', { vmid: 101 })).at(
    -1,
  );
  assert.deepEqual(
    [newest?.['notes'], newest?.['protected'], newest?.['format']],
    ['dns on pve1', 1, 'tar.zst'],
  );
  const volid = String(newest?.['volid']);
  const inside = String(
    await bench.data('pve1', 'GET', '/nodes/pve1/vzdump/extractconfig', { volume: volid }),
  );
  assert.match(inside, /^#resolver%3A first\n#100 %25\narch: amd64\n/);
  assert.doesNotMatch(inside, /lock:/);
});

test('the trap: a backup asked of the wrong node is "OK" and is none', async () => {
  const bench = new Bench();
  assert.equal(await bench.data('pve1', 'POST', '/nodes/pve2/vzdump', { ...NAS, vmid: 101 }), 'OK');
  assert.equal(
    list(await bench.data('pve1', 'GET', '/nodes/pve1/storage/nas/content', { vmid: 101 })).length,
    1,
  );
});

test('one backup at a time on a node: the second waits, or gives up at once when told so', async () => {
  const bench = new Bench();
  const first = String(
    await bench.data('pve1', 'POST', '/nodes/pve1/vzdump', { ...NAS, vmid: 101, bwlimit: 10_240 }),
  );
  const second = String(await bench.data('pve1', 'POST', '/nodes/pve1/vzdump', { ...NAS, vmid: 101 }));
  const third = await bench.task('pve1', 'POST', '/nodes/pve1/vzdump', { ...NAS, vmid: 101, lockwait: 0 });
  assert.deepEqual(
    [third.exitstatus, third.log],
    ['unexpected status', ["ERROR: can't acquire lock '/var/run/vzdump.lock' (wait = 0)"]],
  );
  const logOf = async (upid: string): Promise<string[]> =>
    list(
      await bench.data('pve1', 'GET', `/nodes/pve1/tasks/${encodeURIComponent(upid)}/log`, { limit: 0 }),
    ).map((line) => String(line['t']));
  assert.deepEqual(await logOf(second), ['INFO: trying to get global lock - waiting...']);
  await bench.clock.advance(120_000);
  assert.equal((await logOf(first)).at(-1), 'TASK OK');
  assert.deepEqual(
    [(await logOf(second))[1], (await logOf(second)).at(-1)],
    ['INFO: got global lock', 'TASK OK'],
  );
});

test('a full storage fails the job in its log, leaves no archive and no lock, and the container runs again', async () => {
  const bench = new Bench();
  bench.lab.fill('nas');
  const failed = await bench.task('pve1', 'POST', '/nodes/pve1/vzdump', { ...NAS, vmid: 101 });
  assert.equal(failed.exitstatus, 'job errors');
  assert.match(failed.log.join('\n'), /No space left on device/);
  assert.ok(bench.runs().includes('pve1/101'));
  assert.equal((await configOf(bench, 'pve1', 101))['lock'], undefined);
  bench.lab.drain('nas');
  assert.equal(
    (await bench.task('pve1', 'POST', '/nodes/pve1/vzdump', { ...NAS, vmid: 101 })).exitstatus,
    'OK',
  );
});

test('a node that dies in mid-backup leaves the lock and a task of unexpected status', async () => {
  const bench = new Bench();
  const upid = String(
    await bench.data('pve1', 'POST', '/nodes/pve1/vzdump', { ...NAS, mode: 'suspend', vmid: 101 }),
  );
  await bench.clock.advance(1_000);
  bench.lab.kill('pve1');
  await bench.clock.advance(30_000);
  bench.lab.revive('pve1');
  await bench.clock.advance(30_000);
  const status = record(
    await bench.data('pve2', 'GET', `/nodes/pve1/tasks/${encodeURIComponent(upid)}/status`),
  );
  assert.deepEqual([status['status'], status['exitstatus']], ['stopped', 'unexpected status']);
  assert.equal((await configOf(bench, 'pve1', 101, 'pve2'))['lock'], 'backup');
  assert.ok(!bench.runs().includes('pve1/101'), 'a locked container must not be started');
  const next = await bench.task('pve1', 'POST', '/nodes/pve1/vzdump', { ...NAS, vmid: 101 });
  assert.match(next.log.join('\n'), /ERROR: Backup of VM 101 failed - CT is locked \(backup\)/);
});

test('a person can stop it: the job cleans up', async () => {
  const bench = new Bench();
  const upid = String(
    await bench.data('pve1', 'POST', '/nodes/pve1/vzdump', { ...NAS, vmid: 101, bwlimit: 1_024 }),
  );
  await bench.clock.advance(5_000);
  await bench.data('pve1', 'DELETE', `/nodes/pve1/tasks/${encodeURIComponent(upid)}`);
  await bench.clock.advance(5_000);
  const status = record(
    await bench.data('pve1', 'GET', `/nodes/pve1/tasks/${encodeURIComponent(upid)}/status`),
  );
  assert.equal(status['exitstatus'], 'job errors');
  assert.ok(bench.runs().includes('pve1/101'));
});
