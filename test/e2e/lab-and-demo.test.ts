/** `lab` and `demo` as somebody types them in a clone. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as z from 'zod';
import { examplePorts } from '../../lib/lab/example.ts';
import { tcp } from '../lab/sockets.ts';
import { inProcess } from './in-process.ts';
import { assertRefused, proxwarden, told, type Ran } from './stage.ts';

test('the demo tells its story in less than a minute and ends with 0', async () => {
  const ran = await proxwarden(['demo']);
  assert.equal(ran.code, 0, told(ran));
  assert.ok(ran.ms < 60_000, `${Math.round(ran.ms)} ms`);
  const scenes = [...ran.stdout.matchAll(/^── (.+?) ─/gm)].map((match) => match[1]);
  assert.deepEqual(scenes, [
    'Three nodes, four containers, all is well',
    'Node pve1 dies: power loss. It held dns and web',
    'Cron calls check-and-failover; three failures in a row are needed',
    'The services answer again, from other nodes',
    'Somebody switches pve1 on again: its originals of dns and web are still there',
    'What happened',
  ]);
  for (const n of [1, 2, 3])
    assert.match(ran.stderr, new RegExp(`dns: unhealthy ${n}/3: node pve1 is offline`));
  assert.match(ran.stderr, /pass {2}backup {3}\S+, 4 h old: so much data is lost/);
  assert.match(ran.stderr, /dns: the superseded pve1\/101@0 is back on pve1/);
  assert.match(ran.stdout, /^CONTAINER +DETECTED +DECIDED +RESTORED +VERIFIED +DATA LOST +MOVED\ndns +\+/m);
  assert.match(ran.stdout, /Never two copies at once: the lab recorded no violation\./);
  // A wait says no more than the count that was just told.
  assert.doesNotMatch(ran.stderr, /: wait: /);
  assert.match(ran.stdout, /^4 of 4 containers healthy$/m);
});

test('lab up --background, play, down: as in the README', async (t) => {
  const { api, ...others } = examplePorts(18_000);
  const ports = [...Object.values(api), ...Object.values(others)];
  const taken = await Promise.all(ports.map(async (port) => (await tcp(port)) === 'open'));
  if (taken.includes(true)) return t.skip('somebody listens on the ports of the example (18000 and up)');
  const clone = mkdtempSync(join(tmpdir(), 'proxwarden-e2e-clone-'));
  cpSync(join('inventory', 'example'), join(clone, 'inventory', 'example'), {
    recursive: true,
    filter: (path) => !path.includes('.lab'),
  });
  // Only what starts a lab has to be a process of its own.
  const type = (line: string): Promise<Ran> =>
    (line.includes('lab up') ? proxwarden : inProcess)(line.split(' '), { cwd: clone });
  t.after(async () => {
    await type('lab down');
    rmSync(clone, { recursive: true, force: true });
  });
  const ok = async (line: string): Promise<string> => {
    const ran = await type(line);
    assert.equal(ran.code, 0, `${line}: ${told(ran)}`);
    return ran.stdout;
  };
  assertRefused(
    await type('lab status'),
    2,
    /no lab is running for .*inventory\/example\n {2}→ Start one with/,
  );
  const up = await type('lab up --background --speed 20');
  assert.equal(up.code, 0, told(up));
  assert.match(
    up.stdout,
    /^the lab is up \(pid \d+\): use it with --inventory inventory\/example; `proxwarden lab down` ends it\n$/,
  );
  assertRefused(await type('lab up --background'), 75, /a lab is running for .* already/);
  assert.equal((await type('lab up')).code, 75);
  assert.match(await ok('check --inventory inventory/example'), /^dns +protect +healthy/m);
  const report = z.looseObject({
    nodes: z.array(z.unknown()),
    containers: z.array(z.looseObject({ hostname: z.string(), state: z.string() })),
  });
  const status = async () => report.parse(JSON.parse(await ok('lab status --json')));
  assert.deepEqual([(await status()).nodes.length, (await status()).containers.length], [3, 4]);
  assert.match(await ok('lab status'), /^pve1 +on +up +up +yes$[^]*rule 1 \(never two\): no violation$/m);
  assert.match(await ok('lab break web'), /web/);
  assert.equal((await type('check web --inventory inventory/example')).code, 3);
  assert.match(await ok('lab mend web'), /web/);
  await ok('check web --inventory inventory/example');
  assert.match(await ok('lab fill nas'), /nas/);
  const full = await type('backup db --inventory inventory/example');
  assert.equal(full.code, 1, told(full));
  assert.match(full.stderr, /no space left on device/);
  await ok('lab drain nas');
  await ok('lab cut pve2');
  assert.match(await ok('lab status'), /^pve2 +on +cut /m);
  await ok('lab mend pve2');
  await ok('lab kill pve1');
  assert.equal((await status()).containers.filter((c) => c.state === 'off-with-node').length, 2);
  assert.equal((await type('check --inventory inventory/example')).code, 3);
  await ok('lab revive pve1');
  assertRefused(await type('lab kill pve9'), 2, /pve9/);
  assertRefused(await type('lab kill'), 2, /`lab kill` what\? Name a node, a container or a storage/);
  assert.ok(existsSync(join(clone, 'inventory', 'example', '.lab', 'state')));
  await ok('lab down');
  assert.equal((await type('lab status')).code, 2);
  // A new lab is a new world: what was remembered of the old one is forgotten.
  await ok('lab up --background --speed 20');
  assert.match((await type('status --inventory inventory/example')).stdout, /^last run: never$/m);
  await ok('lab down');
});

test('the lab keeps away from an inventory that is not its own', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'proxwarden-e2e-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'mine'));
  const ran = await proxwarden(['lab', 'up', '--inventory', join(folder, 'mine')]);
  assertRefused(
    ran,
    2,
    /mine is not an inventory for the lab: no file in it uses file:\.lab\/token\n {2}→ copy /,
  );
  assert.ok(!existsSync(join(folder, 'mine', '.lab')));
  assertRefused(
    await proxwarden(['lab', 'up'], { cwd: folder }),
    2,
    /the lab's inventory can't be read: .*\n {2}→ run it in a clone/,
  );
});
