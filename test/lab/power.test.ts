import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench, list } from './world.ts';

async function tasksOf(bench: Bench, node: string): Promise<string[]> {
  const entries = list(await bench.data('pve2', 'GET', `/nodes/${node}/tasks`, { source: 'all' }));
  return entries.map((one) => `${String(one['type'])} ${String(one['id'])} ${String(one['user'])}`);
}

function told(bench: Bench): string[] {
  return bench.lab.events.map((event) => event.text);
}

test('a shutdown: a stopall of root@pam, a vzshutdown per container, the API goes, then the power', async () => {
  const bench = new Bench();
  const from = bench.clock.now();
  await bench.data('pve1', 'POST', '/nodes/pve1/status', { command: 'shutdown' });
  assert.equal(bench.clock.now(), from, 'the answer comes at once');
  await bench.clock.advanceTo(from + 10_000);
  assert.deepEqual(await tasksOf(bench, 'pve1'), ['vzshutdown 101 root@pam', 'stopall  root@pam']);
  assert.deepEqual(bench.runs(), ['pve2/102', 'pve3/103']);
  await bench.clock.advanceTo(from + 16_000);
  const refused = await bench.call('pve2', 'GET', '/nodes/pve1/status');
  assert.deepEqual([refused.status, refused.statusText], [595, 'Connection refused']);
  await bench.clock.advanceTo(from + 120_000);
  assert.deepEqual(told(bench), [
    'node pve1: shutdown by API',
    'pve1: CT 101 (dns) shut down by root@pam',
    'node pve1: API down',
    'node pve1: power lost',
    'node pve1: offline for the others',
  ]);
});

test('a reboot by a person: down as a shutdown, back in half a minute, a startall starts what has onboot', async () => {
  const bench = new Bench();
  bench.lab.reboot('pve1');
  await bench.clock.advance(60_000);
  assert.deepEqual(bench.runs(), ['pve1/101', 'pve2/102', 'pve3/103']);
  assert.deepEqual(await tasksOf(bench, 'pve1'), [
    'vzstart 101 root@pam',
    'startall  root@pam',
    'vzshutdown 101 root@pam',
    'stopall  root@pam',
  ]);
});

test('a node that dies on its way down is not powered on by the reboot it was asked for', async () => {
  const bench = new Bench();
  bench.lab.reboot('pve1');
  await bench.clock.advance(10_000);
  bench.lab.kill('pve1');
  await bench.clock.advance(60_000);
  assert.equal(bench.lab.status().nodes[0]?.power, 'off');
  bench.lab.shutdown('pve1');
  assert.ok(!told(bench).includes('node pve1: shutdown by hand'), 'what is off is not shut down');
});

test('a change of membership does not bring back the API of a node on its way down', async () => {
  const bench = new Bench();
  bench.lab.shutdown('pve1');
  bench.lab.cut('pve3');
  await bench.clock.advance(15_500);
  bench.lab.mendNetwork('pve3');
  await bench.clock.advance(4_000);
  assert.equal(bench.lab.status().nodes[0]?.api, false);
});
