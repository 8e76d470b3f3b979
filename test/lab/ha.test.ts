import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench, list, record, WORLD } from './world.ts';

async function configNode(bench: Bench, vmid: number): Promise<unknown> {
  const guests = list(await bench.data('pve2', 'GET', '/cluster/resources', { type: 'vm' }));
  return guests.find((one) => one['vmid'] === vmid)?.['node'];
}

test('the inert guard: the config stays, the node returns and does not start it; without the entry it stays stopped', async () => {
  const bench = new Bench();
  bench.lab.kill('pve1');
  const asked = bench.clock.now();
  await bench.data('pve2', 'POST', '/cluster/ha/groups', {
    group: 'pw-guard-pve1',
    nodes: 'pve1',
    restricted: 1,
  });
  assert.equal(bench.clock.now() - asked, 8_000, 'writes block while membership changes');
  await bench.data('pve2', 'POST', '/cluster/ha/resources', {
    sid: 'ct:101',
    state: 'disabled',
    group: 'pw-guard-pve1',
  });
  const again = await bench.call('pve2', 'POST', '/cluster/ha/resources', {
    sid: 'ct:101',
    state: 'disabled',
  });
  assert.equal(again.statusText, "create resource failed: resource ID 'ct:101' already defined");
  await bench.clock.advance(200_000);
  assert.equal(await configNode(bench, 101), 'pve1');
  bench.lab.revive('pve1');
  await bench.clock.advance(60_000);
  assert.ok(!bench.runs().includes('pve1/101'));
  await bench.data('pve2', 'DELETE', '/cluster/ha/resources/ct:101');
  const current = record(await bench.data('pve2', 'GET', '/nodes/pve1/lxc/101/status/current'));
  assert.deepEqual([current['status'], current['ha']], ['stopped', { managed: 0 }]);
});

test('a plain entry is not inert: the config moves to a live node after about 70 s, stopped', async () => {
  const bench = new Bench();
  bench.lab.kill('pve1');
  await bench.clock.advance(20_000);
  await bench.data('pve2', 'POST', '/cluster/ha/resources', { sid: 'ct:101', state: 'disabled' });
  await bench.clock.advance(65_000);
  assert.equal(await configNode(bench, 101), 'pve1');
  await bench.clock.advance(10_000);
  assert.equal(await configNode(bench, 101), 'pve2');
  assert.ok(!bench.runs().includes('pve2/101'));
  const refused = await bench.call('pve2', 'DELETE', '/nodes/pve2/lxc/101');
  assert.match(refused.statusText, /used in HA resources and purge parameter not set/);
  const destroyed = await bench.task('pve2', 'DELETE', '/nodes/pve2/lxc/101', { purge: 1 });
  assert.match(
    destroyed.log.join('\n'),
    /does not exist\n.*\nNOTE: removed CT 101 from HA resource configuration\./,
  );
});

test("anybody's start on a guarded container sets the entry to started and runs it", async () => {
  const bench = new Bench();
  await bench.task('pve1', 'POST', '/nodes/pve1/lxc/101/status/stop');
  await bench.data('pve1', 'POST', '/cluster/ha/resources', { sid: 'ct:101', state: 'disabled' });
  await bench.clock.advance(60_000);
  assert.ok(!bench.runs().includes('pve1/101'));
  const started = await bench.task('pve2', 'POST', '/nodes/pve1/lxc/101/status/start');
  assert.deepEqual([started.exitstatus, started.log[0]], ['OK', 'Requesting HA start for CT 101']);
  await bench.clock.advance(30_000);
  assert.ok(bench.runs().includes('pve1/101'));
  const entry = record(await bench.data('pve2', 'GET', '/cluster/ha/resources/ct:101'));
  assert.equal(entry['state'], 'started');
});

test('stop on a copy that is guarded since its node was cut off says OK, and it runs on until the entry is gone', async () => {
  const bench = new Bench();
  bench.lab.cut('pve1');
  await bench.clock.advance(20_000);
  await bench.data('pve2', 'POST', '/cluster/ha/groups', { group: 'g1', nodes: 'pve1', restricted: 1 });
  await bench.data('pve2', 'POST', '/cluster/ha/resources', {
    sid: 'ct:101',
    state: 'disabled',
    group: 'g1',
  });
  bench.lab.mendNetwork('pve1');
  await bench.clock.advance(60_000);
  const stopped = await bench.task('pve2', 'POST', '/nodes/pve1/lxc/101/status/stop');
  assert.deepEqual([stopped.exitstatus, stopped.log[0]], ['OK', 'Requesting HA stop for CT 101']);
  await bench.clock.advance(60_000);
  assert.ok(bench.runs().includes('pve1/101'));
  await bench.data('pve2', 'DELETE', '/cluster/ha/resources/ct:101');
  await bench.task('pve2', 'POST', '/nodes/pve1/lxc/101/status/stop');
  assert.ok(!bench.runs().includes('pve1/101'));
});

test('a running container that is enrolled as stopped is stopped; an ignored entry guards nothing', async () => {
  const bench = new Bench();
  await bench.data('pve1', 'POST', '/cluster/ha/resources', { sid: 'ct:101', state: 'stopped' });
  await bench.data('pve1', 'POST', '/cluster/ha/resources', { sid: 'ct:102', state: 'ignored' });
  await bench.clock.advance(30_000);
  assert.deepEqual(bench.runs(), ['pve2/102', 'pve3/103']);
  bench.lab.kill('pve2');
  await bench.clock.advance(20_000);
  bench.lab.revive('pve2');
  await bench.clock.advance(60_000);
  assert.ok(bench.runs().includes('pve2/102'));
});

test('9.x: rules in place of groups; the entry first, and a strict rule keeps the config on its dead node', async () => {
  const bench = new Bench({ world: { ...WORLD, version: '9.1.2' } });
  const rule = { rule: 'r1', type: 'node-affinity', nodes: 'pve1', resources: 'ct:101', strict: 1 };
  bench.lab.kill('pve1');
  await bench.clock.advance(20_000);
  const refused = async (path: string, form?: Record<string, string | number>): Promise<string> =>
    (await bench.call('pve2', form === undefined ? 'GET' : 'POST', path, form)).statusText;
  assert.match(await refused('/cluster/ha/groups'), /^cannot index groups: ha groups have been migrated/);
  assert.match(await refused('/cluster/ha/groups', { group: 'g1', nodes: 'pve1' }), /have been migrated/);
  assert.match(await refused('/cluster/ha/resources', { sid: 'ct:101', group: 'g1' }), /migrated to rules/);
  assert.match(await refused('/cluster/ha/rules', rule), /cannot use unmanaged resource\(s\) ct:101\./);
  await bench.data('pve2', 'POST', '/cluster/ha/resources', { sid: 'ct:101', state: 'ignored' });
  assert.match(
    await refused('/cluster/ha/rules', { ...rule, nodes: 'pve9' }),
    /non-existant node\(s\) pve9\./,
  );
  await bench.data('pve2', 'POST', '/cluster/ha/rules', rule);
  assert.match(await refused('/cluster/ha/rules', rule), /HA rule 'r1' already defined/);
  await bench.data('pve2', 'PUT', '/cluster/ha/resources/ct:101', { state: 'disabled' });
  await bench.clock.advance(200_000);
  assert.equal(await configNode(bench, 101), 'pve1');
  // Without its rule it is a plain one.
  await bench.data('pve2', 'DELETE', '/cluster/ha/rules/r1');
  await bench.data('pve2', 'DELETE', '/cluster/ha/rules/r1');
  await bench.clock.advance(20_000);
  assert.equal(await configNode(bench, 101), 'pve2');
});

test('9.x: an entry that is deleted is taken out of the rules, unless purge=0', async () => {
  const bench = new Bench({ world: { ...WORLD, version: '9.1.2' } });
  const rules = async (): Promise<unknown[]> =>
    list(await bench.data('pve2', 'GET', '/cluster/ha/rules')).map((one) => one['rule']);
  for (const [form, left] of [
    [{}, []],
    [{ purge: 0 }, ['r1']],
  ] as const) {
    await bench.data('pve2', 'POST', '/cluster/ha/resources', { sid: 'ct:101', state: 'ignored' });
    await bench.data('pve2', 'POST', '/cluster/ha/rules', {
      rule: 'r1',
      type: 'node-affinity',
      nodes: 'pve1:2,pve2',
      resources: 'ct:101',
    });
    await bench.data('pve2', 'DELETE', '/cluster/ha/resources/ct:101', form);
    assert.deepEqual(await rules(), left);
  }
});

test('8.4 knows no rules', async () => {
  const bench = new Bench();
  const answer = await bench.call('pve2', 'GET', '/cluster/ha/rules');
  assert.deepEqual(
    [answer.status, answer.statusText],
    [501, "Method 'GET /cluster/ha/rules' not implemented"],
  );
});

/** An entry of ha/status/current. */
async function haStatus(bench: Bench, id: string): Promise<Record<string, unknown> | undefined> {
  const all = list(await bench.data('pve2', 'GET', '/cluster/ha/status/current'));
  return all.find((one) => one['id'] === id);
}

test('a container that was enrolled before its node died is fenced after 69 s and moved after 139 s', async () => {
  const bench = new Bench();
  await bench.data('pve1', 'POST', '/cluster/ha/resources', { sid: 'ct:101', state: 'started' });
  await bench.clock.advance(20_000);
  assert.equal((await haStatus(bench, 'service:ct:101'))?.['state'], 'started');
  bench.lab.kill('pve1');
  await bench.clock.advance(68_000);
  assert.equal((await haStatus(bench, 'service:ct:101'))?.['state'], 'starting');
  await bench.clock.advance(2_000);
  const fenced = await haStatus(bench, 'service:ct:101');
  assert.deepEqual([fenced?.['state'], fenced?.['crm_state'], fenced?.['node']], ['fence', 'fence', 'pve1']);
  await bench.clock.advance(67_000);
  assert.equal(await configNode(bench, 101), 'pve1');
  await bench.clock.advance(20_000);
  assert.equal(await configNode(bench, 101), 'pve2');
});

test('the CRM has a dead node’s entry as queued, to be stopped, and stopped; a plain one is moved by then', async () => {
  const bench = new Bench();
  bench.lab.kill('pve1');
  await bench.clock.advance(20_000);
  await bench.data('pve2', 'POST', '/cluster/ha/groups', { group: 'g1', nodes: 'pve1', restricted: 1 });
  await bench.data('pve2', 'POST', '/cluster/ha/resources', {
    sid: 'ct:101',
    state: 'disabled',
    group: 'g1',
  });
  const seen: unknown[] = [];
  for (const seconds of [1, 14, 50]) {
    await bench.clock.advance(seconds * 1000);
    const one = await haStatus(bench, 'service:ct:101');
    seen.push([one?.['state'], one?.['crm_state'], one?.['request_state']]);
  }
  assert.deepEqual(seen, [
    ['queued', undefined, 'disabled'],
    ['request_stop', 'request_stop', 'disabled'],
    ['disabled', 'stopped', 'disabled'],
  ]);
});

test('the node that receives a config has an active LRM: cut off, it resets itself with everything on it', async () => {
  const bench = new Bench();
  bench.lab.kill('pve1');
  await bench.clock.advance(20_000);
  await bench.data('pve3', 'POST', '/cluster/ha/resources', { sid: 'ct:101', state: 'disabled' });
  await bench.clock.advance(80_000);
  assert.equal(await configNode(bench, 101), 'pve2');
  assert.match(String((await haStatus(bench, 'lrm:pve2'))?.['status']), /^pve2 \(active/);
  bench.lab.revive('pve1');
  await bench.clock.advance(60_000);
  await bench.task('pve2', 'DELETE', '/nodes/pve2/lxc/101', { purge: 1 });
  // Its last resource is gone, and for ten minutes it is as before.
  await bench.clock.advance(500_000);
  bench.lab.cut('pve2');
  await bench.clock.advance(65_000);
  assert.ok(bench.runs().includes('pve2/102'));
  await bench.clock.advance(2_000);
  assert.ok(!bench.runs().includes('pve2/102'));
});

test('a plain entry whose node is back before the CRM gives up makes its LRM active; a guard does not', async () => {
  for (const [form, word] of [
    [{}, /^pve1 \(active/],
    [{ group: 'g1' }, /^pve1 \(idle/],
  ] as const) {
    const bench = new Bench();
    bench.lab.kill('pve1');
    await bench.clock.advance(20_000);
    await bench.data('pve2', 'POST', '/cluster/ha/groups', { group: 'g1', nodes: 'pve1', restricted: 1 });
    await bench.data('pve2', 'POST', '/cluster/ha/resources', { sid: 'ct:101', state: 'disabled', ...form });
    await bench.clock.advance(15_000);
    bench.lab.revive('pve1');
    await bench.clock.advance(40_000);
    assert.match(String((await haStatus(bench, 'lrm:pve1'))?.['status']), word);
    assert.ok(!bench.runs().includes('pve1/101'), 'autostart skips what has an entry');
  }
});

test('a person at the GUI goes through the HA manager, too', async () => {
  const bench = new Bench();
  await bench.task('pve1', 'POST', '/nodes/pve1/lxc/101/status/stop');
  await bench.data('pve1', 'POST', '/cluster/ha/resources', { sid: 'ct:101', state: 'disabled' });
  await bench.clock.run(bench.lab.startByHand(101));
  assert.ok(!bench.runs().includes('pve1/101'), 'it is only a wish');
  await bench.clock.advance(20_000);
  assert.ok(bench.runs().includes('pve1/101'));
  await bench.clock.run(bench.lab.stopByHand(101));
  await bench.clock.advance(20_000);
  assert.ok(!bench.runs().includes('pve1/101'));
});

test('entries, groups and rules are written with Sys.Console on /, and read with Sys.Audit', async () => {
  for (const [privileges, reads, writes] of [
    [['Sys.Audit'], 200, 403],
    [['Sys.Console'], 403, 200],
  ] as const) {
    const tokens = [{ id: 'proxwarden@pve!cli', secret: 's3cret', privileges: { '/': [...privileges] } }];
    const bench = new Bench({ world: { ...WORLD, version: '9.1.2', tokens } });
    const form = { sid: 'ct:101', state: 'ignored' };
    const rule = { rule: 'r1', type: 'node-affinity', nodes: 'pve1', resources: 'ct:101' };
    for (const path of ['/cluster/ha/resources', '/cluster/ha/rules', '/cluster/ha/status/current'])
      assert.equal((await bench.call('pve2', 'GET', path)).status, reads, path);
    assert.equal((await bench.call('pve2', 'POST', '/cluster/ha/resources', form)).status, writes);
    assert.equal((await bench.call('pve2', 'POST', '/cluster/ha/rules', rule)).status, writes);
    assert.equal((await bench.call('pve2', 'DELETE', '/cluster/ha/rules/r1')).status, writes);
  }
});

test('maintenance mode of a node is in the manager’s status, stays while it is down, and is refused for one that is', async () => {
  const bench = new Bench();
  const said = async () =>
    record(record(await bench.data('pve2', 'GET', '/cluster/ha/status/manager_status'))['manager_status']);
  assert.deepEqual(await said(), {});
  bench.lab.maintain('pve1', 'enable');
  bench.lab.kill('pve1');
  await bench.clock.advance(60_000);
  bench.lab.maintain('pve1', 'enable');
  const status = await said();
  assert.deepEqual(status['node_request'], { pve1: { maintenance: 1 } });
  assert.equal(record(status['node_status'])['pve1'], 'maintenance');
  bench.lab.maintain('pve1', 'disable');
  assert.deepEqual(await said(), {});
  bench.lab.maintain('pve1', 'enable');
  assert.deepEqual(await said(), {});
});
