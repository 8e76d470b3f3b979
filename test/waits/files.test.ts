/** Where a file is expected there may be a pipe that nobody writes to, or a device without end: it is said, at once. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { rootShell } from '../../lib/act/root-shell.ts';
import { main } from '../../lib/cli/main.ts';
import { endpointDispatcher } from '../../lib/dispatcher.ts';
import { ProxwardenError } from '../../lib/errors.ts';
import { standingOf } from '../../lib/install/marked.ts';
import { loadInventory } from '../../lib/inventory/load.ts';
import { readSecret } from '../../lib/inventory/secrets.ts';
import { readRunFile } from '../../lib/lab/runfile.ts';
import { readEvents } from '../../lib/state/events.ts';
import { lastObservation } from '../../lib/state/observation.ts';
import { openOperations } from '../../lib/state/operations.ts';
import { loadPlan } from '../../lib/state/plans.ts';
import { openState } from '../../lib/state/store.ts';
import { systemClock } from '../../lib/clock.ts';
import { systemRuntime } from '../../lib/system-runtime.ts';
import { COMMANDS } from '../../scripts/commands.ts';
import { tempFolder } from '../observe/probe-helpers.ts';

/** A pipe, and an endless device. */
const STRANGE: Readonly<Record<string, (path: string) => void>> = {
  'a pipe': (path) => assert.equal(spawnSync('mkfifo', ['-m', '600', path]).status, 0),
  'a device': (path) => symlinkSync('/dev/zero', path),
};

const ID = 'op-20261122T201647-a1b2c3';
const clock = systemClock;

async function said(words: readonly string[]): Promise<string> {
  let all = '';
  const put = (text: string): void => void (all += `${text}\n`);
  await main(words, COMMANDS, {
    runtime: systemRuntime({}),
    io: { out: put, err: put, tty: false, columns: 160 },
    signal: new AbortController().signal,
    cwd: '/',
  });
  return all;
}

/** What is put where, and who reads it. */
const FILES: readonly (readonly [name: string, read: (dir: string) => unknown])[] = [
  ['home.yaml', (dir) => loadInventory(dir)],
  ['token', (dir) => readSecret({ kind: 'file', path: join(dir, 'token') }, {})],
  ['ca.pem', (dir) => endpointDispatcher('https://127.0.0.1:1', { kind: 'ca', path: join(dir, 'ca.pem') })],
  [
    'init.pem',
    (dir) =>
      said([
        'init',
        '--endpoint',
        'https://127.0.0.1:1',
        '--ca',
        join(dir, 'init.pem'),
        '--inventory',
        join(dir, 'new'),
        '--token',
        'env:T',
      ]),
  ],
  ...(['key', 'knownHosts'] as const).map(
    (which) =>
      [
        which,
        (dir: string) =>
          rootShell(
            {
              shell: {
                kind: 'ssh',
                user: 'root',
                port: 22,
                key: null,
                knownHosts: null,
                [which]: join(dir, which),
              },
              node: 'pve1',
              host: '127.0.0.1',
              order: { kind: 'greet' },
            },
            { path: '/nowhere' },
          ),
      ] as const,
  ),
  ['proxwarden.timer', (dir) => standingOf(dir, { name: 'proxwarden.timer', text: '' })],
  ['state.json', (dir) => openState(dir, { clock }).read()],
  ['observation.json', (dir) => lastObservation(dir, clock.now())],
  [`plans/0123456789ab.json`, (dir) => loadPlan(dir, '0123456789ab', clock.now())],
  [`operations/${ID}.json`, (dir) => openOperations(dir, { clock }).list()],
  ['events.ndjson', (dir) => readEvents(dir)],
  ['.lab/run.json', (dir) => readRunFile(dir)],
];

for (const [what, make] of Object.entries(STRANGE))
  for (const [name, read] of FILES)
    test(`${what} in place of ${name}`, async (t: TestContext) => {
      const dir = tempFolder(t);
      for (const folder of ['plans', 'operations', '.lab']) mkdirSync(join(dir, folder), { mode: 0o700 });
      if (name !== 'home.yaml') writeFileSync(join(dir, 'home.yaml'), '');
      make(join(dir, name));
      const begins = performance.now();
      let result: string;
      try {
        result = JSON.stringify(await read(dir));
      } catch (error) {
        assert.ok(error instanceof ProxwardenError, String(error));
        result = error.message;
      }
      assert.match(result, /not a regular file|symbolic link|\(ENOTAFILE\)/);
      assert.ok(performance.now() - begins < 5_000);
    });
