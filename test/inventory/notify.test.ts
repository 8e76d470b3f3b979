import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadInventory } from '../../lib/inventory/load.ts';
import { folder, linesIn, linesOf } from './folder.ts';

const to = (...entries: string[]): string =>
  `notify:\n  to:\n${entries.map((entry) => `    - ${entry}\n`).join('')}`;

test('targets are resolved: names, topics, paths, secrets', (t) => {
  const dir = folder(t, {
    'a.yaml': `${to('ntfy: https://ntfy.sh/x', '{ exec: hooks/tell, name: log, when: [up, down] }')}  repeat: 1h\n`,
    'b.yaml': `${to('discord: file:discord.secret')}heartbeat: { url: "https://hc-ping.com/abc" }\n`,
    'hooks/tell': '#!/bin/sh\n',
  });
  const { notify, heartbeat } = loadInventory(dir);
  assert.equal(notify.repeatMs, 3_600_000);
  assert.deepEqual(
    notify.to.map(({ name, via, topics }) => [name, via, topics.length]),
    [
      ['ntfy', { kind: 'ntfy', url: { kind: 'url', url: 'https://ntfy.sh/x' } }, 7],
      ['log', { kind: 'exec', path: `${dir}/hooks/tell`, args: [], timeoutMs: 60_000 }, 2],
      ['discord', { kind: 'discord', url: { kind: 'file', path: `${dir}/discord.secret` } }, 7],
    ],
  );
  assert.deepEqual(heartbeat, { kind: 'url', url: 'https://hc-ping.com/abc' });
});

test('what is wrong with a target is said at its place', (t) => {
  const wrong = to(
    'slack: https://hooks.slack.com/services/T000/B000/abcdef',
    '{ ntfy: "https://ntfy.sh/x", gotify: { url: "https://g", token: env:T } }',
    'name: nobody',
    '{ email: { server: "smtp://mail", from: "a@b", to: "a@b", user: anna } }',
    '{ email: { server: "smtp://mail", from: "a@b", to: "a@b", user: anna, password: env:P, plaintext: true } }',
    '{ email: { server: "mail", from: anna, to: [] } }',
    '{ webhook: { url: "https://u:p@host/", headers: { "X Y": a, X: "a\\nb" } } }',
    '{ exec: /bin/sh }',
    '{ ntfy: ftp://x, when: [never] }',
  );
  const said = linesOf(t, wrong);
  for (const part of [
    '3:14  notify.to[0].slack  holds a literal value where only a reference to a secret may be',
    'notify.to[1]  holds more than one way',
    'notify.to[2]  says no way to tell anybody',
    'notify.to[3].email.user  has a user or a password, and not both',
    'notify.to[4].email.plaintext  would send the password in the clear',
    'notify.to[5].email.server  is not a mail server',
    'notify.to[5].email.from  is not an e-mail address',
    'notify.to[6].webhook',
    'notify.to[8].ntfy',
    'notify.to[8].when[0]',
  ])
    assert.ok(
      said.some((line) => line.includes(part)),
      `${part} is not in\n${said.join('\n')}`,
    );
  assert.ok(!said.join('\n').includes('abcdef'), 'what may be a secret is not repeated');
});

test('a program outside of the folder, two of one name, and files that differ are refused', (t) => {
  const programs = linesOf(t, to('{ exec: /bin/sh, name: a }', '{ exec: hooks/missing, name: b }'));
  assert.match(programs[0] ?? '', /to\[0\]\.exec {2}is outside of the inventory folder/);
  assert.match(programs[1] ?? '', /to\[1\]\.exec {2}does not exist/);
  const lines = linesIn(
    folder(t, {
      'a.yaml': `${to('ntfy: https://ntfy.sh/x')}  repeat: 1h\nheartbeat: { url: "https://a/" }\n`,
      'b.yaml': `${to('ntfy: https://ntfy.sh/y')}  repeat: 2h\nheartbeat: { url: "https://a/" }\n`,
    }),
  );
  assert.equal(lines.length, 3, lines.join('\n'));
  assert.match(lines.join('\n'), /is called ntfy, as the one in .*a\.yaml:3 is/);
  assert.match(lines.join('\n'), /notify\.repeat {2}differs from/);
  assert.match(lines.join('\n'), /heartbeat {2}is given in .* already/);
});
