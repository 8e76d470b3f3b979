/** Users who log in to the lab: POST /access/ticket, the cookie, and the token against forged requests. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import * as z from 'zod';
import { Lab } from '../../lib/lab/lab.ts';
import type { LabResponse } from '../../lib/lab/types.ts';
import { VirtualClock } from '../../lib/lab/virtual-clock.ts';
import { password } from '../secrets.ts';
import { countingHex, dataOf, WORLD } from './world.ts';

const PASSWORD = password('lab');
const ALL = { '/': ['*'] };
const USERS = [
  { id: 'root@pam', password: password('root'), privileges: ALL },
  { id: 'ann@pve', password: PASSWORD, privileges: { '/vms': ['VM.Audit', 'VM.Config.Options'] } },
  { id: 'gone@pve', password: PASSWORD, privileges: ALL, disabled: true },
  { id: 'careful@pve', password: PASSWORD, privileges: ALL, secondFactor: true },
];
const Reply = z.object({
  username: z.string(),
  ticket: z.string(),
  CSRFPreventionToken: z.string(),
  clustername: z.string(),
  NeedTFA: z.literal(1).optional(),
});
type Reply = z.infer<typeof Reply>;

class Desk {
  readonly clock = new VirtualClock();
  readonly lab: Lab;
  constructor(t: TestContext) {
    this.lab = new Lab({ clock: this.clock, world: { ...WORLD, users: USERS }, randomHex: countingHex() });
    t.after(() => this.lab.close());
  }
  ask(
    method: string,
    path: string,
    form: Readonly<Record<string, string>> = {},
    headers: Readonly<Record<string, string>> = {},
    node = 'pve1',
  ): Promise<LabResponse> {
    const body = new URLSearchParams(form).toString();
    return this.clock.run(this.lab.handle(node, { method, path: `/api2/json${path}`, headers, body }));
  }
  async logIn(username: string, secret: string, more: Readonly<Record<string, string>> = {}): Promise<Reply> {
    const answer = await this.ask('POST', '/access/ticket', { username, password: secret, ...more });
    assert.equal(answer.status, 200, answer.statusText);
    return Reply.parse(dataOf(answer));
  }
  async refused(username: string, secret: string): Promise<void> {
    const begun = this.clock.now();
    const answer = await this.ask('POST', '/access/ticket', { username, password: secret });
    assert.deepEqual(
      [answer.status, answer.statusText, answer.body],
      [401, 'authentication failure', '{"data":null,"message":"authentication failure\\n"}'],
    );
    assert.equal(this.clock.now() - begun, 3000);
  }
}

function cookie({ ticket }: Reply): Record<string, string> {
  return { cookie: `PVEAuthCookie=${encodeURIComponent(ticket)}` };
}

const CONFIG = '/nodes/pve1/lxc/101/config';

test('a ticket opens every node for reads; writes need the CSRF token of that user', async (t) => {
  const desk = new Desk(t);
  const ann = await desk.logIn('ann@pve', PASSWORD);
  assert.deepEqual([ann.username, ann.clustername, ann.NeedTFA], ['ann@pve', 'home', undefined]);
  assert.match(ann.ticket, /^PVE:ann@pve:[0-9A-F]{8}::[\w+/=]+$/);
  for (const node of ['pve1', 'pve2', 'pve3'])
    assert.equal((await desk.ask('GET', '/version', {}, cookie(ann), node)).status, 200);
  const put = (headers: Record<string, string>): Promise<LabResponse> =>
    desk.ask('PUT', CONFIG, { onboot: '1' }, { ...cookie(ann), ...headers });
  const root = await desk.logIn('root@pam', USERS[0]?.password ?? '');
  for (const headers of [
    {},
    { csrfpreventiontoken: 'x' },
    { csrfpreventiontoken: root.CSRFPreventionToken },
  ]) {
    const { status, statusText, body } = await put(headers);
    assert.deepEqual([status, statusText, body], [401, 'Permission denied - invalid csrf token', '']);
  }
  assert.equal((await put({ csrfpreventiontoken: ann.CSRFPreventionToken })).status, 200);
  const denied = await desk.ask('GET', '/cluster/status', {}, cookie(ann));
  assert.equal(denied.statusText, 'Permission check failed (/, Sys.Audit)');
});

test('wrong password, unknown user or realm, disabled user: the same 401 after three seconds', async (t) => {
  const desk = new Desk(t);
  await desk.refused('ann@pve', 'wrong');
  await desk.refused('nobody@pve', PASSWORD);
  await desk.refused('ann@nosuch', PASSWORD);
  await desk.refused('gone@pve', PASSWORD);
});

test('missing and unknown parameters are a 400; the realm may come by itself', async (t) => {
  const desk = new Desk(t);
  const answer = await desk.ask('POST', '/access/ticket', { username: 'ann@pve', pasword: 'x' });
  assert.equal(answer.status, 400);
  assert.match(answer.body, /"password":"property is missing and it is not optional"/);
  await desk.logIn('ann', PASSWORD, { realm: 'pve' });
  assert.equal((await desk.ask('GET', '/access/ticket')).body, '{"data":null}');
});

test('a ticket ends after two hours; until then it is as good as the password, for its user and by root for all', async (t) => {
  const desk = new Desk(t);
  const ann = await desk.logIn('ann@pve', PASSWORD);
  await desk.clock.advance(7_190_000);
  assert.equal((await desk.ask('GET', '/version', {}, cookie(ann))).status, 200);
  const renewed = await desk.logIn('ann@pve', ann.ticket);
  await desk.refused('root@pam', ann.ticket);
  await desk.clock.advance(20_000);
  const late = await desk.ask('GET', '/version', {}, cookie(ann));
  assert.deepEqual([late.status, late.statusText, late.body], [401, 'Authentication failed!', '']);
  await desk.refused('ann@pve', ann.ticket);
  assert.equal((await desk.ask('GET', '/version', {}, cookie(renewed))).status, 200);
  const root = await desk.logIn('root@pam', USERS[0]?.password ?? '');
  assert.equal((await desk.logIn('ann@pve', root.ticket)).username, 'ann@pve');
});

test('with a second factor the password gets half a ticket, which opens nothing', async (t) => {
  const desk = new Desk(t);
  const half = await desk.logIn('careful@pve', PASSWORD);
  assert.equal(half.NeedTFA, 1);
  assert.match(half.ticket, /^PVE:!tfa!/);
  assert.equal((await desk.ask('GET', '/version', {}, cookie(half))).status, 401);
});

test('a ticket can be checked for privileges', async (t) => {
  const desk = new Desk(t);
  const check = { username: 'ann@pve', password: PASSWORD, path: '/vms' };
  const yes = await desk.ask('POST', '/access/ticket', { ...check, privs: 'VM.Audit' });
  assert.deepEqual(dataOf(yes), { username: 'ann@pve' });
  const no = await desk.ask('POST', '/access/ticket', { ...check, privs: 'VM.Allocate' });
  assert.equal(no.status, 401);
});
