/** Shelly, Tasmota and two supplies, against real HTTP servers that answer as those devices' manuals say. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { test, type TestContext } from 'node:test';
import { Agent } from 'undici';
import { digestAuthorization } from '../../lib/act/fence/digest.ts';
import { fenceDrivers, powerSwitches, type PowerSwitch } from '../../lib/act/fence/driver.ts';
import { systemClock } from '../../lib/clock.ts';
import { execFile } from '../../lib/exec.ts';
import { loadInventory } from '../../lib/inventory/load.ts';
import type { FenceConfig } from '../../lib/inventory/types.ts';
import { container, folder, HEAD } from '../inventory/folder.ts';
import { closedPort, listen } from '../observe/probe-helpers.ts';
import { password } from '../secrets.ts';

/** What an inventory's `fence: [ … ]` of pve1 becomes. */
function configs(t: TestContext, yaml: string): readonly FenceConfig[] {
  const text = `${HEAD}nodes: { pve1: { fence: [${yaml}] } }\ncontainers:\n${container('dns', 101, '')}`;
  return (
    loadInventory(folder(t, { 'a.yaml': text }), { env: {} }).clusters['home']?.nodes['pve1']?.fence ?? []
  );
}

function runtime(t: TestContext) {
  const agent = new Agent();
  t.after(() => agent.close());
  return {
    clock: systemClock,
    env: { PLUG: password('plug') },
    httpDispatcher: () => Promise.resolve(agent),
    dispatcher: () => Promise.resolve(agent),
    exec: execFile,
    randomHex: (bytes: number) => 'c1'.repeat(bytes),
  };
}

function only(t: TestContext, yaml: string): PowerSwitch {
  const [first] = powerSwitches(configs(t, yaml), runtime(t));
  assert.ok(first !== undefined);
  return first;
}

interface Device {
  on: boolean;
  /** Takes orders and does nothing. */
  stuck: boolean;
  readonly asked: string[];
  readonly address: string;
}

type Serve = (url: string, request: IncomingMessage, response: ServerResponse, device: Device) => unknown;

async function device(t: TestContext, serve: Serve): Promise<Device> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
    const body = serve(request.url ?? '', request, response, made);
    response.end(JSON.stringify(body));
  });
  const made: Device = { on: true, stuck: false, asked, address: `127.0.0.1:${await listen(t, server)}` };
  return made;
}

function turn(target: Device, to: 'on' | 'off' | undefined): void {
  if (to !== undefined && !target.stuck) target.on = to === 'on';
}

/** Gen1: https://shelly-api-docs.shelly.cloud/gen1/#shelly-plug-plugs-relay-0 */
const gen1: Serve = (url, _, response, plug) => {
  const { pathname, searchParams } = new URL(url, 'http://plug');
  if (pathname !== '/relay/1') return response.writeHead(404) && 'Not Found';
  turn(
    plug,
    searchParams.get('turn') === 'off' ? 'off' : searchParams.get('turn') === 'on' ? 'on' : undefined,
  );
  return { ison: plug.on, has_timer: false, overpower: false, source: 'http' };
};

const REALM = 'shellyplusplugs-a8032ab1fe78';
const NONCE = '1717766218';

/** Gen2+: its RPC over HTTP, and its authentication when a password is set. */
const gen2 =
  (secret: string | null): Serve =>
  (url, request, response, plug) => {
    if (secret !== null && !loggedIn(request, secret)) {
      response.writeHead(401, {
        'www-authenticate': `Digest qop="auth", realm="${REALM}", nonce="${NONCE}", algorithm=SHA-256`,
      });
      return null;
    }
    const { pathname, searchParams } = new URL(url, 'http://plug');
    if (searchParams.get('id') !== '0') return response.writeHead(500) && { code: -105 };
    if (pathname === '/rpc/Switch.GetStatus') return { id: 0, source: 'HTTP', output: plug.on, apower: 0.0 };
    assert.equal(pathname, '/rpc/Switch.Set');
    const before = plug.on;
    turn(plug, searchParams.get('on') === 'true' ? 'on' : 'off');
    return { was_on: before };
  };

function loggedIn({ headers, method, url }: IncomingMessage, secret: string): boolean {
  const field = (name: string): string =>
    new RegExp(`\\b${name}="?([^",]+)"?`).exec(headers.authorization ?? '')?.[1] ?? '';
  const of = (text: string): string => createHash('sha256').update(text).digest('hex');
  const expected = of(
    `${of(`admin:${REALM}:${secret}`)}:${NONCE}:${field('nc')}:${field('cnonce')}:auth:${of(`${method}:${url}`)}`,
  );
  return field('response') === expected && field('uri') === url;
}

/** https://tasmota.github.io/docs/Commands/#with-web-requests */
const tasmota =
  (name: 'POWER' | 'POWER2', basic: string | null): Serve =>
  (url, request, response, plug) => {
    if (basic !== null && request.headers.authorization !== `Basic ${Buffer.from(basic).toString('base64')}`)
      return response.writeHead(401) && { WARNING: 'Need user=<username>&password=<password>' };
    const { pathname, searchParams } = new URL(url, 'http://plug');
    const [command = '', argument] = (searchParams.get('cmnd') ?? '').split(' ');
    assert.equal(pathname, '/cm');
    if (command.toUpperCase() !== name) return { Command: 'Unknown' };
    turn(plug, argument === 'Off' ? 'off' : argument === 'On' ? 'on' : undefined);
    return { [name]: plug.on ? 'ON' : 'OFF' };
  };

const DEVICES: readonly (readonly [string, Serve, (at: string) => string, RegExp])[] = [
  ['Shelly gen 1', gen1, (at) => `{ shelly: { host: "${at}", gen: 1, relay: 1 } }`, /^shelly ison=false$/],
  ['Shelly gen 2', gen2(null), (at) => `{ shelly: { host: "${at}", gen: 2 } }`, /^shelly output=false$/],
  [
    'Shelly gen 3 with a password',
    gen2(password('plug')),
    (at) => `{ shelly: { host: "${at}", gen: 3, password: env:PLUG } }`,
    /^shelly output=false$/,
  ],
  ['Tasmota', tasmota('POWER', null), (at) => `{ tasmota: { host: "${at}" } }`, /^tasmota POWER=OFF$/],
  [
    'Tasmota with several relays and a password',
    tasmota('POWER2', `admin:${password('plug')}`),
    (at) => `{ tasmota: { host: "${at}", relay: 2, password: env:PLUG } }`,
    /^tasmota POWER2=OFF$/,
  ],
];
for (const [what, serve, yaml, detail] of DEVICES)
  test(`${what}: read, switched off, read back, and on again by a person`, async (t) => {
    const plug = await device(t, serve);
    const fence = only(t, yaml(plug.address));
    assert.equal((await fence.status()).power, 'on');
    await fence.off();
    await fence.off();
    const read = await fence.status();
    assert.deepEqual([plug.on, read.power], [false, 'off']);
    assert.match(`${fence.name} ${read.detail}`, detail);
    await fence.on?.();
    assert.equal((await fence.status()).power, 'on');
    assert.doesNotMatch(plug.asked.join(), new RegExp(password('plug')), 'no secret in an address');
  });

test('a Shelly that wants a password and gets none, or a wrong one: unknown, and why; nothing is switched', async (t) => {
  const plug = await device(t, gen2('another'));
  const none = only(t, `{ shelly: { host: "${plug.address}", gen: 2 } }`);
  assert.match((await none.status()).detail, /it wants a password \(401\)$/);
  const wrong = only(t, `{ shelly: { host: "${plug.address}", gen: 2, password: env:PLUG } }`);
  assert.deepEqual((await wrong.status()).power, 'unknown');
  await assert.rejects(wrong.off(), /does not take the order: it refuses user admin \(401\)/);
  assert.equal(plug.on, true);
});

test('the wrong generation: no field, or an error, and never "off"', async (t) => {
  const plug = await device(t, gen2(null));
  const fence = only(t, `{ shelly: { host: "${plug.address}", gen: 1 } }`);
  assert.equal((await fence.status()).power, 'unknown');
});

test('digest: the example of RFC 7616 (section 3.9.1), and what is not known here', () => {
  const request = {
    challenge:
      'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
    method: 'GET',
    uri: '/dir/index.html',
    user: 'Mufasa',
    password: 'Circle of Life',
    cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
  };
  assert.match(
    digestAuthorization(request) ?? '',
    /response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"/,
  );
  assert.match(
    digestAuthorization({ ...request, challenge: request.challenge.replace('SHA-256', 'MD5') }) ?? '',
    /response="8ca523f5e9506fed4657c9700eebdbec"/,
  );
  for (const challenge of [
    'Basic realm="x"',
    'Digest realm="x", nonce="y"',
    'Digest realm="x", nonce="y", qop="auth", algorithm=SHA-512',
  ])
    assert.equal(digestAuthorization({ ...request, challenge }), null);
});

test('two supplies: off only when both read off; both are ordered, whatever the first one says', async (t) => {
  const [left, right] = [await device(t, gen2(null)), await device(t, tasmota('POWER', null))];
  const fence = only(
    t,
    `{ all: [{ shelly: { host: "${left.address}", gen: 2 } }, { tasmota: { host: "${right.address}" } }] }`,
  );
  right.stuck = true;
  await fence.off();
  assert.deepEqual([left.on, right.on], [false, true]);
  assert.deepEqual(await fence.status(), {
    power: 'on',
    detail: '1. shelly off (output=false), 2. tasmota on (POWER=ON)',
  });
  right.stuck = false;
  await fence.off();
  assert.equal((await fence.status()).power, 'off');
  await fence.on?.();
  assert.deepEqual([left.on, right.on], [true, true]);
});

test('two supplies, one plug silent: unknown, and the other one is switched all the same', async (t) => {
  const left = await device(t, gen2(null));
  const fence = only(
    t,
    `{ all: [{ tasmota: { host: "127.0.0.1:${await closedPort()}" } }, { shelly: { host: "${left.address}", gen: 2 } }] }`,
  );
  await assert.rejects(fence.off(), /^FailedError: 1\. tasmota: the plug at .* does not take the order/);
  assert.equal(left.on, false);
  assert.equal((await fence.status()).power, 'unknown');
});

test('rule 5, never powered on: what automatic code gets can not switch on', (t) => {
  const every = configs(
    t,
    '{ shelly: { host: a, gen: 2 } }, { tasmota: { host: b } }, { http: { on: "http://c/on", off: "http://c/off", status: { url: "http://c/", field: x, off: 0 } } }, { agent: { name: fence_ipmilan } }, { redfish: { url: "https://d", user: u, password: env:PLUG } }, { all: [{ tasmota: { host: e } }, { tasmota: { host: f } }] }, manual',
  );
  const given = runtime(t);
  assert.equal(fenceDrivers(every, given).length, 6);
  for (const driver of fenceDrivers(every, given))
    assert.deepEqual(Object.keys(driver).toSorted(), ['name', 'off', 'status'], driver.name);
  for (const { name, on } of powerSwitches(every, given)) assert.notEqual(on, null, name);
});
