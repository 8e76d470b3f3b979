/** `init` as a process against a lab: by flags, and at a terminal. What it decides is tested in test/cli/init.test.ts. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { before, after, describe, test } from 'node:test';
import { loadInventory } from '../../lib/inventory/load.ts';
import { haveTerminal, talk } from './init-pty.ts';
import { initStage, type InitStage } from './init-stage.ts';
import { inProcess } from './in-process.ts';
import { assertRefused, told } from './stage.ts';

describe('init', { concurrency: 3 }, () => {
  let stage: InitStage;
  let endpoints: string[];
  let pin: string;
  let token: string;
  const ends: (() => Promise<void> | void)[] = [];

  before(async () => {
    stage = await initStage({ after: (end) => void ends.push(end) });
    endpoints = [6, 16, 26].map((offset) => `https://127.0.0.1:${stage.portBase + offset}`);
    pin = new X509Certificate(readFileSync(join(stage.dir, '.lab', 'ca.pem'))).fingerprint256;
    token = `file:${join(stage.dir, '.lab', 'token')}`;
  });
  after(async () => {
    for (const end of ends) await end();
  });

  /** A new, empty folder for an inventory. */
  function folder(name: string): string {
    const dir = join(stage.folder, name);
    mkdirSync(dir);
    return dir;
  }

  test('by flags: a file that validate accepts and check finds healthy; never written over', async () => {
    const dir = folder('by-flags');
    const words = [
      'init',
      '--endpoint',
      ...endpoints,
      '--token',
      token,
      '--fingerprint',
      pin,
      '--output',
      dir,
    ];
    const options = { cwd: stage.folder };
    const ran = await inProcess(words, options);
    assert.equal(ran.code, 0, told(ran));
    assert.match(ran.stdout, /^wrote by-flags\/home\.yaml: 3 nodes, 7 containers \(2 off\), 2 left out\n/);
    assert.match(
      ran.stdout,
      /\nnext: look at \d+ places marked REVIEW in it, then `proxwarden validate --inventory by-flags`/,
    );
    assert.deepEqual(readdirSync(dir), ['home.yaml']);
    const text = readFileSync(join(dir, 'home.yaml'), 'utf8');

    const validated = await inProcess(['validate', '--inventory', dir], options);
    assert.deepEqual([validated.code, validated.stderr], [0, ''], told(validated));
    const state = join(stage.folder, 'by-flags-state');
    const names = ['web', 'db', 'mqtt', 'web-108'];
    const checked = await inProcess(['check', ...names, '--inventory', dir, '--state', state], options);
    assert.equal(checked.code, 0, told(checked));
    assert.equal(checked.stdout.match(/ healthy /g)?.length, 4, told(checked));

    assertRefused(
      await inProcess(words, options),
      2,
      /by-flags\/home\.yaml has https:\S+ already, as cluster home/,
    );
    assert.equal(readFileSync(join(dir, 'home.yaml'), 'utf8'), text);
  });

  test('without a terminal all missing flags are named at once', async () => {
    const ran = await inProcess(['init', '--output', folder('nothing')]);
    assertRefused(ran, 2, /--endpoint .*; --token .*; --fingerprint SHA256, --ca FILE or --system-roots/);
  });

  test('at a terminal: asks, shows the fingerprint, hides the secret, writes it to a file of mode 600', async (t) => {
    if (!haveTerminal) return t.skip('there is no `script` to make a terminal with');
    const dir = folder('asked');
    const file = join(stage.folder, 'secrets', 'home.token');
    const literal = `proxwarden@pve!lab=${stage.secret}`;
    const { screen, code } = await talk(
      ['init', '--output', dir],
      [
        [/Address of one node/, 'not an address!'],
        [/That is not an address[^]*Address of one node/, endpoints[0] ?? ''],
        [/Is it the same there\? \[yes\/no\]/, 'yes'],
        [/Where is the API token\?/, ''],
        [/API token, USER@REALM!NAME=SECRET \(it is not shown\):/, literal],
        [/File for the token \(mode 600\).*home\.token\]/, file],
      ],
      { cwd: stage.folder },
    );
    assert.equal(code, 0, screen);
    assert.ok(screen.includes(pin.slice(0, 48)) && screen.includes(pin.slice(48)), screen);
    assert.ok(!screen.includes(stage.secret.slice(0, 8)), 'the secret was echoed');
    assert.match(screen, /wrote asked\/home\.yaml[^]*wrote .*home\.token: the API token, mode 600/);
    assert.equal(readFileSync(file, 'utf8'), `${literal}\n`);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const inventory = loadInventory(dir, { env: {} });
    assert.deepEqual(inventory.clusters['home']?.credentials, {
      kind: 'token',
      token: { kind: 'file', path: file },
    });
  });

  test('at a terminal: Ctrl-C at a question or in between leaves nothing behind', async (t) => {
    if (!haveTerminal) return t.skip('there is no `script` to make a terminal with');
    const dir = folder('interrupted');
    const words = ['init', '--output', dir, '--endpoint', endpoints[0] ?? '', '--fingerprint', pin];
    const where = /Where is the API token\?/;
    for (const answers of [
      [
        [where, ''],
        [/not shown/, '\u0003'],
      ],
      [
        [where, token],
        [/looking at some/, '\u0003'],
      ],
    ] satisfies [RegExp, string][][]) {
      const ran = await talk(words, answers, { cwd: stage.folder });
      assert.equal(ran.code, 1, ran.screen);
      assert.match(ran.screen, /interrupted: nothing was written/);
    }
    assert.deepEqual(readdirSync(dir), []);
    assert.ok(!existsSync(join(stage.folder, '.config')));
  });
});
