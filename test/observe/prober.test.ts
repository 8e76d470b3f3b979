import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProbeResult } from '../../lib/decide/model.ts';
import type { ProbeSpec } from '../../lib/inventory/types.ts';
import { systemClock } from '../../lib/clock.ts';
import { VirtualClock } from '../../lib/lab/virtual-clock.ts';
import { probeAll } from '../../lib/observe/prober.ts';
import { probe, rawServer } from './probe-helpers.ts';

function spec(kind: 'tcp' | 'ping' | 'exec', label: string): ProbeSpec {
  const common = { label, timeoutMs: 100, attempts: 1 };
  if (kind === 'tcp') return { ...common, kind, host: '10.0.0.1', port: 1 };
  return kind === 'ping' ? { ...common, kind, host: '10.0.0.1' } : { ...common, kind, path: '/p', args: [] };
}

function passed(each: ProbeSpec): ProbeResult {
  return { probe: each.label, ok: true, answered: true, latencyMs: 1, reason: 'answered', attempts: 1 };
}

test('results are by key, in the order in which the probes were given, however they end', async () => {
  const ends: (() => void)[] = [];
  const all = probeAll(
    [
      { key: 'b', spec: spec('tcp', '1') },
      { key: 'a', spec: spec('ping', '2') },
      { key: 'b', spec: spec('exec', '3') },
      { key: 'b', spec: spec('tcp', '4') },
    ],
    (each) => new Promise((resolve) => ends.unshift(() => resolve(passed(each)))),
    { clock: systemClock },
  );
  await new Promise((resolve) => setImmediate(resolve));
  for (const end of ends) end();
  const results = await all;
  assert.deepEqual(
    [...results].map(([key, list]) => [key, list.map((each) => each.probe)]),
    [
      ['b', ['1', '3', '4']],
      ['a', ['2']],
    ],
  );
  assert.equal(
    (await probeAll([], () => Promise.reject(new Error('never')), { clock: systemClock })).size,
    0,
  );
});

test('no kind waits for another, and none has more running than its slots', async () => {
  const running = { tcp: 0, ping: 0, exec: 0 };
  const most = { ...running };
  const ends: (() => void)[] = [];
  const probes = (['tcp', 'ping', 'exec'] as const).flatMap((kind) =>
    Array.from({ length: 9 }, (_, index) => ({ key: kind, spec: spec(kind, `${kind} ${index}`) })),
  );
  const all = probeAll(
    probes,
    (each) => {
      if (each.kind !== 'tcp' && each.kind !== 'ping' && each.kind !== 'exec') throw new Error('unexpected');
      const { kind } = each;
      running[kind] += 1;
      most[kind] = Math.max(most[kind], running[kind]);
      return new Promise((resolve) =>
        ends.push(() => {
          running[kind] -= 1;
          resolve(passed(each));
        }),
      );
    },
    { clock: systemClock, slots: { sockets: 4, pings: 3, execs: 2 } },
  );
  while (ends.length > 0 || running.tcp + running.ping + running.exec === 0) {
    await new Promise((resolve) => setImmediate(resolve));
    if (ends.length === 0) break;
    for (const end of ends.splice(0)) end();
  }
  const results = await all;
  assert.deepEqual(most, { tcp: 4, ping: 3, exec: 2 });
  assert.equal([...results.values()].flat().length, 27);
});

test('hanging probes do not delay the others beyond their own timeout', async (t) => {
  const silent = await rawServer(t, () => undefined);
  const good = await rawServer(t, (socket) => socket.end('HTTP/1.1 204 No Content\r\n\r\n'));
  const http = (port: number) => ({ kind: 'http', url: `http://127.0.0.1:${port}/`, method: 'GET' }) as const;
  const finished: string[] = [];
  const start = performance.now();
  const probes = Array.from({ length: 39 }, () => ({ key: 'silent', port: silent }));
  probes.push({ key: 'good', port: good });
  const results = await probeAll(
    probes.map(({ key, port }) => ({
      key,
      spec: {
        ...http(port),
        status: [[204, 204]],
        insecure: false,
        label: key,
        timeoutMs: 1000,
        attempts: 1,
      },
    })),
    async (each, signal) => {
      const result = await probe(each, {
        timeoutMs: each.timeoutMs,
        ...(signal === undefined ? {} : { signal }),
      });
      finished.push(each.label);
      return result;
    },
    { clock: systemClock },
  );
  assert.equal(finished[0], 'good');
  assert.equal(results.get('good')?.[0]?.ok, true);
  assert.equal(
    results.get('silent')?.filter((each) => each.reason.includes('no answer within 1 s')).length,
    39,
  );
  // One after the other they would take 39 s.
  assert.ok(performance.now() - start < 10_000);
});

test('an abort ends the running ones and does not start the waiting ones', async () => {
  const controller = new AbortController();
  let started = 0;
  const all = probeAll(
    [1, 2, 3].map((each) => ({ key: 'a', spec: spec('exec', String(each)) })),
    (_spec, signal) => {
      started += 1;
      return new Promise((_, reject) =>
        signal?.addEventListener('abort', () => reject(new Error('stopped'))),
      );
    },
    { clock: systemClock, slots: { execs: 1 }, signal: controller.signal },
  );
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort(new Error('stopped'));
  await assert.rejects(all, { message: 'stopped' });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(started, 1);
});

test('sockets that hang give their slots to others; plugins that hang keep theirs', async () => {
  const clock = new VirtualClock();
  const begun = clock.now();
  const startedAt = new Map<string, number>();
  const probes = (['tcp', 'exec'] as const).flatMap((kind) =>
    Array.from({ length: 50 }, (_, n) => ({ key: kind, spec: spec(kind, `${kind} ${n}`) })),
  );
  const all = probeAll(
    probes,
    async (each) => {
      startedAt.set(each.label, clock.now() - begun);
      // The first forty of each never answer.
      await clock.sleep(Number(each.label.split(' ')[1]) < 40 ? 5_000 : 1);
      return passed(each);
    },
    { clock, slots: { sockets: 10, execs: 10 } },
  );
  await clock.run(all);
  assert.equal(startedAt.get('tcp 49'), 400, 'forty in tens, a tenth of a second each');
  assert.equal(startedAt.get('exec 49'), 20_000);
  assert.equal(clock.now() - begun, 20_001);
});

test('a process that is late itself begins no more than it has slots for', async () => {
  const clock = new VirtualClock();
  let started = 0;
  const late = {
    now: () => clock.now(),
    // As a timer that fires when the processor has time for it.
    sleep: (ms: number) => clock.sleep(ms * 2),
  };
  const probes = Array.from({ length: 30 }, (_, n) => ({ key: 'a', spec: spec('tcp', String(n)) }));
  const all = probeAll(
    probes,
    async (each) => {
      started += 1;
      await clock.sleep(5_000);
      return passed(each);
    },
    { clock: late, slots: { sockets: 10 } },
  );
  await clock.advance(4_900);
  assert.equal(started, 10);
  await clock.run(all);
  assert.equal(started, 30);
});
