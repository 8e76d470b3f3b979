import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { isAlive, Owner, sameOwner, thisProcess } from '../../lib/state/owner.ts';
import { bundleWorker, killChild, scratch, startChild } from './children.ts';

const root = scratch();
let worker = '';
before(async () => {
  worker = await bundleWorker(root);
});

describe('isAlive', () => {
  test('this process is; one that never was, is not', () => {
    assert.equal(isAlive(thisProcess()), 'alive');
    assert.equal(isAlive({ ...thisProcess(), pid: 4_194_305 }), 'dead');
  });

  test('a child is until it is killed', async () => {
    const child = startChild(worker, ['whoami']);
    await child.printed;
    const owner = Owner.parse(JSON.parse(child.stdout()));
    assert.equal(owner.pid, child.process.pid);
    assert.ok(!sameOwner(owner, thisProcess()));
    assert.equal(isAlive(owner), 'alive');
    child.process.kill('SIGSTOP');
    assert.equal(isAlive(owner), 'alive');
    await killChild(child);
    assert.equal(isAlive(owner), 'dead');
  });

  test('without a start time it goes by the pid', () => {
    assert.equal(isAlive({ ...thisProcess(), started: null }), 'alive');
    assert.equal(isAlive({ ...thisProcess(), pid: 4_194_305, started: null }), 'dead');
  });

  test('what is elsewhere, or no pid at all, is unknown', () => {
    assert.equal(isAlive({ ...thisProcess(), host: 'elsewhere' }), 'unknown');
    assert.equal(isAlive({ ...thisProcess(), pid: 0 }), 'unknown');
    assert.equal(isAlive({ ...thisProcess(), pid: -1 }), 'unknown');
  });
});
