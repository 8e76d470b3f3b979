import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench, WORLD, list, record } from './world.ts';

async function archiveOf(bench: Bench, vmid: number): Promise<string> {
  const entries = list(
    await bench.data('pve1', 'GET', '/nodes/pve1/storage/nas/content', { content: 'backup', vmid }),
  );
  return String(entries[0]?.['volid']);
}

async function exists(bench: Bench, node: string, vmid: number): Promise<boolean> {
  return (await bench.call(node, 'GET', `/nodes/${node}/lxc/${vmid}/config`)).status === 200;
}

test('a copy keeps MAC, onboot, tags and description unless the call says otherwise', async () => {
  const bench = new Bench();
  const volid = await archiveOf(bench, 101);
  const original = record(await bench.data('pve1', 'GET', '/nodes/pve1/lxc/101/config'));
  await bench.task('pve2', 'POST', '/nodes/pve2/lxc', { vmid: 1101, ostemplate: volid, restore: 1 });
  const plain = record(await bench.data('pve2', 'GET', '/nodes/pve2/lxc/1101/config'));
  for (const key of ['net0', 'onboot', 'tags', 'description', 'hostname', 'memory'])
    assert.equal(plain[key], original[key], key);
  assert.equal(plain['rootfs'], 'local:1101/vm-1101-disk-0.raw,size=512M');
  await bench.task('pve2', 'POST', '/nodes/pve2/lxc', {
    vmid: 1102,
    ostemplate: volid,
    restore: 1,
    onboot: 0,
    tags: 'x',
    description: 'y',
    hostname: 'z',
    unique: 1,
  });
  const changed = record(await bench.data('pve2', 'GET', '/nodes/pve2/lxc/1102/config'));
  assert.deepEqual(
    [changed['onboot'], changed['tags'], changed['description'], changed['hostname']],
    [0, 'x', 'y\n', 'z'],
  );
  assert.notEqual(changed['net0'], original['net0']);
});

test('while it runs the vmid is taken and locked; who comes second is refused', async () => {
  const bench = new Bench();
  const volid = await archiveOf(bench, 101);
  await bench.data('pve2', 'POST', '/nodes/pve2/lxc', { vmid: 1101, ostemplate: volid, restore: 1 });
  const config = record(await bench.data('pve2', 'GET', '/nodes/pve2/lxc/1101/config'));
  assert.equal(config['lock'], 'create');
  const second = await bench.call('pve3', 'POST', '/nodes/pve3/lxc', {
    vmid: 1101,
    ostemplate: volid,
    restore: 1,
  });
  assert.equal(second.statusText, "CT 1101 already exists on node 'pve2'");
});

test('a failed restore leaves nothing: cut archive, full storage', async () => {
  const bench = new Bench();
  const cut = await bench.task('pve1', 'POST', '/nodes/pve1/lxc', {
    vmid: 1102,
    ostemplate: await archiveOf(bench, 102),
    restore: 1,
  });
  assert.match(
    cut.exitstatus,
    /^unable to restore CT 1102 - command 'lxc-usernsexec .* failed: exit code 2$/,
  );
  assert.equal(await exists(bench, 'pve1', 1102), false);
  bench.lab.fill('local');
  const full = await bench.task('pve1', 'POST', '/nodes/pve1/lxc', {
    vmid: 1101,
    ostemplate: await archiveOf(bench, 101),
    restore: 1,
  });
  assert.match(full.log.join('\n'), /Cannot write: No space left on device/);
  assert.equal(await exists(bench, 'pve1', 1101), false);
  const disks = list(
    await bench.data('pve1', 'GET', '/nodes/pve1/storage/local/content', { content: 'rootdir' }),
  );
  assert.deepEqual(
    disks.map((disk) => disk['vmid']),
    [101],
  );
});

test('the danger of force: the old container is gone before the archive proves bad; a missing archive is noticed before', async () => {
  const bench = new Bench();
  await bench.task('pve1', 'POST', '/nodes/pve1/lxc', {
    vmid: 1101,
    ostemplate: await archiveOf(bench, 101),
    restore: 1,
  });
  const again = { vmid: 1101, restore: 1, force: 1 };
  const missing = await bench.task('pve1', 'POST', '/nodes/pve1/lxc', {
    ...again,
    ostemplate: 'nas:backup/vzdump-lxc-101-2020_01_01-00_00_00.tar.zst',
  });
  assert.match(missing.exitstatus, /does not exist$/);
  assert.equal(await exists(bench, 'pve1', 1101), true);
  await bench.task('pve1', 'POST', '/nodes/pve1/lxc', { ...again, ostemplate: await archiveOf(bench, 102) });
  assert.equal(await exists(bench, 'pve1', 1101), false);
});

test('start=1 is a task of its own: the restore is OK even when that start fails', async () => {
  const bench = new Bench();
  const net0 = 'name=eth0,bridge=vmbr9,type=veth';
  const restored = await bench.task('pve1', 'POST', '/nodes/pve1/lxc', {
    vmid: 1101,
    ostemplate: await archiveOf(bench, 101),
    restore: 1,
    start: 1,
    net0,
  });
  assert.equal(restored.exitstatus, 'OK');
  await bench.clock.advance(5_000);
  const tasks = list(
    await bench.data('pve1', 'GET', '/nodes/pve1/tasks', { vmid: 1101, typefilter: 'vzstart' }),
  );
  assert.equal(tasks[0]?.['status'], "bridge 'vmbr9' does not exist");
});

/** The world with other lines in the config of 101, and its archive. */
async function withConfig(
  config: Readonly<Record<string, string>>,
): Promise<{ bench: Bench; volid: string }> {
  const containers = WORLD.containers.map((one) => (one.vmid === 101 ? { ...one, config } : one));
  const bench = new Bench({ world: { ...WORLD, containers } });
  return { bench, volid: await archiveOf(bench, 101) };
}

const REFUSED: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
  [
    'a bind mount',
    { mp0: '/srv/data,mp=/data' },
    /^unable to restore CT 1101 - restoring 'mp0' to bind mount is only possible for root$/,
  ],
  ['a device', { mp0: '/dev/sdb,mp=/data' }, /restoring 'mp0' to device mount is only possible for root$/],
  [
    'a disk without a size',
    { mp0: 'local:101/d.raw,mp=/data' },
    /unable to detect disk size - please specify mp0 \(size\)$/,
  ],
];
for (const [what, config, why] of REFUSED)
  test(`a token cannot restore: ${what}`, async () => {
    const { bench, volid } = await withConfig(config);
    const call = { vmid: 1101, ostemplate: volid, restore: 1 };
    const { exitstatus } = await bench.task('pve2', 'POST', '/nodes/pve2/lxc', call);
    assert.match(exitstatus, why);
    assert.equal(await exists(bench, 'pve2', 1101), false);
  });

test('what a token restores: all disks, features as they are, raw lines with a warning left out', async () => {
  const { bench, volid } = await withConfig({
    mp0: 'local:101/vm-101-disk-1.raw,mp=/data,backup=1,size=2G',
    features: 'nesting=1,keyctl=1',
    'lxc.idmap': 'u 0 100000 65536',
  });
  const live = record(await bench.data('pve1', 'GET', '/nodes/pve1/lxc/101/config'));
  assert.deepEqual(live['lxc'], [['lxc.idmap', 'u 0 100000 65536']]);
  const call = { vmid: 1101, ostemplate: volid, restore: 1 };
  const { exitstatus, log } = await bench.task('pve2', 'POST', '/nodes/pve2/lxc', call);
  assert.equal(exitstatus, 'WARNINGS: 1');
  assert.match(
    log.join('\n'),
    /WARN: skipping custom lxc options, restore manually as root:\n-+\nlxc\.idmap: u 0 100000 65536/,
  );
  const made = record(await bench.data('pve2', 'GET', '/nodes/pve2/lxc/1101/config'));
  assert.equal(made['lxc'], undefined);
  assert.equal(made['features'], 'nesting=1,keyctl=1');
  assert.equal(made['mp0'], 'local:1101/vm-1101-disk-1.raw,mp=/data,backup=1,size=2G');
  await bench.task('pve2', 'DELETE', '/nodes/pve2/lxc/1101');
  const disks = list(
    await bench.data('pve2', 'GET', '/nodes/pve2/storage/local/content', { content: 'rootdir' }),
  );
  assert.deepEqual(
    disks.filter((disk) => disk['vmid'] === 1101),
    [],
  );
});

test('mount points of the call: then the archive’s own count for nothing', async () => {
  const { bench, volid } = await withConfig({
    mp0: 'local:101/d.raw,mp=/data,backup=1,size=2G',
    mp1: '/srv,mp=/srv',
  });
  const call = { vmid: 1101, ostemplate: volid, restore: 1, storage: 'nosuch' };
  const { exitstatus } = await bench.task('pve2', 'POST', '/nodes/pve2/lxc', {
    ...call,
    rootfs: 'local:0.5',
    mp0: 'local:1,mp=/data,backup=1',
  });
  assert.equal(exitstatus, 'OK');
  const made = record(await bench.data('pve2', 'GET', '/nodes/pve2/lxc/1101/config'));
  assert.deepEqual(
    [made['rootfs'], made['mp0'], made['mp1']],
    [
      'local:1101/vm-1101-disk-0.raw,size=512M',
      'local:1101/vm-1101-disk-1.raw,mp=/data,backup=1,size=1G',
      undefined,
    ],
  );
  const without = await bench.call('pve2', 'POST', '/nodes/pve2/lxc', {
    ...call,
    vmid: 1102,
    mp0: 'local:1,mp=/x',
  });
  assert.equal(without.statusText, "mount points configured, but 'rootfs' not set - aborting");
  const path = await bench.call('pve2', 'POST', '/nodes/pve2/lxc', {
    ...call,
    vmid: 1102,
    rootfs: 'local:1',
    mp1: '/srv,mp=/srv',
  });
  assert.equal(path.status, 403);
  assert.match(path.statusText, /mount point type bind is only allowed for root@pam/);
});

test('the bridges and the processor of a node', async () => {
  const bench = new Bench();
  const any = list(await bench.data('pve2', 'GET', '/nodes/pve2/network', { type: 'any_bridge' }));
  assert.deepEqual(
    any.map((one) => [one['iface'], one['type'], one['bridge_ports']]),
    [['vmbr0', 'bridge', 'eth0']],
  );
  const all = list(await bench.data('pve2', 'GET', '/nodes/pve2/network'));
  assert.deepEqual(
    all.map((one) => one['iface']),
    ['eth0', 'vmbr0'],
  );
});

test('a dead node interrupts a restore for good', async () => {
  const bench = new Bench();
  await bench.data('pve2', 'POST', '/nodes/pve2/lxc', {
    vmid: 1103,
    ostemplate: await archiveOf(bench, 103),
    restore: 1,
  });
  await bench.clock.advance(1_000);
  bench.lab.kill('pve2');
  await bench.clock.advance(60_000);
  bench.lab.revive('pve2');
  await bench.clock.advance(60_000);
  const left = record(await bench.data('pve2', 'GET', '/nodes/pve2/lxc/1103/config'));
  assert.equal(left['lock'], 'create');
  assert.equal(
    (await bench.task('pve2', 'POST', '/nodes/pve2/lxc/1103/status/start')).exitstatus,
    'CT is locked (create)',
  );
});
