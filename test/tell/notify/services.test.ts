/** Messages as real servers on loopback get them: SMTP, and HTTP as each service wants it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { loadInventory } from '../../../lib/inventory/load.ts';
import type { NotifyTarget } from '../../../lib/inventory/types.ts';
import { systemRuntime } from '../../../lib/system-runtime.ts';
import { deliver } from '../../../lib/tell/notify/deliver.ts';
import type { Message } from '../../../lib/tell/notify/message.ts';
import { folder } from '../../inventory/folder.ts';
import { closedPort, eventually, identity, listen, rawServer } from '../../observe/probe-helpers.ts';
import { password, tokenSecret } from '../../secrets.ts';

const MESSAGE: Message = {
  title: 'web: failover FAILED',
  text: 'disk full <@everyone> & "more" – ünïcode 😀',
  topic: 'failover',
  urgency: 'urgent',
  containers: ['web'],
  at: Date.UTC(2026, 10, 22, 12),
};

/** The one target of an inventory that says `to`, with `hooks/note` there. */
function target(t: TestContext, to: string, hook = '#!/bin/sh\n'): NotifyTarget {
  const dir = folder(t, { 'a.yaml': `notify:\n  to:\n    - ${to}\n`, 'hooks/note': hook });
  const [found] = loadInventory(dir).notify.to;
  assert.ok(found !== undefined);
  return found;
}

interface Heard {
  readonly line: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

async function web(t: TestContext, status = 200, answer = 'ok'): Promise<{ port: number; heard: Heard[] }> {
  const heard: Heard[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      heard.push({ line: `${request.method} ${request.url}`, headers: request.headers, body });
      response.writeHead(status).end(answer);
    });
  });
  return { port: await listen(t, server), heard };
}

const KEY = password('notify').replace('ü', 'u');
const TOKEN = tokenSecret();

/** What the only call was: its line, some headers, and its JSON. */
function only(heard: readonly Heard[], ...names: string[]): unknown[] {
  assert.equal(heard.length, 1);
  const [{ line, headers, body } = { line: '', headers: {}, body: '' }] = heard;
  return [line, ...names.map((name) => headers[name]), JSON.parse(body)];
}

const send = (to: NotifyTarget, env: Record<string, string> = {}): Promise<void> =>
  deliver(to, MESSAGE, systemRuntime(env));

test('ntfy: JSON to the root of the server, topic, priority and token', async (t) => {
  const { port, heard } = await web(t);
  await send(target(t, `ntfy: { url: "http://127.0.0.1:${port}/my-topic", token: env:T }`), { T: KEY });
  assert.deepEqual(only(heard, 'authorization', 'content-type'), [
    'POST /',
    `Bearer ${KEY}`,
    'application/json',
    {
      topic: 'my-topic',
      title: MESSAGE.title,
      message: MESSAGE.text,
      priority: 5,
      tags: ['rotating_light'],
    },
  ]);
});

test('slack, discord: their URL is a secret; nothing that a node says mentions anybody', async (t) => {
  const { port, heard } = await web(t);
  await send(target(t, 'slack: env:T'), { T: `http://127.0.0.1:${port}/services/${TOKEN}` });
  assert.deepEqual(only(heard.splice(0)), [
    `POST /services/${TOKEN}`,
    { text: 'web: failover FAILED\ndisk full &lt;@everyone&gt; &amp; "more" – ünïcode 😀' },
  ]);
  await send(target(t, 'discord: env:T'), { T: `http://127.0.0.1:${port}/api/${TOKEN}` });
  assert.deepEqual(only(heard), [
    `POST /api/${TOKEN}`,
    { content: `${MESSAGE.title}\n${MESSAGE.text}`, allowed_mentions: { parse: [] } },
  ]);
});

test('telegram and gotify', async (t) => {
  const { port, heard } = await web(t);
  const at = `http://127.0.0.1:${port}`;
  await send(target(t, `telegram: { token: env:T, chat: -100123, url: "${at}" }`), { T: TOKEN });
  assert.deepEqual(only(heard.splice(0)), [
    `POST /bot${TOKEN}/sendMessage`,
    {
      chat_id: '-100123',
      text: `${MESSAGE.title}\n${MESSAGE.text}`,
      link_preview_options: { is_disabled: true },
    },
  ]);
  await send(target(t, `gotify: { url: "${at}/push/", token: env:T }`), { T: KEY });
  assert.deepEqual(only(heard, 'x-gotify-key'), [
    'POST /push/message',
    KEY,
    { title: MESSAGE.title, message: MESSAGE.text, priority: 9 },
  ]);
});

test('a webhook: everything as JSON, or a template, and headers that may be secrets', async (t) => {
  const { port, heard } = await web(t, 204, '');
  await send(target(t, `webhook: "http://127.0.0.1:${port}/hook?a=b"`));
  assert.deepEqual(only(heard.splice(0), 'content-type'), [
    'POST /hook?a=b',
    'application/json',
    { ...MESSAGE, at: '2026-11-22T12:00:00.000Z' },
  ]);
  const own = `webhook: { url: "http://127.0.0.1:${port}/", method: PUT, headers: { X-Key: env:T, X-Plain: a }, body: '{"summary": "{{title}}", "why": "{{text}}"}' }`;
  await send(target(t, own), { T: KEY });
  assert.deepEqual(only(heard, 'x-key', 'x-plain'), [
    'PUT /',
    KEY,
    'a',
    { summary: MESSAGE.title, why: MESSAGE.text },
  ]);
});

test('a program gets it as JSON on stdin, and its failure is told', async (t) => {
  const to = target(
    t,
    'exec: hooks/note',
    '#!/bin/sh\ncat > "$0.json"\necho "$PROXWARDEN_TITLE" >&2; exit 3\n',
  );
  await assert.rejects(send(to), {
    name: 'FailedError',
    message: 'exec (exec) was not told: it ended with 3: web: failover FAILED',
  });
});

/** A mail server that keeps what it gets; logins must be `anna` with the password. */
async function mailServer(t: TestContext, tls: 'smtps' | 'starttls' | 'none') {
  const id = await identity();
  const mails: { from: string; to: string[]; text: string; secure: boolean; user: string }[] = [];
  const server = new SMTPServer({
    secure: tls === 'smtps',
    key: id.key,
    cert: id.cert,
    authOptional: true,
    disabledCommands: tls === 'none' ? ['STARTTLS'] : [],
    onAuth: ({ username, password: given }, _session, done) =>
      username === 'anna' && given === KEY
        ? done(null, { user: username })
        : done(new Error('Invalid username or password')),
    onData(stream, session, done) {
      let text = '';
      stream.setEncoding('utf8');
      stream.on('data', (part: string) => (text += part));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map((one) => one.address),
          text,
          secure: session.secure,
          user: String(session.user ?? ''),
        });
        done();
      });
    },
  });
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const address = server.server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { port: address.port, mails, id };
}

const email = (server: string, more = ''): string =>
  `email: { server: "${server}", from: proxwarden@example.org, to: [anna@example.org, bob@example.org]${more} }`;

test('e-mail to a server on this machine, without TLS because it is said', async (t) => {
  const { port, mails } = await mailServer(t, 'none');
  await send(target(t, email(`smtp://127.0.0.1:${port}`, ', plaintext: true')));
  assert.equal(mails.length, 1);
  const [{ from, to, text } = { from: '', to: [], text: '' }] = mails;
  assert.deepEqual([from, to], ['proxwarden@example.org', ['anna@example.org', 'bob@example.org']]);
  assert.match(text, /^Subject: \[ProxWarden\] web: failover FAILED\r$/m);
  assert.match(text, /^Auto-Submitted: auto-generated\r$/m);
  assert.match(text, /^X-Priority: 1/m);
  assert.match(text, /disk full <@everyone>/);
});

test('e-mail: no TLS, no mail; a certificate that nobody vouches for neither', async (t) => {
  const none = await mailServer(t, 'none');
  await assert.rejects(send(target(t, email(`smtp://127.0.0.1:${none.port}`))), {
    name: 'FailedError',
    message: /^email \(email\) was not told: .*STARTTLS/i,
  });
  const login = ', user: anna, password: env:T';
  for (const kind of ['starttls', 'smtps'] as const) {
    const { port, mails } = await mailServer(t, kind);
    const scheme = kind === 'smtps' ? 'smtps' : 'smtp';
    await assert.rejects(send(target(t, email(`${scheme}://127.0.0.1:${port}`, login)), { T: KEY }), {
      message: /^email \(email\) was not told: .*certificate/i,
    });
    assert.deepEqual(mails, []);
  }
  assert.deepEqual(none.mails, []);
});

test('what does not answer, refuses, or answers with an error is one sentence, soon, without the secret', async (t) => {
  const refused = await closedPort();
  await assert.rejects(send(target(t, `webhook: "http://127.0.0.1:${refused}/"`)), {
    name: 'FailedError',
    message: /^webhook \(webhook\) was not told: .*(ECONNREFUSED|refused)/,
  });
  const { port } = await web(t, 403, 'forbidden: \u001b[31mbad token');
  await assert.rejects(send(target(t, 'slack: env:T'), { T: `http://127.0.0.1:${port}/${KEY}` }), {
    message: 'slack (slack) was not told: it answers 403: forbidden: bad token',
  });
  await assert.rejects(send(target(t, 'slack: env:T'), { T: KEY }), {
    message: 'slack (slack) was not told: its secret holds no http(s) URL',
  });
  await assert.rejects(send(target(t, 'slack: env:T')), {
    message: /the environment variable T, which the inventory names for a secret, is not set/,
  });
});

test('a server that never answers, or a byte a second, holds up nobody', { timeout: 60_000 }, async (t) => {
  const sockets: Socket[] = [];
  const silent = await rawServer(t, (socket) => void sockets.push(socket.resume()));
  const slow = await rawServer(t, (socket) => {
    const timer = setInterval(() => socket.write('2'), 1000);
    socket.on('close', () => clearInterval(timer)).on('error', () => undefined);
  });
  // Ten seconds pass at once: the limit is what is tested, not the patience of whoever runs this.
  const runtime = systemRuntime({});
  const clock = {
    ...runtime.clock,
    sleep: (ms: number, signal?: AbortSignal) => runtime.clock.sleep(ms / 20, signal),
  };
  for (const to of [
    `webhook: "http://127.0.0.1:${silent}/"`,
    `webhook: "http://127.0.0.1:${slow}/"`,
    email(`smtp://127.0.0.1:${silent}`, ', plaintext: true'),
    email(`smtp://127.0.0.1:${slow}`, ', plaintext: true'),
  ])
    await assert.rejects(deliver(target(t, to), MESSAGE, { ...runtime, clock }), {
      name: 'FailedError',
      message: /was not told: no answer within 10000 ms/,
    });
  await eventually(
    'connections are closed',
    () => sockets.every((socket) => socket.destroyed || socket.readableEnded),
    10_000,
  );
});

test('an aborted run waits for nobody', async (t) => {
  const silent = await rawServer(t, () => undefined);
  const controller = new AbortController();
  const sending = deliver(
    target(t, `webhook: "http://127.0.0.1:${silent}/"`),
    MESSAGE,
    systemRuntime({}),
    controller.signal,
  );
  setTimeout(() => controller.abort(new Error('interrupted')), 50);
  await assert.rejects(sending, /interrupted|aborted/);
});

test('a file may hold a secret', async (t) => {
  const { port, heard } = await web(t);
  const dir = folder(t, { 'a.yaml': 'notify: { to: [{ discord: "file:discord.secret" }] }\n' });
  writeFileSync(join(dir, 'discord.secret'), `http://127.0.0.1:${port}/${TOKEN}\n`, { mode: 0o600 });
  const [to] = loadInventory(dir).notify.to;
  assert.ok(to !== undefined);
  await send(to);
  assert.equal(heard[0]?.line, `POST /${TOKEN}`);
});
