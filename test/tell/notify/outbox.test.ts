import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { NotifyTarget } from '../../../lib/inventory/types.ts';
import { openOutbox } from '../../../lib/state/outbox.ts';
import { registerSecret } from '../../../lib/redact.ts';
import { createNotifier } from '../../../lib/tell/notify/notifier.ts';
import type { DeliverRuntime } from '../../../lib/tell/notify/deliver.ts';
import { tempFolder } from '../../observe/probe-helpers.ts';
import { tokenSecret } from '../../secrets.ts';
import { about, NOW } from './about.ts';

const MINUTE = 60_000;

const hook = (name: string, topics: NotifyTarget['topics']): NotifyTarget => ({
  name,
  topics,
  via: { kind: 'exec', path: `/hooks/${name}`, args: [], timeoutMs: 1000 },
});
const PHONE = hook('phone', ['down', 'needs-person']);
const LOG = hook('log', ['down', 'up']);

/** A state folder, a clock to turn, and programs whose calls are noted; `broken` ones fail. */
function bench(t: TestContext) {
  const dir = tempFolder(t);
  const clock = { now: () => now, sleep: () => new Promise<void>(() => undefined) };
  let now = NOW;
  const told: string[] = [];
  const broken = new Set<string>();
  const runtime: DeliverRuntime = {
    clock,
    env: {},
    exec: ({ file, env }) => {
      const name = file.split('/').at(-1) ?? '';
      if (broken.has(name)) return Promise.resolve({ exitCode: 1, stdout: '', stderr: 'no network' });
      told.push(`${name}: ${env['PROXWARDEN_TITLE']}`);
      return Promise.resolve({ exitCode: 0, stdout: '', stderr: '' });
    },
    httpDispatcher: () => Promise.reject(new Error('no HTTP here')),
    mail: () => Promise.reject(new Error('no mail here')),
  };
  return {
    dir,
    told,
    broken,
    wait: (ms: number) => void (now += ms),
    outbox: openOutbox(dir, { clock }),
    /** What a new process would have. */
    notifier: (targets: readonly NotifyTarget[] = [PHONE, LOG]) =>
      createNotifier({ targets, outbox: openOutbox(dir, { clock }), runtime }),
  };
}

test('each target hears what it wants, once, in one message', async (t) => {
  const b = bench(t);
  const one = b.notifier();
  one.add([about('web is down'), about('web is up', { topic: 'up', urgency: 'info' })]);
  one.add([about('web is down')]);
  await one.flush();
  await one.flush();
  assert.deepEqual(b.told, ['phone: web is down', 'log: web is down (and 1 more)']);
  assert.deepEqual([one.failures(), b.outbox.waiting()], [[], []]);
});

test('what can not be sent waits, longer each time, survives the process, and is sent when the network is back', async (t) => {
  const b = bench(t);
  b.broken.add('phone');
  b.notifier().add([about('web is down')]);
  const attempts: number[] = [];
  for (let minute = 0; minute <= 70; minute += 1) {
    const run = b.notifier();
    await run.flush();
    for (const why of run.failures()) {
      assert.equal(why, 'phone (exec) was not told: it ended with 1: no network');
      attempts.push(minute);
    }
    b.wait(MINUTE);
  }
  assert.deepEqual(attempts, [0, 1, 3, 8, 23]);
  assert.deepEqual(b.told, ['log: web is down'], 'the other target was not held up');
  assert.equal(b.outbox.waiting()[0]?.failure, 'phone (exec) was not told: it ended with 1: no network');
  b.broken.clear();
  b.wait(60 * MINUTE);
  await b.notifier().flush();
  assert.deepEqual(b.told, ['log: web is down', 'phone: web is down']);
});

test('killed while it sends, it is sent again by another run, but not while the first may still be at it', async (t) => {
  const b = bench(t);
  b.notifier().add([about('web is down')]);
  assert.equal(b.outbox.take([PHONE, LOG]).length, 2, 'taken, and then the process dies');
  await b.notifier().flush();
  assert.deepEqual(b.told, []);
  b.wait(MINUTE);
  await b.notifier().flush();
  assert.deepEqual(b.told, ['phone: web is down', 'log: web is down']);
});

test('a clock that is set back does not hold messages for ever', async (t) => {
  const b = bench(t);
  b.broken.add('phone');
  b.notifier([PHONE]).add([about('web is down')]);
  await b.notifier([PHONE]).flush();
  b.broken.clear();
  b.wait(-48 * 60 * MINUTE);
  await b.notifier([PHONE]).flush();
  assert.deepEqual(b.told, ['phone: web is down']);
});

test('it is bounded: the mildest go first, and after three days nobody wants to know', async (t) => {
  const b = bench(t);
  b.broken.add('phone');
  const run = b.notifier([PHONE]);
  run.add([about('first, urgent', { urgency: 'urgent' }), about('mild', { urgency: 'info' })]);
  for (let n = 0; n < 150; n += 1) run.add([about(`down ${n}`)]);
  const titles = b.outbox.waiting().map((entry) => entry.notice.title);
  assert.equal(titles.length, 100);
  assert.ok(!titles.includes('mild') && titles.includes('down 149'));
  b.wait(73 * 60 * MINUTE);
  await run.flush();
  assert.deepEqual(b.outbox.waiting(), []);
  assert.ok(run.failures().includes('phone was never told: down 149'));
});

test('targets that the inventory names no more lose theirs', async (t) => {
  const b = bench(t);
  b.notifier().add([about('web is down')]);
  await b.notifier([LOG]).flush();
  assert.deepEqual([b.told, b.outbox.waiting()], [['log: web is down'], []]);
});

test('what was never told is told later, but not the whole past when somebody begins to be told', async (t) => {
  const b = bench(t);
  const run = b.notifier([PHONE]);
  run.recover([about('yesterday')]);
  run.recover([about('yesterday'), about('a run was killed before it could say this')]);
  await run.flush();
  assert.deepEqual(b.told, ['phone: a run was killed before it could say this']);
});

test('an outbox that is broken or full stops nothing, and is left as it is', async (t) => {
  const b = bench(t);
  writeFileSync(join(b.dir, 'outbox.json'), '{"version": 1, "wai');
  const run = b.notifier();
  run.add([about('web is down')]);
  await run.flush();
  const said = run.failures();
  assert.match(said[0] ?? '', /^nobody is told of "web is down": outbox .*outbox\.json is corrupt/);
  assert.equal(readFileSync(join(b.dir, 'outbox.json'), 'utf8'), '{"version": 1, "wai');
});

test('no secret is kept in the outbox or told, whoever has repeated it', async (t) => {
  const b = bench(t);
  const secret = tokenSecret(7);
  registerSecret(secret);
  b.broken.add('phone');
  const run = b.notifier();
  run.add([about(`web says ${secret}`, { text: `and ${encodeURIComponent(secret)}` })]);
  await run.flush();
  assert.deepEqual(b.told, ['log: web says ***']);
  assert.ok(!readFileSync(join(b.dir, 'outbox.json'), 'utf8').includes(secret));
});

test('text from nodes is made harmless', async (t) => {
  const b = bench(t);
  const run = b.notifier([PHONE]);
  run.add([about('web \u001b[31mis\u202e down\nnow')]);
  await run.flush();
  assert.deepEqual(b.told, ['phone: web is down now']);
});
