import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadInventory } from '../../lib/inventory/load.ts';
import { container, folder, HEAD, linesIn, linesOf } from './folder.ts';
import { FULL, HOOKS, LAB } from './full.ts';

test('several certificates may be pinned: each node has its own', (t) => {
  const pins = ['ab', 'cd'].map((pair) => `${`${pair}:`.repeat(31)}ef`);
  const text = LAB.replace(
    '  token:',
    `  tls: { fingerprint: [${pins.map((pin) => `"${pin}"`).join(', ')}] }\n  token:`,
  );
  const inventory = loadInventory(folder(t, { 'lab.yml': text }));
  assert.deepEqual(inventory.clusters['lab']?.tls, {
    kind: 'fingerprint',
    sha256: pins.map((pin) => pin.toUpperCase()),
  });
});

test('a full inventory is resolved', (t) => {
  const dir = folder(t, { 'home.yaml': FULL, 'lab.yml': LAB, ...HOOKS });
  const inventory = loadInventory(dir);
  const home = inventory.clusters['home'];
  const dns = inventory.containers['dns'];
  assert.ok(home !== undefined && dns !== undefined);
  assert.deepEqual(home.endpoints, [
    'https://10.0.0.11:8006',
    'https://pve2.example.org:8006',
    'https://[fd00::13]:443',
  ]);
  assert.deepEqual(home.credentials, {
    kind: 'token',
    token: { kind: 'file', path: '/etc/proxwarden/home.token' },
  });
  assert.deepEqual(home.tls, { kind: 'fingerprint', sha256: [`${'AB:'.repeat(31)}CD`] });
  assert.equal(home.timeoutMs, 10_000);
  assert.deepEqual(
    home.canaries.map((canary) => [canary.label, canary.timeoutMs, canary.attempts]),
    [
      ['ping 10.0.0.1', 3000, 2],
      ['tcp [fd00::1]:8007', 3000, 2],
      ['http http://10.0.0.1/', 3000, 2],
      ['dns 10.0.0.1 example.org', 3000, 2],
      ['tcp 10.0.0.2:22', 1000, 1],
    ],
  );
  assert.deepEqual(home.nodes['pve1']?.fence, [
    {
      driver: 'http',
      off: { url: 'http://10.0.0.90/rpc/Switch.Set', method: 'POST', body: '{"id":0,"on":false}' },
      status: {
        url: 'http://10.0.0.90/rpc/Switch.GetStatus?id=0',
        method: 'GET',
        field: 'output',
        off: false,
      },
      timeoutMs: 10_000,
      user: 'admin',
      password: { kind: 'env', name: 'PLUG_PASSWORD' },
    },
    { driver: 'manual', validMs: 600_000 },
  ]);
  assert.deepEqual(home.nodes['pve2']?.fence, [{ driver: 'manual', validMs: 1_800_000 }]);
  assert.deepEqual(home.nodes['pve4']?.fence, [
    {
      driver: 'agent',
      agent: 'fence_apc',
      options: { ip: '10.0.0.9', plug: '3', ssl: '1' },
      secrets: { password: { kind: 'env', name: 'A' }, snmp_priv_passwd: { kind: 'env', name: 'B' } },
      timeoutMs: 60_000,
    },
    {
      driver: 'redfish',
      url: 'https://10.0.0.8',
      system: '1',
      user: 'op',
      password: { kind: 'env', name: 'C' },
      tls: { kind: 'system' },
      timeoutMs: 5_000,
    },
  ]);
  assert.deepEqual(home.nodes['pve3']?.fence, []);
  assert.deepEqual(
    dns.checks.map((check) => check.label),
    [
      'tcp 10.0.0.53:53',
      'dns 10.0.0.53 example.org',
      'dns 10.0.0.53:5353 example.org AAAA',
      'http http://10.0.0.53/admin',
      'http http://10.0.0.53/?…',
      'http https://10.0.0.53/',
      'ping 10.0.0.53',
      'exec hooks/check_dns',
      'exec hooks/check_dns',
    ],
  );
  const [, , , admin, , head, , exec, verbose] = dns.checks;
  assert.ok(
    admin?.kind === 'http' && head?.kind === 'http' && exec?.kind === 'exec' && verbose?.kind === 'exec',
  );
  assert.deepEqual([admin.status, admin.body, admin.insecure], [[[200, 399]], 'Pi-hole', false]);
  assert.deepEqual(
    [head.status, head.method, head.insecure],
    [
      [
        [200, 200],
        [300, 302],
        [404, 404],
      ],
      'HEAD',
      true,
    ],
  );
  assert.deepEqual(
    [exec.path, exec.args, exec.timeoutMs],
    [join(inventory.dir, 'hooks/check_dns'), [], 10_000],
  );
  assert.deepEqual([verbose.args, verbose.attempts], [['-v'], 1]);
  const { checks: _checks, ...rest } = dns;
  assert.deepEqual(rest, {
    name: 'dns',
    file: join(dir, 'home.yaml'),
    line: 36,
    cluster: 'home',
    vmid: 101,
    mode: 'protect',
    priority: 1,
    nodes: [
      { cluster: 'home', node: 'pve2' },
      { cluster: 'home', node: 'pve3' },
      { cluster: 'lab', node: 'pve9' },
    ],
    require: 'all',
    intervalMs: 30_000,
    failureThreshold: 3,
    rebootGraceMs: 900_000,
    recoveryThreshold: 2,
    macs: ['BC:24:11:00:00:01'],
    backup: {
      storage: 'nas',
      maxAgeMs: 43_200_000,
      beforeFailover: 'when-source-alive',
      requireVerified: false,
      mode: 'auto',
      keep: null,
    },
    failover: {
      auto: true,
      identity: 'new-vmid',
      proof: 'stopped',
      returnRisk: 'refused',
      autostart: 'pve',
      cooldownMs: 3_600_000,
      unseenRisk: 'refused',
      restoreStorage: 'local-lvm',
      mountStorage: {},
      restoreVia: 'api',
      acceptLoss: [],
      vmids: [1, 2, 3, 4, 5, 6, 7, 8, 9].map((k) => k * 1_000_000 + 101),
      placement: 'order',
      maxAttempts: 2,
      maxPerDay: 2,
      verifyMs: 120_000,
      restart: 1,
    },
    home: null,
    elsewhere: {
      lab: {
        vmids: [101, ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((k) => k * 10_000_000 + 101)],
        backupStorage: 'nas',
        restoreStorage: 'local-lvm',
        mountStorage: {},
      },
    },
    hooks: {
      before: [{ path: join(inventory.dir, 'hooks/notify'), args: [], timeoutMs: 60_000 }],
      after: [],
    },
  });
  assert.deepEqual(inventory.limits, {
    failoversPerRun: 1,
    failoversPerHour: 6,
    restoresPerNode: 1,
    restoresPerStorage: 2,
  });
  assert.deepEqual(inventory.files, [join(dir, 'home.yaml'), join(dir, 'lab.yml')]);
  assert.deepEqual(inventory.warnings, []);
});

test('built-in < cluster defaults < file defaults < container', (t) => {
  const dir = folder(t, {
    'home.yaml': `${HEAD}  interval: 20s\n  failureThreshold: 5\n  hooks: { before: [hooks/notify] }\ncontainers:\n${container('a', 101)}`,
    'more.yaml': `cluster: home\ndefaults: { interval: 30s, backup: { maxAge: 1h } }\ncontainers:\n${container('b', 102)}${container('c', 103, '    interval: 40s\n    hooks: { before: [] }\n')}`,
    ...HOOKS,
  });
  const { containers } = loadInventory(dir);
  const seen = Object.values(containers).map((c) => [
    c.name,
    c.intervalMs,
    c.failureThreshold,
    c.recoveryThreshold,
    c.backup.storage,
    c.backup.maxAgeMs,
    c.hooks.before.length,
  ]);
  assert.deepEqual(seen, [
    ['a', 20_000, 5, 2, 'nas', 86_400_000, 1],
    ['b', 30_000, 5, 2, 'nas', 3_600_000, 1],
    ['c', 40_000, 5, 2, 'nas', 3_600_000, 0],
  ]);
});

test('no containers at all is a valid inventory', (t) => {
  const inventory = loadInventory(folder(t, { 'home.yaml': HEAD }));
  assert.deepEqual(inventory.containers, {});
  assert.deepEqual(inventory.limits, {
    failoversPerRun: 3,
    failoversPerHour: 6,
    restoresPerNode: 1,
    restoresPerStorage: 2,
  });
});

test('observe needs no targets, off needs nothing but a vmid', (t) => {
  const head = 'cluster: home\napi: { endpoints: ["https://10.0.0.11"], token: env:T }\n';
  const off = loadInventory(folder(t, { 'a.yaml': `${head}containers: { a: { vmid: 101, mode: off } }\n` }));
  assert.equal(off.containers['a']?.mode, 'off');
  const observe = `${head}containers: { a: { vmid: 5000101, mode: observe, backup: { storage: nas }, checks: [{ ping: a }] } }\n`;
  assert.deepEqual(loadInventory(folder(t, { 'a.yaml': observe })).containers['a']?.failover.vmids, []);
});

test('CRLF, a byte order mark, aliases and numeric names are fine', (t) => {
  const text = `${HEAD}containers:\n  "7":\n    vmid: 101\n    checks: &c [{ ping: 10.0.0.53 }]\n  8:\n    vmid: 102\n    checks: *c\n`;
  const plain = loadInventory(folder(t, { 'a.yaml': text }));
  const windows = loadInventory(folder(t, { 'a.yaml': `\uFEFF${text.replaceAll('\n', '\r\n')}` }));
  assert.deepEqual(Object.keys(plain.containers), ['7', '8']);
  assert.equal(windows.digest, plain.digest);
  assert.equal(windows.containers['8']?.line, plain.containers['8']?.line);
  const broken = `\uFEFF${HEAD}oops: 1\n`.replaceAll('\n', '\r\n');
  assert.deepEqual(
    linesOf(t, broken).map((line) => line.split('  ')[0]),
    ['9:1'],
  );
});

test('the digest follows the meaning, not the writing', (t) => {
  const digest = (text: string, more: Record<string, string> = {}): string =>
    loadInventory(folder(t, { 'home.yaml': text, ...HOOKS, ...more })).digest;
  const hook = 'hooks: { before: [hooks/notify] }\n';
  const base = digest(`${HEAD}${hook}containers:\n${container('a', 101)}`);
  assert.match(base, /^[0-9a-f]{64}$/);
  assert.equal(digest(`# moved\n\n${hook}${HEAD}containers:\n${container('a', 101)}`), base);
  assert.equal(
    digest(`${HEAD}${hook}`, { 'x.yaml': `cluster: home\ncontainers:\n${container('a', 101)}` }),
    base,
  );
  assert.equal(digest(`${HEAD}${hook}containers:\n${container('a', 101, '    interval: 1m\n')}`), base);
  assert.notEqual(digest(`${HEAD}${hook}containers:\n${container('a', 102)}`), base);
  assert.notEqual(digest(`${HEAD}containers:\n${container('a', 101)}`), base);
  assert.notEqual(
    digest(`${HEAD}${hook}limits: { failoversPerRun: 4 }\ncontainers:\n${container('a', 101)}`),
    base,
  );
});

test('hidden files, other endings and sub-folders are not read', (t) => {
  const dir = folder(t, {
    'a.yaml': HEAD,
    '.b.yaml': '{',
    'c.txt': '{',
    'schema.json': '[',
    'example/d.yaml': '{',
  });
  assert.deepEqual(loadInventory(dir).files, [join(dir, 'a.yaml')]);
});

test('unwise settings are warnings', (t) => {
  const text = HEAD.replace('  token:', '  tls: { insecure: true }\n  token:');
  const fenced = `containers:\n${container('a', 101, '    failover: { proof: fenced }\n')}`;
  const { warnings } = loadInventory(folder(t, { 'a.yaml': text + fenced }));
  assert.equal(warnings.length, 2);
  assert.match(
    warnings.join('\n'),
    /home.*tls\.insecure[^]*a: proof is fenced, but no node of home has a fence/,
  );
});

test('programs outside of the folder run only with the consent of the runner', (t) => {
  const text = `${HEAD}hooks: { before: [/bin/sh] }\ncontainers:\n${container('a', 101)}`;
  const dir = folder(t, { 'a.yaml': text });
  assert.match(
    linesIn(dir).join('\n'),
    /^9:19 {2}hooks\.before\[0\] {2}is outside of the inventory folder {2}.*PROXWARDEN_ALLOWED_HOOKS/,
  );
  const env = { PROXWARDEN_ALLOWED_HOOKS: '/nowhere:/bin/sh' };
  assert.equal(loadInventory(dir, { env }).containers['a']?.hooks.before[0]?.path, '/bin/sh');
  const gone = folder(t, { 'a.yaml': text.replace('/bin/sh', '/nowhere') });
  assert.match(linesIn(gone, env).join('\n'), /can't be reached \(ENOENT\)/);
});

test('a user with a password: the reference is resolved as a token’s is, and counts in the digest', (t) => {
  const api = (user: string): string =>
    `cluster: lab\napi: { endpoints: ["https://10.9.0.1"], user: ${user}, password: file:lab.password }\n`;
  const load = (text: string) => loadInventory(folder(t, { 'a.yaml': text }), { env: {} });
  const inventory = load(api('root@pam'));
  assert.deepEqual(inventory.clusters['lab']?.credentials, {
    kind: 'password',
    user: 'root@pam',
    password: { kind: 'file', path: join(inventory.dir, 'lab.password') },
  });
  assert.notEqual(inventory.digest, load(api('ops@ldap')).digest);
  const insecure = load(api('root@pam').replace('user:', 'tls: { insecure: true }, user:'));
  assert.match(insecure.warnings.join(), /anyone in between can take the secret/);
});

test('groups that are kept apart, of all files together', (t) => {
  const dir = folder(t, {
    'a.yaml': `${HEAD}keepApart: { dns: [a, b, a] }\ncontainers:\n${container('a', 101)}${container('b', 102)}`,
    'b.yaml': `cluster: home\nkeepApart: { db: [a, c] }\ncontainers:\n${container('c', 103)}`,
  });
  assert.deepEqual(loadInventory(dir).keepApart, { dns: ['a', 'b'], db: ['a', 'c'] });
});
