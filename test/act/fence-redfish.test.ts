import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { test, type TestContext } from 'node:test';
import { X509Certificate } from 'node:crypto';
import { createAgentFence } from '../../lib/act/fence/agent.ts';
import { createRedfishFence } from '../../lib/act/fence/redfish.ts';
import { systemClock } from '../../lib/clock.ts';
import { endpointDispatcher } from '../../lib/dispatcher.ts';
import { FailedError } from '../../lib/errors.ts';
import { execFile } from '../../lib/exec.ts';
import type { FenceConfig } from '../../lib/inventory/types.ts';
import { identity, listen } from '../observe/probe-helpers.ts';

type RedfishFence = Extract<FenceConfig, { driver: 'redfish' }>;

/** A management controller with HTTPS, as DSP0266 describes it. */
interface Controller {
  power: string | null;
  systems: string[];
  readonly requests: string[];
  /** Answers instead of the controller when it returns true. */
  instead: (request: IncomingMessage, response: ServerResponse) => boolean;
}

async function controller(t: TestContext, patch: Partial<RedfishFence> = {}) {
  const bmc: Controller = { power: 'On', systems: ['1'], requests: [], instead: () => false };
  const { key, cert } = await identity();
  const server = createServer({ key, cert }, (request, response) => {
    bmc.requests.push(`${request.method} ${request.url}`);
    const basic = Buffer.from('operator:tell-nobody').toString('base64');
    if (bmc.instead(request, response)) return;
    if (request.headers.authorization !== `Basic ${basic}` && request.url !== '/redfish/v1/')
      return response.writeHead(401).end();
    if (request.method === 'POST') {
      bmc.power = 'Off';
      return response.writeHead(204).end();
    }
    const [, system] = /^\/redfish\/v1\/Systems\/([^/]+)\/?$/.exec(request.url ?? '') ?? [];
    const answer =
      system === undefined
        ? {
            Systems: { '@odata.id': '/redfish/v1/Systems' },
            Members: bmc.systems.map((id) => ({ '@odata.id': `/redfish/v1/Systems/${id}` })),
          }
        : {
            PowerState: bmc.power,
            Actions: {
              '#ComputerSystem.Reset': { target: `/redfish/v1/Systems/${system}/Actions/Reset.Now` },
            },
          };
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  const port = await listen(t, server);
  const config: RedfishFence = {
    driver: 'redfish',
    url: `https://127.0.0.1:${port}`,
    user: 'operator',
    password: { kind: 'env', name: 'BMC' },
    tls: { kind: 'fingerprint', sha256: [new X509Certificate(cert).fingerprint256] },
    timeoutMs: 1000,
    ...patch,
  };
  const made: { destroy: () => Promise<void> }[] = [];
  t.after(() => Promise.all(made.map((each) => each.destroy())));
  const driver = createRedfishFence(config, {
    clock: systemClock,
    env: { BMC: 'tell-nobody' },
    dispatcher: async (endpoint, tls) => {
      const dispatcher = await endpointDispatcher(endpoint, tls);
      made.push(dispatcher);
      return dispatcher;
    },
  });
  return { bmc, driver, port };
}

test('on, switched off by the link that the controller gives, off; off again sends no order', async (t) => {
  const { bmc, driver } = await controller(t);
  assert.deepEqual(await driver.status(), { power: 'on', detail: 'PowerState=On' });
  await driver.off();
  assert.equal(bmc.requests.at(-1), 'POST /redfish/v1/Systems/1/Actions/Reset.Now');
  assert.deepEqual(await driver.status(), { power: 'off', detail: 'PowerState=Off' });
  await driver.off();
  assert.equal(bmc.requests.filter((r) => r.startsWith('POST')).length, 1);
});

test('anything but Off is not off, and a missing state is not known', async (t) => {
  const { bmc, driver } = await controller(t);
  for (const state of ['PoweringOff', 'PoweringOn', 'Paused', 'off']) {
    bmc.power = state;
    assert.deepEqual(await driver.status(), { power: 'on', detail: `PowerState=${state}` });
  }
  bmc.power = null;
  assert.equal((await driver.status()).power, 'unknown');
});

test('of several machines one has to be named', async (t) => {
  const { bmc, driver } = await controller(t);
  bmc.systems = ['a', 'b'];
  const read = await driver.status();
  assert.equal(read.power, 'unknown');
  assert.match(read.detail, /it knows 2 machines: name one with `system` \(a, b\)/);
  bmc.systems = [];
  assert.match((await driver.status()).detail, /it knows no machine/);
  const named = await controller(t, { system: 'b' });
  assert.equal((await named.driver.status()).power, 'on');
  assert.deepEqual(named.bmc.requests, ['GET /redfish/v1/Systems/b']);
});

test('another certificate than the pinned one: the password is not sent', async (t) => {
  const { bmc, driver } = await controller(t, {
    tls: { kind: 'fingerprint', sha256: ['00:'.repeat(31) + '00'] },
  });
  const read = await driver.status();
  assert.equal(read.power, 'unknown');
  assert.match(read.detail, /fingerprint/);
  await assert.rejects(driver.off(), FailedError);
  assert.deepEqual(bmc.requests, []);
});

const answers: readonly (readonly [string, RegExp, (response: ServerResponse) => void])[] = [
  ['a wrong password', /refuses user operator \(401\)/, (r) => r.writeHead(401).end()],
  ['a web page', /is not JSON/, (r) => r.end('<html>')],
  ['other JSON', /is not Redfish/, (r) => r.end('[]')],
  ['an error', /answers 500 to \/redfish\/v1\/Systems/, (r) => r.writeHead(500).end()],
  ['silence', /no answer within 1000 ms|no answer within 1 s/, () => undefined],
  ['endless words', /too long/, (r) => r.end('x'.repeat(1_100_000))],
  [
    'a link to another machine',
    /points to another machine/,
    (r) => r.end(JSON.stringify({ Members: [{ '@odata.id': '//evil.example/redfish' }] })),
  ],
];
for (const [what, detail, answer] of answers)
  test(`not known, and not off: ${what}`, async (t) => {
    const { bmc, driver } = await controller(t);
    bmc.instead = (_, response) => {
      answer(response);
      return true;
    };
    const read = await driver.status();
    assert.equal(read.power, 'unknown');
    assert.match(read.detail, detail);
    await assert.rejects(driver.off(), (error: Error) => {
      assert.ok(error instanceof FailedError);
      assert.match(error.message, /the controller at 127\.0\.0\.1:\d+ does not switch off: /);
      assert.doesNotMatch(error.message, /tell-nobody/);
      return true;
    });
  });

test('the genuine fence_redfish and this driver read the same of one controller', async (t) => {
  if (!existsSync('/usr/sbin/fence_redfish')) {
    assert.equal(process.env['CI'], undefined, 'CI installs fence-agents');
    return t.skip('no /usr/sbin/fence_redfish here (Debian: fence-agents)');
  }
  const { bmc, driver, port } = await controller(t);
  const agent = createAgentFence(
    {
      driver: 'agent',
      agent: 'fence_redfish',
      options: {
        ip: '127.0.0.1',
        ipport: String(port),
        username: 'operator',
        ssl_insecure: '1',
        systems_uri: '/redfish/v1/Systems/1',
      },
      secrets: { password: { kind: 'env', name: 'BMC' } },
      timeoutMs: 10_000,
    },
    { env: { BMC: 'tell-nobody' }, exec: execFile },
  );
  for (const power of ['On', 'Off']) {
    bmc.power = power;
    const [theirs, ours] = [await agent.status(), await driver.status()];
    assert.equal(theirs.power, ours.power, theirs.detail);
  }
  const wrong = createAgentFence(
    {
      driver: 'agent',
      agent: 'fence_redfish',
      options: {
        ip: '127.0.0.1',
        ipport: String(port),
        username: 'x',
        ssl_insecure: '1',
        systems_uri: '/redfish/v1/Systems/1',
      },
      secrets: { password: { kind: 'env', name: 'BMC' } },
      timeoutMs: 10_000,
    },
    { env: { BMC: 'wrong-one' }, exec: execFile },
  );
  const read = await wrong.status();
  assert.equal(read.power, 'unknown', read.detail);
});
