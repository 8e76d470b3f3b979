/** The rules that never break (design, section 3), 6 to 10: each fails when its rule is broken. */
import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { MockAgent } from 'undici';
import { begin, carryOut, takeOver } from '../../lib/act/operate.ts';
import { PveError } from '../../lib/errors.ts';
import { registerSecret } from '../../lib/redact.ts';
import type { Decision } from '../../lib/decide/model.ts';
import { explainDecision } from '../../lib/tell/format.ts';
import { createTeller } from '../../lib/tell/teller.ts';
import { ActBench } from '../act/bench.ts';
import { PLUG_CONFIG } from '../act/plug.ts';
import { archivedOf, at, backupOf, HOUR, lineOf, NOW } from '../decide/parts.ts';
import { dueWorld, world, type World } from '../decide/world.ts';

const PLANNED = { mode: 'planned' } as const;

/** The journals as they are on disk at this moment. */
function journals(bench: ActBench): Map<string, string> {
  const folder = join(bench.dir, 'operations');
  return new Map(
    readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => [join(folder, name), readFileSync(join(folder, name), 'utf8')]),
  );
}

test('rule 6, journal first: a step is on disk before it is asked for, its UPID as soon as it is known', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  const looked: string[] = [];
  bench.pve.onWrite = (call) => {
    const [op] = bench.context.operations.list().operations;
    assert.ok(op !== undefined, 'the operation is journalled');
    const step = op.steps.at(-1);
    assert.equal(step?.status, 'started', call);
    for (const earlier of op.steps.slice(0, -1)) {
      assert.equal(earlier.status, 'done', `${earlier.name} before ${call}`);
      assert.ok(earlier.task === null || earlier.task.upid !== null, `the UPID of ${earlier.name}`);
    }
    if (call.startsWith('vz')) {
      const { type, vmid, upid } = step.task ?? {};
      assert.deepEqual(`${type} ${vmid} ${upid}`, `${call.split(' ')[0]} ${call.split('/')[1]} null`);
    }
    looked.push(call);
  };
  const running: (string | null | undefined)[] = [];
  bench.pve.onTask = () => {
    running.push(bench.context.operations.list().operations[0]?.steps.at(-1)?.task?.upid);
    return null;
  };
  const { outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'done', outcome.text);
  assert.ok(looked.length >= 8);
  assert.deepEqual(
    running.map((upid) => upid?.startsWith('UPID:')),
    [true, true, true, true, true],
    'while a task runs its UPID is on disk',
  );
});

/** Runs a planned failover, and kills the runner at its n-th journalled write: what is on disk then is what is left. */
async function killedAt(t: TestContext, call: string, when: 'before' | 'after'): Promise<ActBench> {
  const bench = new ActBench(t);
  await bench.look();
  const decision = await bench.decide(PLANNED);
  const op = await bench.run(begin(bench.context, { container: bench.container, decision }));
  const controller = new AbortController();
  let left: Map<string, string> | null = null;
  bench.pve.onWrite = (write) => {
    if (left !== null) throw new PveError('the dead send nothing', { outcome: 'not-sent' });
    if (write !== call) return;
    left = journals(bench);
    controller.abort(new Error('killed'));
    if (when === 'before') throw new PveError('killed', { outcome: 'not-sent' });
  };
  const dying = { ...bench.context, signal: controller.signal };
  await assert.rejects(bench.run(carryOut(dying, op)));
  assert.ok(left !== null, `${call} was asked for`);
  for (const [path, text] of left as Map<string, string>) writeFileSync(path, text);
  bench.pve.onWrite = () => undefined;
  return bench;
}

const calls = [
  'vzshutdown pve1/101',
  'vzdump pve1/101',
  'config pve1/101 description,onboot,tags',
  'vzrestore pve2/1000101',
  'config pve2/1000101 description',
  'vzstart pve2/1000101',
  'config pve2/1000101 onboot',
];
for (const call of calls)
  for (const when of ['before', 'after'] as const)
    test(`rule 6, journal first: killed ${when} “${call}”, the next run goes on and asks for no task twice`, async (t) => {
      const bench = await killedAt(t, call, when);
      const [op] = bench.context.operations.list().operations;
      assert.ok(op !== undefined);
      takeOver(bench.context, op);
      const outcome = await bench.run(carryOut(bench.context, op));
      assert.equal(outcome.status, 'done', outcome.text);
      assert.deepEqual(bench.pve.running(), ['pve2/1000101']);
      assert.deepEqual(bench.pve.violations, []);
      const tasks = bench.pve.writes.filter((w) => w.startsWith('vz'));
      assert.equal(new Set(tasks).size, tasks.length, tasks.join());
    });

test('rule 6, journal first: an answer that is lost leads to looking, not to asking again', async (t) => {
  const bench = new ActBench(t);
  await bench.look();
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  const plain = { ...api };
  api.restore = async (node, request) => {
    await plain.restore(node, request);
    throw new PveError('connection reset', { outcome: 'unknown' });
  };
  const { outcome } = await bench.act(PLANNED);
  assert.equal(outcome.status, 'done', outcome.text);
  assert.equal(bench.pve.writes.filter((w) => w.startsWith('vzrestore')).length, 1);
});

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

/** Worlds in which something is done or refused, of every kind. */
const explained: readonly (readonly [string, World])[] = [
  ['a failover', dueWorld()],
  [
    'a failover of a living source',
    world().answers('dns', 'refused').failed().record('dns', { restartedAt: 1 }),
  ],
  ['a restart', world().answers('dns', 'refused').failed()],
  ['auto: false', dueWorld().entry('dns', { failover: { auto: false } })],
  ['an error', dueWorld().record('dns', { error: { at: NOW, reason: 'x', operation: 'op-1' } })],
  ['the cooldown', dueWorld().record('dns', { lastFailoverAt: NOW - HOUR / 2 })],
  ['too many nodes', dueWorld().dies('pve3')],
  ['no proof', world().dies('pve1').failed()],
  ['a possible return', dueWorld().but((w) => (w.view.mayGuard = false))],
  ['no backup', dueWorld().but((w) => (w.observation.backups = []))],
  ['no target', dueWorld().but((w) => (w.view.storages = []))],
  ['drift', dueWorld().copy({ container: 'web' }, 'running', false)],
  ['an unfinished copy', dueWorld().copy({ phase: 'restored' }, 'stopped', false)],
  ['a lock', world().answers('dns', 'refused').failed().changeDetail('pve1', 101, { lock: 'backup' })],
  [
    'HA',
    dueWorld().but((w) => w.view.ha.push({ sid: 'ct:101', state: 'started', group: null, comment: '' })),
  ],
  [
    'the later copy’s node is half dead',
    world()
      .copy()
      .stops('pve1', 101)
      .answers('dns', 'silent')
      .failed()
      .but((w) => (w.node('pve2').apiAnswers = false))
      .record('dns', { current: at('pve2/1000101@1') }),
  ],
];
for (const [what, w] of explained)
  test(`rule 9, explainable: ${what}`, () => {
    const decision: Decision = w.decides();
    assert.ok(decision.gates.length > 0, 'it names its gates');
    for (const gate of decision.gates) {
      assert.notEqual(gate.evidence, '', `${gate.gate} names its evidence`);
      if (!gate.ok) assert.ok((gate.flip ?? '').length > 5, `${gate.gate} names the smallest change`);
    }
    assert.equal(
      decision.kind === 'blocked',
      decision.gates.some((g) => !g.ok),
    );
    const text = explainDecision(decision).join('\n');
    for (const { evidence, flip } of decision.gates) {
      assert.ok(text.includes(evidence));
      assert.ok(flip === null || text.includes(flip));
    }
    for (const rejected of decision.rejected) assert.ok(text.includes(rejected.why) && rejected.why !== '');
  });

test('rule 10, no secret leaves: not by state, journal, events, errors or a child’s environment', async (t) => {
  const secret = 'hunter2';
  const encoded = Buffer.from(`admin:${secret}`).toString('base64');
  const hook = { path: '/hooks/x', args: [], timeoutMs: 1000 };
  const bench = new ActBench(t, { hooks: { before: [hook], after: [hook] } }, (w) => {
    w.fences['pve1'] = [PLUG_CONFIG];
  });
  // A plug that repeats what it was told, and breaks.
  const agent = new MockAgent();
  agent.disableNetConnect();
  const seen: string[] = [];
  for (const [path, method] of [
    ['/status', 'GET'],
    ['/off', 'POST'],
  ] as const)
    agent
      .get('http://plug.test')
      .intercept({ path, method })
      .reply(500, ({ headers }) => {
        seen.push(JSON.stringify(headers));
        return { error: `bad login ${JSON.stringify(headers)}` };
      })
      .persist();
  bench.plugs = agent;
  await bench.look();
  bench.pve.kill('pve1');
  await bench.fail();
  const first = await bench.act();
  assert.notEqual(first.outcome.status, 'done');
  bench.pve.revive('pve1');
  await bench.look();
  await bench.act(PLANNED);
  assert.ok(seen.join().includes(encoded), 'the plug did get the password');
  assert.ok(bench.execs.length >= 2);
  const said = [
    ...filesIn(bench.dir),
    JSON.stringify(bench.events),
    JSON.stringify(bench.execs),
    JSON.stringify(first.outcome),
  ].join('\n');
  assert.ok(said.length > 1000);
  assert.ok(!said.includes(secret) && !said.includes(encoded));
});

test('rule 10, no secret leaves: what is told is redacted, as text and as JSON', () => {
  registerSecret('4f1c-very-secret');
  for (const json of [false, true]) {
    const lines: string[] = [];
    const io = { err: (text: string) => void lines.push(text), tty: false, columns: 80 };
    const clock = { now: () => NOW, sleep: () => Promise.resolve() };
    const teller = createTeller({ io, clock, level: 'debug', json, steps: false });
    teller.tell({ kind: 'note', level: 'info', container: null, text: 'token 4f1c-very-secret is wrong' });
    assert.equal(lines.length, 1);
    assert.ok(!lines.join().includes('very-secret'), lines.join());
  }
});

function filesIn(dir: string): string[] {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    const found = lstatSync(path);
    if (found.isDirectory()) return filesIn(path);
    return found.isFile() ? [readFileSync(path, 'utf8')] : [];
  });
}
