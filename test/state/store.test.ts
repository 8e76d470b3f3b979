import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { emptyState } from '../../lib/state/model.ts';
import { openState } from '../../lib/state/store.ts';
import { bundleWorker, runTogether, scratch } from './children.ts';

const root = scratch();
let worker = '';
before(async () => {
  worker = await bundleWorker(root);
});
const deps = { clock: systemClock };

function newDir(): string {
  return join(mkdtempSync(join(root, 'store-')), 'state');
}

describe('openState', () => {
  test('makes the folder for this user only; nothing in it is the empty state', () => {
    const dir = newDir();
    const store = openState(join(dir, 'deep'), deps);
    assert.equal(statSync(store.dir).mode & 0o777, 0o700);
    assert.deepEqual(store.read(), emptyState());
    assert.deepEqual(readdirSync(store.dir), [], 'reading writes nothing');
  });

  test('refuses a folder that others can write into, a link and a file', () => {
    const dir = newDir();
    mkdirSync(dir);
    for (const mode of [0o770, 0o707, 0o777]) {
      chmodSync(dir, mode);
      assert.throws(() => openState(dir, deps), {
        exitCode: 2,
        message: /can be written by other users.*chmod go-w/,
      });
    }
    chmodSync(dir, 0o755);
    openState(dir, deps);
    symlinkSync(dir, `${dir}-link`);
    assert.throws(() => openState(`${dir}-link`, deps), { exitCode: 2, message: /symbolic link/ });
    assert.throws(() => openState(`${dir}-link/`, deps), { exitCode: 2, message: /symbolic link/ });
    writeFileSync(join(dir, 'file'), '');
    assert.throws(() => openState(join(dir, 'file'), deps), { exitCode: 2, message: /is not a folder/ });
    assert.throws(() => openState(join(dir, 'file', 'x'), deps), {
      exitCode: 1,
      message: /a part of the path is not a folder/,
    });
  });
});

describe('update', () => {
  test('writes what was changed, and nothing when the change throws', async () => {
    const store = openState(newDir(), deps);
    const written = await store.update((state) => {
      state.failovers.push(5);
    });
    assert.deepEqual(written.failovers, [5]);
    assert.deepEqual(openState(store.dir, deps).read(), written);
    await assert.rejects(
      store.update((state) => {
        state.failovers.push(6);
        throw new Error('no');
      }),
      /^Error: no$/,
    );
    await assert.rejects(
      store.update((state) => {
        state.lastRunAt = Number.NaN;
      }),
      /^Error: bug/,
    );
    assert.deepEqual(store.read().failovers, [5]);
  });

  test('processes that update at the same time lose no increment', async () => {
    const dir = newDir();
    await runTogether(worker, 6, ['update', dir, '15']);
    const state = openState(dir, deps).read();
    assert.equal(state.lastRunAt, 90);
    assert.equal(Object.keys(state.told).length, 90);
    assert.deepEqual(readdirSync(dir), ['lock', 'state.json']);
  });

  test('a corrupt or newer state file stops reading and updating, and stays as it is', async () => {
    const store = openState(newDir(), deps);
    await store.update((state) => {
      state.lastRunAt = 1;
    });
    const path = join(store.dir, 'state.json');
    const good = readFileSync(path, 'utf8');
    for (const [text, words] of [
      ['', /state file .*state\.json is corrupt \(it is empty\).*lineage lines rebuild what matters/],
      [good.slice(0, good.length / 2), /is corrupt \(it ends too early|is corrupt \(line/],
      [good.replace('"version": 1', '"version": 2'), /newer ProxWarden/],
      [good.replace('"lastRunAt": 1', '"lastRunAt": "1"'), /lastRunAt: Invalid input/],
    ] as const) {
      writeFileSync(path, text);
      assert.throws(() => store.read(), { name: 'StateError', exitCode: 1, message: words });
      await assert.rejects(
        store.update(() => undefined),
        { exitCode: 1, message: words },
      );
      assert.equal(readFileSync(path, 'utf8'), text);
    }
  });
});

test('readers share one object until the file has other bytes', async () => {
  const dir = newDir();
  const ours = openState(dir, deps);
  const theirs = openState(dir, deps);
  await ours.update((s) => void (s.told = { a: '1' }));
  const first = ours.read();
  assert.equal(ours.read(), first);
  await theirs.update((s) => void (s.told['b'] = '2'));
  assert.deepEqual(ours.read().told, { a: '1', b: '2' });
  assert.deepEqual(first.told, { a: '1' });
  assert.throws(() => (first.told['x'] = 'changed by a reader'), TypeError);
  const given = await ours.update((s) => void (s.told['c'] = '3'));
  const after = ours.read();
  given.told['d'] = 'changed by whoever it was given to';
  assert.deepEqual(after.told, { a: '1', b: '2', c: '3' });
  assert.equal(ours.read(), after);
});
