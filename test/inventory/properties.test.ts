/** Whatever is written: an inventory loads or is refused with places and fixes, never anything else. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { stringify } from 'yaml';
import { InventoryError, loadInventory } from '../../lib/inventory/load.ts';
import { ResolvedContainer } from '../../lib/inventory/resolved.ts';
import type { Container } from '../../lib/inventory/types.ts';
import { folder } from './folder.ts';

const PROGRAM = '#!/bin/sh\n';
const VALID = {
  cluster: 'home',
  api: { endpoints: ['https://10.0.0.11:8006'], token: 'env:T', tls: { insecure: true }, timeout: '5s' },
  canaries: ['ping:10.0.0.1', { tcp: '10.0.0.1:53' }],
  nodes: {
    pve1: {
      fence: [
        'manual',
        { http: { off: 'http://p/', status: { url: 'http://p/', field: 'on', off: false } } },
      ],
    },
  },
  defaults: {
    backup: { storage: 'nas', maxAge: '24h' },
    failover: { restoreStorage: 'local' },
    nodes: ['pve2'],
  },
  limits: { failoversPerRun: 3 },
  hooks: { before: ['hooks/a'] },
  containers: {
    dns: {
      vmid: 101,
      checks: [{ tcp: '10.0.0.53:53' }, { http: { url: 'http://a', status: [200, '300-399'] } }],
      priority: 1,
    },
    web: {
      vmid: 102,
      mode: 'observe',
      checks: [{ dns: { server: 'a', name: 'b' }, timeout: '1s' }, { exec: 'hooks/a' }],
    },
  },
};

/** Loads; true when it was accepted. Anything but an InventoryError with usable problems fails the test. */
function accepted(dir: string): boolean {
  try {
    loadInventory(dir);
    return true;
  } catch (error) {
    assert.ok(error instanceof InventoryError, error instanceof Error ? error.stack : String(error));
    assert.ok(error.problems.length > 0);
    for (const problem of error.problems) {
      assert.ok(problem.message !== '' && problem.fix !== '', JSON.stringify(problem));
      assert.doesNotMatch(problem.message, /undefined|\[object|Invalid input/);
    }
    return false;
  }
}

test('changed characters: loads or InventoryError', (t) => {
  const dir = folder(t, { 'hooks/a': PROGRAM });
  const text = stringify(VALID);
  const edit = fc.record({
    at: fc.nat(text.length),
    remove: fc.nat(12),
    insert: fc.oneof(
      fc.string({ maxLength: 4 }),
      fc.constantFrom(
        '\n',
        '\t',
        ': ',
        '- ',
        '[',
        '{',
        '"',
        '&a ',
        '*a',
        '!!x ',
        '<<: ',
        '? ',
        '\r\n',
        '---\n',
        '#',
        '~',
        '\u0000',
        '%',
      ),
    ),
  });
  let good = 0;
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      let changed = text;
      for (const { at, remove, insert } of edits)
        changed = changed.slice(0, at) + insert + changed.slice(at + remove);
      writeFileSync(join(dir, 'a.yaml'), changed);
      if (accepted(dir)) good++;
    }),
    { numRuns: 150 },
  );
  assert.ok(good < 400, 'no edit was noticed');
});

test('changed values: loads or InventoryError', (t) => {
  const dir = folder(t, { 'hooks/a': PROGRAM });
  const paths = allPaths(VALID);
  const value = fc.oneof(
    fc.constantFrom<unknown>(
      null,
      '',
      0,
      -1,
      1.5,
      1e300,
      true,
      [],
      {},
      [[]],
      [null],
      'env:',
      'file:',
      'x',
      '1s',
      'pve2',
      101,
      'a/b',
    ),
    fc.jsonValue({ maxDepth: 2 }),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...paths), value), { minLength: 1, maxLength: 3 }),
      (changes) => {
        const data: unknown = structuredClone(VALID);
        for (const [path, replacement] of changes) replaceAt(data, path, replacement);
        writeFileSync(join(dir, 'a.yaml'), stringify(data));
        accepted(dir);
      },
    ),
    { numRuns: 150 },
  );
});

test('any bytes: loads or InventoryError', (t) => {
  const dir = folder(t, {});
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      writeFileSync(join(dir, 'a.yaml'), bytes);
      accepted(dir);
    }),
    { numRuns: 100 },
  );
});

type Step = string | number;

function allPaths(value: unknown, base: readonly Step[] = []): (readonly Step[])[] {
  if (typeof value !== 'object' || value === null) return [base];
  const entries: [Step, unknown][] = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  const inner = entries.flatMap(([key, item]) => allPaths(item, [...base, key]));
  return base.length === 0 ? inner : [base, ...inner];
}

function replaceAt(data: unknown, path: readonly Step[], value: unknown): void {
  let parent: unknown = data;
  for (const step of path.slice(0, -1)) {
    if (typeof parent !== 'object' || parent === null) return;
    parent = Reflect.get(parent, step);
  }
  if (typeof parent === 'object' && parent !== null) Reflect.set(parent, path.at(-1) ?? '', value);
}

const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,10}$/);
const int = fc.nat(1_000_000);
const common = { label: fc.string(), timeoutMs: int, attempts: int };
const hook = fc.record({ path: fc.string(), args: fc.array(fc.string()), timeoutMs: int });
const probe = fc.oneof(
  fc.record({ ...common, kind: fc.constant('tcp' as const), host: fc.string(), port: int }),
  fc.record({ ...common, kind: fc.constant('ping' as const), host: fc.string() }),
  fc.record({
    ...common,
    kind: fc.constant('dns' as const),
    server: fc.string(),
    port: int,
    name: fc.string(),
    type: fc.constantFrom(
      'A' as const,
      'AAAA' as const,
      'TXT' as const,
      'MX' as const,
      'NS' as const,
      'SOA' as const,
      'CNAME' as const,
      'PTR' as const,
    ),
  }),
  fc.record({
    ...common,
    kind: fc.constant('exec' as const),
    path: fc.string(),
    args: fc.array(fc.string()),
  }),
  fc.record(
    {
      ...common,
      kind: fc.constant('http' as const),
      url: fc.webUrl(),
      method: fc.constantFrom('GET' as const, 'HEAD' as const),
      status: fc.array(fc.tuple(int, int)),
      body: fc.string(),
      insecure: fc.boolean(),
    },
    { requiredKeys: ['label', 'timeoutMs', 'attempts', 'kind', 'url', 'method', 'status', 'insecure'] },
  ),
);
const resolved: fc.Arbitrary<Container> = fc.record({
  name,
  file: fc.string(),
  line: int,
  cluster: name,
  vmid: int,
  mode: fc.constantFrom('protect', 'observe', 'off'),
  priority: int,
  nodes: fc.array(fc.record({ cluster: name, node: name })),
  require: fc.constantFrom('all', 'any'),
  checks: fc.array(probe),
  intervalMs: int,
  rebootGraceMs: int,
  failureThreshold: int,
  recoveryThreshold: int,
  home: fc.option(fc.string(), { nil: null }),
  macs: fc.array(fc.string()),
  backup: fc.record({
    storage: name,
    maxAgeMs: int,
    beforeFailover: fc.constantFrom('when-source-alive', 'never'),
    requireVerified: fc.boolean(),
    mode: fc.constantFrom('auto', 'snapshot', 'suspend', 'stop'),
    keep: fc.option(
      fc.record({ last: int, hourly: int, daily: int, weekly: int, monthly: int, yearly: int }),
    ),
  }),
  failover: fc.record({
    auto: fc.boolean(),
    identity: fc.constant('new-vmid'),
    proof: fc.constantFrom('fenced', 'stopped', 'offline-accepted'),
    returnRisk: fc.constantFrom('refused', 'accepted'),
    autostart: fc.constantFrom('pve', 'proxwarden'),
    unseenRisk: fc.constantFrom('refused', 'accepted'),
    cooldownMs: int,
    maxPerDay: int,
    restoreStorage: name,
    mountStorage: fc.dictionary(fc.constantFrom('mp0', 'mp1'), name),
    restoreVia: fc.constantFrom('api', 'shell'),
    acceptLoss: fc.array(fc.constantFrom('mp0', 'lxc.mount.entry')),
    vmids: fc.array(int),
    placement: fc.constantFrom('order', 'spread'),
    maxAttempts: int,
    verifyMs: int,
    restart: int,
  }),
  elsewhere: fc.dictionary(
    name,
    fc.record({
      vmids: fc.array(int),
      backupStorage: fc.string(),
      restoreStorage: fc.string(),
      mountStorage: fc.dictionary(name, fc.string()),
    }),
  ),
  hooks: fc.record({ before: fc.array(hook), after: fc.array(hook) }),
});

test('a resolved container comes back from a journal as it went in', () => {
  fc.assert(
    fc.property(resolved, (container) => {
      assert.deepEqual(
        ResolvedContainer.parse(JSON.parse(JSON.stringify(container))),
        JSON.parse(JSON.stringify(container)),
      );
    }),
  );
});

test('so does every container that the loader makes', (t) => {
  const dir = folder(t, { 'hooks/a': PROGRAM, 'a.yaml': stringify(VALID) });
  for (const container of Object.values(loadInventory(dir).containers)) {
    assert.deepEqual(ResolvedContainer.parse(JSON.parse(JSON.stringify(container))), container);
  }
});
