/** A user with a password in place of a token: the built command against the lab, from the first check to a move. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { password } from '../secrets.ts';
import { inProcess, openInside } from './in-process.ts';
import { assertUntouched, keepSecret, told } from './stage.ts';

const PASSWORD = password('e2e');
const LOGIN = 'user: proxwarden@pve\n  password: file:home.password';

test('a user with a password: checked, backed up, moved; a wrong one is said once and does nothing', async (t) => {
  keepSecret(PASSWORD);
  const stage = await openInside(t, {
    speed: 20,
    edit: (yaml) => yaml.replace('token: file:.lab/token', LOGIN),
    world: (example) => ({
      ...example,
      tokens: [],
      users: example.tokens.map(({ privileges }) => ({
        id: 'proxwarden@pve',
        password: PASSWORD,
        privileges,
      })),
    }),
  });
  const keep = (secret: string): void =>
    writeFileSync(join(stage.dir, 'home.password'), `${secret}\n`, { mode: 0o600 });

  keep(password('wrong'));
  keepSecret(password('wrong'));
  const says = /the API of cluster home refuses the password of proxwarden@pve \(authentication failure\)/g;
  for (const [words, code] of [
    [['check', '--log-level', 'debug'], 5],
    [['failover', 'dns', '--planned'], 4],
    [['backup', 'dns'], 1],
  ] as const) {
    const ran = await inProcess([...words, '--inventory', stage.dir, '--state', stage.state]);
    assert.equal(ran.code, code, told(ran));
    assert.equal(ran.stderr.match(says)?.length, 1, `once: ${told(ran)}`);
  }
  assertUntouched(stage);

  keep(PASSWORD);
  const checked = await stage.run('check');
  assert.equal(checked.code, 0, told(checked));
  const moved = await stage.run('failover', 'db', '--planned', '--to', 'pve3');
  assert.equal(moved.code, 0, told(moved));
  assert.deepEqual(stage.running(), ['db', 'dns', 'web', 'wiki']);
  assert.deepEqual(stage.lab.violations, []);
  const files = readdirSync(stage.state, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  assert.ok(files.length > 2);
  for (const { parentPath, name } of files)
    assert.doesNotMatch(readFileSync(join(parentPath, name), 'utf8'), /PVE:proxwarden|LabTicket/, name);
});
