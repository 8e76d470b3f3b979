import assert from 'node:assert/strict';
import { access, constants, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parse } from 'yaml';
import * as z from 'zod';
import { InputError } from '../../lib/errors.ts';
import { exampleInventory, examplePorts, exampleWorld } from '../../lib/lab/example.ts';

const world = exampleWorld({ portBase: 18_000, secret: '0' });

test('the committed inventory is the one for port base 18000', async () => {
  assert.equal(await readFile('inventory/example/home.yaml', 'utf8'), exampleInventory(18_000));
});

test('with another port base it is the same inventory on other ports', () => {
  const moved = exampleInventory(23_000);
  assert.ok(!moved.includes('127.0.0.1:18'));
  assert.equal(moved.replaceAll('127.0.0.1:23', '127.0.0.1:18'), exampleInventory(18_000));
});

test('all ports differ, and lie within 100 of the base', () => {
  const { api, ...others } = examplePorts(18_000);
  assert.deepEqual(api, { pve1: 18_006, pve2: 18_016, pve3: 18_026 });
  const ports = [...Object.values(api), ...Object.values(others)];
  assert.equal(new Set(ports).size, ports.length);
  for (const port of ports) assert.ok(port > 18_000 && port < 18_100, String(port));
});

test('a port base without room is refused', () => {
  for (const base of [80, 65_500, 18_000.5, Number.NaN]) assert.throws(() => examplePorts(base), InputError);
});

const Inventory = z.object({
  cluster: z.string(),
  nodes: z.record(z.string(), z.object({ fence: z.array(z.unknown()).min(1) })),
  containers: z.record(
    z.string(),
    z.object({
      vmid: z.number(),
      nodes: z.array(z.string()),
      checks: z.array(z.unknown()).min(1),
      hooks: z.object({ after: z.array(z.string()) }).optional(),
    }),
  ),
});

test('the inventory names what is in the world: cluster, nodes, containers, other nodes as targets', () => {
  const inventory = Inventory.parse(parse(exampleInventory(18_000)));
  assert.equal(inventory.cluster, world.cluster);
  const nodes = world.nodes.map(({ name }) => name);
  assert.deepEqual(Object.keys(inventory.nodes), nodes);
  assert.deepEqual(
    Object.entries(inventory.containers)
      .map(([name, { vmid }]) => `${vmid} ${name}`)
      .toSorted(),
    world.containers.map(({ vmid, hostname }) => `${vmid} ${hostname}`),
  );
  for (const { vmid, nodes: targets } of Object.values(inventory.containers)) {
    const home = world.containers.find((container) => container.vmid === vmid)?.node;
    for (const target of targets)
      assert.ok(nodes.includes(target) && target !== home, `${vmid} to ${target}`);
  }
});

test('every service of the world has a check at its address', () => {
  const text = exampleInventory(18_000);
  for (const { hostname, services } of world.containers) {
    for (const { host, port } of services ?? [])
      assert.ok(text.includes(`${host}:${port}`), `${hostname} ${port}`);
  }
});

test('the hook that the inventory names can be executed', async () => {
  const { containers } = Inventory.parse(parse(exampleInventory(18_000)));
  const hooks = Object.values(containers).flatMap((container) => container.hooks?.after ?? []);
  assert.equal(hooks.length, 1);
  for (const hook of hooks) await access(`inventory/example/${hook}`, constants.X_OK);
});

test('the token may do what the facts list as enough, and nothing else', () => {
  const storage = ['Datastore.Audit', 'Datastore.AllocateSpace'];
  assert.deepEqual(
    world.tokens.map(({ privileges }) => privileges),
    [
      {
        '/': ['Sys.Audit', 'Sys.Console'],
        '/vms': ['VM.Audit', 'VM.Backup', 'VM.PowerMgmt', 'VM.Config.Options', 'VM.Allocate'],
        '/storage/local': storage,
        '/storage/nas': storage,
        '/sdn/zones/localnetwork': ['SDN.Use'],
      },
    ],
  );
});

test('every container has a backup of four hours and one of 28, and restores in two to four seconds', () => {
  for (const { vmid, diskMiB = 0 } of world.containers) {
    const ages = (world.backups ?? [])
      .filter((backup) => backup.vmid === vmid)
      .map(({ ageSeconds }) => ageSeconds / 3600);
    assert.deepEqual(new Set(ages), new Set([4, 28]));
    assert.equal(ages.length, 2);
    const seconds = diskMiB / (world.throughputMiB ?? 100);
    assert.ok(seconds >= 1.5 && seconds <= 4, `${vmid}: ${seconds} s`);
  }
});
