/** What is wrong is said with its place and its fix, all at once, and without repeating secrets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InventoryError, loadInventory } from '../../lib/inventory/load.ts';
import { container, folder, HEAD, linesIn, linesOf } from './folder.ts';

const UUID = '01234567-89ab-cdef-0123-456789abcdef';

test('the message lists every problem of every file as file:line:col  path  what is wrong  what would be right', (t) => {
  const dir = folder(t, {
    'a.yaml': HEAD.replace('defaults:', 'defalts:'),
    'b.yaml': 'cluster: home\ncontainers:\n  dns:\n    vmid: 99\n   x: 2\n',
    'c.yaml': `cluster: home\ncontainers:\n${container('c', 103, '    interval: 90\n    failover: { proof: stoped }\n')}`,
  });
  assert.throws(
    () => loadInventory(dir),
    (error: unknown) => {
      assert.ok(error instanceof InventoryError);
      assert.deepEqual(error.message.replaceAll(`${dir}/`, '').split('\n'), [
        'a.yaml:5:1  defalts  is an unknown key  did you mean defaults?',
        'b.yaml:5:1  is not YAML: wrong indentation  align it with the lines that it belongs to',
        'c.yaml:6:15  containers.c.interval  has no unit  for example 90s, 15m or 24h',
        'c.yaml:7:24  containers.c.failover.proof  is "stoped", which is not known here  did you mean stopped?',
      ]);
      return true;
    },
  );
});

const ONE = `containers:\n  dns:\n    vmid: 101\n    checks: [{ ping: a }]\n`;
function fenceCases(cases: Record<string, [string, RegExp]>): [string, string, RegExp][] {
  return Object.entries(cases).map(([what, [yaml, line]]) => [
    `fence: ${what}`,
    `nodes: { pve1: { fence: [{ ${yaml} }] } }\n`,
    line,
  ]);
}
/** What is added to a valid file (lines 1–8, then `containers:` with dns in 9–12) and the one line that comes out. */
const CASES: readonly [string, string, RegExp][] = [
  [
    'a duplicate name',
    `${ONE}  dns:\n    vmid: 102\n    checks: [{ ping: a }]\n`,
    /^13:3 {2}containers\.dns {2}is given twice \(first in line 10\) {2}keep one/,
  ],
  [
    'a duplicate vmid',
    ONE + container('web', 101),
    /^14:11 {2}containers\.web\.vmid {2}vmid 101 is already used by dns in .*:11 {2}/,
  ],
  [
    'a duplicate vmid of a container that is wrong otherwise',
    `${ONE}  web: { vmid: 101, modes: off, mode: off }\n`,
    /^13:16 .*already used by dns[^]*13:21 {2}containers\.web\.modes {2}is an unknown key {2}did you mean mode\?/,
  ],
  [
    'a pool that meets an original',
    ONE + container('web', 1_000_101),
    /^11:11 {2}containers\.dns\.vmid {2}vmid 1000101 is already used by web in .*:14 {2}.*failover\.vmids/,
  ],
  [
    'a given pool that meets another',
    `${ONE}    failover: { vmids: [901, 902] }\n${container('web', 102, '    failover: { vmids: [903, 902, 903] }\n')}`,
    /^17:30 .*vmids\[1\] {2}vmid 902 is already used by dns[^]*17:35 .*vmid 903 is already used by web/,
  ],
  [
    'a vmid too large for the default pool',
    `containers:\n${container('web', 1_000_000)}`,
    /^11:11 {2}containers\.web\.vmid {2}is too large to derive.*failover\.vmids/,
  ],
  [
    'a vmid that is no vmid',
    `containers:\n${container('web', 99)}`,
    /^11:11 {2}containers\.web\.vmid {2}must be at least 100/,
  ],
  [
    'a vmid as text',
    'containers:\n  web: { vmid: "101", checks: [{ ping: a }] }\n',
    /^10:16 {2}containers\.web\.vmid {2}must be a number, but is text/,
  ],
  [
    'no vmid',
    'containers:\n  web: { checks: [{ ping: a }] }\n',
    /^10:3 {2}containers\.web\.vmid {2}is missing {2}add vmid:/,
  ],
  [
    'an unknown key',
    `${ONE}    failureTreshold: 3\n`,
    /^13:5 {2}containers\.dns\.failureTreshold {2}is an unknown key {2}did you mean failureThreshold\?/,
  ],
  [
    'an unknown key unlike any other',
    'xyzzy: 3\n',
    /^9:1 {2}xyzzy {2}is an unknown key {2}known here: cluster, api,/,
  ],
  [
    'a key that is not available yet',
    `${ONE}    failover: { standby: true }\n`,
    /^13:17 .*standby {2}is an unknown key {2}not available yet/,
  ],
  [
    'same-vmid without a shell',
    `${ONE}    failover: { identity: same-vmid }\n`,
    /^13:27 .*identity {2}needs a root shell on the nodes of home {2}add shell: /,
  ],
  ['a duration without unit', `${ONE}    interval: 90\n`, /^13:15 .*interval {2}has no unit/],
  ['a bad duration', `${ONE}    interval: 1 minute\n`, /^13:15 .*interval {2}is not a duration {2}.*15m/],
  [
    'a duration out of bounds',
    `${ONE}    interval: 0s\n    failover: { verify: 7d }\n`,
    /^13:15 .*interval {2}is too short {2}at least 1 s[^]*verify {2}is too long {2}at most 1 h/,
  ],
  [
    'a timeout over a minute',
    'containers:\n  web: { vmid: 101, checks: [{ ping: a, timeout: 61s }] }\n',
    /^10:50 .*timeout {2}is too long {2}at most 1 min/,
  ],
  [
    'no checks',
    'containers:\n  web: { vmid: 101 }\n',
    /^10:3 {2}containers\.web\.checks {2}is missing {2}add at least one check/,
  ],
  ['an empty list of nodes', `${ONE}    nodes: []\n`, /^13:5 {2}containers\.dns\.nodes {2}is missing/],
  [
    'an unknown cluster',
    `${ONE}    nodes: [hom/pve2]\n`,
    /^13:13 {2}containers\.dns\.nodes\[0\] {2}the cluster hom is not in the inventory {2}did you mean home\/pve2\?/,
  ],
  [
    'a node written differently',
    `nodes: { PVE2: }\n${ONE}`,
    /^8:11 {2}defaults\.nodes\[0\] {2}no node is called pve2 {2}did you mean PVE2\?/,
  ],
  [
    'a node twice',
    `${ONE}    nodes: [pve2, home/pve2]\n`,
    /^13:19 .*nodes\[1\] {2}home\/pve2 is given twice/,
  ],
  [
    'a bad node name',
    `${ONE}    nodes: [pve_2, -pve]\n`,
    /^13:13 .*must be a node, or cluster\/node[^]*13:20/,
  ],
  [
    'a bad container name',
    `containers:\n${container('Web_1', 101)}`,
    /^10:3 {2}containers\.Web_1 {2}must be a container name/,
  ],
  [
    'control characters in a name',
    'containers:\n  "a\\e[2Jb":\n    vmid: 101\n',
    /^10:3 {2}containers {2}has the key "a\\u001b\[2Jb" with control characters/,
  ],
  [
    'control characters in a value',
    ONE.replace('ping: a', 'ping: "a\\e[2J"'),
    /^12:22 .*ping {2}contains control characters[^]*is not a host/,
  ],
  [
    '__proto__',
    '__proto__: { a: 1 }\n',
    /^9:1 {2}has the key "__proto__", which is reserved|^9:1 {4}has the key "__proto__", which is reserved/,
  ],
  [
    'constructor',
    'containers:\n  constructor: { vmid: 101 }\n',
    /^10:3 {2}containers {2}has the key "constructor", which is reserved/,
  ],
  [
    'a merge key',
    'containers:\n  web:\n    <<: { vmid: 101 }\n    vmid: 102\n    checks: [{ ping: a }]\n',
    /^11:5 .*is a YAML merge key, which is not supported/,
  ],
  ['a tag', 'containers: !!map {}\n', /^9:1\d? {2}containers {2}has a YAML tag/],
  ['a second document', '---\ncluster: b\n', /^9:1 .*second YAML document/],
  ['a complex key', '? [a]\n: 1\n', /^9:3 .*has a key that is not plain text/],
  [
    'an empty section',
    'containers:\n',
    /^9:1 {2}containers {2}must be a mapping, but is empty {2}fill it in or remove/,
  ],
  [
    'a check without kind',
    'containers:\n  web: { vmid: 101, checks: [{ timeout: 3s }] }\n',
    /^10:30 .*checks\[0\] {2}says no kind of check/,
  ],
  [
    'a check with two kinds',
    'containers:\n  web: { vmid: 101, checks: [{ ping: a, tcp: "a:1" }] }\n',
    /^10:30 .*checks\[0\] {2}holds more than one kind/,
  ],
  ['a tcp check without port', ONE.replace('ping: a', 'tcp: 10.0.0.53'), /^12:21 .*tcp {2}is not host:port/],
  [
    'IPv6 without brackets',
    ONE.replace('ping: a', 'tcp: "fd00::1:53"'),
    /^12:21 .*tcp {2}is not host:port {2}.*\[fd00::53\]:53/,
  ],
  ['a host that would be an option', ONE.replace('ping: a', 'ping: -f'), /^12:22 .*ping {2}is not a host/],
  ['an impossible address', ONE.replace('ping: a', 'ping: 10.0.0.300'), /^12:22 .*ping {2}is not a host/],
  ['a port out of range', ONE.replace('ping: a', 'tcp: "a:65536"'), /^12:21 .*tcp {2}is not host:port/],
  [
    'another scheme',
    ONE.replace('ping: a', 'http: "file:///etc/passwd"'),
    /^12:22 .*http {2}is not an http\(s\) URL/,
  ],
  [
    'a bad status',
    ONE.replace('ping: a', 'http: { url: "http://a", status: [399-200, 99] }'),
    /status\[0\] {2}is not a range[^]*status\[1\] {2}must be at least 100/,
  ],
  [
    'a body with HEAD',
    ONE.replace('ping: a', 'http: { url: "http://a", method: HEAD, body: x }'),
    /http\.body {2}can not be checked with method HEAD/,
  ],
  [
    'bad parts of a dns check',
    ONE.replace('ping: a', 'dns: { server: "a b", name: "x..y", type: AXFR }'),
    /type {2}is "AXFR", which is not known here/,
  ],
  [
    'a bad canary',
    'canaries: [ping:-f, "dns:10.0.0.1", 5, "http:http://u:p@a/"]\n',
    /^9:12 {2}canaries\[0\] {2}is not a canary[^]*9:21 [^]*9:37 {2}canaries\[2\] {2}must be text or a mapping, but is a number[^]*canaries\[3\] {2}has credentials/,
  ],
  [
    'an unknown fence',
    'nodes: { pve1: { fence: [redfish] } }\n',
    /^9:26 {2}nodes\.pve1\.fence\[0\] {2}is not a fence driver/,
  ],
  ...fenceCases({
    'an agent that cuts storage, not power': [
      'agent: { name: fence_scsi }',
      /agent\.name {2}fence_scsi does not switch/,
    ],
    'a switch that is not there counts as off': [
      'agent: { name: fence_apc, options: { missing_as_off: 1 } }',
      /options\.missing_as_off {2}would take a wrong plug for one that is off/,
    ],
    'a program through an option': [
      'agent: { name: fence_ipmilan, options: { ipmitool_path: /tmp/x } }',
      /options\.ipmitool_path {2}names a program or a file/,
    ],
    'a password among the options': [
      'agent: { name: fence_ipmilan, options: { passwd: sesame } }',
      /options\.passwd {2}is a secret {2}put it under password or secrets/,
    ],
    'an option in an option': [
      'agent: { name: fence_ipmilan, options: { ip: "a\\naction=on" } }',
      /options\.ip {2}must be one line/,
    ],
    'an agent by path': [
      'agent: { name: ../../tmp/fence_x }',
      /agent\.name {2}must be the name of a fence agent/,
    ],
    'a controller without TLS': [
      'redfish: { url: "http://10.0.0.9", user: a, password: env:X }',
      /redfish\.url {2}is not the address of a controller/,
    ],
    'a program among the secrets': [
      'agent: { name: fence_ipmilan, secrets: { passwd_script: env:X } }',
      /secrets\.passwd_script {2}names a program or a file, which an inventory may not {2}leave it out/,
    ],
    'a literal password of a controller': [
      'redfish: { url: "https://10.0.0.9", user: a, password: sesame }',
      /redfish\.password {2}holds a literal value/,
    ],
    'a plug by its URL': [
      'shelly: { host: "http://10.0.0.71/", gen: 2 }',
      /shelly\.host {2}must be an address or a name/,
    ],
    'a Shelly of which generation?': ['shelly: { host: 10.0.0.71 }', /shelly\.gen {2}is missing/],
    'a user of a Shelly that has only admin': [
      'shelly: { host: 10.0.0.71, gen: 2, user: me, password: env:X }',
      /shelly\.user {2}has no user but admin/,
    ],
    'one plug that stands for two': [
      'all: [{ tasmota: { host: 10.0.0.71 } }, { tasmota: { host: 10.0.0.71 } }]',
      /all\[1\] {2}names the same switch twice/,
    ],
    'one supply is not several': ['all: [{ tasmota: { host: 10.0.0.71 } }]', /all {2}/],
    'a person among the supplies': [
      'all: [{ tasmota: { host: a } }, { manual: {} }]',
      /all\[1\]\.manual {2}is an unknown key/,
    ],
    'two drivers in one entry': [
      'manual: {}, agent: { name: fence_apc }',
      /must name one fence driver {2}give exactly one of http, shelly, tasmota, agent, redfish, all, /,
    ],
  }),
  [
    'a fence that says nothing',
    'nodes: { pve1: { fence: [{}] } }\n',
    /fence\[0\] {2}must name one fence driver/,
  ],
  ['a bad MAC', `${ONE}    macs: ["00:11"]\n`, /^13:12 .*macs\[0\] {2}must be a MAC address/],
];

for (const [name, more, expected] of CASES) {
  test(`${name} is refused`, (t) => {
    assert.match(linesOf(t, HEAD + more).join('\n'), expected);
  });
}

const API: readonly [string, string, RegExp][] = [
  ['http', '["http://10.0.0.11:8006"]', /endpoints\[0\] {2}is not an API endpoint/],
  ['a path', '["https://10.0.0.11:8006/api2"]', /is not an API endpoint/],
  ['user info', '["https://root@10.0.0.11:8006"]', /is not an API endpoint/],
  ['bare IPv6', '["https://fd00::1"]', /is not an API endpoint/],
  [
    'the same twice',
    '["https://Pve1", "https://pve1:8006/"]',
    /^3:31 {2}api\.endpoints\[1\] {2}is already given in .*:3 /,
  ],
  ['none', '[]', /^3:3 {2}api\.endpoints {2}must have at least 1 entries/],
];
for (const [name, endpoints, expected] of API) {
  test(`endpoints: ${name} is refused`, (t) => {
    assert.match(linesOf(t, HEAD.replace('["https://10.0.0.11:8006"]', endpoints)).join('\n'), expected);
  });
}

test('tls: one way only, and a real fingerprint', (t) => {
  const tls = (text: string): string =>
    linesOf(t, HEAD.replace('  token:', `  tls: ${text}\n  token:`)).join('\n');
  assert.match(
    tls('{ fingerprint: "AB:CD" }'),
    /^4:23 {2}api\.tls\.fingerprint {2}is not a SHA-256 fingerprint/,
  );
  assert.match(
    tls(`{ fingerprint: ["${'AB:'.repeat(31)}CD", "AB:CD"] }`),
    /^4:\d+ {2}api\.tls\.fingerprint\[1\] {2}is not a SHA-256 fingerprint/,
  );
  assert.match(tls('{ fingerprint: [] }'), /api\.tls\.fingerprint {2}must have at least 1 /);
  assert.match(tls('{ fingerprint: 7 }'), /api\.tls\.fingerprint {2}must be text or a list, /);
  assert.match(tls('{ ca: /etc/ca.pem, insecure: true }'), /^4:3 {2}api\.tls {2}says several ways/);
  assert.match(tls('{ ca: ../ca.pem }'), /api\.tls\.ca {2}is outside of the inventory folder/);
});

test('each cluster is defined by exactly one file', (t) => {
  const lines = linesIn(
    folder(t, {
      'a.yaml': HEAD,
      'b.yaml': HEAD.replace('10.0.0.11', '10.0.0.12'),
      'c.yaml': 'cluster: hone\n',
      'd.yaml': 'cluster: home\ncanaries: [ping:a]\n',
      'e.yaml': 'containers: {}\n',
    }),
  );
  assert.deepEqual(lines.length, 4);
  assert.match(lines[0] ?? '', /^2:1 {2}api {2}of home is already defined in .*a\.yaml:2 /);
  assert.match(
    lines[1] ?? '',
    /^1:10 {2}cluster {2}no file defines api for the cluster hone {2}did you mean home\?/,
  );
  assert.match(
    lines[2] ?? '',
    /^2:1 {2}canaries {2}belongs to the file that defines api of home {2}move it to .*a\.yaml/,
  );
  assert.match(lines[3] ?? '', /^1:1 {2}cluster {2}is missing {2}add cluster: NAME/);
});

test('one endpoint is in one cluster', (t) => {
  const dir = folder(t, { 'a.yaml': HEAD, 'b.yaml': HEAD.replace('cluster: home', 'cluster: other') });
  assert.match(linesIn(dir).join('\n'), /^3:15 {2}api\.endpoints\[0\] {2}is already given in .*a\.yaml:3/);
});

test('names are unique over files; limits and global hooks agree', (t) => {
  const hooks = { 'hooks/a': '#!/bin/sh\n', 'hooks/b': '#!/bin/sh\n' };
  const lines = linesIn(
    folder(t, {
      'a.yaml': `${HEAD}limits: { failoversPerRun: 2 }\nhooks: { before: [hooks/a] }\ncontainers:\n${container('x', 101)}`,
      'b.yaml': `limits: { failoversPerHour: 5, failoversPerRun: 3 }\nhooks: { before: [hooks/b] }\n`,
      'c.yaml': `cluster: home\ncontainers:\n${container('x', 102)}`,
      ...hooks,
    }),
  );
  assert.equal(lines.length, 3);
  assert.match(lines[0] ?? '', /^1:49 {2}limits\.failoversPerRun {2}differs from .*a\.yaml:9/);
  assert.match(lines[1] ?? '', /^2:10 {2}hooks\.before {2}differs from .*a\.yaml:10/);
  assert.match(lines[2] ?? '', /^3:3 {2}containers\.x {2}is already defined in .*a\.yaml:12/);
});

test('a wrong default is one problem, however many containers inherit it', (t) => {
  const text = `${HEAD}  hooks: { after: [hooks/none] }\ncontainers:\n${container('a', 101)}${container('b', 102)}`;
  assert.deepEqual(linesOf(t, text), [
    '9:20  defaults.hooks.after[0]  does not exist  paths are relative to the inventory folder',
  ]);
});

test('a literal secret is an error that does not repeat it', (t) => {
  const literals = [
    'root@pam!x=' + UUID,
    'hunter2hunter2',
    '*hunter2hunter2',
    '!hunter2hunter2',
    '"hunter2hunter2',
    'env:hunter2-hunter2',
  ];
  for (const literal of literals) {
    const text = HEAD.replace('env:PROXWARDEN_HOME_TOKEN', literal);
    const all = linesOf(t, text).join('\n');
    assert.doesNotMatch(all, /hunter2|89ab/, literal);
    // An open quote is only noticed at the end of the file.
    assert.match(all, literal.startsWith('"') ? /^9:1 / : /^4:/, literal);
  }
});

test('a literal password of a fence is refused too', (t) => {
  const fence = `nodes: { a: { fence: [{ http: { off: "http://p/", status: { url: "http://p/", field: a, off: b }, password: sesame } }] } }\n`;
  const lines = linesOf(t, HEAD + fence);
  assert.equal(lines.length, 1);
  assert.match(
    lines[0] ?? '',
    /password {2}holds a literal value .* {2}put the secret into an environment variable or a file/,
  );
  assert.doesNotMatch(lines[0] ?? '', /sesame/);
});

test('what looks like an API token is found wherever it is, even as a key or in a wrong word', (t) => {
  const places = [
    `${HEAD}hooks: { before: [{ path: x, args: [--token, ${UUID}] }] }\n`,
    `${HEAD}x-${UUID}: 1\n`,
    HEAD.replace('cluster: home', `cluster: ${UUID}`),
    `${HEAD}defaults2: ${UUID}\n`,
    HEAD.replace('nodes: [pve2]', `mode: ${UUID}`),
  ];
  for (const text of places) {
    const all = linesOf(t, text).join('\n');
    assert.match(
      all,
      /looks like an API token's secret|is an unknown key|must be a cluster name|not known here/,
    );
    assert.doesNotMatch(all, /89ab/);
  }
});

test('references are env:NAME or file:PATH, nothing else', (t) => {
  const token = (text: string): string =>
    linesOf(t, HEAD.replace('env:PROXWARDEN_HOME_TOKEN', text)).join('\n');
  assert.match(token('file:../home.token'), /^4:10 {2}api\.token {2}is outside of the inventory folder/);
  assert.match(token('"file:"'), /^4:10 {2}api\.token {2}names no file/);
  assert.match(token('env:1X'), /is not a variable's name/);
  assert.match(token('12345'), /must be text, but is a number/);
});

test('a token, or a user with a password: exactly one of the two, and never a secret itself', (t) => {
  const api = (text: string): string[] =>
    linesOf(t, HEAD.replace('  token: env:PROXWARDEN_HOME_TOKEN\n', text));
  assert.deepEqual(api('  token: env:T\n  user: a@pve\n  password: env:P\n'), [
    '5:3  api.user  stands beside api.token  keep the token, or user and password',
  ]);
  assert.deepEqual(api('  password: env:P\n  token: env:T\n'), [
    '4:3  api.password  stands beside api.token  keep the token, or user and password',
  ]);
  assert.deepEqual(api(''), [
    '2:1  api.token  is missing  add token: env:NAME or file:PATH (or user and password)',
  ]);
  assert.deepEqual(api('  user: a@pve\n'), [
    '2:1  api.password  is missing  add password: env:NAME or file:PATH',
  ]);
  assert.deepEqual(api('  password: env:P\n'), ['2:1  api.user  is missing  add user: USER@REALM']);
  assert.deepEqual(api('  user: a@pve\n  password: hunter2\n'), [
    '5:13  api.password  holds a literal value where only a reference to a secret may be  put the secret into an environment variable or a file: env:NAME or file:PATH',
  ]);
  for (const user of ['a', 'a@pve!cli', 'a@', '"a b@pve"'])
    assert.deepEqual(api(`  user: ${user}\n  password: env:P\n`), [
      '4:9  api.user  must be a user with its realm, without the name of a token  for example proxwarden@pve',
    ]);
});

test('groups that are kept apart: names that there are, one list each', (t) => {
  const lines = linesIn(
    folder(t, {
      'a.yaml': `${HEAD}keepApart: { dns: [dns1, dsn2], one: [dns1] }\ncontainers:\n${container('dns1', 101)}${container('dns2', 102)}`,
      'b.yaml': 'keepApart: { dns: [dns1, dns2] }\n',
    }),
  );
  assert.match(
    lines[0] ?? '',
    /^9:26 {2}keepApart\.dns\[1\] {2}no container is called dsn2 {2}did you mean dns2\?/,
  );
  assert.match(lines[1] ?? '', /keepApart\.one /);
  assert.match(
    lines[2] ?? '',
    /^1:14 {2}keepApart\.dns {2}is already given in .*a\.yaml:9 {2}one list per group/,
  );
  assert.equal(lines.length, 3);
});
