/** What the cluster, its token, its storages or a plan may have against it: said in a sentence, and nothing half-done. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { labCertificate } from '../../lib/lab/certificate.ts';
import type { WorldSpec } from '../../lib/lab/types.ts';
import { assertRefused, keepSecret, openStage, proxwarden, type Ran, type Stage } from './stage.ts';
import { tasksOf } from './tasks.ts';

const ENDPOINTS = /(?: {4}- https:.*\n)+/;

function told(ran: Ran): string {
  return `exit ${ran.code}:\n${ran.stdout}${ran.stderr}`;
}

/** Where everybody was in the beginning: the example's four, running, with onboot. */
function assertUntouched({ lab }: Stage, others: readonly number[] = []): void {
  const there = lab
    .status()
    .containers.filter((c) => !others.includes(c.vmid))
    .map((c) => `${c.vmid} ${c.node} ${c.onboot}`);
  assert.deepEqual(there, ['101 pve1 true', '102 pve1 true', '103 pve2 true', '104 pve3 true']);
  assert.deepEqual(lab.violations, []);
}

async function listen(server: Server, t: { after(end: () => void): void }): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => void server.close());
  const address: AddressInfo | string | null = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('the API', { concurrency: 2 }, () => {
  test('a wrong token: refused in words that name it, never its secret', async (t) => {
    const stage = await openStage(t, { speed: 20 });
    const wrong = '11111111-2222-4333-8444-555555555555';
    keepSecret(wrong);
    const dir = stage.inventory('wrong', (yaml) => yaml);
    writeFileSync(join(dir, '.lab', 'token'), `proxwarden@pve!lab=${wrong}\n`);
    const run = (...words: string[]): Promise<Ran> =>
      proxwarden([...words, '--inventory', dir, '--state', stage.state, '--log-level', 'debug']);
    const says =
      /the API of cluster home refuses the token \(Authentication failed!\): check that proxwarden@pve!lab/g;
    for (const [words, code] of [
      [['check'], 5],
      [['check-and-failover'], 5],
      [['reconcile'], 5],
      [['failover', 'dns', '--planned'], 4],
      [['backup', 'dns'], 1],
    ] as const) {
      const ran = await run(...words);
      assert.equal(ran.code, code, told(ran));
      assert.equal(ran.stderr.match(says)?.length, 1, `once: ${told(ran)}`);
    }
    assertUntouched(stage);
  });

  test('an endpoint that refuses, that is no Proxmox VE, or has another certificate', async (t) => {
    const stage = await openStage(t, { speed: 20 });
    const answer = (_: unknown, response: { end(text: string): void }): void =>
      response.end('<html>hello</html>');
    const plain = await listen(createHttp(answer), t);
    const tls = await labCertificate(join(stage.dir, '.lab'), Date.now());
    const html = await listen(createHttps(tls, answer), t);
    const closed = stage.portBase + 99;
    const at = (port: number) => (yaml: string) =>
      yaml.replace(ENDPOINTS, `    - https://127.0.0.1:${port}\n`);
    const cases: readonly (readonly [string, (yaml: string) => string, RegExp])[] = [
      ['closed', at(closed), /cannot reach https:\/\/127\.0\.0\.1:\d+ of cluster home: connection refused/],
      ['plain', at(plain), /cannot reach .* of cluster home: it does not speak TLS \(HTTPS\) on that port/],
      [
        'html',
        at(html),
        /the answer of .* cannot be used: it is a web page, not JSON, so this is not a Proxmox VE API/,
      ],
      [
        'pinned',
        (yaml) => yaml.replace('{ ca: .lab/ca.pem }', `{ fingerprint: "${'AB:'.repeat(31)}AB" }`),
        /its certificate fingerprint is (?:[0-9A-F]{2}:){31}[0-9A-F]{2}, the inventory pins (?:AB:){31}AB/,
      ],
      ['system', (yaml) => yaml.replace(/ {2}tls: .*\n/, ''), /cannot reach .*(certificate|self.signed)/i],
    ];
    for (const [name, edit, says] of cases) {
      const dir = stage.inventory(name, edit);
      const check = await proxwarden([
        'check',
        '--inventory',
        dir,
        '--state',
        join(stage.folder, `state-${name}`),
      ]);
      assert.equal(check.code, 5, told(check));
      assert.match(check.stderr, says);
      for (const line of check.stderr.trimEnd().split('\n')) assert.match(line, /^warning: cluster home: /);
      const backup = await proxwarden([
        'backup',
        'dns',
        '--inventory',
        dir,
        '--state',
        join(stage.folder, `state-${name}`),
      ]);
      assertRefused(backup, 1, says);
    }
    assertUntouched(stage);
  });

  const without =
    (path: string, privilege: string) =>
    (world: WorldSpec): WorldSpec => ({
      ...world,
      tokens: world.tokens.map((token) => ({
        ...token,
        privileges: {
          ...token.privileges,
          [path]: token.privileges[path]?.filter((p) => p !== privilege) ?? [],
        },
      })),
    });
  const PRIVILEGES: readonly (readonly [string, string, number, RegExp])[] = [
    [
      '/',
      'Sys.Audit',
      4,
      /lacks Sys\.Audit on \/ — pveum acl modify \/ --tokens 'proxwarden@pve!lab' --roles ROLE/,
    ],
    ['/vms', 'VM.Audit', 4, /is not in cluster home\n {2}→ .*the token needs VM\.Audit on \/vms/],
    ['/vms', 'VM.PowerMgmt', 1, /lacks VM\.PowerMgmt on \/vms\/101 — pveum acl modify \/vms\/101 --tokens/],
    ['/vms', 'VM.Config.Options', 1, /lacks .*VM\.Config\.Options on \/vms\/101 — pveum acl modify/],
    ['/vms', 'VM.Backup', 1, /403 Permission check failed \(\/vms\/101, VM\.Backup\)/],
    ['/storage/nas', 'Datastore.Audit', 4, /can't see the backup storage nas.*\n {2}→ .*Datastore\.Audit/],
    [
      '/storage/local',
      'Datastore.AllocateSpace',
      1,
      /lacks Datastore\.AllocateSpace on \/storage\/local — pveum acl/,
    ],
    [
      '/sdn/zones/localnetwork',
      'SDN.Use',
      1,
      /403 Permission check failed \(\/sdn\/zones\/localnetwork\/vmbr0, SDN\.Use\)/,
    ],
  ];
  for (const [path, privilege, code, says] of PRIVILEGES)
    test(`a token without ${privilege} on ${path}: it is named, and the original runs on`, async (t) => {
      const stage = await openStage(t, { speed: 30, world: without(path, privilege) });
      const ran = await stage.run('failover', 'dns', '--planned');
      assert.equal(ran.code, code, told(ran));
      assert.match(ran.stderr, says, told(ran));
      assertUntouched(stage);
      assert.deepEqual(stage.running(), ['db', 'dns', 'web', 'wiki']);
      // What can't be helped by trying again is not tried again every minute.
      if (code === 1) assert.match((await stage.run('status', 'dns')).stdout, /HANDS OFF since .*: /);
    });
});

describe('storages, vmids and plans', { concurrency: 2 }, () => {
  test('an unknown node or storage: blocked before anything is stopped', async (t) => {
    const stage = await openStage(t, { speed: 20 });
    const node = await stage.run('failover', 'web', '--planned', '--to', 'pve9');
    assert.equal(node.code, 4, told(node));
    assert.match(
      node.stderr,
      /^proxwarden: web is not failed over: target: .*there is no node pve9 in cluster home\n/,
    );
    const restore = await stage.run('restore', 'web', '--to', 'pve9', '--vmid', '901');
    assertRefused(restore, 4, /web can't be restored: home\/pve9: there is no node pve9 in cluster home/);
    const run = async (dir: string, ...words: string[]): Promise<Ran> =>
      proxwarden([...words, '--inventory', dir, '--state', stage.state]);
    const nowhere = stage.inventory('nowhere', (yaml) => yaml.replace('storage: nas', 'storage: nowhere'));
    const target = await run(nowhere, 'failover', 'web', '--planned');
    assert.equal(target.code, 4, told(target));
    assert.match(
      target.stderr,
      /home\/pve3: it can't see the backup storage nowhere.*\n {2}→ compare backup\.storage/,
    );
    const backup = await run(nowhere, 'backup', 'web');
    assert.equal(backup.code, 1, told(backup));
    assert.match(backup.stderr, /^proxwarden: .*storage 'nowhere' does not exist/m);
    const disk = stage.inventory('disk', (yaml) =>
      yaml.replace('restoreStorage: local', 'restoreStorage: nowhere'),
    );
    const to = await run(disk, 'failover', 'web', '--planned');
    assert.match(to.stderr, /home\/pve3: storage nowhere is not there/, told(to));
    assert.equal(to.code, 4);
    assertUntouched(stage);
    assert.deepEqual(await tasksOf(stage), ['vzdump 102'], 'only the backup that was asked for');
  });

  test('no backup, or none that is young enough: blocked, with the command that accepts the loss', async (t) => {
    const stage = await openStage(t, { speed: 20 });
    assert.equal((await stage.run('check-and-failover')).code, 0);
    await stage.nodeDies('pve1');
    const run = (dir: string, ...words: string[]): Promise<Ran> =>
      proxwarden(['failover', 'dns', '--inventory', dir, '--state', stage.state, ...words]);
    const strict = stage.inventory('strict', (yaml) => yaml.replace('maxAge: 24h', 'maxAge: 1h'));
    const old = await run(strict);
    assert.equal(old.code, 4, told(old));
    const accept = /`proxwarden failover dns --backup (\S+) --accept-data-loss (\d+h)`/.exec(old.stderr);
    assert.match(old.stderr, /backup: the newest sound backup is 4 h old, the RPO is 1 h\n/, told(old));
    const [, volid = '', age = ''] = accept ?? [];
    const none = await run(strict, '--backup', 'nas:backup/none.tar.zst', '--accept-data-loss', '26h');
    assert.equal(none.code, 4, told(none));
    assert.match(
      none.stderr,
      /there is no backup nas:backup\/none\.tar\.zst of dns on nas\n {2}→ `proxwarden backup list dns`/,
    );
    const empty = stage.inventory('empty', (yaml) => yaml.replace('storage: nas', 'storage: local'));
    const nothing = await run(empty);
    assert.equal(nothing.code, 4, told(nothing));
    assert.match(nothing.stderr, /backup: no sound backup of CT 101 on local/);
    const bad = await run(strict, '--backup', volid, '--accept-data-loss', '26');
    assertRefused(bad, 2, /--accept-data-loss 26 is not a duration\n {2}→ write a whole number with a unit/);
    assert.deepEqual(await tasksOf(stage), []);
    const done = await run(strict, '--backup', volid, '--accept-data-loss', age);
    assert.equal(done.code, 0, told(done));
    assert.match(done.stdout, /^dns runs on pve2 as CT 1000101\n$/);
  });

  test('the vmid of the copy is taken by a stranger: nothing is destroyed, and it is said what helps', async (t) => {
    const stage = await openStage(t, {
      speed: 20,
      world: (world) => ({
        ...world,
        containers: [
          ...world.containers,
          { vmid: 1_000_101, node: 'pve3', hostname: 'stranger', running: true, mac: 'BC:24:11:09:09:09' },
        ],
      }),
    });
    assert.equal((await stage.run('check-and-failover')).code, 0);
    const planned = await stage.run('failover', 'dns', '--planned');
    assert.equal(planned.code, 4, told(planned));
    assert.match(
      planned.stderr,
      /vmid 1000101 is taken by stranger on pve3.*\n {2}→ free that vmid, or give the copies others under failover\.vmids\n$/,
    );
    assertUntouched(stage, [1_000_101]);
    await stage.nodeDies('pve1');
    await sleep(600);
    const run = await stage.run('check-and-failover', 'dns');
    assert.equal(run.code, 4, told(run));
    const by = await stage.run('restore', 'dns', '--to', 'pve2', '--vmid', '1000101');
    assertRefused(by, 4, /dns can't be restored: home\/pve2: vmid 1000101 is taken by stranger on pve3/);
    assert.ok(stage.running().includes('stranger'));
    assert.deepEqual(await tasksOf(stage), []);
    // Another list of vmids is the way out.
    const dir = stage.inventory('vmids', (yaml) =>
      yaml.replace('    priority: 1\n', '    priority: 1\n    failover: { vmids: [7101, 7102] }\n'),
    );
    const out = await proxwarden(['failover', 'dns', '--inventory', dir, '--state', stage.state]);
    assert.equal(out.code, 0, told(out));
    assert.deepEqual(stage.running(), ['db', 'dns', 'stranger', 'wiki']);
  });

  test('a plan that is expired, stale, or from another inventory is refused, and nothing is done', async (t) => {
    const stage = await openStage(t, { speed: 20 });
    assertRefused(await stage.run('decide'), 5, /there is no observation in .* yet; run `check` first/);
    assert.equal((await stage.run('check-and-failover')).code, 0);
    await stage.nodeDies('pve1');
    await sleep(600);
    assert.equal((await stage.run('check', '--count')).code, 3);
    const decided = await stage.run('decide', '--json');
    assert.equal(decided.code, 3, told(decided));
    const { plan: id } = z.looseObject({ plan: z.string() }).parse(JSON.parse(decided.stdout));
    const other = stage.inventory('other', (yaml) => yaml.replace('priority: 1', 'priority: 9'));
    const foreign = await proxwarden([
      'failover',
      'dns',
      '--plan',
      id,
      '--inventory',
      other,
      '--state',
      stage.state,
    ]);
    assertRefused(foreign, 4, /plan \w+ was made from another inventory; run `check` and `decide` again/);
    assertRefused(await stage.run('failover', 'db', '--plan', id), 4, /plan \w+ does nothing with db/);
    const file = join(stage.state, 'plans', `${id}.json`);
    const text = readFileSync(file, 'utf8');
    const edited = z.looseObject({ expiresAt: z.number() }).parse(JSON.parse(text));
    writeFileSync(file, JSON.stringify({ ...edited, expiresAt: Date.now() - 120_000 }));
    assertRefused(
      await stage.run('failover', 'dns', '--plan', id),
      4,
      /plan \w+ is stale: it expired 2 min ago/,
    );
    writeFileSync(file, text.slice(0, 100));
    assertRefused(await stage.run('failover', 'dns', '--plan', id), 1, /plan .*\.json is corrupt/);
    writeFileSync(file, text);
    await stage.nodeReturns('pve1');
    const stale = await stage.run('failover', 'dns', '--plan', id);
    assertRefused(
      stale,
      4,
      /plan \w+ is stale: the world has changed \(dns: none: .*\n {2}→ run `check` and `decide`/,
    );
    assert.deepEqual(await tasksOf(stage).then((all) => all.filter((task) => !task.startsWith('vzstart'))), [
      'startall ',
    ]);
    assertUntouched(stage);
  });
});
