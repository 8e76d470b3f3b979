import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench, record } from './world.ts';

async function enrol(bench: Bench, vmid: number): Promise<void> {
  await bench.data('pve2', 'POST', '/cluster/ha/resources', { sid: `ct:${vmid}`, state: 'started' });
}

async function lrm(bench: Bench, node: string): Promise<Record<string, unknown>> {
  const said = record(await bench.data('pve2', 'GET', '/cluster/ha/status/manager_status'));
  return record(record(said['lrm_status'])[node]);
}

const events = (bench: Bench): string[] => bench.lab.events.map((e) => e.text);

test('a node with an active LRM that loses quorum resets itself after 66 s, and boots without starting anything', async () => {
  const bench = new Bench();
  await enrol(bench, 101);
  assert.equal((await lrm(bench, 'pve1'))['state'], 'active');
  const cutAt = bench.clock.now();
  bench.lab.cut('pve1');
  await bench.clock.advance(65_000);
  assert.ok(bench.runs().includes('pve1/101'));
  await bench.clock.advance(2_000);
  assert.ok(!bench.runs().includes('pve1/101'));
  const reset = bench.lab.events.find((e) => e.text === 'node pve1: its watchdog resets it');
  assert.equal(reset?.at, cutAt + 66_000);
  await bench.clock.advance(60_000);
  assert.ok(!bench.runs().includes('pve1/101'), 'without quorum it starts nothing');
});

test('its last word stays as it was, with the time at which it was written', async () => {
  const bench = new Bench();
  await enrol(bench, 101);
  bench.lab.cut('pve1');
  const before = await lrm(bench, 'pve1');
  await bench.clock.advance(120_000);
  assert.deepEqual(await lrm(bench, 'pve1'), before);
  assert.deepEqual([before['state'], before['mode']], ['active', 'active']);
  bench.lab.mendNetwork('pve1');
  await bench.clock.advance(60_000);
  assert.notEqual((await lrm(bench, 'pve1'))['timestamp'], before['timestamp']);
});

test('no reset: of a node without resources, or whose quorum is back in time', async () => {
  const bench = new Bench();
  await enrol(bench, 101);
  bench.lab.cut('pve3');
  bench.lab.cut('pve1');
  await bench.clock.advance(50_000);
  bench.lab.mendNetwork('pve1');
  await bench.clock.advance(200_000);
  assert.deepEqual(
    events(bench).filter((text) => text.includes('watchdog')),
    [],
  );
});

test('ten minutes after its last resource is gone the LRM is idle, and no watchdog is armed', async () => {
  const bench = new Bench();
  await enrol(bench, 101);
  await bench.clock.advance(30_000);
  await bench.data('pve2', 'DELETE', '/cluster/ha/resources/ct:101');
  await bench.data('pve2', 'POST', '/cluster/ha/resources', { sid: 'ct:102', state: 'ignored' });
  await bench.clock.advance(590_000);
  assert.equal((await lrm(bench, 'pve1'))['state'], 'active');
  await bench.clock.advance(20_000);
  assert.equal((await lrm(bench, 'pve1'))['state'], 'wait_for_agent_lock');
  bench.lab.cut('pve1');
  await bench.clock.advance(200_000);
  assert.ok(bench.runs().includes('pve1/101'), 'it runs on, cut off');
});

test('shutdown by API: guests first, API gone after 15 s, off after 20 s, its watchdog closed', async () => {
  const bench = new Bench();
  await enrol(bench, 101);
  const at = bench.clock.now();
  assert.equal(await bench.data('pve2', 'POST', '/nodes/pve1/status', { command: 'shutdown' }), null);
  assert.ok(bench.runs().includes('pve1/101'), 'it answers at once');
  await bench.clock.advance(6_000);
  assert.ok(!bench.runs().includes('pve1/101'));
  assert.equal((await bench.call('pve2', 'GET', '/nodes/pve1/status')).status, 200);
  await bench.clock.advance(10_000);
  assert.equal((await bench.call('pve2', 'GET', '/nodes/pve1/status')).status, 595);
  assert.equal((await lrm(bench, 'pve1'))['mode'], 'shutdown');
  await bench.clock.advance(5_000);
  assert.equal(bench.lab.status().nodes.find((n) => n.name === 'pve1')?.power, 'off');
  assert.ok(bench.clock.now() - at < 25_000);
  assert.deepEqual((await lrm(bench, 'pve1'))['mode'], 'shutdown');
});

test('a node that loses its power while it shuts down, and is on again, is left alone', async () => {
  const bench = new Bench();
  await bench.data('pve2', 'POST', '/nodes/pve1/status', { command: 'shutdown' });
  await bench.clock.advance(3_000);
  bench.lab.kill('pve1');
  bench.lab.revive('pve1');
  await bench.clock.advance(60_000);
  assert.equal(bench.lab.status().nodes.find((n) => n.name === 'pve1')?.power, 'on');
});
