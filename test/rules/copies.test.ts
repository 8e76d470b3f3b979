/** The rules that never break (design, section 3), 1 and 2: each test fails when its rule is broken. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { restoreCopy } from '../../lib/act/copy.ts';
import { type Step } from '../../lib/act/journal.ts';
import { formatLineage, TAG } from '../../lib/decide/lineage.ts';
import type { Lineage } from '../../lib/decide/model.ts';
import { PveError } from '../../lib/errors.ts';
import { ActBench } from '../act/bench.ts';
import { lineOf, MINUTE, probeOf } from '../decide/parts.ts';
import { COPY, PLANNED, actionOf, restored, step, start, destroy, stoppedOriginal } from './stage.ts';

test('rule 1, never two: with every proof at hand the copy is started', async (t) => {
  const bench = stoppedOriginal(t);
  await step(bench, restored(bench), start);
  assert.deepEqual(bench.pve.running(), ['pve2/1000101']);
});

const forbidden: readonly (readonly [string, (bench: ActBench) => unknown])[] = [
  ['the original runs', (b) => (b.pve.guest(101).running = true)],
  ['the original has onboot=1', (b) => (b.pve.guest(101).config.onboot = true)],
  ['the original’s node is dead, and nothing proves it', (b) => b.pve.kill('pve1')],
  [
    'something else answers at its address',
    (b) => {
      const runtime = { ...b.context.runtime, probe: () => Promise.resolve(probeOf('refused')) };
      Object.assign(b.context, { runtime });
    },
  ],
  [
    'a failed attempt of an earlier operation still runs',
    (b) => {
      const line = formatLineage(lineOf({ node: 'pve3', vmid: 2_000_101, epoch: 2, phase: 'live' }));
      b.pve.add('pve3', 2_000_101, { config: { macs: ['AA'], tags: [TAG], description: line } });
    },
  ],
  ['there is no quorum', (b) => (b.pve.quorate = false)],
  [
    'which interfaces its node has can’t be read',
    (b) => {
      const api = b.context.apis.get('home');
      assert.ok(api !== undefined);
      api.netstat = () => Promise.reject(new PveError('403', { outcome: 'refused', status: 403 }));
    },
  ],
];
for (const [what, change] of forbidden)
  test(`rule 1, never two: not started when ${what}`, async (t) => {
    const bench = stoppedOriginal(t);
    change(bench);
    const context = restored(bench);
    await assert.rejects(step(bench, context, start));
    assert.ok(!bench.pve.writes.some((w) => w.startsWith('vzstart')), bench.pve.writes.join());
    assert.deepEqual(bench.pve.violations, []);
  });

test('rule 1, never two: a dead original that would start by itself later forbids it, the guard read back allows it', async (t) => {
  for (const guarded of [false, true]) {
    const bench = stoppedOriginal(t, { failover: { proof: 'offline-accepted' } });
    const context = restored(bench);
    bench.pve.kill('pve1');
    await bench.look();
    await bench.clock.advance(MINUTE);
    if (guarded) {
      bench.pve.ha.push({ sid: 'ct:101', state: 'disabled', group: 'pw-guard-pve1', comment: '' });
      bench.pve.groups.push({ group: 'pw-guard-pve1', nodes: ['pve1'], restricted: true });
    }
    if (guarded) await step(bench, context, start);
    else await assert.rejects(step(bench, context, start), /guard .* is not in place/);
    assert.deepEqual(bench.pve.running(), guarded ? ['pve2/1000101'] : []);
  }
});

test('rule 1, never two: reads that have grown old before the call are read again', async (t) => {
  const bench = stoppedOriginal(t);
  const context = restored(bench);
  // The runner is suspended after its reads; meanwhile somebody starts the original.
  let slept = false;
  bench.pve.onWrite = (call) => {
    if (!call.startsWith('config') || slept) return;
    slept = true;
    const later = bench.clock.now() + MINUTE;
    Object.assign(bench.clock, { now: () => later });
    bench.pve.guest(101).running = true;
  };
  await assert.rejects(step(bench, context, start), /CT 101 is running there/);
  assert.ok(slept);
  assert.ok(!bench.pve.writes.some((w) => w.startsWith('vzstart')));
});

test('rule 1, never two: a restore leaves a stopped copy with onboot=0, or it is a failure', async (t) => {
  const bench = stoppedOriginal(t);
  const context = bench.operation({ volid: 'nas:backup/ct101-60min' });
  const restore: Step['run'] = (c, record) => restoreCopy(c, record, COPY, actionOf());
  await step(bench, context, restore);
  assert.deepEqual([bench.pve.running(), bench.pve.guest(1_000_101).config.onboot], [[], false]);
  bench.pve.guest(1_000_101).config.onboot = true;
  context.op.steps.length = 0;
  await assert.rejects(step(bench, context, restore), /onboot=1 after its restore/);
});

test('rule 1, never two: an operation older than two hours is not gone on with', async (t) => {
  const bench = new ActBench(t);
  const { op } = bench.operation();
  op.action = actionOf();
  bench.context.operations.save(op);
  await bench.clock.advance(121 * MINUTE);
  const { carryOut } = await import('../../lib/act/operate.ts');
  assert.equal((await bench.run(carryOut(bench.context, op))).status, 'error');
  assert.deepEqual(bench.pve.writes, []);
});

test('rule 2, never less than one copy: a failover that fails at any write leaves the original, running', async (t) => {
  for (let fault = 0; fault < 12; fault += 1) {
    const bench = new ActBench(t);
    await bench.look();
    let count = 0;
    bench.pve.onTask = (type) => {
      if (type === 'vzshutdown' || type === 'vzstart') return null;
      count += 1;
      return count > fault ? 'it broke' : null;
    };
    await bench.act(PLANNED);
    assert.ok(bench.pve.guests.has(101), `fault ${fault}`);
    assert.equal(bench.pve.running().length, 1, `fault ${fault}: ${bench.pve.running().join()}`);
    assert.ok(!bench.pve.writes.includes('vzdestroy pve1/101'));
    assert.ok(bench.pve.backups.some((b) => b.volid === 'nas:backup/ct101-60min'));
    assert.deepEqual(bench.pve.violations, []);
  }
});

const theirs: readonly (readonly [string, Partial<Lineage> | null])[] = [
  ['another operation’s', { operation: 'op-20261122T100000-bbbbbb' }],
  ['another container’s', { container: 'web' }],
  ['of another cluster', { cluster: 'office' }],
  ['of another node', { node: 'pve3' }],
  ['of another vmid', { vmid: 555 }],
  ['asked to start already', { phase: 'live' }],
  ['without a lineage line', null],
];
for (const [what, line] of theirs)
  test(`rule 2, never less than one copy: not destroyed: ${what}`, async (t) => {
    const bench = stoppedOriginal(t);
    const context = restored(bench, line ?? {});
    if (line === null) bench.pve.guest(1_000_101).config.description = 'mine';
    await step(bench, context, destroy).catch(() => undefined);
    assert.ok(bench.pve.guests.has(1_000_101));
    assert.deepEqual(bench.pve.writes, []);
  });

test('rule 2, never less than one copy: ours, stopped and never started, is taken away', async (t) => {
  const bench = stoppedOriginal(t);
  const context = restored(bench);
  bench.pve.guest(1_000_101).running = true;
  await assert.rejects(step(bench, context, destroy), /is running: it is not destroyed/);
  bench.pve.guest(1_000_101).running = false;
  await step(bench, context, destroy);
  assert.ok(!bench.pve.guests.has(1_000_101));
});
