/** The rules that never break (design, section 3), 7 and 8: each test fails when its rule is broken. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { begin, carryOut } from '../../lib/act/operate.ts';
import { PveError } from '../../lib/errors.ts';
import { ActBench } from '../act/bench.ts';
import { archivedOf, backupOf, lineOf, MINUTE, NOW } from '../decide/parts.ts';
import { dueWorld, world, type World } from '../decide/world.ts';

const PLANNED = { mode: 'planned' } as const;

test('rule 7, the right backup: with the source alive, exactly the one that was made after its stop', async (t) => {
  const bench = new ActBench(t);
  bench.pve.backups.push(backupOf({ minutes: 1 }));
  await bench.look();
  const { op, outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'done', outcome.text);
  const made = bench.pve.backups.find((b) => b.volid === op.data.volid);
  assert.ok(made !== undefined && made.at > NOW);
});

test('rule 7, the right backup: when that one fails the original is started again, and no older one is taken', async (t) => {
  const bench = new ActBench(t);
  bench.pve.onTask = (type) => (type === 'vzdump' ? 'job errors' : null);
  await bench.look();
  const { outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'failed');
  assert.deepEqual(bench.pve.running(), ['pve1/101']);
  assert.ok(!bench.pve.writes.some((w) => w.startsWith('vzrestore')));
  assert.notEqual(bench.context.state.read().containers['dns']?.error, null);
});

test('rule 7, the right backup: a service that hangs is restarted in place once before it is moved', () => {
  const w = world().answers('dns', 'refused').failed();
  assert.equal(w.decides().kind, 'restart');
  assert.equal(w.record('dns', { restartedAt: NOW }).decides().kind, 'failover');
});

const unsound: readonly (readonly [string, (w: World) => unknown])[] = [
  ['of another container, whatever its vmid', archive({ macs: ['AA'] })],
  ['of another incarnation', archive({ lineage: lineOf() })],
  ['in the future', (w) => (w.observation.backups = [backupOf({ minutes: -10 })])],
  ['failed its verification', (w) => (w.observation.backups = [backupOf({ verification: 'failed' })])],
  ['its config can’t be read', (w) => (w.observation.backups = [backupOf({ archived: null })])],
  ['older than the RPO allows', (w) => (w.observation.backups = [backupOf({ minutes: 1500 })])],
  [
    'made before this copy was the current one',
    (w) => {
      w.view.lineages.push({ node: 'pve1', vmid: 101, line: lineOf({ node: 'pve1', vmid: 101, at: NOW }) });
      w.observation.backups = [backupOf({ archived: archivedOf({ lineage: lineOf() }) })];
    },
  ],
];
function archive(patch: Parameters<typeof archivedOf>[0]): (w: World) => void {
  return (w) => (w.observation.backups = [backupOf({ archived: archivedOf(patch) })]);
}
for (const [what, change] of unsound)
  test(`rule 7, the right backup: blocked when the only one is ${what}`, () => {
    const w = dueWorld();
    change(w);
    const { kind, gates, action } = w.decides();
    assert.equal(kind, 'blocked');
    assert.equal(action, null);
    assert.equal(gates.find((g) => g.gate === 'backup')?.ok, false);
  });

test('rule 7, the right backup: the minutes that would be lost are said, with one command to accept them', () => {
  const w = dueWorld().but((x) => (x.observation.backups = [backupOf({ minutes: 1500 })]));
  const gate = w.decides().gates.find((g) => g.gate === 'backup');
  assert.match(gate?.evidence ?? '', /1 d 1 h old/);
  assert.match(gate?.flip ?? '', /`proxwarden failover dns --backup \S+ --accept-data-loss 25h`/);
});

test('rule 8, success is the service answering: a copy that runs and does not answer is no success', async (t) => {
  const bench = new ActBench(t, { failover: { maxAttempts: 1 } });
  bench.pve.onTask = (type, vmid) => {
    if (type === 'vzstart') bench.pve.guest(vmid).service = false;
    return null;
  };
  await bench.look();
  const { outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'error');
  assert.notEqual(bench.context.state.read().containers['dns']?.error, null);
});

test('rule 8, success is the service answering: PVE has to say that the copy runs, too', async (t) => {
  const bench = new ActBench(t, { failover: { maxAttempts: 1 } });
  await bench.look();
  bench.pve.onTask = (type, vmid) => {
    // It stops at once, and something else answers at its address.
    if (type === 'vzstart') {
      bench.context.runtime.probe = () => Promise.resolve({ ...okProbe });
      queueMicrotask(() => (bench.pve.guest(vmid).running = false));
    }
    return null;
  };
  const { outcome } = await bench.act(PLANNED);
  assert.notEqual(outcome.status, 'done');
});
const okProbe = { probe: 'tcp', ok: true, answered: true, latencyMs: 1, reason: 'answered', attempts: 1 };

test('rule 8, success is the service answering: once it does, nothing is undone', async (t) => {
  for (const call of ['config pve2/1000101 onboot', 'vzdump pve2/1000101']) {
    const bench = new ActBench(t);
    await bench.look();
    bench.pve.onWrite = (write) => {
      if (write === call) throw new PveError('it broke', { outcome: 'refused' });
    };
    const { outcome } = await bench.act(PLANNED);
    assert.equal(outcome.status, 'done', outcome.text);
    assert.match(outcome.text, /warning: .*it broke/);
    assert.deepEqual(bench.pve.running(), ['pve2/1000101']);
  }
});

/** A planned move of dns, interrupted when it asks for `write`; and what it has to be gone on with. */
async function interruptedAt(t: TestContext, write: string) {
  const bench = new ActBench(t, {
    hooks: { after: [{ path: '/etc/hooks/dns.sh', args: [], timeoutMs: 30_000 }] },
  });
  await bench.look();
  const decision = await bench.decide(PLANNED);
  const op = await bench.run(begin(bench.context, { container: bench.container, decision }));
  const stop = new AbortController();
  bench.pve.onWrite = (one) => {
    if (one !== write) return;
    bench.pve.onWrite = () => undefined;
    stop.abort();
    throw new PveError('given up', { outcome: 'unknown' });
  };
  await assert.rejects(bench.run(carryOut({ ...bench.context, signal: stop.signal }, op)), /interrupted/);
  return { bench, goOn: () => bench.run(carryOut(bench.context, bench.journal(op.id))) };
}

test('rule 8, success is the service answering: however late an operation that has come so far is gone on with', async (t) => {
  const { bench, goOn } = await interruptedAt(t, 'vzdump pve2/1000101');
  await bench.clock.advance(50 * 60 * MINUTE);
  const outcome = await goOn();
  assert.equal(outcome.status, 'done', outcome.text);
  assert.equal(bench.context.state.read().containers['dns']?.error, null);
  assert.equal(bench.execs.length, 1);
  assert.ok(bench.pve.writes.includes('vzdump pve2/1000101'));
  assert.equal(bench.pve.writes.filter((write) => write.startsWith('vzstart ')).length, 1);
});

test('rule 8, success is the service answering: what another runner has taken over from since is left alone', async (t) => {
  const { bench, goOn } = await interruptedAt(t, 'config pve2/1000101 onboot');
  await bench.clock.advance(3 * 60 * MINUTE);
  bench.pve.guest(1_000_101).config.tags = ['proxwarden', 'proxwarden-retired'];
  const { text } = await goOn();
  assert.match(text, /not the current copy any more: its onboot stays/);
  assert.match(text, /not the current copy any more: they are not run/);
  assert.deepEqual([bench.execs, bench.pve.guest(1_000_101).config.onboot], [[], false]);
});
