import assert from 'node:assert/strict';
import { uptime } from 'node:os';
import { before, describe, test } from 'node:test';
import type { Lease } from '../../lib/state/model.ts';
import { isAlive, Owner, sameOwner, thisProcess } from '../../lib/state/owner.ts';
import { bundleWorker, killChild, scratch, startChild } from './children.ts';

const root = scratch();
let worker = '';
before(async () => {
  worker = await bundleWorker(root);
});

/** With a heartbeat of just now. */
const heard = (owner: Owner): Lease => ({ ...owner, heartbeatAt: Date.now() });

describe('isAlive', () => {
  test('another boot of this machine is over, unless it has been heard of since ours: then it is a clone of it', (t) => {
    const here = thisProcess();
    if (here.started === null) return t.skip('there is no /proc here');
    const [ticks, space, , machine] = here.started.split('@');
    for (const id of [machine, '']) {
      const other: Owner = { ...here, started: [ticks, space, 'ffffffff', id].join('@') };
      assert.equal(isAlive({ ...other, heartbeatAt: Date.now() - (uptime() + 60) * 1000 }), 'dead');
      assert.equal(isAlive(heard(other)), 'unknown');
    }
    return undefined;
  });

  test('this process is; one that never was, is not', () => {
    assert.equal(isAlive(heard(thisProcess())), 'alive');
    assert.equal(isAlive(heard({ ...thisProcess(), pid: 4_194_305 })), 'dead');
  });

  test('a child is until it is killed', async () => {
    const child = startChild(worker, ['whoami']);
    await child.printed;
    const owner = Owner.parse(JSON.parse(child.stdout()));
    assert.equal(owner.pid, child.process.pid);
    assert.ok(!sameOwner(owner, thisProcess()));
    assert.equal(isAlive(heard(owner)), 'alive');
    child.process.kill('SIGSTOP');
    assert.equal(isAlive(heard(owner)), 'alive');
    await killChild(child);
    assert.equal(isAlive(heard(owner)), 'dead');
  });

  test('without a start time it goes by the pid', () => {
    assert.equal(isAlive(heard({ ...thisProcess(), started: null })), 'alive');
    assert.equal(isAlive(heard({ ...thisProcess(), pid: 4_194_305, started: null })), 'dead');
  });

  test('what is elsewhere, or no pid at all, is unknown', () => {
    assert.equal(isAlive(heard({ ...thisProcess(), host: 'elsewhere' })), 'unknown');
    assert.equal(isAlive(heard({ ...thisProcess(), pid: 0 })), 'unknown');
    assert.equal(isAlive(heard({ ...thisProcess(), pid: -1 })), 'unknown');
  });
});
