/** Answers of what is reached over the network that make no sense: plugs, controllers, name servers, web servers. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { after } from 'node:test';
import { encode } from 'dns-packet';
import * as fc from 'fast-check';
import { Agent } from 'undici';
import { createHttpFence } from '../../lib/act/fence/http.ts';
import { createRedfishFence } from '../../lib/act/fence/redfish.ts';
import type { PowerSwitch } from '../../lib/act/fence/driver.ts';
import { systemClock } from '../../lib/clock.ts';
import { ProbeResult } from '../../lib/decide/model.ts';
import { execFile } from '../../lib/exec.ts';
import type { HttpCall, ProbeSpec } from '../../lib/inventory/types.ts';
import { runProbe } from '../../lib/observe/probe.ts';
import { rawServer } from '../contract/raw-server.ts';
import { password } from '../secrets.ts';
import { assertClear, assertReadable } from './clear.ts';
import { fuzz, fuzzCounted } from './fuzz.ts';
import { mutatedBytes, mutatedJson } from './mutate.ts';

let answer: (path: string) => Buffer = () => Buffer.alloc(0);
let asked: string[] = [];
const server = await rawServer((socket) => {
  socket.once('data', (data: Buffer) => {
    const [, method = '', path = ''] = /^(\w+) (\S+)/.exec(data.toString('latin1')) ?? [];
    asked.push(`${method} ${path}`);
    socket.end(answer(path));
  });
});
const agent = new Agent();
after(async () => {
  await agent.destroy();
  await server.close();
});
const runtime = {
  clock: systemClock,
  env: { PASSWORD: password('fuzz') },
  httpDispatcher: () => Promise.resolve(agent),
  dispatcher: () => Promise.resolve(agent),
  exec: execFile,
  randomHex: (bytes: number) => 'c1'.repeat(bytes),
};

const STATUSES = ['200 OK', '200 OK', '200 OK', '200 OK', '204 No Content', '401 x', '404 y', '500 z'];

function http(body: Buffer | string, status = '200 OK', more = ''): Buffer {
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\n${more}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.from(body)]);
}

/** Mostly a well-formed answer with a body that is none, sometimes an answer that is none. */
function answers(bodies: readonly string[]): fc.Arbitrary<Buffer> {
  return fc.oneof(
    {
      weight: 3,
      arbitrary: fc
        .tuple(mutatedJson(bodies), fc.constantFrom(...STATUSES))
        .map(([body, status]) => http(body, status)),
    },
    mutatedBytes(bodies.map((body) => http(body))),
  );
}

/** The value of `field` in the answer, as JSON.parse reads it; undefined: there is none. */
function valueIn(bytes: Buffer, field: string): unknown {
  const text = bytes.toString();
  try {
    const value: unknown = JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4));
    return typeof value === 'object' && value !== null ? Reflect.get(value, field) : undefined;
  } catch {
    return undefined;
  }
}

/** `said`: what the device answers, which the detail quotes: it may itself look like a mistake of ours. */
async function readAndOrder(
  fence: PowerSwitch,
  said = '',
): Promise<Awaited<ReturnType<PowerSwitch['status']>>> {
  const read = await fence.status();
  const own = said.includes('[object ') ? read.detail.replaceAll('[object ', '') : read.detail;
  assertReadable(own, 'the detail');
  assert.ok(read.detail.length < 600, `${read.detail.length} characters`);
  try {
    await fence.off();
  } catch (error) {
    assertClear(error);
  }
  return read;
}

const call = (path: string): HttpCall => ({ url: `${server.endpoint}${path}`, method: 'GET' });
const base = {
  driver: 'http',
  off: call('/off'),
  user: 'admin',
  password: { kind: 'env', name: 'PASSWORD' },
  timeoutMs: 5_000,
} as const;

/** Of each make of plug: the answer to its status, the field that counts, and what stands there when it is off. */
const PLUGS = [
  { device: 'shelly', auth: 'basic', field: 'ison', off: false, said: '{"ison":true,"has_timer":false}' },
  {
    device: 'shelly',
    auth: 'digest',
    field: 'output',
    off: false,
    said: '{"id":0,"output":true,"apower":8.9}',
  },
  { device: 'tasmota', auth: 'basic', field: 'POWER', off: 'OFF', said: '{"POWER":"ON"}' },
] as const;

fuzz(
  'answers of plugs',
  { runs: 60 },
  fc.oneof(...PLUGS.map((plug) => fc.record({ plug: fc.constant(plug), bytes: answers([plug.said]) }))),
  async ({ plug, bytes }) => {
    const { device, auth, field, off } = plug;
    answer = () => bytes;
    const status = { ...call('/status'), field, off };
    const { power } = await readAndOrder(
      createHttpFence({ ...base, device, auth, status }, runtime),
      bytes.toString(),
    );
    if (power === 'off') assert.equal(valueIn(bytes, field), off, 'it does not say off');
  },
);

const ID = '/redfish/v1/Systems/1';
const REDFISH: Readonly<Record<string, string>> = {
  '/redfish/v1/Systems': `{"Members":[{"@odata.id":"${ID}"}],"Members@odata.count":1}`,
  [ID]: `{"Id":"1","PowerState":"On","Actions":{"#ComputerSystem.Reset":{"target":"${ID}/Actions/ComputerSystem.Reset"}}}`,
};

fuzz(
  'answers of Redfish controllers',
  { runs: 60 },
  fc.oneof(
    ...Object.entries(REDFISH).map(([path, said]) =>
      fc.record({ path: fc.constant(path), bytes: answers([said]) }),
    ),
  ),
  async ({ path, bytes }) => {
    answer = (wanted) => (wanted === path ? bytes : http(REDFISH[wanted] ?? '{}'));
    asked = [];
    const config = {
      driver: 'redfish',
      url: server.endpoint,
      tls: { kind: 'system' },
      user: 'root',
      password: { kind: 'env', name: 'PASSWORD' },
      timeoutMs: 5_000,
    } as const;
    const { power } = await readAndOrder(createRedfishFence(config, runtime));
    if (power === 'off') assert.equal(valueIn(bytes, 'PowerState'), 'Off', 'it does not say off');
    assert.ok(asked.filter((one) => one.startsWith('POST')).length <= 1, asked.join('\n'));
  },
);

async function probed(spec: ProbeSpec): Promise<ProbeResult> {
  const result = ProbeResult.parse(await runProbe(spec, { clock: systemClock, exec: execFile, path: '' }));
  assertReadable(result.reason, 'the reason');
  assert.ok(result.reason.length < 400);
  return result;
}

const { port: httpPort } = new URL(server.endpoint);

fuzz('answers of web servers', { runs: 60 }, answers(['{"status":"Pi-hole is up"}']), async (bytes) => {
  answer = () => bytes;
  const { ok } = await probed({
    kind: 'http',
    url: `http://127.0.0.1:${httpPort}/`,
    method: 'GET',
    status: [[200, 399]],
    body: 'Pi-hole',
    insecure: false,
    label: 'http',
    timeoutMs: 5_000,
    attempts: 1,
  });
  if (ok) assert.ok(bytes.includes('Pi-hole'), 'it does not say so');
});

let reply: Buffer = Buffer.alloc(0);
const names = createSocket('udp4');
names.on('message', (query, from) => {
  // Another question's answer is not even looked at: the number of ours is kept.
  if (reply.length > 0)
    names.send(Buffer.concat([query.subarray(0, 2), reply.subarray(2)]), from.port, from.address);
});
names.bind(0, '127.0.0.1');
await once(names, 'listening');
after(() => names.close());

const DNS = (['A', 'TXT', 'MX', 'CNAME'] as const).map((type) =>
  encode({
    type: 'response',
    flags: 0x0180,
    questions: [{ type: 'A', name: 'example.org' }],
    answers: [
      type === 'A'
        ? { type, name: 'example.org', ttl: 60, data: '10.0.0.1' }
        : type === 'TXT'
          ? { type, name: 'example.org', data: ['hello'] }
          : type === 'MX'
            ? { type, name: 'example.org', data: { preference: 1, exchange: 'mail.example.org' } }
            : { type, name: 'example.org', data: 'other.example.org' },
    ],
  }),
);

fuzz('answers of name servers', { runs: 40 }, mutatedBytes(DNS), async (bytes) => {
  reply = bytes.subarray(0, 60_000);
  await probed({
    kind: 'dns',
    server: '127.0.0.1',
    port: names.address().port,
    name: 'example.org',
    type: 'A',
    label: 'dns',
    // What can't be told from another's answer is waited for.
    timeoutMs: 40,
    attempts: 1,
  });
});

fuzzCounted('answers of devices and services');
