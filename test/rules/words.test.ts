/** The rules that never break (design, section 3), 9 and 10: each test fails when its rule is broken. */
import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MockAgent } from 'undici';
import { defineCommand } from '../../lib/cli/command.ts';
import { main } from '../../lib/cli/main.ts';
import { EXIT, FailedError } from '../../lib/errors.ts';
import { registerSecret } from '../../lib/redact.ts';
import { systemRuntime } from '../../lib/system-runtime.ts';
import type { Decision } from '../../lib/decide/model.ts';
import { explainDecision } from '../../lib/tell/format.ts';
import { createTeller } from '../../lib/tell/teller.ts';
import { ActBench } from '../act/bench.ts';
import { PLUG_CONFIG } from '../act/plug.ts';
import { at, HOUR, NOW } from '../decide/parts.ts';
import { dueWorld, world, type World } from '../decide/world.ts';
import { password } from '../secrets.ts';

const PLANNED = { mode: 'planned' } as const;

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
  const secret = password('plug');
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

test('rule 10, no secret leaves: nor with the result or the error of a command', async () => {
  const secret = password('command');
  registerSecret(secret);
  const repeats = defineCommand({
    usage: 'repeat',
    describe: 'says what a server has said',
    flags: (y) => y.option('fail', { type: 'boolean', default: false }),
    run: ({ fail }, { io }) => {
      if (fail) throw new FailedError(`the server says ${secret}`);
      io.out(`the server says ${secret}`);
      io.err(`the server says ${secret}`);
      return Promise.resolve(EXIT.ok);
    },
  });
  const commands = { repeat: { usage: 'repeat', describe: '', load: () => Promise.resolve(repeats) } };
  const printed: string[] = [];
  const print = (text: string): void => void printed.push(text);
  const io = { out: print, err: print, tty: false, columns: 200 };
  const { signal } = new AbortController();
  for (const words of [['repeat'], ['repeat', '--fail']])
    await main(words, commands, { runtime: systemRuntime({}), io, signal, cwd: '.' });
  assert.deepEqual(printed, [
    'the server says ***',
    'the server says ***',
    'proxwarden: the server says ***',
  ]);
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
