import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { test, type TestContext } from 'node:test';
import { decode, encode, type Answer, type Packet } from 'dns-packet';
import { closedPort, outerAddress, probe } from './probe-helpers.ts';

/** A UDP server on loopback; `reply` makes the bytes of an answer, or null for silence. */
async function dnsServer(t: TestContext, reply: (query: Packet) => Buffer | null): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => {
    const bytes = reply(decode(message));
    if (bytes !== null) socket.send(bytes, from.port, from.address);
  });
  await new Promise<void>((resolve) => {
    socket.bind(0, '127.0.0.1', resolve);
  });
  t.after(() => socket.close());
  return socket.address().port;
}

function answer(query: Packet, rcode: number, answers: Answer[] = []): Buffer {
  const { id = 0, questions = [] } = query;
  // Response, recursion desired and available, and the code in the lowest four bits.
  return encode({ type: 'response', id, flags: 0x0180 | rcode, questions, answers });
}

function ask(port: number, more: { name?: string; type?: 'A' | 'TXT' | 'SOA'; timeoutMs?: number } = {}) {
  const { name = 'example.org', type = 'A', timeoutMs = 400 } = more;
  return probe({ kind: 'dns', server: '127.0.0.1', port, name, type }, { timeoutMs });
}

test('a record is ok; the question goes out as it was given', async (t) => {
  const asked: string[] = [];
  const port = await dnsServer(t, (query) => {
    const [question] = query.questions ?? [];
    asked.push(`${question?.type ?? ''} ${question?.name ?? ''}`);
    return answer(query, 0, [
      question?.type === 'TXT'
        ? { type: 'TXT', name: 'example.org', data: ['hello'] }
        : { type: 'A', name: 'example.org', ttl: 60, data: '10.0.0.1' },
    ]);
  });
  const result = await ask(port);
  assert.equal(result.ok, true, result.reason);
  assert.equal(result.answered, true);
  assert.equal((await ask(port, { type: 'TXT' })).ok, true);
  assert.deepEqual(asked, ['A example.org', 'TXT example.org']);
});

test('every answer is a sign of life, whatever it says', async (t) => {
  for (const [rcode, reason] of [
    [0, 'no A record for example.org'],
    [1, /^FORMERR/],
    [2, 'SERVFAIL'],
    [3, 'NXDOMAIN for example.org'],
    [4, /^NOTIMP/],
    [5, /^REFUSED/],
  ] as const) {
    const port = await dnsServer(t, (query) => answer(query, rcode));
    const result = await ask(port);
    assert.deepEqual([result.ok, result.answered], [false, true], `rcode ${rcode}: ${result.reason}`);
    if (typeof reason === 'string') assert.equal(result.reason, reason);
    else assert.match(result.reason, reason);
  }
});

test('a silent server runs into the deadline', async (t) => {
  const port = await dnsServer(t, () => null);
  const start = performance.now();
  const result = await ask(port, { timeoutMs: 200 });
  assert.deepEqual([result.ok, result.answered, result.latencyMs], [false, false, null]);
  assert.equal(result.reason, 'no answer within 200 ms');
  assert.ok(performance.now() - start < 800);
});

test('no server on a living loopback is refused, and no sign of life', async () => {
  const result = await ask(await closedPort());
  assert.deepEqual([result.ok, result.answered, result.reason], [false, false, 'connection refused']);
});

test('no server on a living machine is refused, which is a sign of life', async (t) => {
  const server = outerAddress();
  if (server === undefined) return t.skip('this machine has no address but loopback');
  const result = await probe({
    kind: 'dns',
    server,
    port: await closedPort(),
    name: 'example.org',
    type: 'A',
  });
  assert.deepEqual([result.ok, result.answered, result.reason], [false, true, 'connection refused']);
});

test('a server given by name is looked up', async (t) => {
  const port = await dnsServer(t, (query) => answer(query, 3));
  const spec = { kind: 'dns', server: 'localhost', port, name: 'example.org', type: 'A' } as const;
  const result = await probe(spec);
  // localhost may be ::1 first, where nothing listens.
  assert.ok(['NXDOMAIN for example.org', 'connection refused'].includes(result.reason), result.reason);
});
