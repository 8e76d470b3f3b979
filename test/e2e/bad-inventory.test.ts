/** Wrong inventories, names and flags: one clear sentence, exit 2, and nothing touched. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { exampleInventory } from '../../lib/lab/example.ts';
import { inProcess } from './in-process.ts';
import { assertRefused } from './stage.ts';

interface Place {
  readonly dir: string;
  readonly state: string;
}

/** A folder with the example's inventory, changed; no lab behind it. */
function inventory(t: TestContext, edit: (yaml: string) => string = (yaml) => yaml): Place {
  const folder = mkdtempSync(join(tmpdir(), 'proxwarden-e2e-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const dir = join(folder, 'inventory');
  mkdirSync(join(dir, 'hooks'), { recursive: true });
  writeFileSync(join(dir, 'hooks', 'log-failover.sh'), '#!/bin/sh\n', { mode: 0o755 });
  writeFileSync(join(dir, 'home.yaml'), edit(exampleInventory(18_000)));
  return { dir, state: join(folder, 'state') };
}

const refused = async (place: Place, words: readonly string[], code: number, says: RegExp): Promise<void> => {
  const ran = await inProcess([...words, '--inventory', place.dir, '--state', place.state]);
  assertRefused(ran, code, says);
  assert.ok(!existsSync(join(place.state, 'state.json')), 'the state is touched');
};

/** What a person may get wrong in the file, and what is said of it; line and column are those of the place. */
const MISTAKES: readonly (readonly [string, (yaml: string) => string, RegExp])[] = [
  ['not YAML', (y) => y.replace('cluster: home', 'cluster: "home'), /home\.yaml:\d+:\d+ {2}is not YAML/],
  [
    'a vmid twice',
    (y) => y.replace('vmid: 103', 'vmid: 101'),
    /home\.yaml:\d+:11 {2}containers\.db\.vmid {2}vmid 101 is already used by dns/,
  ],
  [
    'a name twice',
    (y) => y.replace('  db:\n', '  dns:\n'),
    /home\.yaml:\d+:3 {2}containers\.dns {2}is given twice \(first in line \d+\)/,
  ],
  [
    'an unknown key',
    (y) => y.replace('maxAge', 'maxage'),
    /home\.yaml:\d+:5 {2}defaults\.backup\.maxage {2}is an unknown key {2}did you mean maxAge\?/,
  ],
  [
    'a bad duration',
    (y) => y.replace('interval: 10s', 'interval: a minute'),
    /home\.yaml:\d+:13 {2}defaults\.interval {2}is not a duration {2}write a whole number with a unit/,
  ],
  [
    'a literal secret',
    (y) => y.replace('file:.lab/token', 'proxwarden@pve!lab=0f0f0f0f-0000-4000-8000-0f0f0f0f0f0f'),
    /home\.yaml:\d+:10 {2}api\.token {2}/,
  ],
];

for (const [what, edit, says] of MISTAKES)
  test(`inventory: ${what}`, async (t) => {
    const place = inventory(t, edit);
    for (const command of ['validate', 'check-and-failover']) await refused(place, [command], 2, says);
  });

test('inventory: all problems are told at once, each with its place', async (t) => {
  const { dir, state } = inventory(t, (y) =>
    y.replace('10s', 'sixty').replace('maxAge: 24h', 'maxAge: 24 hours'),
  );
  const ran = await inProcess(['validate', '--inventory', dir, '--state', state]);
  assert.equal(ran.code, 2);
  assert.match(ran.stderr, /:\d+:\d+ {2}defaults\.interval .*\n.*:\d+:\d+ {2}defaults\.backup\.maxAge .*\n$/);
});

test('inventory: a folder that is missing, empty, or named in the environment', async (t) => {
  const { dir, state } = inventory(t);
  const missing = join(dir, 'nowhere');
  await refused({ dir: missing, state }, ['check'], 2, /nowhere {2}the inventory folder does not exist/);
  mkdirSync(missing);
  await refused(
    { dir: missing, state },
    ['check'],
    2,
    /nowhere {2}the inventory folder holds no \*\.yaml file/,
  );
  const ran = await inProcess(['validate'], { env: { PROXWARDEN_INVENTORY: dir } });
  assert.deepEqual(
    [ran.code, ran.stdout],
    [0, '1 file, 1 cluster, 4 containers: 3 protected, 3 of them automatically\n'],
  );
  const here = await inProcess(['validate'], { cwd: tmpdir() });
  assertRefused(here, 2, /\/inventory {2}the inventory folder does not exist/);
});

test('names that the inventory does not have', async (t) => {
  const place = inventory(t, (yaml) => yaml.replaceAll(/ +- manual.*\n/g, ''));
  mkdirSync(join(place.dir, '.lab'));
  writeFileSync(
    join(place.dir, '.lab', 'token'),
    'proxwarden@pve!lab=00000000-0000-4000-8000-000000000000\n',
    { mode: 0o600 },
  );
  writeFileSync(join(place.dir, '.lab', 'ca.pem'), '');
  const nobody = /^proxwarden: there is no container nobody in the inventory \(dns, db, web, wiki\)\n$/;
  for (const words of [
    ['check', 'nobody'],
    ['check-and-failover', 'nobody'],
    ['decide', 'dns', 'nobody'],
    ['failover', 'nobody'],
    ['backup', 'nobody'],
    ['backup', 'list', 'nobody'],
    ['restore', 'nobody', '--vmid', '901'],
    ['status', 'nobody'],
    ['ack', 'nobody'],
  ])
    await refused(place, words, 2, nobody);
  await refused(
    place,
    ['check', '--cluster', 'away'],
    2,
    /there is no cluster away in the inventory \(home\)/,
  );
  const node = /there is no node pve9 under nodes: in the inventory \(pve1, pve2, pve3\)/;
  await refused(place, ['fence', 'confirm', 'pve9'], 2, node);
  await refused(place, ['fence', 'status', 'pve9'], 2, node);
  await refused(place, ['fence', 'confirm'], 2, /which node\? `fence confirm NODE`/);
  await refused(
    place,
    ['fence', 'confirm', 'pve1'],
    2,
    /does not take a person's word for pve1: add `- manual`/,
  );
});

test('flags that make no sense', async (t) => {
  const place = inventory(t);
  mkdirSync(join(place.dir, '.lab'));
  writeFileSync(
    join(place.dir, '.lab', 'token'),
    'proxwarden@pve!lab=00000000-0000-4000-8000-000000000000\n',
    { mode: 0o600 },
  );
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['failover dns --plan ../../x', /"\.\.\/\.\.\/x" is not a plan id/],
    ['failover dns --resume nothing', /"nothing" is not an operation id; `proxwarden status` lists/],
    [
      'failover dns --resume op-20261122T231930-0519e2',
      /there is no operation op-20261122T231930-0519e2 in /,
    ],
    ['failover dns --plan abcdef123456 --to pve2', /--plan and --to don't go together/],
    ['failover dns --plan abcdef123456 --planned', /--plan and --planned don't go together/],
    ['failover dns --to', /--to needs a value \(see `proxwarden failover --help`\)/],
    ['failover', /something is missing: proxwarden failover <name>/],
    ['restore dns --vmid some', /--vmid needs a whole number from 100 to 999999999/],
    ['restore dns --vmid 99', /--vmid needs a whole number from 100 to 999999999/],
    ['check --verbose', /there is no argument or flag: --verbose \(see `proxwarden check --help`\)/],
    ['ack dns web', /there is no argument or flag: web/],
    ['fence cut pve1', /action can't be "cut"; it is one of status, test, confirm, off, on/],
    ['check --log-level loud', /log-level can't be "loud"; it is one of error, warn, info, debug/],
  ];
  for (const [line, says] of wrong) await refused(place, line.split(' '), 2, says);
  await refused(
    place,
    ['failover', 'dns', '--plan', 'abcdef123456'],
    4,
    /there is no plan abcdef123456; run `check` and/,
  );
});

test('tokens that are missing, unreadable, or open to others', async (t) => {
  const place = inventory(t);
  await refused(
    place,
    ['check'],
    2,
    /the secret file .*\.lab\/token does not exist\n {2}→ create it with the secret/,
  );
  mkdirSync(join(place.dir, '.lab'));
  const token = join(place.dir, '.lab', 'token');
  writeFileSync(token, 'garbage\n', { mode: 0o600 });
  await refused(
    place,
    ['check'],
    2,
    /the API token of cluster home is not of the form user@realm!name=secret/,
  );
  rmSync(token);
  writeFileSync(token, 'proxwarden@pve!lab=00000000-0000-4000-8000-000000000000\n', { mode: 0o644 });
  await refused(place, ['check'], 2, /token .*(others|mode 644|chmod)/);
  const fromEnv = inventory(t, (y) => y.replace('file:.lab/token', 'env:PROXWARDEN_E2E_TOKEN'));
  await refused(fromEnv, ['check'], 2, /the environment variable PROXWARDEN_E2E_TOKEN, .* is not set/);
});
