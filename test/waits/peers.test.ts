/**
 * Whatever is waited for, a peer that never answers, and one that sends a byte now and then for ever, is given up at its
 * limit; and at once when the process is to stop. Real sockets and processes; list.test.ts says that nothing is missing.
 */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent } from 'undici';
import * as z from 'zod';
import { createAgentFence } from '../../lib/act/fence/agent.ts';
import { readPower, type PowerSwitch } from '../../lib/act/fence/driver.ts';
import { createHttpFence } from '../../lib/act/fence/http.ts';
import { createRedfishFence } from '../../lib/act/fence/redfish.ts';
import { runHooks } from '../../lib/act/hooks.ts';
import { rootShell } from '../../lib/act/root-shell.ts';
import { systemClock, type Clock } from '../../lib/clock.ts';
import { endpointDispatcher } from '../../lib/dispatcher.ts';
import { execFile } from '../../lib/exec.ts';
import type { HttpCall } from '../../lib/inventory/types.ts';
import { connectLab } from '../../lib/lab/client.ts';
import { makeLabFolder } from '../../lib/lab/runfile.ts';
import { readCertificate } from '../../lib/observe/certificate.ts';
import { readCertificate as readForDoctor } from '../../lib/observe/doctor/certificate.ts';
import { pingNode } from '../../lib/observe/node-ping.ts';
import { runProbe } from '../../lib/observe/probe.ts';
import { createHeartbeat } from '../../lib/tell/heartbeat.ts';
import { deliver } from '../../lib/tell/notify/deliver.ts';
import { sendMail } from '../../lib/tell/notify/mail.ts';
import { ActBench } from '../act/bench.ts';
import { temporaryFolder } from '../lab/sockets.ts';
import { eventually, probe, script, silentPort } from '../observe/probe-helpers.ts';
import { client } from '../pve/harness.ts';
import { password } from '../secrets.ts';

/** As short as it can be without being what a busy machine takes for an honest answer. */
const LIMIT_MS = 400;
/** In which every wait has to end: a machine that has other things to do needs longer for everything. */
const ENDS_WITHIN_MS = 15_000;
/** Limits of the code's own, of seconds, pass so much faster. */
const FASTER = 20;
const began = performance.now();
const fast: Clock = {
  now: () => 1_795_000_000_000 + Math.floor((performance.now() - began) * FASTER),
  sleep: (ms, signal) => systemClock.sleep(ms / FASTER, signal),
};

type Peer = 'mute' | 'dripping';

/** What is asked, where it listens or how it is run, and whether the whole process is to stop. */
interface Asked {
  readonly port: number;
  /** A program that behaves like the peer. */
  readonly program: string;
  readonly folder: string;
  readonly signal: AbortSignal | undefined;
  /** Of the limits that can be set. */
  readonly limitMs: number;
  readonly clock: Clock;
}

interface Wait {
  readonly name: string;
  /** What it says when it is given up. */
  readonly says: RegExp;
  readonly ask: (asked: Asked, t: TestContext) => Promise<unknown>;
  /** What comes before the bytes that go on for ever. */
  readonly head?: string;
}

/** A record of 16 KiB begins, and a handshake message in it. */
const TLS_HEAD = '\u0016\u0003\u0003\u003f\u00ff\u0002\u0000\u003f\u00fb\u0003\u0003';
const HTTP_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n';
const call = ({ port }: Asked, path = '/'): HttpCall => ({
  url: `http://127.0.0.1:${port}${path}`,
  method: 'GET',
});
const env = { PASSWORD: password('waits'), URL: 'http://127.0.0.1' };
const secret = { kind: 'env', name: 'PASSWORD' } as const;

function runtimeOf({ clock }: Asked, t: TestContext) {
  const agent = new Agent();
  t.after(() => agent.destroy());
  return {
    clock,
    env,
    exec: execFile,
    mail: sendMail,
    httpDispatcher: () => Promise.resolve(agent),
    dispatcher: () => Promise.resolve(agent),
    randomHex: (bytes: number) => 'ab'.repeat(bytes),
  };
}

async function bothOf(fence: PowerSwitch, { clock, signal }: Asked): Promise<unknown> {
  const read = await readPower(fence, clock, signal);
  const order = await fence.off(signal).catch((error: unknown) => {
    if (signal?.aborted === true) throw error;
    return String(error);
  });
  return [read, order];
}

const HTTP_PROBE = { kind: 'http', method: 'GET', status: [[200, 399]], insecure: true } as const;

const WAITS: readonly Wait[] = [
  {
    name: 'a call of the API',
    head: HTTP_HEAD,
    says: /no (answer|connection) within 400 ms/,
    ask: ({ port, limitMs, signal }, t) => {
      const api = client([`http://127.0.0.1:${port}`], { timeoutMs: limitMs });
      t.after(() => api.close());
      return api.start('pve1', 101, { signal });
    },
  },
  {
    name: 'the TLS handshake before a call',
    head: TLS_HEAD,
    says: /no connection within 400 ms/,
    ask: ({ port, limitMs, signal }, t) => {
      const api = client([`https://127.0.0.1:${port}`], {
        timeoutMs: limitMs,
        dispatcher: endpointDispatcher,
      });
      t.after(() => api.close());
      return api.start('pve1', 101, { signal });
    },
  },
  {
    name: 'an endpoint’s view, and whether a node answers',
    head: HTTP_HEAD,
    says: /no (answer|connection) within \d000 ms.*false/,
    ask: async ({ port, clock, signal }, t) => {
      const api = client([`http://127.0.0.1:${port}`], { clock });
      t.after(() => api.close());
      const view = await api.endpointView(`http://127.0.0.1:${port}`, { signal });
      signal?.throwIfAborted();
      return [view, await api.nodeAnswers('pve1', { signal })];
    },
  },
  {
    name: 'a login',
    head: HTTP_HEAD,
    says: /gave no ticket within (3\d\d|400) ms|no (answer|connection) within 400 ms/,
    ask: ({ port, limitMs, signal }, t) => {
      const credentials = { kind: 'password', user: 'a@pve', password: env.PASSWORD } as const;
      const api = client([`http://127.0.0.1:${port}`], { timeoutMs: limitMs, credentials });
      t.after(() => api.close());
      return api.start('pve1', 101, { signal });
    },
  },
  {
    name: 'an http probe',
    head: HTTP_HEAD,
    says: /no answer within 400 ms/,
    ask: ({ port, limitMs: timeoutMs, signal }) =>
      probe({ ...HTTP_PROBE, url: `http://127.0.0.1:${port}/`, body: 'never' }, { timeoutMs, signal }),
  },
  {
    name: 'an http probe, its TLS handshake',
    head: TLS_HEAD,
    says: /no answer within 400 ms/,
    ask: ({ port, limitMs: timeoutMs, signal }) =>
      probe({ ...HTTP_PROBE, url: `https://127.0.0.1:${port}/` }, { timeoutMs, signal }),
  },
  {
    name: 'an exec probe',
    says: /no answer within 400 ms|timed out after 800 ms/,
    ask: ({ program, limitMs: timeoutMs, signal }) =>
      probe({ kind: 'exec', path: program, args: [] }, { timeoutMs, signal }),
  },
  {
    name: 'a ping probe',
    says: /no answer within 400 ms/,
    ask: ({ folder, limitMs: timeoutMs, signal }) =>
      probe({ kind: 'ping', host: '10.255.255.1' }, { path: `${folder}:/usr/bin:/bin`, timeoutMs, signal }),
  },
  {
    name: 'a ping of a node',
    says: /^false$/,
    ask: (asked) =>
      pingNode(
        {
          probe: (spec, signal) =>
            runProbe(
              spec,
              { clock: asked.clock, exec: execFile, path: `${asked.folder}:/bin:/usr/bin` },
              signal,
            ),
        },
        '10.255.255.1',
        asked.signal,
      ),
  },
  {
    name: 'a plug',
    head: HTTP_HEAD,
    says: /unknown.*no answer within.*does not take the order: no answer within 400 ms/,
    ask: (asked, t) => {
      const { limitMs: timeoutMs } = asked;
      const status = { ...call(asked), field: 'ison', off: false };
      const config = { driver: 'http', off: call(asked), status, timeoutMs } as const;
      return bothOf(createHttpFence(config, runtimeOf({ ...asked, clock: systemClock }, t)), asked);
    },
  },
  {
    name: 'a Redfish controller',
    head: HTTP_HEAD,
    says: /unknown.*no answer within.*does not switch off: no answer within 400 ms/,
    ask: (asked, t) => {
      const config = {
        driver: 'redfish',
        url: `http://127.0.0.1:${asked.port}`,
        tls: { kind: 'system' },
        user: 'root',
        password: secret,
        timeoutMs: asked.limitMs,
      } as const;
      return bothOf(createRedfishFence(config, runtimeOf({ ...asked, clock: systemClock }, t)), asked);
    },
  },
  {
    name: 'a fence agent',
    says: /unknown.*timed out after 400 ms.*does not switch off: timed out after 400 ms|unknown.*no answer/,
    ask: (asked) => {
      const config = {
        driver: 'agent',
        agent: 'fence_x',
        options: {},
        secrets: {},
        timeoutMs: asked.limitMs,
      } as const;
      const exec: typeof execFile = (request) => execFile({ ...request, file: asked.program });
      return bothOf(createAgentFence(config, { env, exec }), { ...asked, clock: systemClock });
    },
  },
  {
    name: 'a hook',
    says: /hook .* timed out after 400 ms/,
    ask: ({ program, limitMs, signal }, t) => {
      const operation = new ActBench(t).operation();
      const runtime = { ...operation.runtime, exec: execFile };
      const hook = { path: program, args: [], timeoutMs: limitMs };
      return runHooks({ ...operation, runtime, signal }, 'before', [hook]);
    },
  },
  {
    name: 'a root shell',
    says: /"unknown".*no answer within 400 ms/,
    ask: ({ folder, limitMs: timeoutMs, signal }) =>
      rootShell(
        {
          shell: { kind: 'ssh', user: 'root', port: 22, key: null, knownHosts: null },
          node: 'pve1',
          host: '10.255.255.1',
          order: { kind: 'greet' },
          signal,
        },
        { path: `${folder}:/usr/bin:/bin`, timeoutMs },
      ),
  },
  {
    name: 'a certificate, for init',
    head: TLS_HEAD,
    says: /cannot read the certificate.*no answer within 5000 ms/,
    ask: ({ port, clock, signal }) => readCertificate(`https://127.0.0.1:${port}`, { clock, signal }),
  },
  {
    name: 'a certificate, for doctor',
    head: TLS_HEAD,
    says: /^null$/,
    ask: ({ port, clock, signal }) => readForDoctor(`https://127.0.0.1:${port}`, signal, clock),
  },
  {
    name: 'a service that people are told by',
    head: HTTP_HEAD,
    says: /was not told: no answer within 10000 ms/,
    ask: (asked, t) =>
      deliver(
        {
          name: 'x',
          topics: [],
          via: { kind: 'ntfy', url: { kind: 'url', url: `http://127.0.0.1:${asked.port}/x` } },
        },
        { at: 0, topic: 'test', title: 'a', text: 'b', urgency: 'info', containers: [] },
        runtimeOf(asked, t),
        asked.signal,
      ),
  },
  {
    name: 'a mail server',
    head: '220 mail.example ESMTP\r\n',
    says: /was not told: /,
    ask: (asked, t) =>
      deliver(
        {
          name: 'x',
          topics: [],
          via: {
            kind: 'email',
            server: { host: '127.0.0.1', port: asked.port, tls: false, plaintext: true },
            from: 'a@example.org',
            to: ['b@example.org'],
          },
        },
        { at: 0, topic: 'test', title: 'a', text: 'b', urgency: 'info', containers: [] },
        runtimeOf(asked, t),
        asked.signal,
      ),
  },
  {
    name: 'a program that tells people',
    says: /was not told: timed out after 400 ms/,
    ask: (asked, t) =>
      deliver(
        {
          name: 'x',
          topics: [],
          via: { kind: 'exec', path: asked.program, args: [], timeoutMs: asked.limitMs },
        },
        { at: 0, topic: 'test', title: 'a', text: 'b', urgency: 'info', containers: [] },
        runtimeOf(asked, t),
        asked.signal,
      ),
  },
  {
    name: 'a monitor of the runs',
    head: HTTP_HEAD,
    says: /the heartbeat was not heard: no answer within 5000 ms/,
    ask: async (asked, t) => {
      const url = { kind: 'url', url: `http://127.0.0.1:${asked.port}` } as const;
      const heartbeat = createHeartbeat(url, runtimeOf(asked, t), asked.signal);
      heartbeat.start();
      const said = await heartbeat.end(0, 'log');
      asked.signal?.throwIfAborted();
      return said;
    },
  },
  {
    name: 'the control endpoint of a lab',
    head: HTTP_HEAD,
    says: /the lab \(process \d+\) doesn't answer: no answer within 15000 ms/,
    ask: async ({ port, clock, signal }, t) => {
      const dir = await temporaryFolder(t);
      await makeLabFolder(dir);
      const run = {
        pid: process.pid,
        control: `http://127.0.0.1:${port}`,
        token: 'of-a-lab',
        ports: {},
        startedAt: 0,
      };
      writeFileSync(join(dir, '.lab', 'run.json'), JSON.stringify(run));
      return (await connectLab(dir, { clock, signal })).status();
    },
  },
];

/** Programs of others: what ends them is their own end, and not that of whoever they have left behind. */
const LEAVES = ['an exec probe', 'a ping probe', 'a hook', 'a root shell'].map((name) => {
  const left = WAITS.find((wait) => wait.name === name)?.ask;
  assert.ok(left !== undefined);
  return { name, left };
});

interface Place {
  readonly port: number;
  readonly program: string;
  readonly folder: string;
  /** Connections that are still open. */
  readonly open: ReadonlySet<Socket>;
}

/** A server and a program that behave so. */
async function peer(t: TestContext, how: Peer, head: string): Promise<Place> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => socket.destroy());
    // Read, or its end would not be noticed.
    socket.resume();
    socket.write(how === 'dripping' ? head : '', 'latin1');
    const timer = setInterval(() => how === 'dripping' && socket.write(' '), 40);
    socket.on('close', () => {
      clearInterval(timer);
      open.delete(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const body = how === 'mute' ? 'exec sleep 60' : 'while :; do echo; sleep 0.04; done';
  const { file, dir } = script(t, 'ping', body);
  for (const name of ['fping', 'ssh']) copyFileSync(file, join(dir, name));
  return { port: address.port, program: file, folder: dir, open };
}

async function outcome(work: Promise<unknown>): Promise<string> {
  try {
    return JSON.stringify((await work) ?? null);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Ends within the time that everything has to end in. */
async function inTime<T>(work: Promise<T>, name: string): Promise<T> {
  const late = new AbortController();
  const timer = systemClock.sleep(ENDS_WITHIN_MS, late.signal).then(
    () => assert.fail(`${name} goes on and on`),
    () => undefined,
  );
  try {
    const first = await Promise.race([work.then((value) => ({ value })), timer]);
    assert.ok(first !== undefined);
    return first.value;
  } finally {
    late.abort(new Error('in time'));
  }
}

describe('a peer that', { concurrency: 8 }, () => {
  for (const how of ['mute', 'dripping'] as const)
    for (const { name, ask, says, head = '' } of WAITS)
      test(`is ${how}: ${name} is given up at its limit`, async (t) => {
        const place = await peer(t, how, head);
        const asked = { ...place, signal: undefined, limitMs: LIMIT_MS, clock: fast };
        // Limits that can be set are of real time, the code's own pass faster.
        const clock = /400 ms/.test(says.source) ? systemClock : fast;
        assert.match(await inTime(outcome(ask({ ...asked, clock }, t)), name), says);
        await eventually('its connections are closed', () => place.open.size === 0, ENDS_WITHIN_MS);
      });

  for (const { name, ask } of WAITS)
    test(`is mute: ${name} is given up when the process is to stop`, async (t) => {
      const place = await peer(t, 'mute', '');
      const controller = new AbortController();
      const { signal } = controller;
      const work = outcome(ask({ ...place, signal, limitMs: 60_000, clock: systemClock }, t));
      await systemClock.sleep(200);
      const stopped = performance.now();
      controller.abort(new Error('stopped by SIGTERM'));
      const said = await inTime(work, name);
      const tookMs = performance.now() - stopped;
      assert.ok(tookMs < 4_000, `${tookMs} ms`);
      assert.match(said, /stopped by SIGTERM/);
    });

  for (const { name, left } of LEAVES)
    test(`is a program that ends and leaves one behind which keeps its output open: ${name} does not wait for it`, async (t) => {
      const { dir, file } = script(
        t,
        'ping',
        'sleep 30 & echo $! >"$(dirname "$0")/pid"; echo proxwarden: ended 0',
      );
      // Of what this fping does not say, ping is asked.
      for (const other of ['fping', 'ssh']) copyFileSync(file, join(dir, other));
      const asked = {
        port: 0,
        program: file,
        folder: dir,
        signal: undefined,
        limitMs: 20_000,
        clock: systemClock,
      };
      const begins = performance.now();
      assert.match(
        await inTime(outcome(left(asked, t)), name),
        /proxwarden: ended|"ended"|ended well|"ok":true/,
      );
      const tookMs = performance.now() - begins;
      process.kill(
        z
          .int()
          .min(2)
          .parse(Number(readFileSync(join(dir, 'pid'), 'utf8'))),
      );
      assert.ok(tookMs < 10_000);
    });

  test('does not even accept: a tcp probe is given up at its limit, and when the process is to stop', async (t) => {
    const port = await silentPort(t);
    await givenUp((more) => probe({ kind: 'tcp', host: '127.0.0.1', port }, more));
  });

  test('is a mute name server: a dns probe is given up at its limit, and when the process is to stop', async (t) => {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    t.after(() => socket.close());
    const question = { kind: 'dns', server: '127.0.0.1', name: 'example.org', type: 'A' } as const;
    await givenUp((more) => probe({ ...question, port: socket.address().port }, more));
  });
});

async function givenUp(
  ask: (more: { timeoutMs: number; signal?: AbortSignal }) => Promise<unknown>,
): Promise<void> {
  assert.match(await inTime(outcome(ask({ timeoutMs: LIMIT_MS })), 'it'), /no answer within 400 ms/);
  const controller = new AbortController();
  const work = outcome(ask({ timeoutMs: 60_000, signal: controller.signal }));
  controller.abort(new Error('stopped by SIGTERM'));
  assert.match(await inTime(work, 'it'), /stopped by SIGTERM/);
}
