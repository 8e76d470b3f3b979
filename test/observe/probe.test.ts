import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import type { Clock } from '../../lib/clock.ts';
import { runProbe } from '../../lib/observe/probe.ts';
import { inHosts } from '../../lib/observe/probes/lookup.ts';
import { codeOf, connectionFailure, isLoopback } from '../../lib/observe/probes/reasons.ts';
import { plainText, roughSpanText } from '../../lib/text.ts';
import { closedPort, listen, outerAddress, probe, rawServer, silentPort } from './probe-helpers.ts';

test('tcp: an accepted connection is ok', async (t) => {
  const port = await rawServer(t, () => undefined);
  const result = await probe({ kind: 'tcp', host: '127.0.0.1', port });
  assert.equal(result.ok, true);
  assert.equal(result.answered, true);
  assert.match(result.reason, /^answered in (\d+|less than 1) ms$/);
  assert.equal(typeof result.latencyMs, 'number');
  assert.deepEqual([result.probe, result.attempts], ['the probe', 1]);
});

test('tcp: a name is looked up', async (t) => {
  const port = await rawServer(t, () => undefined);
  assert.equal((await probe({ kind: 'tcp', host: 'localhost', port })).ok, true);
});

test('tcp: a refusal by loopback is no sign of life', async () => {
  const port = await closedPort();
  for (const host of ['127.0.0.1', 'localhost']) {
    const result = await probe({ kind: 'tcp', host, port });
    assert.deepEqual(
      [result.ok, result.answered, result.latencyMs, result.reason],
      [false, false, null, 'connection refused'],
    );
  }
});

test('tcp: a refusal by any other address is a sign of life', async (t) => {
  const other = outerAddress();
  if (other === undefined) return t.skip('this machine has no address but loopback');
  const result = await probe({ kind: 'tcp', host: other, port: await closedPort() });
  assert.deepEqual([result.ok, result.answered, result.reason], [false, true, 'connection refused']);
  assert.equal(typeof result.latencyMs, 'number');
});

test('tcp: names that do not exist', async () => {
  const result = await probe({ kind: 'tcp', host: 'nowhere.invalid', port: 1 }, { timeoutMs: 1500 });
  assert.equal(result.ok, false);
  assert.equal(result.answered, false);
  // Without a network the look-up ends by the deadline or without a name server.
  assert.match(
    result.reason,
    /^name not found: nowhere\.invalid|^no name server has answered for nowhere\.invalid within 1\.5 s$/,
  );
  assert.equal(result.unknown, true);
});

test('the attempts end with the first success; a sign of life in any of them counts', async (t) => {
  let connections = 0;
  const port = await rawServer(t, (socket) => {
    connections += 1;
    if (connections < 2) socket.resetAndDestroy();
    else if (connections > 2) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    // The second connection is accepted and nothing more.
  });
  const url = `http://127.0.0.1:${port}/`;
  const spec = { kind: 'http', url, method: 'GET', status: [[200, 299]], insecure: false } as const;
  const result = await probe(spec, { attempts: 5, timeoutMs: 150 });
  assert.deepEqual([result.ok, result.attempts, connections], [true, 3, 3]);
  connections = 0;
  const failed = await probe(spec, { attempts: 2, timeoutMs: 150 });
  assert.deepEqual([failed.ok, failed.answered, failed.latencyMs], [false, true, null]);
  assert.equal(failed.reason, 'connected, but no answer within 150 ms');
});

test('pauses 200 ms between attempts, none after the last', async () => {
  const sleeps: number[] = [];
  const clock: Clock = {
    now: () => 5,
    sleep: (ms, signal) => {
      sleeps.push(ms);
      // The deadline never comes; the pause is over at once.
      if (ms === 200) return Promise.resolve();
      return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('off'))));
    },
  };
  const exec = () => Promise.resolve({ exitCode: 2, stdout: 'bad\n', stderr: '' });
  const spec = { kind: 'exec', path: '/p', args: [], label: 'p', timeoutMs: 1000, attempts: 3 } as const;
  const result = await runProbe(spec, { clock, exec, path: '' });
  assert.deepEqual(sleeps, [1000, 200, 1000, 200, 1000]);
  assert.deepEqual(result, {
    probe: 'p',
    ok: false,
    answered: false,
    latencyMs: null,
    reason: 'exit 2: bad',
    attempts: 3,
  });
});

test('an outer abort rejects with its reason, during an attempt and between two', async (t) => {
  const port = await rawServer(t, () => undefined);
  const controller = new AbortController();
  const spec = { kind: 'http', method: 'GET', status: [[200, 299]], insecure: false } as const;
  const hanging = probe(
    { ...spec, url: `http://127.0.0.1:${port}/` },
    { timeoutMs: 5000, signal: controller.signal },
  );
  const paused = probe(
    { kind: 'tcp', host: '127.0.0.1', port: await closedPort() },
    { attempts: 1000, signal: controller.signal },
  );
  setTimeout(() => controller.abort(new Error('enough')), 50);
  await assert.rejects(hanging, { message: 'enough' });
  await assert.rejects(paused, { message: 'enough' });
  await assert.rejects(probe({ kind: 'tcp', host: '127.0.0.1', port }, { signal: controller.signal }), {
    message: 'enough',
  });
});

test('a silent address gives no answer and no sign of life', async (t) => {
  const port = await silentPort(t);
  const start = performance.now();
  const result = await probe({ kind: 'tcp', host: '127.0.0.1', port }, { timeoutMs: 300 });
  assert.deepEqual([result.ok, result.answered, result.latencyMs], [false, false, null]);
  assert.equal(result.reason, 'no answer within 300 ms');
  assert.ok(performance.now() - start < 900);
});

test('errors without a sign of life', () => {
  for (const [code, reason] of [
    ['EHOSTUNREACH', 'no route to host'],
    ['ENETUNREACH', 'network unreachable'],
    ['EMFILE', 'too many open files on this machine'],
    ['EPERM', 'forbidden by a firewall on this machine'],
  ] as const) {
    const failure = connectionFailure(Object.assign(new Error('x'), { code }), '10.0.0.1');
    assert.deepEqual([failure.message, failure.alive], [reason, false]);
  }
});

test('of several addresses of a name, a refusal outweighs a timeout', () => {
  const refused = Object.assign(new Error('r'), { code: 'ECONNREFUSED', address: '10.0.0.1' });
  const silent = Object.assign(new Error('t'), { code: 'ETIMEDOUT', address: 'fd00::1' });
  const both = Object.assign(new AggregateError([silent, refused]), { code: 'ETIMEDOUT' });
  assert.equal(codeOf(both), 'ECONNREFUSED');
  assert.equal(connectionFailure(both, 'pihole.lan').alive, true);
  const own = Object.assign(new Error('r'), { code: 'ECONNREFUSED', address: '::1' });
  assert.equal(connectionFailure(new AggregateError([own]), 'pihole.lan').alive, false);
});

test('loopback in all its spellings', () => {
  for (const host of [
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '[::1]',
    'localhost',
    'LOCALHOST',
    '::ffff:127.0.0.1',
    '0.0.0.0',
  ])
    assert.equal(isLoopback(host), true, host);
  for (const host of [
    '10.0.0.1',
    '128.0.0.1',
    'fd00::1',
    '::ffff:10.0.0.1',
    'localhost.example.org',
    '127.example.org',
  ])
    assert.equal(isLoopback(host), false, host);
});

test('hosts files', () => {
  const text =
    '127.0.0.1\tlocalhost\n10.0.0.53 pihole.lan Pihole # dns\n# 10.0.0.9 old\nfd00::53 pihole\njunk pihole\n';
  assert.deepEqual(inHosts(text, 'pihole'), [
    { address: '10.0.0.53', family: 4 },
    { address: 'fd00::53', family: 6 },
  ]);
  assert.deepEqual(inHosts(text, 'PIHOLE.lan.'), [{ address: '10.0.0.53', family: 4 }]);
  assert.deepEqual(inHosts(text, 'old'), []);
});

test('text from outside is made harmless', () => {
  assert.equal(
    plainText('\u001B[31mred\u001B[0m \u001B]0;title\u0007end\r\n\u0000next\u009B'),
    'red end next',
  );
  assert.equal(plainText('a\u202Eb\u200Bc\u2028d\uFEFF'), 'abc d');
  assert.equal(plainText('x'.repeat(1_000_000)).length, 120);
  assert.equal(plainText('é'.repeat(121)), `${'é'.repeat(119)}…`);
  assert.equal(plainText('naïve 😀 日本'), 'naïve 😀 日本');
});

test('ages', () => {
  assert.equal(roughSpanText(3 * 86_400_000 + 5), '3 days');
  assert.equal(roughSpanText(86_400_000), '1 day');
  assert.equal(roughSpanText(7_200_000), '2 hours');
  assert.equal(roughSpanText(59_000), 'less than a minute');
});

test('an IPv6 address works in tcp and http', async (t) => {
  const server = createServer((socket) => socket.end('HTTP/1.1 204 No Content\r\n\r\n'));
  let port: number;
  try {
    port = await listen(t, server, '::1');
  } catch {
    return t.skip('this machine has no IPv6 loopback');
  }
  assert.equal((await probe({ kind: 'tcp', host: '::1', port })).ok, true);
  const url = `http://[::1]:${port}/`;
  const result = await probe({ kind: 'http', url, method: 'GET', status: [[204, 204]], insecure: false });
  assert.equal(result.ok, true, result.reason);
});
