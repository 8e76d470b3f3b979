/** The probes that start a process: exec and ping. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { eventually, lives, pathWith, probe, script } from './probe-helpers.ts';

function plugin(t: TestContext, body: string, timeoutMs = 1500) {
  return probe({ kind: 'exec', path: script(t, 'check', body).file, args: ['-H', '$HOME'] }, { timeoutMs });
}

test('exec: the exit codes of monitoring plugins', async (t) => {
  for (const [code, ok, answered] of [
    [0, true, true],
    [1, true, true],
    [2, false, false],
    [3, false, false],
    [42, false, false],
  ] as const) {
    const result = await plugin(t, `echo; echo "DNS CHECK $2"; echo second; exit ${code}`);
    assert.deepEqual([result.ok, result.answered], [ok, answered], `exit ${code}`);
    assert.equal(result.reason, `exit ${code}: DNS CHECK $HOME`);
    assert.equal(result.latencyMs !== null, answered);
  }
});

test('exec: output of strangers is made harmless', async (t) => {
  const result = await plugin(
    t,
    `printf '\\033[31mbad\\033[0m\\007 %s\\n' "$(printf 'x%.0s' $(seq 300))"; exit 2`,
  );
  assert.match(result.reason, /^exit 2: bad x+…$/);
  assert.equal(result.reason.length, 'exit 2: '.length + 120);
});

test('exec: no output, or only on standard error', async (t) => {
  assert.match((await plugin(t, 'exit 0')).reason, /^answered in /);
  assert.equal((await plugin(t, 'exit 2')).reason, 'exit 2');
  const broken = await plugin(t, 'echo broken >&2; exit 3');
  assert.deepEqual([broken.ok, broken.unknown, broken.reason], [false, true, 'exit 3: broken']);
  assert.equal((await plugin(t, 'exit 2')).unknown, undefined);
});

test('exec: a plugin that hangs, dies or does not exist', async (t) => {
  const { dir, file } = script(t, 'check', 'echo $$ >"${0%/*}/pid"; exec sleep 60');
  const hanging = await probe({ kind: 'exec', path: file, args: [] }, { timeoutMs: 300 });
  assert.deepEqual([hanging.ok, hanging.answered, hanging.reason], [false, false, 'no answer within 300 ms']);
  const pid = Number(readFileSync(join(dir, 'pid'), 'utf8'));
  await eventually('the plugin is gone', () => !lives(pid));
  assert.equal((await plugin(t, 'kill -KILL $$')).reason, 'killed by SIGKILL');
  const missing = await probe({ kind: 'exec', path: '/nonexistent/check', args: [] });
  assert.match(missing.reason, /^not found/);
});

/** Runs a ping probe with `body` as the ping executable, where there is no fping. */
function ping(t: TestContext, body: string, more: { host?: string; timeoutMs?: number } = {}) {
  const { dir } = script(t, 'ping', body);
  const path = `${dir}:${pathWith(t, 'bash')}`;
  return probe({ kind: 'ping', host: more.host ?? '10.0.0.1' }, { path, timeoutMs: more.timeoutMs ?? 1500 });
}

test('ping: a reply, with its own time', async (t) => {
  const iputils = await ping(t, 'echo "64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.345 ms"');
  assert.deepEqual([iputils.ok, iputils.answered, iputils.latencyMs], [true, true, 0.345]);
  assert.equal(iputils.reason, 'answered in less than 1 ms');
  const busybox = await ping(t, 'echo "64 bytes from 10.0.0.1: seq=0 ttl=64 time=12.345 ms"');
  assert.deepEqual([busybox.latencyMs, busybox.reason], [12.345, 'answered in 12 ms']);
});

test('ping: it gets an address and nothing else; a host that is none is looked up first', async (t) => {
  const show = 'for a; do printf "[%s]" "$a"; done >&2; echo " $LC_ALL" >&2; exit 2';
  const shown = await ping(t, show, { host: 'localhost' });
  assert.match(shown.reason, /^ping failed: \[-n\]\[-c\]\[1\]\[-W\]\[2\]\[--\]\[(127\.0\.0\.1|::1)\] C$/);
  const host = `-f; touch /tmp/x $(id) '"`;
  const hostile = await ping(t, show, { host });
  assert.deepEqual([hostile.unknown, hostile.reason], [true, `name not found: ${host}`]);
});

test('ping: no reply', async (t) => {
  const lost = await ping(t, 'echo "1 packets transmitted, 0 received, 100% packet loss"; exit 1');
  assert.deepEqual([lost.ok, lost.answered, lost.latencyMs], [false, false, null]);
  assert.equal(lost.reason, 'no answer within 1.5 s');
  for (const [output, reason] of [
    ['From 10.0.0.9 icmp_seq=1 Destination Host Unreachable', 'no route to host'],
    ['ping: connect: Network is unreachable', 'network unreachable'],
    ['ping: socket: Operation not permitted', 'ping failed: ping: socket: Operation not permitted'],
  ]) {
    const result = await ping(t, `echo "${output}" >&2; exit 2`);
    assert.deepEqual([result.ok, result.answered, result.reason], [false, false, reason]);
  }
});

test('ping: one that hangs is killed at the deadline, with what it started', async (t) => {
  const { dir } = script(t, 'ping', `trap '' TERM; sleep 60 & echo $! >"\${0%/*}/pid"; wait`);
  const path = `${dir}:${pathWith(t, 'bash', 'sleep')}`;
  const start = performance.now();
  const result = await probe({ kind: 'ping', host: '10.0.0.1' }, { path, timeoutMs: 400 });
  assert.ok(performance.now() - start < 900);
  assert.deepEqual([result.ok, result.reason], [false, 'no answer within 400 ms']);
  assert.equal(existsSync(join(dir, 'pid')), true);
  const pid = Number(readFileSync(join(dir, 'pid'), 'utf8'));
  await eventually('ping is gone', () => !lives(pid));
});

test('ping: not installed', async (t) => {
  const { dir } = script(t, 'other', '');
  const result = await probe({ kind: 'ping', host: '10.0.0.1' }, { path: dir, timeoutMs: 1500 });
  assert.deepEqual(
    [result.ok, result.answered, result.reason],
    [false, false, 'ping not found (install iputils-ping)'],
  );
});
