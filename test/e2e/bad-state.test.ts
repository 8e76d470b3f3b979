/** A state folder that can't be trusted or written: nothing is lost, and nothing is asked of the cluster. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { mountTmpfs } from '../scratch.ts';
import { inProcess, openInside } from './in-process.ts';
import { assertRefused } from './stage.ts';
import { tasksOf } from './tasks.ts';

describe('a state folder', { concurrency: 3 }, () => {
  test('a state file that is corrupt or of a newer version is refused and left as it is', async (t) => {
    const stage = await openInside(t);
    const good = await stage.run('check-and-failover');
    assert.equal(good.code, 0, good.stderr);
    const file = join(stage.state, 'state.json');
    const text = readFileSync(file, 'utf8');
    // What else can be wrong with it: test/state/versions.
    const broken: readonly (readonly [string, RegExp])[] = [
      [text.slice(0, 200), /state file .*state\.json is corrupt/],
      [text.replace('"version": 1', '"version": 2'), /state\.json was written by a newer ProxWarden/],
    ];
    for (const [wrong, says] of broken) {
      writeFileSync(file, wrong);
      for (const words of [
        ['check-and-failover'],
        ['status'],
        ['failover', 'dns', '--planned'],
        ['ack', 'dns'],
      ]) {
        assertRefused(await stage.run(...words), 1, says);
        assert.equal(readFileSync(file, 'utf8'), wrong, 'it is as it was');
      }
    }
    assert.deepEqual(await tasksOf(stage), [], 'nothing was asked of the cluster');
    writeFileSync(file, text);
    assert.equal((await stage.run('check-and-failover')).code, 0);
  });

  test('a journal that is corrupt keeps its container from being touched, and says so', async (t) => {
    const stage = await openInside(t, { speed: 20 });
    assert.equal((await stage.run('check-and-failover')).code, 0);
    assert.equal((await stage.run('backup', 'web')).code, 0);
    const folder = join(stage.state, 'operations');
    const [name = ''] = readdirSync(folder);
    writeFileSync(join(folder, name), readFileSync(join(folder, name), 'utf8').slice(0, 300));
    const refused = await stage.run('failover', 'web', '--planned');
    assert.equal(refused.code, 75, refused.stderr);
    assert.match(refused.stderr, /web: .*op-\S+\.json/);
    const run = await stage.run('check-and-failover');
    assert.equal(run.code, 1, run.stderr);
    assert.match(run.stderr, /^warning: operation journal .*op-\S+\.json is corrupt/);
    assert.deepEqual(await tasksOf(stage), ['vzdump 102']);
  });

  test('a state folder that is a link, or that others can write, is refused', async (t) => {
    const stage = await openInside(t);
    mkdirSync(stage.state, { mode: 0o700 });
    const link = join(stage.folder, 'link');
    symlinkSync(stage.state, link);
    const linked = await inProcess(['check', '--inventory', stage.dir, '--state', link]);
    assertRefused(
      linked,
      2,
      /the state folder .*link is a symbolic link; name the folder itself with --state/,
    );
    chmodSync(stage.state, 0o777);
    assertRefused(await stage.run('check'), 2, /can be written by other users \(mode 777\).*chmod go-w/);
  });

  test('a state folder that is read-only: the run says so and touches nothing', async (t) => {
    const own = mountTmpfs(t, 'size=1m');
    if ('why' in own) return t.skip(own.why);
    const stage = await openInside(t, { speed: 20, state: own.dir });
    assert.equal((await stage.run('check-and-failover')).code, 0);
    const before = readFileSync(join(stage.state, 'state.json'), 'utf8');
    own.remount('ro');
    await stage.nodeDies('pve1');
    await sleep(600);
    const run = await stage.run('check-and-failover');
    assertRefused(run, 1, /cannot .*: read-only file system — nothing was changed; /);
    assertRefused(await stage.run('failover', 'dns'), 1, /cannot .*: read-only file system/);
    assert.deepEqual(await tasksOf(stage), []);
    assert.equal(readFileSync(join(stage.state, 'state.json'), 'utf8'), before);
    own.remount('rw');
    const healed = await stage.run('check-and-failover');
    assert.equal(healed.code, 0, healed.stdout + healed.stderr);
    assert.deepEqual(stage.lab.violations, []);
  });

  test('a disk that is full: the run says so, the state is as it was, and it goes on when there is space', async (t) => {
    const own = mountTmpfs(t, 'size=128k,nr_inodes=200');
    if ('why' in own) return t.skip(own.why);
    const stage = await openInside(t, { speed: 20, state: own.dir });
    assert.equal((await stage.run('check-and-failover')).code, 0);
    const before = readFileSync(join(stage.state, 'state.json'), 'utf8');
    const filler = join(stage.state, 'filler');
    spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k']);
    await stage.nodeDies('pve1');
    await sleep(600);
    assertRefused(
      await stage.run('check-and-failover'),
      1,
      /cannot .*: no space left on device — nothing was changed; free/,
    );
    assert.equal(readFileSync(join(stage.state, 'state.json'), 'utf8'), before);
    assert.deepEqual(await tasksOf(stage), []);
    // Room for the beginning of an operation, and not for its end.
    writeFileSync(filler, '');
    spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k', 'count=12']);
    const cut = await stage.run('check-and-failover');
    assert.doesNotMatch(cut.stderr, /VIOLATION/);
    spawnSync('rm', [filler]);
    for (let n = 0; n < 6 && stage.running().join() !== 'db,dns,web,wiki'; n += 1) {
      await sleep(600);
      await stage.run('check-and-failover');
    }
    assert.deepEqual(stage.running(), ['db', 'dns', 'web', 'wiki'], cut.stderr);
    assert.deepEqual(stage.lab.violations, []);
    const tasks = await tasksOf(stage);
    assert.deepEqual(
      tasks.filter((task, n) => task.startsWith('vzrestore') && task === tasks[n - 1]),
      [],
    );
  });

  test("the lab's inventory keeps its state beside it, any other in ./state; --state and the environment win", async (t) => {
    const stage = await openInside(t);
    const beside = await inProcess(['check', '--inventory', stage.dir], { cwd: stage.folder });
    assert.equal(beside.code, 0, beside.stderr);
    assert.ok(existsSync(join(stage.dir, '.lab', 'state', 'state.json')));
    const status = await inProcess(['status', '--inventory', stage.dir], { cwd: stage.folder });
    assert.match(status.stdout, /^last run: never$/m);
    const named = join(stage.folder, 'named');
    await inProcess(['check', '--inventory', stage.dir], {
      cwd: stage.folder,
      env: { PROXWARDEN_STATE: named },
    });
    assert.ok(existsSync(join(named, 'state.json')));
    const real = stage.inventory('real', (yaml) => yaml.replaceAll('.lab/', 'secrets/'));
    cpSync(join(real, '.lab'), join(real, 'secrets'), { recursive: true });
    spawnSync('rm', ['-r', join(real, '.lab')]);
    const ran = await inProcess(['check', '--inventory', real], { cwd: stage.folder });
    assert.equal(ran.code, 0, ran.stderr);
    assert.ok(existsSync(join(stage.folder, 'state', 'state.json')));
  });
});
