import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLineage } from '../../lib/decide/lineage.ts';
import { RETIRED_TAG } from '../../lib/act/retire.ts';
import { PveError } from '../../lib/errors.ts';
import { backupOf, MINUTE } from '../decide/parts.ts';
import { begin, carryOut } from '../../lib/act/operate.ts';
import { newOperation } from '../../lib/act/new-operation.ts';
import { ActBench } from './bench.ts';

const P1 = { failover: { proof: 'offline-accepted' } } as const;
const PLANNED = { mode: 'planned' } as const;

test('a dead node: guarded, restored, started, verified, and backed up in turn', async (t) => {
  const bench = new ActBench(t, P1);
  await bench.look();
  bench.pve.kill('pve1');
  await bench.fail();
  const { op, outcome } = await bench.act();
  assert.equal(outcome.status, 'done', outcome.text);
  assert.deepEqual(bench.pve.running(), ['pve2/1000101']);
  assert.deepEqual(bench.pve.violations, []);
  assert.deepEqual(
    op.steps.map((s) => s.name),
    [
      'preflight',
      'hooks before',
      'prove',
      'protect backup',
      'retire',
      'restore',
      'start',
      'verify',
      'onboot',
      'hooks after',
      'backup copy',
      'lift protection',
    ],
  );
  const line = parseLineage(bench.pve.guest(1_000_101).config.description);
  assert.deepEqual([line?.epoch, line?.phase, line?.operation], [1, 'live', op.id]);
  assert.equal(bench.pve.guest(1_000_101).config.onboot, true);
  assert.equal(bench.context.state.read().containers['dns']?.current?.vmid, 1_000_101);
  assert.equal(bench.pve.backups.find((b) => b.vmid === 101)?.protected, false);
});

test("the copy's MACs are known at once: its node may die before its config has been read", async (t) => {
  const bench = new ActBench(t, P1);
  await bench.look();
  const before = bench.context.state.read().containers['dns']?.identity;
  bench.pve.kill('pve1');
  await bench.fail();
  await bench.act();
  const after = bench.context.state.read().containers['dns']?.identity;
  assert.ok(before !== undefined && before !== null && before.macs.length > 0);
  assert.deepEqual([after?.vmid, after?.macs], [1_000_101, before.macs]);
  assert.equal(after?.readAt, 0, 'and they are read anew as soon as that is possible');
});

test('a move that ends well settles an earlier error', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  await bench.context.state.update((s) => {
    const dns = s.containers['dns'];
    if (dns !== undefined) dns.error = { at: 0, reason: 'the storage was full', operation: 'op-earlier' };
  });
  const { outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'done', outcome.text);
  assert.equal(bench.context.state.read().containers['dns']?.error, null);
});

test('the guarded original stays down when its node returns', async (t) => {
  const bench = new ActBench(t, P1);
  await bench.look();
  bench.pve.kill('pve1');
  await bench.fail();
  await bench.act();
  bench.pve.revive('pve1');
  assert.deepEqual(bench.pve.running(), ['pve2/1000101']);
});

test('planned: the source is stopped, backed up, and exactly that is restored', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  const { op, outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'done', outcome.text);
  assert.deepEqual(bench.pve.running(), ['pve2/1000101']);
  assert.equal(bench.pve.guest(101).config.onboot, false);
  assert.notEqual(op.data.volid, 'nas:backup/ct101-60min');
  assert.deepEqual(
    bench.pve.writes.filter((w) => w.startsWith('vz')),
    [
      'vzshutdown pve1/101',
      'vzdump pve1/101',
      'vzrestore pve2/1000101',
      'vzstart pve2/1000101',
      'vzdump pve2/1000101',
    ],
  );
});

test('undone: the source is started again, with its onboot and without our words', async (t) => {
  const bench = new ActBench(t);
  bench.pve.onTask = (type) => (type === 'vzrestore' ? 'no space left on device' : null);
  await bench.look();
  const { op, outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'failed', outcome.text);
  assert.deepEqual(bench.pve.running(), ['pve1/101']);
  const { onboot, tags, description } = bench.pve.guest(101).config;
  assert.equal(onboot, true);
  assert.deepEqual(tags, []);
  assert.doesNotMatch(description, /must not be started/);
  assert.match(bench.context.state.read().containers['dns']?.error?.reason ?? '', /no space left/);
  assert.equal(bench.pve.guests.size, 1);
  assert.equal(op.data.weProtected, false);
});

test('undone: a source that was down before keeps its onboot', async (t) => {
  const bench = new ActBench(t, { failover: { restart: 0 } });
  await bench.look();
  Object.assign(bench.pve.guest(101), { running: false });
  bench.pve.onTask = (type) => (type === 'vzrestore' ? 'no space left on device' : null);
  await bench.fail();
  const { outcome } = await bench.act();
  assert.equal(outcome.status, 'failed', outcome.text);
  assert.equal(bench.pve.guest(101).config.onboot, true);
  assert.deepEqual(bench.pve.running(), [], 'it was not we who stopped it');
});

test('a first target that fails leaves nothing behind, and the next one is tried', async (t) => {
  const bench = new ActBench(t);
  let restores = 0;
  bench.pve.onTask = (type) => (type === 'vzrestore' && (restores += 1) === 1 ? 'disk full' : null);
  await bench.look();
  const { outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'done', outcome.text);
  assert.deepEqual(bench.pve.running(), ['pve3/1000101']);
});

test('the next one is asked again whether it can: another of its group may have gone there meanwhile', async (t) => {
  const bench = new ActBench(t, {}, (w) => {
    w.has({ name: 'web', vmid: 102 }, null);
    w.keepApart['pair'] = ['dns', 'web'];
  });
  const decision = await bench.decide(PLANNED);
  const { action } = decision;
  assert.deepEqual(action?.alternatives, [{ cluster: 'home', node: 'pve3' }]);
  bench.pve.onTask = (type) => {
    if (type !== 'vzrestore') return null;
    const target = { cluster: 'home', node: 'pve3' };
    const theirs = { ...action, container: 'web', target, vmid: 1_000_102 };
    newOperation(bench.context, bench.world.container('web'), {
      kind: 'failover',
      reason: 'another run',
      action: theirs,
    });
    return 'disk full';
  };
  await bench.look();
  const { outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'failed');
  assert.match(outcome.text, /pve3 can't take it any more: web is going there, and they are kept apart/);
  assert.deepEqual(bench.pve.running(), ['pve1/101'], 'the source is started again');
});

test('a copy that never answers is stopped and kept, and the next one takes the next epoch', async (t) => {
  const bench = new ActBench(t);
  bench.pve.onTask = (type, vmid) => {
    if (type === 'vzstart' && vmid === 1_000_101) bench.pve.guest(vmid).service = false;
    return null;
  };
  await bench.look();
  const { outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'done', outcome.text);
  assert.deepEqual(bench.pve.running(), ['pve3/2000101']);
  assert.deepEqual([...bench.pve.guests.keys()], [101, 1_000_101, 2_000_101]);
  assert.equal(bench.context.state.read().containers['dns']?.current?.epoch, 2);
  assert.deepEqual(bench.pve.violations, []);
});

test('an attempt that is over is not made again after a kill: the next target is tried', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  const decision = await bench.decide(PLANNED);
  const op = await bench.run(begin(bench.context, { container: bench.container, decision }));
  bench.pve.onTask = (type, vmid) => (type === 'vzstart' && vmid === 1_000_101 ? 'it does not start' : null);
  // Killed in the second write after the copy of the first attempt has been stopped.
  const { operations } = bench.context;
  let left = 2;
  const save: typeof operations.save = (one) => {
    const stopped = one.steps.find(({ name }) => name === 'stop copy #1');
    if (stopped?.status === 'done' && (left -= 1) < 0) throw new Error('killed');
    operations.save(one);
  };
  const killed = { ...bench.context, operations: { ...operations, save } };
  await assert.rejects(bench.run(carryOut(killed, op)), /killed/);
  const outcome = await bench.run(carryOut(bench.context, bench.journal(op.id)));
  assert.equal(outcome.status, 'done', outcome.text);
  assert.deepEqual(
    bench.pve.writes.filter((write) => write.startsWith('vzstart')),
    ['vzstart pve2/1000101', 'vzstart pve3/2000101'],
  );
  assert.equal(parseLineage(bench.pve.guest(1_000_101).config.description)?.epoch, 1);
});

test('from a copy: it keeps its lineage line when it is retired, so that it still counts as one', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  await bench.act(PLANNED);
  await bench.look();
  const { outcome } = await bench.act({ ...PLANNED, to: { cluster: 'home', node: 'pve3' } });
  assert.equal(outcome.status, 'done', outcome.text);
  const { description, tags } = bench.pve.guest(1_000_101).config;
  assert.equal(parseLineage(description)?.epoch, 1);
  assert.ok(tags.includes(RETIRED_TAG));
  const decision = await bench.decide(PLANNED);
  assert.equal(decision.action?.epoch, 3);
  bench.pve.guest(1_000_101).running = true;
  const blocked = await bench.decide(PLANNED);
  assert.match(blocked.why, /CT 1000101 is running there/);
});

/** Failed over to pve2; pve1 came back, was retired there, and is dead once more, without any guard. */
async function deadAgain(t: ConstructorParameters<typeof ActBench>[0]): Promise<ActBench> {
  const bench = new ActBench(t, { failover: { ...P1.failover, cooldownMs: 0 } });
  await bench.look();
  await bench.act(PLANNED);
  await bench.look();
  bench.pve.kill('pve1');
  await bench.clock.advance(20_000);
  await bench.look();
  await bench.clock.advance(MINUTE);
  bench.pve.writes.length = 0;
  return bench;
}

test('a superseded original whose node is dead again is guarded before anything is stopped', async (t) => {
  const bench = await deadAgain(t);
  const { outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'done', outcome.text);
  assert.deepEqual(bench.pve.running(), ['pve3/2000101']);
  assert.deepEqual(bench.pve.writes.slice(0, 3), [
    'create group pw-guard-pve1',
    'create ha ct:101',
    'vzshutdown pve2/1000101',
  ]);
});

test('a hanging copy is not stopped to be restarted while that start would be forbidden', async (t) => {
  const bench = await deadAgain(t);
  bench.pve.guest(1_000_101).service = false;
  await bench.fail();
  const { op, outcome } = await bench.act();
  assert.equal(op.kind, 'restart');
  assert.equal(outcome.status, 'cancelled');
  assert.match(outcome.text, /is not stopped, because it could not be started again: the guard/);
  assert.deepEqual(bench.pve.running(), ['pve2/1000101']);
  await bench.fail();
  const next = await bench.act();
  assert.equal(next.op.kind, 'failover');
  assert.equal(next.outcome.status, 'done', next.outcome.text);
  assert.deepEqual(bench.pve.violations, []);
});

test('restarted in place: stopped, started, verified', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  bench.pve.guest(101).service = false;
  bench.pve.onTask = (type, vmid) => {
    if (type === 'vzstart') bench.pve.guest(vmid).service = true;
    return null;
  };
  await bench.fail();
  const { op, outcome } = await bench.act();
  assert.equal(outcome.status, 'done', outcome.text);
  assert.deepEqual(bench.pve.writes, ['vzshutdown pve1/101', 'vzstart pve1/101']);
  assert.equal(op.kind, 'restart');
});

test('a dead node whose guests still run somewhere is not failed over: its address answers', async (t) => {
  const bench = new ActBench(t, P1);
  await bench.look();
  bench.pve.kill('pve1');
  await bench.fail();
  // Somebody powers it on between the decision and the start: linked for the guests, not yet in the cluster.
  const decision = await bench.decide();
  assert.equal(decision.kind, 'failover');
  bench.pve.onTask = (type) => {
    if (type === 'vzrestore') bench.pve.revive('pve1');
    return null;
  };
  bench.pve.guest(101).config.onboot = true;
  bench.pve.ha.length = 0;
  bench.pve.onWrite = (call) => {
    if (call.startsWith('vzrestore')) bench.pve.ha.length = 0;
  };
  const { outcome } = await bench.act();
  assert.notEqual(outcome.status, 'done');
  assert.deepEqual(bench.pve.running(), ['pve1/101']);
  assert.deepEqual(
    [...bench.pve.guests.keys()],
    [101],
    'the original wins: the unstarted copy is taken away',
  );
  assert.deepEqual(bench.pve.violations, []);
});

test('the vmid is taken by somebody else’s container: it is not touched, and the source runs again', async (t) => {
  const bench = new ActBench(t, { nodes: [{ cluster: 'home', node: 'pve2' }] });
  await bench.look();
  bench.pve.onWrite = (call) => {
    if (call.startsWith('vzdump'))
      bench.pve.add('pve3', 1_000_101, { config: { macs: ['AA'] }, running: true });
  };
  const { outcome } = await bench.act(PLANNED);
  assert.notEqual(outcome.status, 'done');
  assert.deepEqual(bench.pve.running(), ['pve1/101', 'pve3/1000101']);
});

test('a hook that fails stops it before anything is touched', async (t) => {
  const hook = { path: '/hooks/notify', args: [], timeoutMs: 1000 };
  const bench = new ActBench(t, { hooks: { before: [hook] } });
  bench.execResult = { exitCode: 3, stdout: '', stderr: 'not now\n' };
  await bench.look();
  const { outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'failed');
  assert.match(outcome.text, /hook \/hooks\/notify ended with 3: not now/);
  assert.deepEqual(bench.pve.writes, []);
});

test('what was decided on has changed: cancelled, nothing done', async (t) => {
  const bench = new ActBench(t, P1);
  await bench.look();
  bench.pve.kill('pve1');
  await bench.fail();
  const first = await bench.decide();
  assert.equal(first.action?.volid, 'nas:backup/ct101-60min');
  const op = await bench.run(begin(bench.context, { container: bench.container, decision: first }));
  bench.pve.backups.push(backupOf({ minutes: 5 }));
  const outcome = await bench.run(carryOut(bench.context, op));
  assert.equal(outcome.status, 'cancelled');
  assert.match(outcome.text, /the world has changed/);
  assert.deepEqual(bench.pve.writes, []);
});

test('marked live, and then the gate closes: the mark is taken back, the original wins, no epoch is burnt', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  const plain = { ...api };
  api.setConfig = async (node, vmid, changes, options) => {
    await plain.setConfig(node, vmid, changes, options);
    if (vmid !== 1_000_101 || parseLineage(changes.description ?? '')?.phase !== 'live') return;
    // A write that takes long; meanwhile a person starts the original.
    await bench.clock.sleep(11_000);
    bench.pve.guest(101).running = true;
  };
  const { op, outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'cancelled', outcome.text);
  assert.match(outcome.text, /CT 1000101 on pve2 is not started/);
  assert.deepEqual(bench.pve.running(), ['pve1/101']);
  assert.deepEqual(bench.pve.violations, []);
  assert.equal(bench.pve.guests.has(1_000_101), false, 'the copy, never started, is gone again');
  assert.deepEqual([op.data.startAsked, op.data.live], [false, null]);
  await bench.look();
  assert.equal(bench.context.state.read().containers['dns']?.current?.epoch, 0);
});

test('marked live, the gate closes, and the mark cannot be taken back: it counts as asked to start', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  bench.pve.onWrite = (call) => {
    if (call !== 'config pve2/1000101 description') return;
    bench.pve.onWrite = (next) => {
      if (next === call) throw new PveError('no', { outcome: 'refused', status: 500 });
    };
    bench.pve.guest(101).running = true;
  };
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  const plain = { ...api };
  api.setConfig = async (...given) => {
    await plain.setConfig(...given);
    await bench.clock.sleep(11_000);
  };
  const { op, outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'error', outcome.text);
  assert.ok(bench.pve.guests.has(1_000_101), 'nothing is destroyed');
  assert.deepEqual(op.data.started, [1_000_101]);
  assert.deepEqual(bench.pve.violations, []);
});

test('a lost answer, and the restore that is found is another runner’s with the same token: theirs is left alone', async (t) => {
  const bench = new ActBench(t, P1);
  await bench.look();
  bench.pve.kill('pve1');
  await bench.fail();
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  const plain = { ...api };
  api.restore = async (node, request, options) => {
    await plain.restore(
      node,
      {
        ...request,
        description: request.description.replace(/operation=op-[^ ]+/, 'operation=op-of-another'),
      },
      options,
    );
    throw new PveError('connection lost', { outcome: 'unknown' });
  };
  const { outcome } = await bench.act();
  assert.equal(outcome.status, 'cancelled', outcome.text);
  assert.match(outcome.text, /another runner is at it: op-of-another has made CT 1000101/);
  assert.equal(parseLineage(bench.pve.guest(1_000_101).config.description)?.operation, 'op-of-another');
  assert.deepEqual(bench.pve.violations, []);
});

test('planned, of a stopped container: restored and not started, and the current one from then on', async (t) => {
  const bench = new ActBench(t);
  const original = bench.pve.guest(101);
  original.running = false;
  original.lastTask = { type: 'vzstop', user: 'root@pam', endedAt: bench.clock.now(), ok: true };
  await bench.look();
  const { op, outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'done', outcome.text);
  assert.match(outcome.text, /^dns is on pve2 as CT 1000101, stopped as it was$/);
  assert.deepEqual(
    bench.pve.writes.filter((w) => /^vz(start|stop|shutdown)/.test(w)),
    [],
  );
  const line = parseLineage(bench.pve.guest(1_000_101).config.description);
  assert.deepEqual([line?.phase, line?.stopped, line?.epoch], ['live', 'by-hand', 1]);
  assert.deepEqual([original.config.onboot, bench.pve.guest(1_000_101).config.onboot], [false, true]);
  assert.equal(op.data.weStopped, false);
  await bench.fail(4);
  const record = bench.context.state.read().containers['dns'];
  assert.deepEqual(
    [record?.verdict?.kind, record?.failures, record?.current?.epoch],
    ['stopped-by-hand', 0, 1],
  );
});

test('planned, of a stopped container that somebody starts meanwhile: the original wins', async (t) => {
  const bench = new ActBench(t);
  bench.pve.guest(101).running = false;
  await bench.look();
  bench.pve.onTask = (type) => {
    if (type === 'vzrestore') bench.pve.guest(101).running = true;
    return null;
  };
  const { outcome } = await bench.act(PLANNED);
  assert.notEqual(outcome.status, 'done');
  assert.match(outcome.text, /CT 1000101 on pve2 is not started: .*CT 101 is running there/);
  assert.deepEqual(bench.pve.running(), ['pve1/101']);
  assert.equal(bench.pve.guests.has(1_000_101), false);
  assert.equal(bench.pve.guest(101).config.onboot, true, 'as it was');
});

test('a start whose answer is lost twice may still arrive: no copy is started on another node', async (t) => {
  const bench = new ActBench(t, P1);
  await bench.look();
  bench.pve.kill('pve1');
  await bench.fail();
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  let asked = 0;
  api.start = () => {
    asked += 1;
    return Promise.reject(new PveError('connection lost', { outcome: 'unknown' }));
  };
  const { op, outcome } = await bench.act();
  assert.equal(outcome.status, 'error', outcome.text);
  assert.match(outcome.text, /no other node is tried/);
  assert.equal(asked, 2);
  assert.equal(op.action?.alternatives.length, 1, 'there would be one');
  assert.deepEqual([...bench.pve.guests.keys()], [101, 1_000_101]);
});
