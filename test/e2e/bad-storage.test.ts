/** Storages, vmids, backups and plans that won't do: said in a sentence, and nothing half-done. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { inProcess, openInside } from './in-process.ts';
import { assertRefused, assertUntouched, told, type Ran } from './stage.ts';
import { tasksOf } from './tasks.ts';

describe('storages, vmids and plans', { concurrency: 2 }, () => {
  test('an unknown node or storage: blocked before anything is stopped', async (t) => {
    const stage = await openInside(t, { speed: 20 });
    const node = await stage.run('failover', 'web', '--planned', '--to', 'pve9');
    assert.equal(node.code, 4, told(node));
    assert.match(
      node.stderr,
      /^proxwarden: web is not failed over: target: .*there is no node pve9 in cluster home\n/,
    );
    const restore = await stage.run('restore', 'web', '--to', 'pve9', '--vmid', '901');
    assertRefused(restore, 4, /web can't be restored: home\/pve9: there is no node pve9 in cluster home/);
    const run = async (dir: string, ...words: string[]): Promise<Ran> =>
      inProcess([...words, '--inventory', dir, '--state', stage.state]);
    const nowhere = stage.inventory('nowhere', (yaml) => yaml.replace('storage: nas', 'storage: nowhere'));
    const target = await run(nowhere, 'failover', 'web', '--planned');
    assert.equal(target.code, 4, told(target));
    assert.match(
      target.stderr,
      /backup: pve1 can't see the backup storage nowhere.*\n {2}→ compare backup\.storage/,
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
    const stage = await openInside(t, { speed: 20 });
    assert.equal((await stage.run('check-and-failover')).code, 0);
    await stage.nodeDies('pve1');
    const run = (dir: string, ...words: string[]): Promise<Ran> =>
      inProcess(['failover', 'dns', '--inventory', dir, '--state', stage.state, ...words]);
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
    const stage = await openInside(t, {
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
    const out = await inProcess(['failover', 'dns', '--inventory', dir, '--state', stage.state]);
    assert.equal(out.code, 0, told(out));
    assert.deepEqual(stage.running(), ['db', 'dns', 'stranger', 'wiki']);
  });

  test('a plan that is expired, stale, or from another inventory is refused, and nothing is done', async (t) => {
    const stage = await openInside(t, { speed: 20 });
    assertRefused(await stage.run('decide'), 5, /there is no observation in .* yet; run `check` first/);
    assert.equal((await stage.run('check-and-failover')).code, 0);
    await stage.nodeDies('pve1');
    await sleep(600);
    assert.equal((await stage.run('check', '--count')).code, 3);
    const decided = await stage.run('decide', '--json');
    assert.equal(decided.code, 3, told(decided));
    const { plan: id } = z.looseObject({ plan: z.string() }).parse(JSON.parse(decided.stdout));
    const other = stage.inventory('other', (yaml) => yaml.replace('priority: 1', 'priority: 9'));
    const foreign = await inProcess([
      'failover',
      'dns',
      '--plan',
      id,
      '--inventory',
      other,
      '--state',
      stage.state,
    ]);
    assertRefused(foreign, 4, /plan \w+ was made from another inventory\n  → run `check` and `decide` again/);
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
