import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { fenceNode } from '../../lib/act/fence/fence.ts';
import { findings } from '../../lib/act/reconcile.ts';
import type { FenceStatus } from '../../lib/decide/model.ts';
import { observe } from '../../lib/observe/observe.ts';
import { HOUR, MINUTE } from '../decide/parts.ts';
import { ActBench } from './bench.ts';
import { Plug, PLUG_CONFIG } from './plug.ts';

async function bench(t: TestContext): Promise<{ bench: ActBench; plug: Plug; fence: () => Promise<string> }> {
  const made = new ActBench(t, {}, (w) => (w.fences['pve1'] = [PLUG_CONFIG]));
  const plug = new Plug(made);
  plug.onOff = () => {
    plug.power = 'off';
    made.pve.kill('pve1');
  };
  await made.look();
  return {
    bench: made,
    plug,
    fence: () => made.run(fenceNode(made.context, made.container, 'home', 'pve1')),
  };
}

test('a node that is cut off is powered off, and believed only by what the plug reads back', async (t) => {
  const { bench: b, plug, fence } = await bench(t);
  b.pve.cut('pve1');
  assert.match(await fence(), /pve1 is off: http has read back power=off/);
  assert.deepEqual(plug.orders, ['off']);
  assert.deepEqual(b.context.state.read().fenced['home/pve1']?.othersOnline, ['pve2', 'pve3']);
});

test('one that reads off already is left alone', async (t) => {
  const { plug, fence } = await bench(t);
  plug.power = 'off';
  assert.match(await fence(), /off already/);
  assert.deepEqual(plug.orders, []);
});

test('a living node is never powered off', async (t) => {
  const { plug, fence } = await bench(t);
  await assert.rejects(fence(), /BlockedError: pve1 is not powered off: no quorate view says/);
  assert.deepEqual(plug.orders, []);
});

test('a plug that takes the order and goes on reading on: blocked, after half a minute', async (t) => {
  const { bench: b, plug, fence } = await bench(t);
  b.pve.cut('pve1');
  plug.onOff = () => undefined;
  const begun = b.clock.now();
  await assert.rejects(fence(), /could not be powered off: http: ordered off, and the status still says on/);
  assert.ok(b.clock.now() - begun >= 30_000);
  assert.equal(plug.orders.length, 1);
});

/** Another failover from the same node, in this process or another. */
function another(b: ActBench): Promise<string> {
  return fenceNode(b.context, { ...b.container, name: 'web' }, 'home', 'pve1');
}

test('one fence for all failovers of a node: the others wait for it, and give no order', async (t) => {
  const { bench: b, plug } = await bench(t);
  b.pve.cut('pve1');
  plug.onOff = () => {
    void b.clock.sleep(5_000).then(() => (plug.power = 'off'));
    b.pve.kill('pve1');
  };
  const first = fenceNode(b.context, b.container, 'home', 'pve1');
  const [ours, theirs] = await b.run(Promise.all([first, another(b)]));
  assert.match(ours, /pve1 is off: http has read back power=off/);
  assert.match(theirs, /pve1 is off already/);
  assert.deepEqual(plug.orders, ['off']);
  assert.equal(b.context.state.read().fenced['home/pve1']?.trying, undefined);
});

test('… and when it does not help, they do not try it again at once', async (t) => {
  const { bench: b, plug } = await bench(t);
  b.pve.cut('pve1');
  plug.onOff = () => undefined;
  const first = assert.rejects(fenceNode(b.context, b.container, 'home', 'pve1'), /could not be powered off/);
  const second = assert.rejects(another(b), /pve1 is still on after the failover of dns has tried/);
  await b.run(Promise.all([first, second]));
  assert.equal(plug.orders.length, 1);
  await assert.rejects(b.run(another(b)), /could not be powered off/, 'later they may');
});

test('… nor do they wait for ever for one that has died', async (t) => {
  const { bench: b, plug } = await bench(t);
  b.pve.cut('pve1');
  const record = { at: b.clock.now(), othersOnline: [], failed: 1 };
  const trying = { container: 'web', until: b.clock.now() + 60_000 };
  await b.run(b.context.state.update((s) => void (s.fenced['home/pve1'] = { ...record, trying })));
  const begun = b.clock.now();
  assert.match(await b.run(fenceNode(b.context, b.container, 'home', 'pve1')), /pve1 is off/);
  assert.ok(b.clock.now() - begun >= 60_000);
  assert.deepEqual(plug.orders, ['off']);
});

test('an order whose answer is no use: what counts is what the plug reads back', async (t) => {
  const { bench: b, plug, fence } = await bench(t);
  b.pve.cut('pve1');
  plug.confused = true;
  assert.match(await fence(), /pve1 is off: http has read back power=off/);
});

test('the whole way: cut off, counted, fenced, failed over; never two', async (t) => {
  const { bench: b, plug } = await bench(t);
  b.pve.cut('pve1');
  await b.fail();
  const { op, outcome } = await b.act();
  assert.equal(outcome.status, 'done', outcome.text);
  assert.deepEqual(op.action?.fence, ['home/pve1']);
  assert.deepEqual(plug.orders, ['off']);
  assert.deepEqual(b.pve.violations, []);
  assert.deepEqual(b.pve.running(), ['pve2/1000101']);
});

test('the wrong plug: another node goes down instead, and everything stops', async (t) => {
  const { bench: b, plug } = await bench(t);
  b.pve.cut('pve1');
  plug.onOff = () => {
    plug.power = 'off';
    b.pve.kill('pve3');
  };
  await b.fail();
  const { outcome } = await b.act();
  assert.notEqual(outcome.status, 'done');
  assert.deepEqual(b.pve.running(), ['pve1/101'], 'the original, cut off, runs on alone');
  assert.deepEqual(b.pve.violations, []);
  assert.deepEqual(findings(b.context, await seen(b), new Map()), []);
});

function seen(b: ActBench) {
  const { inventory, apis, runtime, state } = b.context;
  const focus = new Set(['dns']);
  return b.run(observe({ inventory, apis, runtime, state: state.read(), focus }));
}

/** `fence confirm`, at this moment. */
async function confirm(b: ActBench): Promise<void> {
  const at = b.clock.now();
  await b.run(b.context.state.update((s) => void (s.fenceConfirmed['home/pve1'] = { at, by: 'me' })));
}

async function word(b: ActBench): Promise<FenceStatus[]> {
  return (await seen(b)).clusters['home']?.fences ?? [];
}

function manual(t: TestContext): ActBench {
  return new ActBench(t, {}, (w) => (w.fences['pve1'] = [{ driver: 'manual', validMs: HOUR }]));
}

test('a person’s word holds for its time', async (t) => {
  const b = manual(t);
  await b.look();
  b.pve.kill('pve1');
  assert.deepEqual(await word(b), []);
  await confirm(b);
  assert.deepEqual(
    (await word(b)).map((f) => `${f.driver} ${f.power} ${f.detail}`),
    ['manual off confirmed by me'],
  );
  await b.clock.advance(HOUR - 1);
  assert.equal((await word(b)).length, 1);
  await b.clock.advance(1);
  assert.deepEqual(await word(b), []);
});

test('a person’s word was said of that outage: once the node has been seen, it is void', async (t) => {
  const b = manual(t);
  await b.look();
  b.pve.kill('pve1');
  await b.look();
  await b.clock.advance(MINUTE);
  await confirm(b);
  await b.clock.advance(5 * MINUTE);
  b.pve.revive('pve1');
  await b.look();
  await b.clock.advance(MINUTE);
  b.pve.cut('pve1');
  assert.deepEqual(await word(b), [], 'the node is cut off now, and runs');
});

test('a word given while the cluster still lists the dead node as online holds', async (t) => {
  const b = manual(t);
  await b.look();
  await confirm(b);
  await b.clock.advance(5000);
  await b.look();
  b.pve.kill('pve1');
  assert.equal((await word(b)).length, 1);
});

test('a word from the future, the clock was set back, is void', async (t) => {
  const b = manual(t);
  await b.look();
  b.pve.kill('pve1');
  const at = b.clock.now() + HOUR;
  await b.run(b.context.state.update((s) => void (s.fenceConfirmed['home/pve1'] = { at, by: 'me' })));
  assert.deepEqual(await word(b), []);
});

test('a copy that lost its tag is seen: whatever is on a vmid for copies is read', async (t) => {
  const b = new ActBench(t);
  b.pve.add('pve2', 1_000_101, { running: false, config: { description: 'mine', macs: ['AA'] } });
  const view = (await seen(b)).clusters['home'];
  assert.ok(view?.details.some((d) => d.vmid === 1_000_101));
});
