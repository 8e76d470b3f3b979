/** The client as a user with a password, against the lab on a virtual clock. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { labDispatcher } from '../../lib/lab/dispatcher.ts';
import { Lab } from '../../lib/lab/lab.ts';
import type { LabRequest, LabResponse, UserSpec } from '../../lib/lab/types.ts';
import { VirtualClock } from '../../lib/lab/virtual-clock.ts';
import type { PveApi } from '../../lib/pve/api.ts';
import { createPveClient } from '../../lib/pve/client.ts';
import { RequestError } from '../../lib/pve/failure.ts';
import { countingHex, WORLD } from '../lab/world.ts';
import { password } from '../secrets.ts';

const PASSWORD = password('correct');
const USER: UserSpec = { id: 'proxwarden@pve', password: PASSWORD, privileges: { '/': ['*'] } };
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const LOGIN = '/api2/json/access/ticket';

/** A lab that notes what reached it, and can be made to answer something else. */
class HeardLab extends Lab {
  readonly heard: { at: string; request: LabRequest }[] = [];
  instead: (node: string, request: LabRequest) => Promise<LabResponse> | LabResponse | null = () => null;
  override async handle(node: string, request: LabRequest): Promise<LabResponse> {
    this.heard.push({ at: node, request });
    return (await this.instead(node, request)) ?? super.handle(node, request);
  }

  /** `pve1 password`: which endpoint was sent which secret for a login. */
  logins(): string[] {
    return this.heard
      .filter(({ request }) => request.path === LOGIN)
      .map(({ at, request }) => {
        const sent = new URLSearchParams(request.body).get('password') ?? '';
        return `${at} ${sent.startsWith('PVE:') ? 'ticket' : 'password'}`;
      });
  }

  requests(path: string): LabRequest[] {
    return this.heard.map(({ request }) => request).filter((request) => request.path.startsWith(path));
  }
}

interface Bench {
  readonly clock: VirtualClock;
  readonly lab: HeardLab;
  readonly api: PveApi;
  readonly run: <T>(promise: Promise<T>) => Promise<T>;
}

function bench(t: TestContext, user: Partial<UserSpec> = {}): Bench {
  const clock = new VirtualClock();
  const world = { ...WORLD, users: [{ ...USER, ...user }] };
  const lab = new HeardLab({ clock, world, randomHex: countingHex() });
  const dispatcher = labDispatcher(lab, clock, (origin) => `pve${origin.slice(-1)}`);
  const api = createPveClient({
    cluster: 'home',
    endpoints: ['https://10.88.0.1', 'https://10.88.0.2', 'https://10.88.0.3'],
    credentials: { kind: 'password', user: 'proxwarden@pve', password: PASSWORD },
    tls: { kind: 'system' },
    timeoutMs: 10_000,
    runtime: { clock, dispatcher: () => Promise.resolve(dispatcher) },
  });
  t.after(async () => {
    await api.close();
    lab.close();
  });
  return { clock, lab, api, run: (promise) => clock.run(promise) };
}

async function failed({ run }: Bench, promise: Promise<unknown>): Promise<RequestError> {
  const error: unknown = await run(
    promise.then(
      () => undefined,
      (reason: unknown) => reason,
    ),
  );
  assert(error instanceof RequestError, `no RequestError: ${String(error)}`);
  assert(!`${error.message}${error.hint ?? ''}`.includes(PASSWORD));
  return error;
}

test('one login serves all endpoints; the cookie goes with everything, the CSRF token with writes only', async (t) => {
  const { api, lab, run } = bench(t);
  assert.equal(await run(api.version()), '8.4.21');
  for (const endpoint of api.endpoints) assert.equal((await run(api.endpointView(endpoint))).ok, true);
  await run(api.setConfig('pve1', 101, { onboot: false }));
  assert.deepEqual(lab.logins(), ['pve1 password']);
  const [login, read] = lab.heard;
  assert.equal(login?.request.headers['cookie'], undefined);
  assert.match(
    read?.request.headers['cookie'] ?? '',
    /^PVEAuthCookie=PVE%3Aproxwarden%40pve%3A[0-9A-F]{8}%3A%3A/,
  );
  assert.equal(read?.request.headers['csrfpreventiontoken'], undefined);
  const [write] = lab.requests('/api2/json/nodes/pve1/lxc/101/config');
  assert.match(write?.headers['csrfpreventiontoken'] ?? '', /^[0-9A-F]{8}:/);
  assert(lab.heard.every(({ request }) => request.headers['authorization'] === undefined));
});

test('many calls at once, one login', async (t) => {
  const { api, lab, run } = bench(t);
  await run(Promise.all(Array.from({ length: 20 }, () => api.version())));
  assert.deepEqual(lab.logins(), ['pve1 password']);
});

test('endpoints asked at once, the first of them dead: the ticket comes from another, and nobody waits long', async (t) => {
  const { api, lab, clock, run } = bench(t);
  lab.cut('pve1');
  const begun = clock.now();
  const views = await run(Promise.all(api.endpoints.map((endpoint) => api.endpointView(endpoint))));
  assert.deepEqual(
    views.map((view) => view.ok),
    [false, true, true],
  );
  assert.match(
    views[0]?.error ?? '',
    /^reading the cluster status: login as proxwarden@pve: https:\/\/10\.88\.0\.1 of cluster home gave no ticket within 4000 ms$/,
  );
  assert.equal(views[0]?.failure, 'network');
  assert(clock.now() - begun <= 4_001, `${clock.now() - begun} ms`);
  assert.equal(await run(api.version()), '8.4.21');
});

test('a ticket is renewed by itself before it ends, beside the work, and never with the password', async (t) => {
  const { api, lab, clock, run } = bench(t);
  for (let minute = 0; minute < 12 * 60; minute += 10) {
    await run(api.version());
    await clock.advance(10 * MINUTE);
  }
  assert.equal(lab.logins()[0], 'pve1 password');
  assert.deepEqual(new Set(lab.logins().slice(1)), new Set(['pve1 ticket']));
  // Every 90 to 100 minutes of twelve hours.
  assert(lab.logins().length >= 7 && lab.logins().length <= 9, `${lab.logins().length} logins`);
  assert.equal(lab.heard.length, lab.logins().length + 72);
});

test('a ticket that has ended over a long pause: the password again', async (t) => {
  const { api, lab, clock, run } = bench(t);
  await run(api.version());
  await clock.advance(3 * HOUR);
  await run(api.version());
  assert.deepEqual(lab.logins(), ['pve1 password', 'pve1 password']);
});

test('a renewal that fails does no harm while the ticket holds', async (t) => {
  const { api, lab, clock, run } = bench(t);
  await run(api.version());
  await clock.advance(100 * MINUTE);
  lab.instead = (_node, { path }) =>
    path === LOGIN ? { status: 596, statusText: 'Connection timed out', headers: {}, body: '' } : null;
  await run(api.version());
  await run(api.version());
  lab.instead = () => null;
  await run(api.version());
  await clock.advance(MINUTE);
  assert.equal(lab.logins().at(-1), 'pve1 ticket');
  await clock.advance(100 * MINUTE);
  assert.equal(await run(api.version()), '8.4.21');
});

test('a renewal that refuses the ticket falls back to the password', async (t) => {
  const { api, lab, clock, run } = bench(t);
  await run(api.version());
  await clock.advance(100 * MINUTE);
  lab.instead = (_node, { path, body }) =>
    path === LOGIN && body.includes('PVE%3A')
      ? { status: 401, statusText: 'authentication failure', headers: {}, body: '' }
      : null;
  await run(api.version());
  await clock.advance(MINUTE);
  assert.deepEqual(lab.logins(), ['pve1 password', 'pve1 ticket', 'pve1 password']);
});

/** Ends the ticket that is in use, for `times` requests. */
function refuseTickets(lab: HeardLab, times = 1): void {
  let left = times;
  lab.instead = (_node, { path }) => {
    if (path === LOGIN || left === 0) return null;
    left -= 1;
    return { status: 401, statusText: 'Authentication failed!', headers: {}, body: '' };
  };
}

test('a ticket that is refused early: a read logs in anew and asks again, once', async (t) => {
  const { api, lab, run } = bench(t);
  await run(api.version());
  refuseTickets(lab);
  assert.equal(await run(api.version()), '8.4.21');
  assert.deepEqual(lab.logins(), ['pve1 password', 'pve1 password']);
  assert.equal(lab.requests('/api2/json/version').length, 3);
});

test('a new ticket that is refused, too: said so, without another try', async (t) => {
  const stage = bench(t);
  const { api, lab, run } = stage;
  await run(api.version());
  refuseTickets(lab, 9);
  const error = await failed(stage, api.version());
  assert.equal(error.status, 401);
  assert.match(
    error.message,
    /^the API of cluster home refuses the ticket of proxwarden@pve \(Authentication failed!\)/,
  );
  assert.equal(lab.logins().length, 2);
});

test('a write whose ticket is refused was not carried out and is not sent again; the next has a new ticket', async (t) => {
  const stage = bench(t);
  const { api, lab, run } = stage;
  await run(api.version());
  refuseTickets(lab);
  const error = await failed(stage, api.start('pve1', 102));
  assert.deepEqual([error.outcome, error.status], ['refused', 401]);
  assert.equal(lab.requests('/api2/json/nodes/pve1/lxc/102/status/start').length, 1);
  await run(api.start('pve1', 102));
  assert.deepEqual(lab.logins(), ['pve1 password', 'pve1 password']);
});

test('a wrong password: one sentence, sent once, and no word about it from the other endpoints', async (t) => {
  const stage = bench(t, { password: password('another') });
  const { api, lab, clock, run } = stage;
  const views = await run(Promise.all(api.endpoints.map((endpoint) => api.endpointView(endpoint))));
  const [sentence] = [...new Set(views.map((view) => view.error))];
  assert.equal(new Set(views.map((view) => view.error)).size, 1);
  assert.equal(
    sentence,
    'the API of cluster home refuses the password of proxwarden@pve (authentication failure): check that the user exists in that realm, is not expired or disabled, and that the password is the one given',
  );
  assert.deepEqual(new Set(views.map((view) => view.failure)), new Set(['auth']));
  const tries = lab.logins().length;
  assert(tries <= 3, `${tries} logins`);
  const error = await failed(stage, api.start('pve1', 101));
  assert.deepEqual([error.failure, error.outcome, error.login], ['auth', 'not-sent', true]);
  // It cannot be asked, which says nothing of the node.
  await failed(stage, api.nodeAnswers('pve1'));
  assert.equal(lab.logins().length, tries);
  await clock.advance(2 * MINUTE);
  await failed(stage, api.version());
  assert.equal(lab.logins().length, tries + 1);
});

test('a second factor: refused with what to do instead', async (t) => {
  const stage = bench(t, { secondFactor: true });
  const error = await failed(stage, stage.api.version());
  assert.equal(
    error.message,
    'user proxwarden@pve of cluster home logs in with a second factor (TFA), which nobody is there to give',
  );
  assert.match(error.hint ?? '', /^use an API token: pveum user token add proxwarden@pve/);
  assert.deepEqual(stage.lab.logins(), ['pve1 password']);
});

test('a login that gets no answer: the call was not sent, and another endpoint is asked', async (t) => {
  const stage = bench(t);
  const { api, lab, run } = stage;
  lab.cut('pve1');
  assert.equal(await run(api.version()), '8.4.21');
  assert.equal(lab.logins().at(-1), 'pve2 password');
  const other = bench(t);
  other.lab.cut('pve1');
  const error = await failed(other, other.api.start('pve1', 101));
  assert.deepEqual([error.failure, error.outcome], ['timeout', 'not-sent']);
});

test('a node whose login service is down says nothing of other nodes', async (t) => {
  const stage = bench(t);
  const { api, lab } = stage;
  lab.instead = (node, { path }) =>
    node === 'pve1' && path === LOGIN
      ? { status: 595, statusText: 'Connection refused', headers: {}, body: '' }
      : null;
  const error = await failed(stage, api.nodeAnswers('pve2'));
  assert.deepEqual([error.failure, error.outcome, error.status], ['network', 'not-sent', undefined]);
  assert.equal(await stage.run(api.version()), '8.4.21');
});

test('a stop by the user that we log in as may be a person’s: it is not taken for ours', async (t) => {
  const { api, run, clock } = bench(t);
  await run(api.stop('pve1', 101));
  await clock.advance(MINUTE);
  const { lastTask } = await run(api.guestDetail('pve1', 101));
  assert.equal(lastTask?.user, 'proxwarden@pve');
  assert.equal(lastTask?.ours, undefined);
});

test('missing privileges: the pveum line is for the user', async (t) => {
  const stage = bench(t, { privileges: { '/': ['VM.Audit'] } });
  const error = await failed(stage, stage.api.start('pve1', 101));
  assert.match(
    error.message,
    /user proxwarden@pve lacks VM\.PowerMgmt on \/vms\/101 — pveum acl modify \/vms --users proxwarden@pve --roles ProxWarden /,
  );
});
