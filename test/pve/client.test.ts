import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Dispatcher } from 'undici';
import { systemClock } from '../../lib/clock.ts';
import { InputError, PveError, type Outcome } from '../../lib/errors.ts';
import { createPveClient } from '../../lib/pve/client.ts';
import { isAlreadyExists, isMissing } from '../../lib/pve/failure.ts';
import {
  client,
  closedEndpoint,
  json,
  refuse,
  serve,
  UPID,
  type Handler,
  type TestServer,
} from './harness.ts';

async function started(t: TestContext, handler: Handler): Promise<TestServer> {
  const made = await serve(handler);
  t.after(() => made.close());
  return made;
}

async function failure(promise: Promise<unknown>): Promise<PveError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert(error instanceof PveError, String(error));
  return error;
}

const VERSION = { version: '8.4.21' };

test('a read goes on to the next endpoint when one is dead, and remembers that', async (t) => {
  const dead = await closedEndpoint();
  const second = await started(t, (_, response) => json(response, VERSION));
  const third = await started(t, (_, response) => json(response, VERSION));
  const api = client([dead, second.endpoint, third.endpoint]);
  t.after(() => api.close());
  assert.equal(await api.version(), '8.4.21');
  assert.equal(await api.version(), '8.4.21');
  assert.deepEqual([second.seen.length, third.seen.length], [2, 0]);
});

for (const [status, reason] of [
  [500, 'storage x does not exist'],
  [595, 'No route to host'],
  [596, 'Connection timed out'],
  [403, 'Permission check failed'],
  [401, 'Authentication failed!'],
  [502, 'Bad Gateway'],
] as const)
  test(`an answer is never asked for elsewhere: ${status}`, async (t) => {
    const first = await started(t, (_, response) => refuse(response, status, reason));
    const second = await started(t, (_, response) => json(response, VERSION));
    const api = client([first.endpoint, second.endpoint]);
    t.after(() => api.close());
    assert.equal((await failure(api.version())).status, status);
    assert.deepEqual([first.seen.length, second.seen.length], [1, 0]);
  });

test('when no endpoint answers, each is named with its reason', async () => {
  const [one, two] = [await closedEndpoint(), await closedEndpoint()];
  const api = client([one, two]);
  const error = await failure(api.version());
  assert.equal(
    error.message,
    `reading the version: no endpoint of cluster home answers — cannot reach ${one} of cluster home: connection refused; cannot reach ${two} of cluster home: connection refused`,
  );
  assert.equal(error.outcome, 'not-sent');
  await api.close();
});

test('a node that hangs behind an endpoint is not held against the endpoint', async (t) => {
  const first = await started(t, (request, response) => {
    if (request.url?.startsWith('/api2/json/nodes/') !== true) json(response, VERSION);
  });
  const second = await started(t, (_, response) => refuse(response, 595, 'No route to host'));
  const api = client([first.endpoint, second.endpoint], { timeoutMs: 150 });
  t.after(() => api.close());
  assert.equal((await failure(api.netstat('pve3'))).status, 595);
  await api.version();
  assert.deepEqual(first.seen, ['GET /api2/json/nodes/pve3/netstat', 'GET /api2/json/version']);
});

test('a write goes to the used endpoint only, even when that is dead', async (t) => {
  const dead = await closedEndpoint();
  const other = await started(t, (_, response) => json(response, UPID));
  const api = client([dead, other.endpoint]);
  t.after(() => api.close());
  assert.equal((await failure(api.start('pve1', 101))).outcome, 'not-sent');
  assert.equal(other.seen.length, 0);
  api.useEndpoint(other.endpoint);
  assert.equal(await api.start('pve1', 101), UPID);
  assert.deepEqual(other.seen, ['POST /api2/json/nodes/pve1/lxc/101/status/start']);
});

const OUTCOMES: readonly (readonly [number, string, Outcome])[] = [
  [400, 'Parameter verification failed.', 'refused'],
  [401, 'Authentication failed!', 'refused'],
  [403, 'Permission check failed', 'refused'],
  [500, 'CT 101 already running', 'refused'],
  [501, "Method 'POST /x' not implemented", 'refused'],
  [301, 'Moved', 'refused'],
  [595, 'No route to host', 'not-sent'],
  [596, 'Connection timed out', 'unknown'],
  [502, 'Bad Gateway', 'unknown'],
  [503, 'Service Unavailable', 'unknown'],
  [504, 'Gateway Timeout', 'unknown'],
];
for (const [status, reason, outcome] of OUTCOMES)
  test(`a write answered with ${status} is ${outcome}`, async (t) => {
    const server = await started(t, (_, response) => refuse(response, status, reason));
    const api = client([server.endpoint]);
    t.after(() => api.close());
    const error = await failure(api.start('pve1', 101));
    assert.deepEqual([error.outcome, error.status], [outcome, status]);
    assert.equal(server.seen.length, 1);
  });

test('vzdump on the wrong node says OK and makes nothing', async (t) => {
  const server = await started(t, (_, response) => json(response, 'OK'));
  const api = client([server.endpoint]);
  t.after(() => api.close());
  const error = await failure(api.vzdump('pve1', { vmid: 102, storage: 'nas', mode: 'stop', notes: '' }));
  assert.equal(
    error.message,
    'vzdump of CT 102 asked of pve1 made no backup: the container is not on that node',
  );
  assert.equal(error.outcome, 'refused');
});

test('a write whose 200 is not what was expected may have been carried out', async (t) => {
  const server = await started(t, (_, response) => json(response, null));
  const api = client([server.endpoint]);
  t.after(() => api.close());
  assert.equal((await failure(api.stop('pve1', 101))).outcome, 'unknown');
});

test('the restore request, exactly', async (t) => {
  let sent = '';
  let type: string | undefined;
  const server = await started(t, (request, response, body) => {
    sent = body;
    type = request.headers['content-type'];
    json(response, UPID);
  });
  const api = client([server.endpoint]);
  t.after(() => api.close());
  await api.restore('pve2', {
    vmid: 1000101,
    volid: 'nas:backup/a.tar.zst',
    storage: 'local-lvm',
    description: 'ProxWarden: x\n\ny',
    tags: ['a', 'proxwarden'],
    mounts: null,
  });
  assert.deepEqual(server.seen, ['POST /api2/json/nodes/pve2/lxc']);
  assert.equal(type, 'application/x-www-form-urlencoded');
  assert.deepEqual(Object.fromEntries(new URLSearchParams(sent)), {
    vmid: '1000101',
    ostemplate: 'nas:backup/a.tar.zst',
    restore: '1',
    storage: 'local-lvm',
    onboot: '0',
    description: 'ProxWarden: x\n\ny',
    tags: 'a;proxwarden',
  });
});

test('setConfig: nothing to set becomes a deletion, what is not given is not sent', async (t) => {
  const bodies: string[] = [];
  const server = await started(t, (_, response, body) => {
    bodies.push(body);
    json(response, null);
  });
  const api = client([server.endpoint]);
  t.after(() => api.close());
  await api.setConfig('pve1', 101, { onboot: false });
  await api.setConfig('pve1', 101, { tags: [], description: '' });
  assert.deepEqual(bodies, ['onboot=0', 'delete=tags%2Cdescription']);
});

test('backup notes are one escaped line within PVE’s limit', async (t) => {
  let notes = '';
  const server = await started(t, (_, response, body) => {
    notes = new URLSearchParams(body).get('notes-template') ?? '';
    json(response, UPID);
  });
  const api = client([server.endpoint]);
  t.after(() => api.close());
  await api.vzdump('pve1', { vmid: 101, storage: 'nas', mode: 'stop', notes: 'a\\b\nc' });
  assert.equal(notes, 'a\\\\b\\nc');
  await api.vzdump('pve1', { vmid: 101, storage: 'nas', mode: 'stop', notes: '\n'.repeat(2000) });
  assert.equal(notes, '\\n'.repeat(512));
});

const CONFIG = {
  hostname: 'ct101',
  onboot: 1,
  unprivileged: 1,
  net0: 'hwaddr=BC:24:11:27:3A:83,ip=10.0.0.1/24',
};

test('guestDetail: config, status, and who stopped it', async (t) => {
  const server = await started(t, (request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    if (url.pathname.endsWith('/config')) return json(response, CONFIG);
    if (url.pathname.endsWith('/status/current')) return json(response, { status: 'stopped', vmid: 101 });
    assert.equal(url.searchParams.get('vmid'), '101');
    const upid = 'UPID:pve1:00000001:00000001:6B000002:vzshutdown:101:alice@pam:';
    return json(response, [
      {
        upid,
        node: 'pve1',
        type: 'vzshutdown',
        id: '101',
        user: 'alice@pam',
        starttime: 20,
        endtime: 21,
        status: 'OK',
      },
    ]);
  });
  const api = client([server.endpoint]);
  t.after(() => api.close());
  const detail = await api.guestDetail('pve1', 101);
  assert.deepEqual([detail.status, detail.onboot, detail.macs], ['stopped', true, ['BC:24:11:27:3A:83']]);
  assert.deepEqual(detail.lastTask, {
    type: 'vzshutdown',
    user: 'alice@pam',
    startedAt: 20_000,
    endedAt: 21_000,
    ok: true,
  });
});

test('guestDetail: a silent node leaves the status open, a missing container is an error', async (t) => {
  let silent = true;
  const server = await started(t, (request, response) => {
    if (!silent) refuse(response, 500, "Configuration file 'nodes/pve1/lxc/101.conf' does not exist");
    else if (request.url?.endsWith('/config') === true) json(response, CONFIG);
    else refuse(response, 595, 'No route to host');
  });
  const api = client([server.endpoint]);
  t.after(() => api.close());
  assert.equal((await api.guestDetail('pve1', 101)).status, null);
  silent = false;
  const error = await failure(api.guestDetail('pve1', 101));
  assert.match(
    error.message,
    /^reading the configuration of CT 101 on pve1: there is no container 101 on pve1 \(Configuration file /,
  );
  assert(isMissing(error));
});

test('nodeAnswers: silence and 595/596 are no, everything else is a sign of life', async (t) => {
  const answers: Record<string, Handler> = {
    up: (_, response) => json(response, { uptime: 1 }),
    forbidden: (_, response) => refuse(response, 403, 'Permission check failed (/nodes/x, Sys.Audit)'),
    odd: (_, response) => refuse(response, 500, 'got weird'),
    unreachable: (_, response) => refuse(response, 595, 'No route to host'),
    hung: (_, response) => refuse(response, 596, 'Connection timed out'),
    silent: () => undefined,
    cut: (_, response) => response.socket?.destroy(),
  };
  const server = await started(t, (request, response, body) =>
    answers[request.url?.split('/')[4] ?? '']?.(request, response, body),
  );
  const api = client([server.endpoint], { timeoutMs: 5000 });
  t.after(() => api.close());
  const found = await Promise.all(
    Object.keys(answers).map((node) => api.nodeAnswers(node, { timeoutMs: 300 })),
  );
  assert.deepEqual(found, [true, true, true, false, false, false, false]);
});

test('endpointView: quorate member, stand-alone node, refused token, dead endpoint', async (t) => {
  const member = await started(t, (_, response) =>
    json(response, [
      { type: 'cluster', name: 'home', quorate: 0, nodes: 2 },
      { type: 'node', name: 'pve1', online: 1, local: 1, ip: '10.0.0.1' },
      { type: 'node', name: 'pve2', online: 0, local: 0, ip: '10.0.0.2' },
    ]),
  );
  const alone = await started(t, (_, response) =>
    json(response, [{ type: 'node', name: 'nuc', online: 1, local: 1 }]),
  );
  const denied = await started(t, (_, response) => refuse(response, 401, 'Authentication failed!'));
  const dead = await closedEndpoint();
  const api = client([member.endpoint, alone.endpoint, denied.endpoint, dead]);
  t.after(() => api.close());
  assert.deepEqual(await api.endpointView(member.endpoint), {
    endpoint: member.endpoint,
    ok: true,
    error: null,
    node: 'pve1',
    quorate: false,
    online: ['pve1'],
    standalone: false,
    nodes: [
      { name: 'pve1', online: true, ip: '10.0.0.1' },
      { name: 'pve2', online: false, ip: '10.0.0.2' },
    ],
    failure: null,
  });
  const single = await api.endpointView(alone.endpoint);
  assert.deepEqual(
    [single.standalone, single.quorate, single.node, single.online],
    [true, true, 'nuc', ['nuc']],
  );
  const refused = await api.endpointView(denied.endpoint);
  assert.deepEqual([refused.ok, refused.failure], [false, 'auth']);
  assert.match(
    refused.error ?? '',
    /^the API of cluster home refuses the token \(Authentication failed!\): check that proxwarden@pve!cli exists/,
  );
  const gone = await api.endpointView(dead);
  assert.deepEqual([gone.ok, gone.failure, gone.quorate, gone.online], [false, 'network', false, []]);
});

test('privileges are held whether they propagate or not', async (t) => {
  const server = await started(t, (_, response) =>
    json(response, { '/': { 'Sys.Console': 0, 'Sys.Audit': 1 } }),
  );
  const api = client([server.endpoint]);
  t.after(() => api.close());
  assert.deepEqual(await api.permissions(), { '/': ['Sys.Audit', 'Sys.Console'] });
});

test('a missing privilege names itself, its path and the command', async (t) => {
  const server = await started(t, (_, response) =>
    refuse(response, 403, 'Permission check failed (/vms/101, VM.PowerMgmt)'),
  );
  const api = client([server.endpoint]);
  t.after(() => api.close());
  const { message } = await failure(api.stop('pve1', 101));
  assert.match(
    message,
    /^stop of CT 101 on pve1: token proxwarden@pve!cli lacks VM.PowerMgmt on \/vms\/101 — pveum acl modify \/vms --users proxwarden@pve --tokens 'proxwarden@pve!cli' --roles ProxWarden /,
  );
});

test('400: the parameters at fault are named', async (t) => {
  const server = await started(t, (_, response) =>
    refuse(response, 400, 'Parameter verification failed.', {
      data: null,
      message: 'Parameter verification failed.\n',
      errors: { upid: 'no such task' },
    }),
  );
  const api = client([server.endpoint]);
  t.after(() => api.close());
  const error = await failure(api.taskStatus(UPID));
  assert.match(
    error.message,
    /the node does not know that task \(Parameter verification failed: upid: no such task\)/,
  );
  assert(isMissing(error));
});

test('a taken vmid can be told from other refusals', async (t) => {
  const server = await started(t, (_, response) =>
    refuse(response, 500, "CT 201 already exists on node 'pve1'"),
  );
  const api = client([server.endpoint]);
  t.after(() => api.close());
  const error = await failure(
    api.restore('pve1', { vmid: 201, volid: 'a:b', storage: 's', description: '', tags: [], mounts: null }),
  );
  assert(isAlreadyExists(error));
  assert.equal(
    error.message,
    "restore of CT 201 on pve1: vmid 201 is taken: its configuration is on pve1 (CT 201 already exists on node 'pve1')",
  );
});

test('task logs are read to their end, in pages; an unknown task has none', async (t) => {
  const all = Array.from({ length: 1203 }, (_, index) => ({ n: index + 1, t: `line ${index + 1}` }));
  const server = await started(t, (request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    if (url.pathname.includes('pve2'))
      return json(response, { n: 1, t: 'unable to open file' }, { total: 1 });
    const start = Number(url.searchParams.get('start'));
    const page = all.slice(start, start + Number(url.searchParams.get('limit')));
    return json(response, page.length === 0 ? [{ n: 1, t: 'no content' }] : page);
  });
  const api = client([server.endpoint]);
  t.after(() => api.close());
  const lines = await api.taskLog(UPID, { start: 3 });
  assert.deepEqual([lines.length, lines[0], lines.at(-1)], [1200, 'line 4', 'line 1203']);
  assert.deepEqual(await api.taskLog(UPID, { start: 1203 }), []);
  assert.deepEqual(await api.taskLog(UPID.replace('pve1', 'pve2')), []);
});

test('a refused connection is not-sent even if the dispatcher says that it has begun', async () => {
  class Eager extends Dispatcher {
    override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
      const error = Object.assign(new Error(`connect to ${String(options.origin)}`), {
        code: 'ECONNREFUSED',
      });
      const controller = {
        aborted: false,
        paused: false,
        reason: null,
        abort: () => undefined,
        pause: () => undefined,
        resume: () => undefined,
      };
      handler.onRequestStart?.(controller, {});
      queueMicrotask(() => handler.onResponseError?.(controller, error));
      return true;
    }
  }
  const api = client(['https://x:8006'], { dispatcher: () => Promise.resolve(new Eager()) });
  assert.equal((await failure(api.start('pve1', 101))).outcome, 'not-sent');
});

test('an aborted call says what is known of it', async (t) => {
  const controller = new AbortController();
  const server = await started(t, () => controller.abort(new Error('SIGTERM')));
  const other = await started(t, (_, response) => json(response, VERSION));
  const api = client([server.endpoint, other.endpoint]);
  t.after(() => api.close());
  const error = await failure(api.start('pve1', 101, { signal: controller.signal }));
  assert.deepEqual(
    [error.outcome, error.message],
    ['unknown', 'start of CT 101 on pve1: given up (SIGTERM)'],
  );
  const second = await failure(api.version({ signal: controller.signal }));
  assert.equal(second.outcome, 'not-sent');
  assert.equal(other.seen.length, 0);
});

test('a token of another form is refused without being repeated', () => {
  for (const token of [
    '',
    'hunter2',
    'root@pam=hunter2',
    'root@pam!x:hunter2',
    'root@pam!x=',
    'root@pam!x=hun ter2',
  ])
    assert.throws(
      () =>
        createPveClient({
          cluster: 'home',
          endpoints: ['https://x:8006'],
          credentials: { kind: 'token', token },
          tls: { kind: 'system' },
          timeoutMs: 1,
          runtime: { clock: systemClock, dispatcher: () => Promise.reject(new Error('not asked')) },
        }),
      (error) =>
        error instanceof InputError &&
        !error.message.includes('hunter2') &&
        error.message.includes('user@realm!name=secret'),
    );
});
