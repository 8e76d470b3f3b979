/** What `init` writes: names, storages, and above all that any cluster gives a file that loads without a problem. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { buildDraft, chooseStorage, clusterNameOf } from '../../lib/inventory/draft-build.ts';
import { namesFor, ownPools } from '../../lib/inventory/draft-names.ts';
import { draftText } from '../../lib/inventory/draft-text.ts';
import type { Surveyed, SurveyedGuest } from '../../lib/inventory/draft.ts';
import { loadInventory } from '../../lib/inventory/load.ts';
import type { Inventory } from '../../lib/inventory/types.ts';
import { word, worlds } from './draft-worlds.ts';

const dir = mkdtempSync(join(tmpdir(), 'proxwarden-draft-'));
after(() => rmSync(dir, { recursive: true, force: true }));

const GUEST: SurveyedGuest = {
  vmid: 101,
  node: 'pve1',
  hostname: 'dns',
  running: true,
  tags: [],
  template: false,
  lock: null,
  managedByHa: false,
  problem: null,
  onboot: true,
  addresses: ['10.0.0.53'],
  dynamic: false,
  gateways: [],
  obstacles: [],
  checks: [{ check: { tcp: '10.0.0.53:53' } }],
};

const SURVEYED: Surveyed = {
  cluster: 'home',
  nodes: ['pve1', 'pve2'].map((name, index) => ({ name, ip: `10.0.0.1${index}`, online: true })),
  storages: [],
  guests: [GUEST],
  vmids: [101],
  virtualMachines: 0,
  canaries: [],
  problems: [],
};

const PIN = (digit: string): string => Array.from({ length: 32 }, () => digit.repeat(2)).join(':');

function textOf(surveyed: Surveyed, taken: readonly string[] = []): string {
  const pins = [PIN('0'), PIN('A')];
  return draftText(
    buildDraft(surveyed, {
      cluster: clusterNameOf(surveyed),
      date: '2026-11-23',
      endpoints: [
        { url: 'https://10.0.0.11:8006', note: 'pve1\nx: y', left: false },
        { url: 'https://10.0.0.12:8006', note: 'pve2 # no', left: true },
      ],
      token: 'env:PROXWARDEN_HOME_TOKEN',
      tls: { kind: 'fingerprint', sha256: pins },
      pinned: new Map(pins.map((pin) => [pin, 'pve1'])),
      backupStorage: chooseStorage(surveyed, 'backup', undefined),
      restoreStorage: chooseStorage(surveyed, 'rootdir', undefined),
      taken,
    }),
  );
}

function load(text: string): Inventory {
  writeFileSync(join(dir, 'home.yaml'), text);
  return loadInventory(dir, { env: {} });
}

test('any cluster gives a file that loads, with every container in it or named as left out', () => {
  fc.assert(
    fc.property(worlds, fc.array(word, { maxLength: 2 }), (world, taken) => {
      const text = textOf(world, taken);
      // oxlint-disable-next-line no-control-regex
      assert.doesNotMatch(
        text,
        /[^\n\u0020-\u007E\u00A0-\uFFFF]|\u202E|\u2028/,
        'something that a terminal obeys',
      );
      const inventory = load(text);
      const containers = Object.values(inventory.containers);
      const vmids = containers.map((one) => one.vmid).toSorted((a, b) => a - b);
      const left = [...text.matchAll(/^# {3}(\d{3,9}) /gm)].map(([, digits]) => Number(digits));
      assert.deepEqual(
        [...vmids, ...left].toSorted((a, b) => a - b),
        world.guests.map((one) => one.vmid).toSorted((a, b) => a - b),
      );
      for (const one of containers) {
        assert.equal(one.failover.auto, false);
        assert.ok(!taken.includes(one.name), one.name);
      }
      assert.equal(textOf(world, taken), text, 'the same cluster, the same file');
    }),
    { numRuns: 100 },
  );
});

test('names come from the first label; what is taken gets more of the hostname, then the vmid', () => {
  const guests = [
    { vmid: 101, hostname: 'DNS.example.org' },
    { vmid: 102, hostname: 'dns.example.net' },
    { vmid: 103, hostname: 'dns' },
    { vmid: 104, hostname: 'Büro_PC ' },
    { vmid: 105, hostname: '…' },
    { vmid: 106, hostname: 'constructor' },
    { vmid: 107, hostname: 'web' },
  ];
  assert.deepEqual(
    [...namesFor(guests, ['web']).values()],
    ['dns', 'dns-example-net', 'dns-103', 'bu-ro-pc', 'ct-105', 'constructor-106', 'web-107'],
  );
});

test('vmids for copies are written only where the derived ones are taken', () => {
  assert.deepEqual([...ownPools([101, 102], [101, 102])], []);
  const pools = ownPools([101, 102, 3_000_102, 990_000_000], [2_000_101]);
  assert.deepEqual([...pools.keys()], [101, 102, 3_000_102, 990_000_000]);
  const all = [...pools.values()].flat();
  assert.equal(new Set(all).size, 12);
  assert.ok(!all.includes(990_000_000));
});

test('storages: a shared one for backups, for disks one that all nodes have; doubts are said', () => {
  const on = (storage: string, node: string, content: string[], shared = false, total = 100) => ({
    storage,
    node,
    active: true,
    shared,
    content,
    total,
    used: 0,
  });
  const world = {
    ...SURVEYED,
    storages: [
      on('local', 'pve1', ['backup'], false, 9999),
      on('local', 'pve2', ['backup'], false, 9999),
      on('nas', 'pve1', ['backup'], true),
      on('fast', 'pve1', ['rootdir'], false, 9999),
      on('lvm', 'pve1', ['rootdir']),
      on('lvm', 'pve2', ['rootdir']),
    ],
  };
  assert.deepEqual(chooseStorage(world, 'backup', undefined), {
    storage: 'nas',
    review: 'pve2 has none of that name',
  });
  assert.match(chooseStorage(world, 'backup', 'local').review ?? '', /^it is not shared, so the backups of/);
  assert.deepEqual(chooseStorage(world, 'rootdir', undefined), { storage: 'lvm', review: null });
  assert.match(chooseStorage(world, 'rootdir', 'tank').review ?? '', /no storage of that name/);
  assert.deepEqual(chooseStorage(SURVEYED, 'backup', undefined).storage, 'CHANGE-ME');
});

test('a stand-alone node is only observed; what was stopped or has no address is off', () => {
  const alone = load(textOf({ ...SURVEYED, cluster: null, nodes: SURVEYED.nodes.slice(0, 1) }));
  assert.equal(alone.containers['dns']?.mode, 'observe');
  assert.deepEqual(Object.keys(alone.clusters), ['pve1']);
  const off = load(
    textOf({
      ...SURVEYED,
      guests: [
        { ...GUEST, running: false, checks: [] },
        { ...GUEST, vmid: 102, hostname: 'lost', addresses: [], checks: [] },
      ],
    }),
  );
  assert.deepEqual(
    Object.values(off.containers).map((one) => one.mode),
    ['off', 'off'],
  );
});

test('the whole text of a small cluster', () => {
  const text = textOf({
    ...SURVEYED,
    guests: [
      { ...GUEST, obstacles: ['feature keyctl cannot be set with a token'] },
      { ...GUEST, vmid: 105, hostname: 'tpl', template: true },
    ],
    canaries: [{ canary: 'ping:10.0.0.1', note: 'gateway of containers', silent: null }],
  });
  assert.match(
    text,
    /^# yaml-language-server: \$schema=\.\/schema\.json\n#\n# The Proxmox VE cluster home, /,
  );
  assert.ok(
    text.includes(
      '    - https://10.0.0.11:8006 # pve1 x: y\n    # - https://10.0.0.12:8006 # REVIEW: pve2 # no\n',
    ),
  );
  assert.ok(text.includes('canaries:\n  - ping:10.0.0.1 # gateway of containers\n'));
  assert.ok(
    text.includes(`containers:
  # dns on pve1, 10.0.0.53
  # REVIEW: feature keyctl cannot be set with a token
  dns:
    vmid: 101
    nodes: [ pve2 ]
    checks:
      - tcp: 10.0.0.53:53

# Not in here:
#   105 tpl: it is a template
`),
  );
  assert.match(text, /no QDevice there is no quorum/);
  assert.doesNotMatch(text, / \n|\n\n\n|[^\n]$/);
});
