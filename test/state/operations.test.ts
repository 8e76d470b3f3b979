import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import type { Operation } from '../../lib/state/model.ts';
import { newOperationId, openOperations, type OperationStore } from '../../lib/state/operations.ts';
import { thisProcess, type Liveness, type Owner } from '../../lib/state/owner.ts';
import { bundleWorker, killChild, scratch, startChild } from './children.ts';
import { draftOperation, elsewhere } from './fixtures.ts';

const root = scratch();
let worker = '';
before(async () => {
  worker = await bundleWorker(root);
});
const ID = 'op-20260101T000000-000001';
const ID2 = 'op-20260101T000000-000002';
const system = { clock: systemClock };

function newDir(): string {
  return mkdtempSync(join(root, 'operations-'));
}

/** A runner on a host of its own, with a clock that is set by hand. */
function runner(dir: string, self: Owner, liveness: Liveness): OperationStore & { clock: { at: number } } {
  const clock = { at: 1_000_000, now: () => clock.at, sleep: () => Promise.resolve() };
  return { ...openOperations(dir, { clock, self, liveness: () => liveness }), clock };
}

const here: Owner = { host: 'a', pid: 1, started: null };
const other: Owner = { host: 'b', pid: 2, started: null };
const MINUTE = 60_000;

describe('ids', () => {
  test('say when, and sort by time', () => {
    assert.equal(
      newOperationId(Date.UTC(2026, 10, 22, 20, 16, 47, 999), () => 'a1b2c3'),
      'op-20261122T201647-a1b2c3',
    );
  });
});

describe('create', () => {
  test('writes a journal with our lease, and refuses a second one of the container', () => {
    const dir = newDir();
    const store = openOperations(dir, system);
    const op = store.create(draftOperation(ID, 'dns'));
    assert.equal(op.lease.pid, process.pid);
    assert.deepEqual(store.load(ID), op);
    assert.throws(() => store.create(draftOperation(ID2, 'dns')), {
      name: 'LockedError',
      message: /op-20260101T000000-000001 of container dns is being executed by process/,
    });
    store.create(draftOperation(ID2, 'web'));
    assert.deepEqual(
      store.list().operations.map((o) => o.container),
      ['dns', 'web'],
    );
    op.status = 'done';
    op.endedAt = 5;
    store.save(op);
    store.create(draftOperation('op-20260101T000000-000003', 'dns'));
    assert.throws(() => store.create(draftOperation(ID, 'mail')), /there is an operation op-.* already/);
    assert.equal(store.load(ID).container, 'dns');
  });

  test('an interrupted one has to be resumed first', () => {
    const dir = newDir();
    runner(dir, here, 'alive').create(draftOperation(ID, 'dns'));
    assert.throws(() => runner(dir, other, 'dead').create(draftOperation(ID2, 'dns')), {
      name: 'BlockedError',
      message: /--resume op-20260101T000000-000001/,
    });
  });

  test('a journal that cannot be read blocks its container, or all when it is not known whose it is', () => {
    const dir = newDir();
    const store = openOperations(dir, system);
    store.create(draftOperation(ID, 'dns'));
    const path = join(dir, 'operations', `${ID}.json`);
    const good = readFileSync(path, 'utf8');
    const torn = good.slice(0, good.indexOf('"lease"'));
    writeFileSync(path, torn);
    const { operations, problems } = store.list();
    assert.deepEqual(operations, []);
    assert.deepEqual(
      problems.map((p) => p.container),
      ['dns'],
    );
    assert.throws(() => store.create(draftOperation(ID2, 'dns')), {
      name: 'BlockedError',
      exitCode: 4,
      message: /operation journal .*-000001\.json is corrupt/,
    });
    assert.throws(() => store.load(ID), { name: 'StateError', message: /is corrupt \(it ends too early\)/ });
    store.create(draftOperation(ID2, 'web'));
    for (const text of ['', good.slice(0, 20), '{}', '[]']) {
      writeFileSync(path, text);
      assert.deepEqual(
        store.list().problems.map((p) => p.container),
        [null],
      );
      assert.throws(() => store.create(draftOperation('op-20260101T000000-000003', 'mail')), {
        name: 'BlockedError',
      });
      assert.equal(readFileSync(path, 'utf8'), text);
    }
    writeFileSync(path, good.replace('"version": 1', '"version": 2'));
    assert.match(store.list().problems[0]?.message ?? '', /newer ProxWarden/);
    assert.equal(store.list().problems[0]?.container, 'dns');
    writeFileSync(path, good.replace(`"id": "${ID}"`, `"id": "${ID2}"`));
    assert.match(store.list().problems[0]?.message ?? '', /is that of another operation/);
  });

  test('keeps the last 200 operations, every one that runs, and the one that has just ended', () => {
    const dir = newDir();
    const store = openOperations(dir, system);
    const running = store.create(draftOperation('op-20260101T000000-ffffff', 'oldest', 0));
    const text = readFileSync(join(dir, 'operations', `${running.id}.json`), 'utf8');
    for (let i = 0; i < 205; i += 1) {
      const id = `op-20260102T000000-${i.toString(16).padStart(6, '0')}`;
      const ended = text
        .replaceAll(running.id, id)
        .replace('"running"', '"done"')
        .replace('"endedAt": null', '"endedAt": 1000');
      writeFileSync(join(dir, 'operations', `${id}.json`), ended);
    }
    const op = store.create(draftOperation(ID2, 'web'));
    writeFileSync(join(dir, 'operations', 'op-20260101T000000-fffffe.json'), '{');
    store.save({ ...op, status: 'done', endedAt: 5 });
    const names = readdirSync(join(dir, 'operations'));
    assert.equal(names.length, 200);
    assert.deepEqual(names.slice(0, 4), [
      `${ID2}.json`,
      'op-20260101T000000-fffffe.json',
      `${running.id}.json`,
      'op-20260102T000000-000008.json',
    ]);
  });

  test('what tidies up in every run, and fails, does not push out what has been done', () => {
    const dir = newDir();
    const store = openOperations(dir, system);
    const done = store.create(draftOperation('op-20260101T000000-00000a', 'web'));
    store.save({ ...done, status: 'done', endedAt: 5 });
    for (let i = 0; i < 230; i += 1) {
      const id = `op-20260102T000000-${i.toString(16).padStart(6, '0')}`;
      const tidy = store.create({ ...draftOperation(id, 'web'), kind: 'reconcile' });
      store.save({ ...tidy, status: 'failed', endedAt: 5 });
    }
    const names = readdirSync(join(dir, 'operations'));
    assert.equal(names.length, 200);
    assert.equal(names[0], `${done.id}.json`);
  });
});

describe('load', () => {
  test('takes no path for an id', () => {
    const store = openOperations(newDir(), system);
    for (const id of ['../state', 'op-20260101T000000-00000g', `${ID}/../x`, '', `${ID}.json`])
      assert.throws(() => store.load(id), { name: 'InputError', message: /is not an operation id/ });
    assert.throws(() => store.load(ID), {
      name: 'InputError',
      message: /there is no operation op-20260101T000000-000001/,
    });
  });
});

describe('leases', () => {
  test('save renews the heartbeat, in the journal and in hand', () => {
    const a = runner(newDir(), here, 'alive');
    const op = a.create(draftOperation(ID, 'dns'));
    a.clock.at += MINUTE;
    op.attempt = 3;
    a.save(op);
    assert.equal(op.lease.heartbeatAt, a.clock.at);
    assert.deepEqual(a.load(ID), op);
  });

  test('nobody takes over from a living owner, however old its heartbeat', () => {
    const dir = newDir();
    const op = runner(dir, here, 'alive').create(draftOperation(ID, 'dns'));
    const b = runner(dir, other, 'alive');
    b.clock.at += 100 * 60 * MINUTE;
    const tickets = readdirSync(join(dir, 'lock'));
    assert.equal(b.claim(structuredClone(op)), false);
    assert.deepEqual(readdirSync(join(dir, 'lock')), tickets, 'whoever waits for it leaves the lock to it');
    assert.equal(b.load(ID).lease.host, 'a');
  });

  test('an owner that cannot be seen loses its lease 15 minutes after its last heartbeat', () => {
    const dir = newDir();
    const a = runner(dir, here, 'unknown');
    const op = a.create(draftOperation(ID, 'dns'));
    const b = runner(dir, other, 'unknown');
    for (const minutes of [-600, 0, 15]) {
      b.clock.at = 1_000_000 + minutes * MINUTE;
      assert.equal(b.claim(structuredClone(op)), false, `${minutes} min`);
    }
    b.clock.at += 1;
    assert.equal(b.claim(structuredClone(op)), true);
    assert.equal(a.claim(op), false, 'the new owner is fresh');
  });

  test('what the dead owner did last is seen by the one that takes over; the dead one wakes up and writes nothing', () => {
    const dir = newDir();
    const a = runner(dir, here, 'alive');
    const b = runner(dir, other, 'dead');
    const op = a.create(draftOperation(ID, 'dns'));
    const seen = b.load(ID);
    op.data.startAsked = true;
    a.save(op);
    a.assertLease(op);
    assert.equal(b.claim(seen), true);
    assert.equal(seen.data.startAsked, true);
    assert.deepEqual(b.load(ID), seen);
    const taken = readFileSync(join(dir, 'operations', `${ID}.json`), 'utf8');
    const lost = {
      name: 'LockedError',
      exitCode: 75,
      message: /op-20260101T000000-000001 of container dns was taken over by process 2 on b/,
    };
    assert.throws(() => a.assertLease(op), lost);
    op.attempt = 9;
    assert.throws(() => a.save(op), lost);
    assert.equal(readFileSync(join(dir, 'operations', `${ID}.json`), 'utf8'), taken);
    b.assertLease(seen);
  });

  test('an ended operation is not claimed, has no lease, and does not run again', () => {
    const dir = newDir();
    const a = runner(dir, here, 'alive');
    const op = a.create(draftOperation(ID, 'dns'));
    const early: Operation = structuredClone(op);
    op.status = 'cancelled';
    op.endedAt = 1;
    a.save(op);
    assert.equal(runner(dir, other, 'dead').claim(structuredClone(early)), false);
    assert.throws(() => a.assertLease(op), { name: 'LockedError', message: /has ended/ });
    assert.throws(() => a.save(early), /^Error: bug/);
  });

  test('a journal that vanished stops the run', () => {
    const dir = newDir();
    const a = runner(dir, here, 'alive');
    const op = a.create(draftOperation(ID, 'dns'));
    rmSync(join(dir, 'operations', `${ID}.json`));
    for (const call of [() => a.save(op), () => a.assertLease(op)])
      assert.throws(call, { name: 'StateError', message: /the journal of operation .* is gone/ });
    assert.equal(a.claim(op), false);
  });

  test("of ten that find a killed process's operation, one gets it", async () => {
    const dir = newDir();
    const child = startChild(worker, ['operate', dir, ID]);
    await child.printed;
    const store = openOperations(dir, system);
    const op = store.load(ID);
    assert.equal(op.lease.pid, child.process.pid);
    assert.equal(store.claim(op), false, 'it lives');
    await killChild(child);
    const stores = Array.from({ length: 10 }, (_, i) =>
      // Each is a process that lives, except the one that was killed.
      openOperations(dir, {
        ...system,
        self: { ...thisProcess(), pid: process.pid, started: `${i}` },
        liveness: (o) => (o.pid === process.pid ? 'alive' : 'dead'),
      }),
    );
    assert.equal(stores.filter((s) => s.claim(structuredClone(op))).length, 1);
    rmSync(join(dir, 'operations', `${ID}.json`));
    const again = startChild(worker, ['operate', dir, ID]);
    await again.printed;
    await killChild(again);
    assert.equal(store.claim(op), true, 'seen dead without being told');
    assert.equal(store.load(ID).lease.pid, process.pid);
  });

  test('an owner on another host is not seen', () => {
    const dir = newDir();
    const store = openOperations(dir, system);
    openOperations(dir, { ...system, self: elsewhere }).create(draftOperation(ID, 'dns'));
    assert.equal(store.claim(store.load(ID)), false);
  });
});
