/** Bytes that no Proxmox VE sends: each a clear error or a sane default, in time, and without a second request. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { PveApi } from '../../lib/pve/api.ts';
import type { Clock } from '../../lib/clock.ts';
import { RequestError } from '../../lib/pve/failure.ts';
import { client, json, SECRET, serve } from '../pve/harness.ts';
import { rawServer } from './raw-server.ts';

const TYPE = 'content-type: application/json;charset=UTF-8\r\n';

/** Says something, and when the client's deadline is over: no machine is too slow for that. */
type Behaviour = (write: (bytes: string | Buffer) => boolean, expire: () => void) => void;

function deadlineByHand(): Clock & { expire: () => void } {
  let over: () => void = () => undefined;
  const deadline = new Promise<void>((resolve) => {
    over = resolve;
  });
  return { now: () => Date.now(), sleep: () => deadline, expire: () => over() };
}

/** What the client makes of these bytes, and how many requests it took. */
async function answeredWith<T>(
  bytes: string | Buffer | Behaviour,
  call: (api: PveApi) => Promise<T>,
): Promise<{ result: T | RequestError; requests: number }> {
  let requests = 0;
  const clock = deadlineByHand();
  const server = await rawServer((socket) => {
    socket.on('data', () => {
      requests++;
      const write = (text: string | Buffer): boolean => !socket.destroyed && socket.write(text);
      if (typeof bytes === 'function') bytes(write, clock.expire);
      else socket.end(bytes);
    });
  });
  const api = client([server.endpoint], { clock });
  try {
    const result = await call(api).catch((error: unknown) => {
      assert(error instanceof RequestError, `no RequestError: ${String(error)}`);
      return error;
    });
    return { result, requests };
  } finally {
    await api.close();
    await server.close();
  }
}

const version = (api: PveApi): Promise<string> => api.version();
const start = (api: PveApi): Promise<string> => api.start('pve1', 101);

function http(head: string, body: string | Buffer = '', status = '200 OK', protocol = 'HTTP/1.1'): Buffer {
  return Buffer.concat([Buffer.from(`${protocol} ${status}\r\n${head}\r\n`), Buffer.from(body)]);
}

function withLength(body: string | Buffer, head = TYPE): Buffer {
  return http(`${head}content-length: ${Buffer.byteLength(body)}\r\n`, body);
}

/** Repeats a few bytes until the client hangs up; its deadline comes after some of them. */
function drip(first: string, more: string): Behaviour {
  return (write, expire) => {
    write(first);
    let drops = 0;
    const timer = setInterval(() => {
      if (!write(more)) clearInterval(timer);
      drops++;
      if (drops === 5) expire();
    }, 10);
    timer.unref();
  };
}

interface World {
  readonly bytes: string | Buffer | Behaviour;
  readonly says: RegExp;
}

const BAD: Readonly<Record<string, World>> = {
  'headers that never end': {
    bytes: drip(`HTTP/1.1 200 OK\r\n${TYPE}`, 'x-slow: 1\r\n'),
    says: /gave no complete answer: no answer within 5000 ms/,
  },
  'a status line that never ends': {
    bytes: drip('HTTP/1.1 2', '0'),
    says: /gave no complete answer: /,
  },
  'a body that drips for ever': {
    bytes: drip(`HTTP/1.1 200 OK\r\n${TYPE}transfer-encoding: chunked\r\n\r\n`, '1\r\n \r\n'),
    says: /gave no complete answer: no answer within 5000 ms/,
  },
  'informational answers for ever': {
    bytes: drip('', 'HTTP/1.1 102 Processing\r\n\r\n'),
    says: /gave no complete answer: /,
  },
  'chunked garbage': {
    bytes: http(`${TYPE}transfer-encoding: chunked\r\n`, 'zz\r\n{"data":1}\r\n0\r\n\r\n'),
    says: /gave no complete answer: it does not speak HTTP as it should/,
  },
  'no HTTP at all': { bytes: 'SSH-2.0-OpenSSH_9.2\r\n', says: /it does not speak HTTP as it should/ },
  'a length that is no number': {
    bytes: http(`${TYPE}content-length: many\r\n`, '{"data":1}'),
    says: /it does not speak HTTP as it should/,
  },
  'two different lengths': {
    bytes: http(`${TYPE}content-length: 10\r\ncontent-length: 11\r\n`, '{"data":1}'),
    says: /gave no complete answer: /,
  },
  'the connection closed in mid-body': {
    bytes: http(`${TYPE}content-length: 500\r\n`, '{"data":{"ver'),
    says: /gave no complete answer: (connection lost|the answer was cut short)/,
  },
  'the connection closed in a chunk': {
    bytes: http(`${TYPE}transfer-encoding: chunked\r\n`, '40\r\n{"data":{"ver'),
    says: /gave no complete answer: (connection lost|the answer was cut short)/,
  },
  'a header of a megabyte': {
    bytes: http(`x-big: ${'x'.repeat(1024 * 1024)}\r\n${TYPE}`, '{}'),
    says: /gave no complete answer: the answer has too many headers/,
  },
  'gzip, though not asked for': {
    bytes: withLength(gzipSync('{"data":{"version":"8.4"}}'), `${TYPE}content-encoding: gzip\r\n`),
    says: /cannot be used: it is compressed \(gzip\), which nobody asked for/,
  },
  'a gzip bomb': {
    bytes: withLength(gzipSync(Buffer.alloc(50_000_000, ' ')), `${TYPE}content-encoding: gzip\r\n`),
    says: /cannot be used: it is compressed \(gzip\), which nobody asked for/,
  },
  'another content type': {
    bytes: withLength('{"data":{"version":"8.4"}}', 'content-type: text/plain\r\n'),
    says: /cannot be used: it is of type text\/plain, not JSON/,
  },
  'no content type': {
    bytes: withLength('{"data":{"version":"8.4"}}', ''),
    says: /cannot be used: it is without a content type, not JSON/,
  },
  'nothing after 200': { bytes: withLength(''), says: /its JSON is cut or broken/ },
  'no content': {
    bytes: http('', '', '204 No Content'),
    says: /cannot be used: its status is 204/,
  },
  'nesting without end': {
    bytes: withLength(`{"data":${'['.repeat(200_000)}`),
    says: /its JSON is cut or broken/,
  },
  'NUL bytes': { bytes: withLength(Buffer.alloc(100)), says: /its JSON is cut or broken/ },
  'the answer to another question': {
    bytes: withLength('{"data":[{"vmid":101}]}'),
    says: /is not as expected/,
  },
  'a redirect to another host': {
    bytes: http('location: https://evil.example/\r\ncontent-length: 0\r\n', '', '302 Found'),
    says: /answers with a redirect \(302\), which a Proxmox VE API does not do/,
  },
  'a login page of a proxy': {
    bytes: withLength('<!doctype html><title>Login</title>', 'content-type: text/html\r\n'),
    says: /it is a web page, not JSON/,
  },
  'a 503 of a load balancer, as JSON': {
    bytes: http(`${TYPE}content-length: 26\r\n`, '{"error":"no backend left"}', '503 Service Unavailable'),
    says: /Service Unavailable/,
  },
  'a 504 without a reason': {
    bytes: http('content-length: 0\r\n', '', '504 '),
    says: /answers 504, which comes from something in front of the API/,
  },
};

for (const [name, { bytes, says }] of Object.entries(BAD))
  test(`${name}: one sentence, one request, and a write stays open`, async () => {
    const read = await answeredWith(bytes, version);
    assert(read.result instanceof RequestError, `it was taken: ${String(read.result)}`);
    assert.match(read.result.message, says);
    assert.doesNotMatch(read.result.message, /\n|undefined|\[object|HPE_|UND_ERR/);
    assert(!`${read.result.message}${read.result.hint ?? ''}`.includes(SECRET));
    assert.equal(read.requests, 1);
    const write = await answeredWith(bytes, start);
    assert(write.result instanceof RequestError);
    // A redirect is an answer of something that did not do it; all else may have passed it on.
    assert.equal(write.result.outcome, /redirect/.test(name) ? 'refused' : 'unknown');
    assert.equal(write.requests, 1);
  });

test('what is odd but complete is taken', async () => {
  const odd: Readonly<Record<string, Buffer>> = {
    'HTTP/1.0, until it closes': http(TYPE, '{"data":{"version":"8.4.21"}}', '200 OK', 'HTTP/1.0'),
    'the same header twice': withLength(
      '{"data":{"version":"8.4.21"}}',
      `${TYPE}set-cookie: a=1\r\nset-cookie: b=2\r\n${TYPE}`,
    ),
    'invalid UTF-8 in what nobody reads': withLength(
      Buffer.concat([
        Buffer.from('{"data":{"version":"8.4.21","repoid":"'),
        Buffer.from([0xff, 0xfe, 0xc0]),
        Buffer.from('"}}'),
      ]),
    ),
    'keys that nobody knows': withLength('{"data":{"version":"8.4.21","new":{"a":[1]}},"total":1,"x":null}'),
    'one byte at a time': http(
      `${TYPE}transfer-encoding: chunked\r\n`,
      `${Array.from('{"data":{"version":"8.4.21"}}')
        .map((c) => `1\r\n${c}\r\n`)
        .join('')}0\r\n\r\n`,
    ),
  };
  for (const [name, bytes] of Object.entries(odd))
    assert.equal((await answeredWith(bytes, version)).result, '8.4.21', name);
});

test('a TLS handshake that breaks off, at either half: nothing was sent', async () => {
  const breaks: readonly ((socket: Socket) => void)[] = [
    (socket) => socket.once('data', () => socket.destroy()),
    (socket) => socket.once('data', () => socket.resetAndDestroy()),
    // A fatal alert: handshake_failure.
    (socket) => socket.once('data', () => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, 40]))),
    (socket) => socket.once('data', () => socket.end(Buffer.alloc(200, 0x16))),
  ];
  for (const onSocket of breaks) {
    const server = await rawServer(onSocket);
    const api = client([server.endpoint.replace('http:', 'https:')]);
    try {
      const error: unknown = await api.start('pve1', 101).catch((reason: unknown) => reason);
      assert(error instanceof RequestError);
      assert.equal(error.outcome, 'not-sent');
      assert.match(error.message, /^start of CT 101 on pve1: cannot reach https:\/\/127/);
      assert.doesNotMatch(error.message, /\n|error:|ssl3_|\.c:\d/);
    } finally {
      await api.close();
      await server.close();
    }
  }
});

test('a redirect is never followed: the other host sees nothing, the token least of all', async (t) => {
  const other = await serve((_, response) => json(response, { version: '8.4.21' }));
  t.after(() => other.close());
  for (const status of [301, 302, 303, 307, 308]) {
    const bytes = http(
      `location: ${other.endpoint}/api2/json/version\r\ncontent-length: 0\r\n`,
      '',
      `${status} Moved`,
    );
    const { result } = await answeredWith(bytes, version);
    assert(result instanceof RequestError);
    assert.match(result.message, /redirect/);
  }
  assert.deepEqual(other.seen, []);
});

test('a bad endpoint in front of a good one: reads go on to the good one where no answer came', async (t) => {
  const good = await serve((_, response) => json(response, { version: '8.4.21' }));
  t.after(() => good.close());
  const worlds = ['chunked garbage', 'no HTTP at all', 'a header of a megabyte'];
  for (const name of worlds) {
    const world = BAD[name];
    assert(world !== undefined);
    const clock = deadlineByHand();
    const bad = await rawServer((socket) => {
      socket.on('data', () => {
        if (typeof world.bytes !== 'function') return socket.end(world.bytes);
        return world.bytes((text) => !socket.destroyed && socket.write(text), clock.expire);
      });
    });
    const api = client([bad.endpoint, good.endpoint], { clock });
    try {
      assert.equal(await api.version(), '8.4.21', name);
    } finally {
      await api.close();
      await bad.close();
    }
  }
});

test('an older version without a field: what is not said is not made up', async (t) => {
  const replies: Record<string, unknown> = {
    '/cluster/status': [{ type: 'node', name: 'pve1', local: 1, online: 1 }],
    '/cluster/resources': [
      { type: 'node', node: 'pve1' },
      { type: 'lxc', node: 'pve1', vmid: 101, id: 'lxc/101' },
      { type: 'storage', node: 'pve1', storage: 'nas' },
      { type: 'something new', id: 'x' },
    ],
  };
  const server = await serve((request, response) => {
    const path = (request.url ?? '').replace('/api2/json', '').split('?')[0] ?? '';
    json(response, replies[path] ?? null);
  });
  const api = client([server.endpoint]);
  t.after(async () => {
    await api.close();
    await server.close();
  });
  const view = await api.endpointView(server.endpoint);
  assert.deepEqual([view.ok, view.standalone, view.quorate, view.node], [true, true, true, 'pve1']);
  const { nodes, guests, storages } = await api.resources();
  assert.deepEqual(
    [nodes[0]?.status, guests[0]?.status, guests[0]?.tags, storages[0]?.active],
    ['unknown', 'unknown', [], false],
  );
  // A cluster that doesn't say whether it is quorate is not.
  replies['/cluster/status'] = [
    { type: 'cluster', name: 'home' },
    { type: 'node', name: 'pve1' },
  ];
  const silent = await api.endpointView(server.endpoint);
  assert.deepEqual([silent.ok, silent.quorate, silent.online, silent.node], [true, false, [], null]);
});

test('`"data":null` where a list belongs is no empty list: an empty netstat would be evidence', async (t) => {
  const server = await serve((_, response) => json(response, null));
  const api = client([server.endpoint]);
  t.after(async () => {
    await api.close();
    await server.close();
  });
  const calls: readonly Promise<unknown>[] = [
    api.resources(),
    api.netstat('pve1'),
    api.haResources(),
    api.haGroups(),
    api.haMaintenance(),
    api.backups('pve1', 'nas'),
    api.tasks('pve1', { vmid: 101, since: 0 }),
    api.permissions(),
  ];
  for (const call of calls) await assert.rejects(call, /cannot be used: it is not as expected/);
});
