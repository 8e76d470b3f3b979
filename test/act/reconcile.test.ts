import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings, reconcile, type Finding } from '../../lib/act/reconcile.ts';
import { setGuard } from '../../lib/act/guard.ts';
import { RETIRED_TAG } from '../../lib/act/retire.ts';
import { formatLineage, TAG } from '../../lib/decide/lineage.ts';
import type { Lineage } from '../../lib/decide/model.ts';
import { observe } from '../../lib/observe/observe.ts';
import { lineOf } from '../decide/parts.ts';
import { ActBench } from './bench.ts';

async function look(bench: ActBench, busy = new Map<string, string>()): Promise<Finding[]> {
  const { context } = bench;
  const { inventory, apis, runtime, state } = context;
  const observation = await bench.run(observe({ inventory, apis, runtime, state: state.read() }));
  return findings(context, observation, busy);
}

async function settle(bench: ActBench): Promise<string[]> {
  const left = await bench.run(reconcile(bench.context, await look(bench)));
  return left.map((f) => f.text);
}

function addCopy(bench: ActBench, line: Partial<Lineage> = {}, running = true): void {
  const full = lineOf(line);
  const config = { tags: [TAG], description: formatLineage(full), onboot: running };
  bench.pve.add(full.node, full.vmid, { running, config });
}

/** The copy is live on pve2; the original is on pve1, as given. */
function returned(t: ConstructorParameters<typeof ActBench>[0], running: boolean, onboot: boolean): ActBench {
  const bench = new ActBench(t);
  Object.assign(bench.pve.guest(101), { running: false });
  addCopy(bench);
  Object.assign(bench.pve.guest(101), { running });
  Object.assign(bench.pve.guest(101).config, { onboot });
  bench.pve.writes.length = 0;
  return bench;
}

test('nothing out of place', async (t) => assert.deepEqual(await look(new ActBench(t)), []));

test('an original that runs beside its copy is stopped at once, its onboot goes off, the copy runs on', async (t) => {
  const bench = returned(t, true, true);
  assert.match(
    (await look(bench)).map((f) => f.text).join(),
    /pve1\/101@0 is back .*it runs and is stopped at once, onboot goes off/,
  );
  assert.deepEqual(await settle(bench), []);
  assert.deepEqual(bench.pve.running(), ['pve2/1000101']);
  assert.equal(bench.pve.guest(101).config.onboot, false);
  assert.equal(bench.pve.writes[0], 'vzstop pve1/101');
  assert.deepEqual(await look(bench), [], 'a second run finds nothing');
});

test('a guard is taken away before the stop, which it would make void', async (t) => {
  const bench = returned(t, true, true);
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  await bench.run(
    setGuard(bench.context, api, { node: 'pve1', vmid: 101 }, { operation: 'op-1', way: 'group' }),
  );
  await settle(bench);
  assert.deepEqual(bench.pve.running(), ['pve2/1000101']);
  assert.deepEqual([bench.pve.ha, bench.pve.groups], [[], []]);
});

test('a stopped original gets onboot=0, and only then loses its guard', async (t) => {
  const bench = returned(t, false, true);
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  await bench.run(
    setGuard(bench.context, api, { node: 'pve1', vmid: 101 }, { operation: 'op-1', way: 'group' }),
  );
  bench.pve.writes.length = 0;
  await settle(bench);
  assert.deepEqual(bench.pve.writes, [
    'config pve1/101 description,onboot,tags',
    'delete ha ct:101',
    'delete group pw-guard-pve1',
  ]);
});

test('one that is down already is marked, once', async (t) => {
  const bench = returned(t, false, false);
  await settle(bench);
  assert.ok(bench.pve.guest(101).config.tags.includes(RETIRED_TAG));
  assert.deepEqual(await look(bench), []);
});

test('an original on a node that does not answer is left for later', async (t) => {
  const bench = returned(t, true, true);
  bench.pve.kill('pve1');
  assert.deepEqual(await look(bench), []);
});

test('the copy, the higher epoch, is never stopped, whoever else runs', async (t) => {
  const bench = returned(t, true, true);
  await settle(bench);
  assert.ok(!bench.pve.writes.some((w) => w.includes('1000101')));
});

test('two of one epoch are a person’s to settle: neither is touched', async (t) => {
  const bench = new ActBench(t);
  bench.pve.guests.delete(101);
  addCopy(bench, { supersedes: 'pve1/101@0' });
  addCopy(bench, { node: 'pve3', vmid: 2_000_101, supersedes: 'pve1/101@0' });
  const left = await settle(bench);
  assert.match(left.join(), /two copies of dns have the epoch 1/);
  assert.deepEqual(bench.pve.writes, []);
});

test('a vmid that was changed in the inventory after a failover: the other container is not touched', async (t) => {
  const bench = new ActBench(t, { vmid: 150 });
  bench.pve.guest(101).running = false;
  addCopy(bench);
  bench.pve.add('pve3', 150, { config: { macs: ['AA'] } });
  const left = await settle(bench);
  assert.match(left.join(), /drift: the inventory says vmid 150/);
  assert.deepEqual(bench.pve.running(), ['pve2/1000101', 'pve3/150']);
  assert.deepEqual(bench.pve.writes, []);
});

test('an unstarted copy of an operation that is not known here is told of and left alone', async (t) => {
  const bench = new ActBench(t);
  addCopy(bench, { phase: 'restored' }, false);
  assert.match(
    (await settle(bench)).join(),
    /unfinished copy of op-20261122T100000-aaaaaa, which is not known here/,
  );
  assert.deepEqual(bench.pve.writes, []);
});

test('an unstarted copy that an ended operation has left over is taken away', async (t) => {
  const bench = new ActBench(t);
  const { op } = bench.operation();
  Object.assign(op, { status: 'failed', endedAt: 1 });
  bench.context.operations.save(op);
  addCopy(bench, { phase: 'restored', operation: op.id }, false);
  assert.deepEqual(await settle(bench), []);
  assert.deepEqual([...bench.pve.guests.keys()], [101]);
});

test('an unstarted copy that runs, started by a person, is not destroyed', async (t) => {
  const bench = new ActBench(t);
  const { op } = bench.operation();
  Object.assign(op, { status: 'failed', endedAt: 1 });
  bench.context.operations.save(op);
  bench.pve.guest(101).running = false;
  addCopy(bench, { phase: 'restored', operation: op.id }, true);
  await settle(bench);
  assert.deepEqual([...bench.pve.guests.keys()], [101, 1_000_101]);
});

test('an unstarted copy that a person uses after it was looked at is not destroyed', async (t) => {
  const bench = new ActBench(t);
  const { op } = bench.operation();
  Object.assign(op, { status: 'failed', endedAt: 1 });
  bench.context.operations.save(op);
  addCopy(bench, { phase: 'restored', operation: op.id }, false);
  const found = await look(bench);
  assert.notEqual(found[0]?.act, null);
  // Started and stopped again in between: it is stopped, and its line still says that it never was started.
  bench.pve.task('vzstart', 'pve2', 1_000_101, () => undefined);
  await bench.run(bench.context.runtime.clock.sleep(60_000));
  await bench.run(reconcile(bench.context, found));
  assert.deepEqual([...bench.pve.guests.keys()], [101, 1_000_101]);
});

test('a container that runs without a config is told of', async (t) => {
  const bench = new ActBench(t);
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  const netstat: typeof api.netstat = (node, options) => plain.netstat(node, options);
  const plain = { ...api };
  api.netstat = async (node, options) => [
    ...(await netstat(node, options)),
    ...(node === 'pve3' ? [101, 777] : []),
  ];
  assert.deepEqual(await settle(bench), [
    'CT 101 runs on pve3 without a config there (netstat), beside pve1/101@0: on pve3, `lxc-stop -k -n 101`',
  ]);
});

test('a container with an operation in hand is left alone, and of one that is only observed it is told', async (t) => {
  assert.deepEqual(await look(returned(t, true, true), new Map([['dns', 'op-1']])), []);
  const observed = new ActBench(t, { mode: 'observe' });
  addCopy(observed);
  const [told, ...more] = await look(observed);
  assert.deepEqual([told?.act, more], [null, []]);
  assert.match(
    told?.text ?? '',
    /^mode: observe never acts, so nothing is done of this: .* pve1\/101@0 is back/,
  );
});

test('a copy that lost its tag is known all the same', async (t) => {
  const bench = returned(t, true, true);
  bench.pve.guest(1_000_101).config.tags = [];
  await settle(bench);
  assert.deepEqual(bench.pve.running(), ['pve2/1000101']);
});

/** The live copy, made on pve2, has been migrated to pve3 by a person. */
function migrated(t: ConstructorParameters<typeof ActBench>[0], line: Partial<Lineage> = {}): ActBench {
  const bench = returned(t, false, false);
  bench.pve.guest(101).config.tags = [TAG, RETIRED_TAG];
  const copy = bench.pve.guest(1_000_101);
  copy.config.description = formatLineage(lineOf(line));
  copy.node = 'pve3';
  return bench;
}

test('a copy that a person has migrated is followed: its line says where it is', async (t) => {
  const bench = migrated(t);
  assert.match(
    (await look(bench)).map((f) => f.text).join(),
    /was restored on pve2 and is on pve3 now: its line/,
  );
  assert.deepEqual(await settle(bench), []);
  assert.deepEqual(bench.pve.writes, ['config pve3/1000101 description']);
  assert.deepEqual(await look(bench), []);
  await bench.look();
  const current = bench.context.state.read().containers['dns']?.current;
  assert.deepEqual([current?.node, current?.epoch], ['pve3', 1]);
  const { outcome } = await bench.act({ mode: 'planned', to: { cluster: 'home', node: 'pve2' } });
  assert.equal(outcome.status, 'done', outcome.text);
  assert.deepEqual(bench.pve.running(), ['pve2/2000101']);
  assert.deepEqual(bench.pve.violations, []);
});

test('its config was moved away from a node that is cut off: the copy may run on there, so it is not followed', async (t) => {
  const bench = migrated(t);
  bench.pve.cut('pve2');
  const left = await settle(bench);
  assert.match(left.join(), /is on pve3 now, and is not followed there: pve2 does not answer/);
  assert.deepEqual(bench.pve.writes, []);
});

test('the node that it came from still shows an interface of it: not followed', async (t) => {
  const bench = migrated(t);
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  const plain = { ...api };
  api.netstat = async (node) => (node === 'pve2' ? [1_000_101] : plain.netstat(node));
  assert.match((await settle(bench)).join(), /the netstat of pve2 still shows an interface of it/);
  assert.deepEqual(bench.pve.writes, []);
});

test('a copy that was never started, elsewhere: not followed, and not destroyed', async (t) => {
  const bench = migrated(t, { phase: 'restored' });
  assert.match((await settle(bench)).join(), /not followed there: it has never been started/);
  assert.deepEqual(bench.pve.writes, []);
});

test('a restore of an older copy under its own vmid is not followed: there is a later one', async (t) => {
  const bench = migrated(t);
  addCopy(bench, { epoch: 2, vmid: 2_000_101, node: 'pve2', supersedes: 'pve2/1000101@1' }, false);
  assert.match((await settle(bench)).join(), /there is a later copy/);
  assert.deepEqual(bench.pve.writes, []);
});
