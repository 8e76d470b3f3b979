/** A node whose API hangs, and lists that are as old as pvestatd's last round. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LabUnreachable } from '../../lib/lab/types.ts';
import { Bench, list, record } from './world.ts';

async function statusInList(bench: Bench, viewer: string, vmid: number): Promise<unknown> {
  const entries = list(await bench.data(viewer, 'GET', '/cluster/resources', { type: 'vm' }));
  return entries.find((one) => one['vmid'] === vmid)?.['status'];
}

async function current(bench: Bench, node: string, vmid: number): Promise<unknown> {
  return record(await bench.data(node, 'GET', `/nodes/${node}/lxc/${vmid}/status/current`))['status'];
}

test('a hung node: 596 after thirty seconds from the others, silence from itself, online for the cluster', async () => {
  const bench = new Bench();
  bench.lab.hang('pve1');
  await assert.rejects(
    bench.call('pve1', 'GET', '/version'),
    (error: unknown) => error instanceof LabUnreachable && error.how === 'timeout',
  );
  const before = bench.clock.now();
  const answer = await bench.call('pve2', 'GET', '/nodes/pve1/status');
  assert.deepEqual(
    [answer.status, answer.statusText, answer.body, bench.clock.now() - before],
    [596, 'Connection timed out', '', 30_000],
  );
  const nodes = list(await bench.data('pve2', 'GET', '/cluster/status'));
  assert.equal(nodes.find((one) => one['name'] === 'pve1')?.['online'], 1);
  assert.equal(await statusInList(bench, 'pve2', 101), 'running');
  bench.lab.unhang('pve1');
  assert.equal((await bench.call('pve2', 'GET', '/nodes/pve1/status')).status, 200);
});

test('what was asked of a hung node is done when it goes on, though the caller has been told 596', async () => {
  const bench = new Bench();
  bench.lab.hang('pve1');
  assert.equal((await bench.call('pve2', 'POST', '/nodes/pve1/lxc/101/status/stop')).status, 596);
  await bench.clock.advance(60_000);
  assert.ok(bench.runs().includes('pve1/101'));
  bench.lab.unhang('pve1');
  await bench.clock.advance(5_000);
  assert.ok(!bench.runs().includes('pve1/101'));
});

test('a node that loses power while it hangs has forgotten what it was asked', async () => {
  const bench = new Bench();
  bench.lab.hang('pve1');
  await assert.rejects(bench.call('pve1', 'POST', '/nodes/pve1/lxc/101/status/stop'));
  bench.lab.kill('pve1');
  bench.lab.revive('pve1');
  await bench.clock.advance(60_000);
  assert.ok(bench.runs().includes('pve1/101'), 'autostarted, not stopped');
});

test('cluster/resources shows what pvestatd last saw: up to ten seconds old, while the node itself knows better', async () => {
  const bench = new Bench();
  await bench.clock.advance(11_000);
  assert.equal(await statusInList(bench, 'pve2', 101), 'running');
  bench.lab.crash(101);
  assert.equal(await current(bench, 'pve1', 101), 'stopped');
  assert.equal(await statusInList(bench, 'pve2', 101), 'running');
  assert.equal(await statusInList(bench, 'pve1', 101), 'running');
  await bench.clock.advance(10_000);
  assert.equal(await statusInList(bench, 'pve2', 101), 'stopped');
});

test('a copy that was just restored is in the list, and unknown', async () => {
  const bench = new Bench();
  const volid = list(await bench.data('pve1', 'GET', '/nodes/pve1/storage/nas/content')).find(
    (one) => one['vmid'] === 101,
  )?.['volid'];
  await bench.clock.advance(12_500);
  await bench.task('pve2', 'POST', '/nodes/pve2/lxc', { vmid: 1101, ostemplate: String(volid), restore: 1 });
  const shown = await statusInList(bench, 'pve1', 1101);
  assert.ok(shown === 'unknown' || shown === 'stopped');
  await bench.clock.advance(10_000);
  assert.equal(await statusInList(bench, 'pve1', 1101), 'stopped');
});
