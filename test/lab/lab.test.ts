import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LabUnreachable } from '../../lib/lab/types.ts';
import { Bench, list, record } from './world.ts';

const ARCHIVE = /vzdump-lxc-101-\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d\.tar\.zst/;

async function volidOf(bench: Bench, vmid: number): Promise<string> {
  const entries = list(
    await bench.data('pve2', 'GET', '/nodes/pve2/storage/nas/content', { content: 'backup', vmid }),
  );
  return String(entries[0]?.['volid']);
}

async function seenFrom(bench: Bench, viewer: string): Promise<string[]> {
  const entries = list(await bench.data(viewer, 'GET', '/cluster/status'));
  return entries
    .filter((one) => one['type'] === 'node' && one['online'] === 1)
    .map((one) => String(one['name']));
}

test('the usual life of a container: stop, start, config, both refused when they make no sense', async () => {
  const bench = new Bench();
  assert.equal((await bench.task('pve3', 'POST', '/nodes/pve1/lxc/101/status/stop')).exitstatus, 'OK');
  assert.deepEqual(bench.runs(), ['pve2/102', 'pve3/103']);
  const again = await bench.call('pve1', 'POST', '/nodes/pve1/lxc/101/status/stop');
  assert.equal(`${again.status} ${again.statusText}`, '500 CT 101 not running');
  assert.equal((await bench.task('pve1', 'POST', '/nodes/pve1/lxc/101/status/start')).exitstatus, 'OK');
  assert.deepEqual(bench.runs(), ['pve1/101', 'pve2/102', 'pve3/103']);
  await bench.data('pve1', 'PUT', '/nodes/pve1/lxc/101/config', {
    onboot: 0,
    tags: 'b;a',
    description: 'x: y\nä',
  });
  const config = record(await bench.data('pve1', 'GET', '/nodes/pve1/lxc/101/config'));
  assert.deepEqual([config['onboot'], config['tags'], config['description']], [0, 'a;b', 'x: y\nä\n']);
  assert.deepEqual(
    bench.lab.events.map((event) => event.text),
    ['pve1: CT 101 (dns) stopped by proxwarden@pve!cli', 'pve1: CT 101 (dns) started by proxwarden@pve!cli'],
  );
});

test('a dead node: seen offline after eight seconds, calls to it fail as recorded, its guests turn unknown after 297 s', async () => {
  const bench = new Bench();
  bench.lab.kill('pve1');
  assert.deepEqual(bench.runs(), ['pve2/102', 'pve3/103']);
  await assert.rejects(
    bench.call('pve1', 'GET', '/version'),
    (error: unknown) => error instanceof LabUnreachable && error.how === 'no-route',
  );
  assert.deepEqual(await seenFrom(bench, 'pve2'), ['pve1', 'pve2', 'pve3']);
  const killed = bench.clock.now();
  const first = await bench.call('pve2', 'GET', '/nodes/pve1/lxc');
  assert.deepEqual(
    [first.status, first.statusText, first.body, bench.clock.now() - killed],
    [595, 'Connection timed out', '', 30_000],
  );
  const second = await bench.call('pve2', 'GET', '/nodes/pve1/lxc');
  assert.deepEqual([second.statusText, bench.clock.now() - killed], ['No route to host', 33_000]);
  assert.deepEqual(await seenFrom(bench, 'pve2'), ['pve2', 'pve3']);
  const shown = async (): Promise<unknown> =>
    list(await bench.data('pve2', 'GET', '/cluster/resources', { type: 'vm' })).find(
      (one) => one['vmid'] === 101,
    );
  const frozen = record(await shown());
  assert.equal(frozen['status'], 'running');
  await bench.clock.advance(100_000);
  assert.equal(record(await shown())['uptime'], frozen['uptime']);
  await bench.clock.advanceTo(killed + 298_000);
  // Tags come from the cluster's files, which everybody has.
  assert.deepEqual(await shown(), {
    id: 'lxc/101',
    type: 'lxc',
    vmid: 101,
    node: 'pve1',
    status: 'unknown',
    tags: 'net',
  });
  const taken = await bench.call('pve2', 'POST', '/nodes/pve2/lxc', {
    vmid: 101,
    ostemplate: await volidOf(bench, 101),
    restore: 1,
    force: 1,
  });
  assert.equal(taken.statusText, "CT 101 already exists on node 'pve1'");
});

test('a copy with another vmid, then the original returns by itself: the lab records a violation, once', async () => {
  const bench = new Bench();
  bench.lab.kill('pve1');
  await bench.clock.advance(20_000);
  const volid = await volidOf(bench, 101);
  const restored = await bench.task('pve2', 'POST', '/nodes/pve2/lxc', {
    vmid: 1101,
    ostemplate: volid,
    restore: 1,
    onboot: 0,
  });
  assert.equal(restored.exitstatus, 'OK');
  assert.match(restored.log.join('\n'), ARCHIVE);
  assert.equal((await bench.task('pve2', 'POST', '/nodes/pve2/lxc/1101/status/start')).exitstatus, 'OK');
  assert.equal(bench.lab.violations.length, 0);
  bench.lab.revive('pve1');
  await bench.clock.advance(60_000);
  assert.deepEqual(bench.runs(), ['pve1/101', 'pve2/102', 'pve2/1101', 'pve3/103']);
  assert.equal(bench.lab.violations.length, 1);
  assert.match(bench.lab.violations[0]?.text ?? '', /CT 101 on pve1 and CT 1101 on pve2/);
  assert.ok(bench.lab.events.some((event) => event.text === 'pve1: CT 101 (dns) started by autostart'));
});

test('the identity of a container without a network interface travels in its archives', async () => {
  const bench = new Bench();
  const volid = await volidOf(bench, 103);
  await bench.task('pve2', 'POST', '/nodes/pve2/lxc', {
    vmid: 1103,
    ostemplate: volid,
    restore: 1,
    start: 1,
  });
  await bench.clock.advance(5_000);
  assert.equal(bench.lab.violations.length, 1);
});

test('a copy whose link is down disturbs nobody until it is connected', async () => {
  const bench = new Bench();
  const config = record(await bench.data('pve1', 'GET', '/nodes/pve1/lxc/101/config'));
  const net0 = String(config['net0']);
  const volid = await volidOf(bench, 101);
  await bench.task('pve2', 'POST', '/nodes/pve2/lxc', {
    vmid: 9101,
    ostemplate: volid,
    restore: 1,
    start: 1,
    net0: `${net0},link_down=1`,
  });
  await bench.clock.advance(5_000);
  assert.equal(bench.lab.violations.length, 0);
  await bench.data('pve2', 'PUT', '/nodes/pve2/lxc/9101/config', { net0 });
  assert.equal(bench.lab.violations.length, 1);
});

test('a node returns: corosync after 7 s, API after 9 s, its report after 13 s, then autostart', async () => {
  const bench = new Bench();
  bench.lab.kill('pve2');
  await bench.clock.advance(400_000);
  bench.lab.revive('pve2');
  const status = async (): Promise<unknown> =>
    list(await bench.data('pve1', 'GET', '/cluster/resources', { type: 'node' })).find(
      (one) => one['node'] === 'pve2',
    )?.['status'];
  assert.equal(await status(), 'offline');
  await bench.clock.advance(7_100);
  assert.equal(await status(), 'unknown');
  assert.equal((await bench.call('pve1', 'GET', '/nodes/pve2/status')).statusText, 'Connection refused');
  await bench.clock.advance(2_000);
  assert.equal((await bench.call('pve1', 'GET', '/nodes/pve2/status')).status, 200);
  assert.equal(await status(), 'unknown');
  await bench.clock.advance(4_000);
  assert.equal(await status(), 'online');
  assert.ok(bench.runs().includes('pve2/102'));
});

test('autostart follows the configs of that moment', async () => {
  const bench = new Bench();
  await bench.data('pve1', 'PUT', '/nodes/pve2/lxc/102/config', { onboot: 0 });
  bench.lab.kill('pve2');
  bench.lab.revive('pve2');
  await bench.clock.advance(60_000);
  assert.deepEqual(bench.runs(), ['pve1/101', 'pve3/103']);
});

test('without quorum: stop works, start and restore do not, a booting node has no API and starts nothing', async () => {
  const bench = new Bench();
  bench.lab.kill('pve2');
  bench.lab.kill('pve3');
  await bench.clock.advance(10_000);
  const call = async (
    method: string,
    path: string,
    form?: Record<string, string | number>,
  ): Promise<string> => {
    const answer = await bench.call('pve1', method, path, form);
    return `${answer.status} ${answer.statusText}`;
  };
  assert.match(
    await call('PUT', '/nodes/pve1/lxc/101/config', { onboot: 0 }),
    /^500 unable to open file '\/etc\/pve\/nodes\/pve1\/lxc\/101\.conf\.tmp\.\d+' - Permission denied$/,
  );
  assert.equal((await bench.task('pve1', 'POST', '/nodes/pve1/lxc/101/status/stop')).exitstatus, 'OK');
  assert.equal(await call('POST', '/nodes/pve1/lxc/101/status/start'), '500 cluster not ready - no quorum?');
  const volid = String(
    list(await bench.data('pve1', 'GET', '/nodes/pve1/storage/nas/content'))[0]?.['volid'],
  );
  assert.equal(
    await call('POST', '/nodes/pve1/lxc', { vmid: 900, ostemplate: volid, restore: 1 }),
    '500 cluster not ready - no quorum?',
  );
  bench.lab.kill('pve1');
  bench.lab.revive('pve1');
  await bench.clock.advance(60_000);
  await assert.rejects(bench.call('pve1', 'GET', '/version'), LabUnreachable);
  assert.deepEqual(bench.runs(), []);
  bench.lab.revive('pve2');
  await bench.clock.advance(60_000);
  assert.deepEqual(bench.runs(), ['pve1/101', 'pve2/102']);
});

test('a cut node runs on without anybody reaching it, and joins again when mended', async () => {
  const bench = new Bench();
  bench.lab.cut('pve1');
  await assert.rejects(
    bench.call('pve1', 'GET', '/version'),
    (error: unknown) => error instanceof LabUnreachable && error.how === 'timeout',
  );
  await bench.clock.advance(10_000);
  assert.deepEqual(await seenFrom(bench, 'pve2'), ['pve2', 'pve3']);
  assert.ok(bench.runs().includes('pve1/101'));
  assert.equal(bench.lab.running().find((copy) => copy.vmid === 101)?.services[0]?.up, false);
  assert.equal(bench.lab.status().nodes[0]?.quorate, false);
  bench.lab.mendNetwork('pve1');
  await bench.clock.advance(3_000);
  assert.deepEqual(await seenFrom(bench, 'pve2'), ['pve1', 'pve2', 'pve3']);
  assert.equal(bench.lab.running().find((copy) => copy.vmid === 101)?.services[0]?.up, true);
});

test('fate and people: broken services, full storages, plugs, starts and stops by hand', async () => {
  const bench = new Bench();
  let changes = 0;
  bench.lab.onChange(() => (changes += 1));
  bench.lab.breakService('dns');
  assert.equal(bench.lab.running().find((copy) => copy.vmid === 101)?.services[0]?.up, false);
  bench.lab.mendService('dns');
  assert.equal(bench.lab.running().find((copy) => copy.vmid === 101)?.services[0]?.up, true);
  assert.equal(changes, 2);
  await bench.clock.run(bench.lab.stopByHand(101));
  const tasks = list(
    await bench.data('pve2', 'GET', '/nodes/pve1/tasks', { vmid: 101, typefilter: 'vzstop' }),
  );
  assert.deepEqual([tasks[0]?.['user'], tasks[0]?.['status']], ['root@pam', 'OK']);
  await bench.clock.run(bench.lab.startByHand(101));
  assert.ok(bench.runs().includes('pve1/101'));
  bench.lab.setPlug('pve1', 'off');
  assert.equal(bench.lab.plug('pve1'), 'off');
  assert.equal(bench.lab.status().containers.find((one) => one.vmid === 101)?.state, 'off-with-node');
});

test('a call whose node dies while it answers gets no answer, and the blocked write is not carried out', async () => {
  const bench = new Bench();
  bench.lab.kill('pve3');
  const pending = bench.call('pve1', 'PUT', '/nodes/pve1/lxc/101/config', { onboot: 0 });
  bench.clock.sleep(3_000).then(
    () => bench.lab.kill('pve1'),
    () => undefined,
  );
  await assert.rejects(
    pending,
    (error: unknown) => error instanceof LabUnreachable && error.how === 'timeout',
  );
  assert.equal(bench.lab.status().containers.find((one) => one.vmid === 101)?.onboot, true);
});
