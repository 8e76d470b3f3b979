/** The state folder on disks that really fail: full, out of inodes, read-only, another user's. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import * as z from 'zod';
import { errnoOf } from '../../lib/state/durable.ts';
import { count } from '../contract/count.ts';
import { mountTmpfs } from '../scratch.ts';
import { attemptAll, fillState } from './attempts.ts';
import { bundleWorker, scratch, startChild } from './children.ts';

const root = scratch();
const Attempts = z.record(z.string(), z.string());
const NOBODY = { uid: 65_534, gid: 65_534, cwd: '/' };

/** All files below `dir` with their content, except one that may hold half an event now. */
function contents(dir: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(dir, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile() && !/^(ballast|events)/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .toSorted()
      .map((path) => [path, readFileSync(path, 'utf8')]),
  );
}

/** Until the file system is full: of data, or of files. */
function fillUp(dir: string, how: 'data' | 'files'): void {
  try {
    for (let n = 0; ; n += 1)
      if (how === 'data') writeFileSync(join(dir, 'ballast'), Buffer.alloc(4096), { flag: 'a' });
      else writeFileSync(join(dir, `ballast-${n}`), '');
  } catch (error) {
    assert.equal(errnoOf(error), 'ENOSPC');
  }
}

function removeBallast(dir: string): void {
  for (const name of readdirSync(dir)) if (name.startsWith('ballast')) rmSync(join(dir, name));
}

/** Every read is done and every write refused with these words. Returns how many were refused. */
function assertRefused(came: Record<string, string>, words: RegExp): number {
  const reads = Object.entries(came).filter(([what]) => what.startsWith('read'));
  const writes = Object.entries(came).filter(([what]) => !what.startsWith('read'));
  assert.deepEqual(Object.fromEntries(reads.filter(([, said]) => said !== 'done')), {});
  for (const [what, said] of writes) assert.match(said, words, what);
  return writes.length;
}

function assertAllDone(came: Record<string, string>): void {
  assert.deepEqual(Object.fromEntries(Object.entries(came).filter(([, said]) => said !== 'done')), {});
}

describe('a disk', () => {
  let faults = 0;

  for (const [how, options] of [
    ['data', 'size=96k'],
    ['files', 'size=1m,nr_inodes=24'],
  ] as const)
    test(`that is full (no room for ${how}): says so, loses nothing, goes on when there is room`, async (t) => {
      const disk = mountTmpfs(t, options);
      if ('why' in disk) return t.skip(disk.why);
      await fillState(disk.dir);
      fillUp(disk.dir, how);
      const full = contents(disk.dir);
      const came = await attemptAll(disk.dir);
      // An event needs no new file, and one that is cut by the full disk is passed over.
      if (how === 'files') delete came['write an event'];
      faults += assertRefused(came, /^StateError: cannot .*: no space left on device — .*; free space there/);
      assert.deepEqual(contents(disk.dir), full);
      removeBallast(disk.dir);
      assertAllDone(await attemptAll(disk.dir));
      return undefined;
    });

  test('that is read-only: can be read, a write says why not', async (t) => {
    const disk = mountTmpfs(t, 'size=1m');
    if ('why' in disk) return t.skip(disk.why);
    await fillState(disk.dir);
    const before = contents(disk.dir);
    disk.remount('ro');
    faults += assertRefused(
      await attemptAll(disk.dir),
      /^StateError: cannot .*: read-only file system — .*; mount it writable or name another folder with --state/,
    );
    assert.deepEqual(contents(disk.dir), before);
    disk.remount('rw');
    assertAllDone(await attemptAll(disk.dir));
    return undefined;
  });

  test("that is another user's: permission denied, in words, for the folder and for each file in it", async (t) => {
    if (process.getuid?.() !== 0) return t.skip('only root can run a child as another user');
    const worker = await bundleWorker(root);
    chmodSync(root, 0o755);
    const asNobody = async (dir: string): Promise<Record<string, string>> => {
      const child = startChild(worker, ['attempts', dir], NOBODY);
      assert.equal((await child.exited).code, 0, child.stderr());
      return Attempts.parse(JSON.parse(child.stdout()));
    };
    const dir = join(mkdtempSync(join(root, 'users-')), 'state');
    chmodSync(join(dir, '..'), 0o755);
    mkdirSync(dir, { mode: 0o700 });
    await fillState(dir);
    const before = contents(dir);
    const denied = /^StateError: cannot .*: permission denied — .*; run as the user that owns the folder/;
    for (const [what, said] of Object.entries(await asNobody(dir))) assert.match(said, denied, what);
    chmodSync(dir, 0o755);
    faults += Object.values(await asNobody(dir)).filter((said) => denied.test(said)).length;
    assert.deepEqual(contents(dir), before);
    // Somebody has run it as root once: the folder is the runner's, what is in it isn't.
    chownSync(dir, NOBODY.uid, NOBODY.gid);
    const mixed = await asNobody(dir);
    for (const [what, said] of Object.entries(mixed)) assert.match(said, /^done$|permission denied/, what);
    assert.match(mixed['read the state'] ?? '', denied);
    assert.match(mixed['write the state'] ?? '', denied);
    assert.equal(contents(dir)[join(dir, 'state.json')], before[join(dir, 'state.json')]);
    chownAll(dir);
    assertAllDone(await asNobody(dir));
    count(
      t,
      `${faults} reads and writes of the state on full, read-only and foreign disks: refused in words`,
    );
    return undefined;
  });
});

function chownAll(dir: string): void {
  for (const entry of readdirSync(dir, { withFileTypes: true, recursive: true }))
    lchownSync(join(entry.parentPath, entry.name), NOBODY.uid, NOBODY.gid);
}
