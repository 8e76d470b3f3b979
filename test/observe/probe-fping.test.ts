/** Pings by fping: with scripts in its place, and with the real one on the loopback addresses. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { probeAll } from '../../lib/observe/prober.ts';
import { fpingOn } from '../../lib/observe/probes/fping.ts';
import { systemRuntime } from '../../lib/system-runtime.ts';
import { eventually, lives, probe, script, tempFolder } from './probe-helpers.ts';

/** A search path with these programs before the system's own, and the folder that they are in. */
function programs(t: TestContext, fping: string, ping = 'echo "ping was asked for $7" >&2; exit 2') {
  const { dir } = script(t, 'fping', fping);
  const other = script(t, 'ping', ping);
  return { dir, path: `${dir}:${other.dir}:/usr/bin:/bin` };
}

const ALL = 'while [ "$1" != -- ]; do shift; done; shift; ';

/** Runs ping probes at once; 1.5 s each, one attempt. */
function pings(path: string, hosts: readonly string[], timeoutMs = 1500, signal?: AbortSignal) {
  return Promise.all(hosts.map((host) => probe({ kind: 'ping', host }, { path, timeoutMs, signal })));
}

test('one process for all that begin together, and each address once', async (t) => {
  const { dir, path } = programs(
    t,
    `echo "$LC_ALL $*" >>"\${0%/*}/asked"; ${ALL} for a; do echo "$a is alive (12.3 ms)"; done`,
  );
  const results = await pings(path, ['10.0.0.1', '10.0.0.2', '10.0.0.1', 'fd00::1']);
  for (const each of results)
    assert.deepEqual(
      [each.ok, each.answered, each.latencyMs, each.reason],
      [true, true, 12.3, 'answered in 12 ms'],
    );
  const asked = readFileSync(join(dir, 'asked'), 'utf8').trimEnd().split('\n').toSorted();
  assert.deepEqual(asked, [
    'C -e -r 0 -i 1 -t 1500 -- 10.0.0.1 10.0.0.2',
    'C -e -r 0 -i 1 -t 1500 -- fd00::1',
  ]);
});

test('no more addresses in a process than can be sent to in a tenth of the timeout', async (t) => {
  const { dir, path } = programs(
    t,
    `echo "$*" >>"\${0%/*}/asked"; ${ALL} for a; do echo "$a is alive (1.23 ms)"; done`,
  );
  const hosts = Array.from({ length: 410 }, (_, n) => `10.0.${n >> 8}.${n & 255}`);
  const results = await pings(path, hosts, 2000);
  const asked = readFileSync(join(dir, 'asked'), 'utf8').trimEnd().split('\n');
  const sizes = asked.map((line) => line.replace(/.* -- /, '').split(' ').length);
  assert.deepEqual(
    sizes.toSorted((a, b) => a - b),
    [10, 200, 200],
  );
  assert.ok(results.every((each) => each.ok));
});

test('what fping says of an address that does not answer', async (t) => {
  const says = [
    'ICMP Host Unreachable from 10.0.0.9 for ICMP Echo sent to 10.0.0.1',
    'ICMP Network Unreachable from 10.0.0.9 for ICMP Echo sent to 10.0.0.2',
    ' [<- 10.0.0.9]10.0.0.3: error while sending ping: Network is unreachable',
    '10.0.0.4: error while sending ping: No route to host',
    '10.0.0.5: error while sending ping: Operation not permitted',
    'fd00::6: error while sending ping: Network is unreachable',
    'fe80::7%nix: Name or service not known',
    'ICMP Redirect from 10.0.0.9 for ICMP Echo sent to 10.0.0.8',
    'something else: that nobody has foreseen',
  ];
  const { path } = programs(
    t,
    `${says.map((line) => `echo "${line}" >&2; `).join('')} sleep 0.1; echo "10.0.0.8 is alive"; sleep 60`,
  );
  const hosts = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', 'fd00::6', '10.0.0.8'];
  const start = performance.now();
  const results = await pings(path, hosts);
  assert.ok(performance.now() - start < 1400, 'nobody waits for the end of the process');
  assert.deepEqual(
    results.map((each) => [each.ok, each.answered, each.unknown ?? false, each.reason]),
    [
      [false, false, false, 'no route to host'],
      [false, false, true, 'network unreachable'],
      [false, false, true, 'network unreachable'],
      [false, false, false, 'no route to host'],
      [false, false, true, 'ping failed: Operation not permitted'],
      [false, false, true, 'network unreachable'],
      [true, true, false, results[6]?.reason],
    ],
  );
});

test('a silent address delays no other, and the process goes with the last deadline', async (t) => {
  const { dir, path } = programs(
    t,
    `trap '' TERM; sleep 60 & echo $! >"\${0%/*}/pid"; echo "10.0.0.1 is alive (0.05 ms)"; wait`,
  );
  const start = performance.now();
  const silent = probe({ kind: 'ping', host: '10.0.0.2' }, { path, timeoutMs: 500 });
  const lively = await probe({ kind: 'ping', host: '10.0.0.1' }, { path, timeoutMs: 500 });
  assert.equal(lively.ok, true);
  assert.ok(performance.now() - start < 400);
  const { ok, answered, unknown, reason } = await silent;
  assert.deepEqual([ok, answered, unknown, reason], [false, false, undefined, 'no answer within 500 ms']);
  assert.ok(performance.now() - start < 1000);
  const pid = Number(readFileSync(join(dir, 'pid'), 'utf8'));
  await eventually('fping is gone', () => !lives(pid));
});

test('an abort ends the process at once', async (t) => {
  const { dir, path } = programs(t, `sleep 60 & echo $! >"\${0%/*}/pid"; wait`);
  const controller = new AbortController();
  const all = pings(path, ['10.0.0.1', '10.0.0.2'], 20_000, controller.signal);
  all.catch(() => undefined);
  const file = join(dir, 'pid');
  await eventually('fping runs', () => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n'));
  controller.abort(new Error('stopped'));
  await assert.rejects(all, /^Error: stopped$/);
  await eventually('fping is gone', () => !lives(Number(readFileSync(file, 'utf8'))));
});

test('of what fping does not tell, ping is asked', async (t) => {
  const answers = 'echo "64 bytes from $7: icmp_seq=1 ttl=64 time=0.345 ms"';
  for (const fping of [
    'echo "fping: can\'t create socket (must run as root?)" >&2; exit 4',
    'echo "see fping -h for usage information" >&2; exit 1',
    'echo "10.0.0.1 is unreachable"; exit 1',
    'kill -KILL $$',
    'exit 0',
    'yes | head -c 100000 | tr -d "\\n"; exit 3',
  ]) {
    const [one] = await pings(programs(t, fping, answers).path, ['10.0.0.1']);
    assert.deepEqual([one?.ok, one?.latencyMs], [true, 0.345], fping);
  }
  const { dir } = script(t, 'fping', '');
  writeFileSync(join(dir, 'fping'), '\u0000nothing that can be started', { mode: 0o755 });
  const { dir: other } = script(t, 'ping', answers);
  assert.equal((await pings(`${dir}:${other}:/usr/bin:/bin`, ['10.0.0.1']))[0]?.ok, true);
  const [lost] = await pings(programs(t, 'exit 4', 'exit 1').path, ['10.0.0.1']);
  assert.deepEqual([lost?.ok, lost?.unknown, lost?.reason], [false, undefined, 'no answer within 1.5 s']);
});

test('those for whom there was no turn have asked nobody', async (t) => {
  const { path } = programs(t, 'exit 4', 'exec sleep 60');
  const hosts = Array.from({ length: 70 }, (_, n) => `10.0.0.${n}`);
  const results = await pings(path, hosts, 3000);
  const unasked = results.filter((each) => each.unknown === true);
  assert.ok(unasked.length >= 6, `${unasked.length}`);
  assert.match(unasked[0]?.reason ?? '', /^not asked in time: fping does not work/);
  assert.ok(results.every((each) => !each.ok));
});

test('a runtime has more slots for pings where there is fping', async (t) => {
  const { path } = programs(t, '');
  assert.deepEqual(await systemRuntime({ PATH: path }).slots?.(), { pings: 1024 });
  assert.deepEqual(await systemRuntime({ PATH: `${tempFolder(t)}::/nonexistent` }).slots?.(), {});
});

const real = fpingOn('/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin');
test(
  'the real fping, on loopback addresses',
  { skip: real === undefined ? 'fping is not installed' : false },
  async (t) => {
    const folder = tempFolder(t);
    symlinkSync(real ?? '', join(folder, 'fping'));
    const hosts = [...Array.from({ length: 300 }, (_, n) => `127.3.${n >> 8}.${n & 255}`), '127.3.0.1'];
    const jobs = hosts.map((host) => ({
      key: host,
      spec: { kind: 'ping', host, label: host, timeoutMs: 10_000, attempts: 2 } as const,
    }));
    // Nothing else is on it: it is fping that answers.
    const runtime = systemRuntime({ PATH: folder });
    const results = await probeAll(jobs, (spec, signal) => runtime.probe(spec, signal), {
      clock: systemClock,
      slots: await runtime.slots?.(),
    });
    const failed = [...results.values()].flat().filter((each) => !each.ok || each.latencyMs === null);
    assert.deepEqual(failed, []);
    assert.equal(results.get('127.3.0.1')?.length, 2);
  },
);
