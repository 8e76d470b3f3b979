/** The state on pmxcfs, as a simulated one behaves that was measured (test/scenarios/harness/cluster-fs.ts). */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { LockedError, StandbyError } from '../../lib/errors.ts';
import { VirtualClock } from '../../lib/lab/virtual-clock.ts';
import { lockAt } from '../../lib/state/cluster-lock.ts';
import { appendEvents, readEvents } from '../../lib/state/events.ts';
import { emptyContainerState } from '../../lib/state/model.ts';
import { openOperations, type OperationStore } from '../../lib/state/operations.ts';
import { openState, type StateStore } from '../../lib/state/store.ts';
import { CLUSTER_MOUNT, ClusterFs, mountLine, type Membership } from '../scenarios/harness/cluster-fs.ts';
import { watchFiles } from '../scenarios/harness/files.ts';
import { Runner, runners } from '../scenarios/harness/runner.ts';
import { count } from '../contract/count.ts';
import { bundleWorker, scratch, startChild } from './children.ts';
import { draftOperation } from './fixtures.ts';

const root = scratch();
watchFiles();
const DIR = '/etc/pve/proxwarden';
const ID = 'op-20260101T000000-000001';
const NODES = ['pve1', 'pve2', 'pve3'];

/** Three nodes; `online` are those that corosync connects. */
class Cluster implements Membership {
  readonly online = new Set(NODES);
  readonly clock = new VirtualClock();
  readonly folder = mkdtempSync(join(root, 'cluster-'));
  readonly fs = new ClusterFs(this.folder, this);
  #pids = 100;

  constructor() {
    writeFileSync(join(this.folder, 'mounts'), `${mountLine('/', 'ext4')}${CLUSTER_MOUNT}`);
  }

  clusterWrite(node: string) {
    return { heldUntil: null, quorate: this.clusterView(node).quorate };
  }

  clusterView(node: string) {
    const online = this.online.has(node) ? new Set(this.online) : new Set([node]);
    return { online, quorate: online.size > NODES.length / 2 };
  }

  status() {
    const nodes = NODES.map((name) => ({
      name,
      power: 'on' as const,
      network: 'up' as const,
      api: true,
      hung: false,
      quorate: this.clusterView(name).quorate,
    }));
    return { nodes, containers: [], backups: [], violations: [] };
  }

  lose(node: string): void {
    this.online.delete(node);
    this.fs.settle();
  }

  /** A new process on a node. */
  runner(node: string): Runner {
    this.#pids += 1;
    return new Runner({
      name: node,
      pid: this.#pids,
      clock: this.clock,
      machine: { node, fs: this.fs },
      mounts: join(this.folder, 'mounts'),
    });
  }

  on<T>(node: string, work: () => T): T {
    return runners.run(this.runner(node), work);
  }

  state(dir = DIR): StateStore {
    return openState(dir, { clock: this.clock });
  }

  /** The journals, as a process of a node has them. */
  operations(node: string): OperationStore & { as<T>(work: (store: OperationStore) => T): T } {
    const runner = this.runner(node);
    const store = runners.run(runner, () => {
      this.state();
      return openOperations(DIR, {
        clock: this.clock,
        self: { host: node, pid: runner.pid, started: null },
        liveness: (owner) => (owner.host === node ? 'dead' : 'unknown'),
      });
    });
    return { ...store, as: (work) => runners.run(runner, () => work(store)) };
  }
}

describe('a state folder on pmxcfs', () => {
  test('is the same on all nodes; what only one of them needs is on its own disk', async () => {
    const cluster = new Cluster();
    await cluster.on('pve1', async () => {
      const state = cluster.state();
      await state.update((s) => void (s.lastRunAt = 5));
      appendEvents(state.local, [{ at: 1, kind: 'note', container: null, text: 'of pve1' }]);
      assert.equal(state.local, '/var/lib/proxwarden');
      assert.equal(readEvents(state.local).events.length, 1);
    });
    cluster.on('pve2', () => {
      assert.equal(cluster.state().read().lastRunAt, 5);
      assert.equal(readEvents(cluster.state().local).events.length, 0);
    });
    const shared = join(cluster.folder, 'pve');
    assert.deepEqual(readdirSync(join(shared, 'proxwarden')), ['state.json.gz']);
    assert.deepEqual(readdirSync(join(shared, 'priv', 'lock')), []);
    assert.match(
      gunzipSync(readFileSync(join(shared, 'proxwarden', 'state.json.gz'))).toString(),
      /"lastRunAt":5/,
    );
  });

  test('without quorum can be read, and nothing can be written; others go on', async () => {
    const cluster = new Cluster();
    await cluster.on('pve1', () => cluster.state().update((s) => void (s.lastRunAt = 5)));
    cluster.lose('pve3');
    await cluster.on('pve1', () => cluster.state().update((s) => void (s.lastRunAt = 6)));
    await cluster.on('pve3', async () => {
      const state = cluster.state();
      assert.equal(state.read().lastRunAt, 5);
      assert.throws(() => state.assertWritable(), StandbyError);
      await assert.rejects(
        state.update(() => undefined),
        { name: 'StandbyError', exitCode: 5, message: /this node has no quorum.*nothing was changed/ },
      );
    });
    cluster.online.add('pve3');
    cluster.fs.settle();
    cluster.on('pve3', () => {
      cluster.state().assertWritable();
      assert.equal(cluster.state().read().lastRunAt, 6);
    });
  });

  test('is for root alone, of ours alone, and only where pmxcfs is mounted', () => {
    const cluster = new Cluster();
    cluster.on('pve1', () => {
      for (const dir of ['/etc/pve/nodes/pve1/state', '/etc/pve', '/etc/pve/proxwarden-2'])
        assert.throws(() => cluster.state(dir), {
          name: 'InputError',
          message: /among Proxmox VE's own files/,
        });
      writeFileSync(join(cluster.folder, 'mounts'), mountLine('/', 'ext4'));
      assert.throws(() => cluster.state(), { name: 'FailedError', message: /not mounted.*pve-cluster/ });
      const { getuid } = process;
      process.getuid = () => 1000;
      try {
        assert.throws(() => cluster.state(), {
          name: 'InputError',
          exitCode: 2,
          message: /only root may write/,
        });
      } finally {
        Object.assign(process, { getuid });
      }
    });
    assert.ok(!existsSync(join(cluster.folder, 'pve', 'proxwarden')), 'nothing was made');
  });

  test('a state.json that was copied there is not passed over', () => {
    const cluster = new Cluster();
    cluster.on('pve1', () => {
      cluster.state();
      writeFileSync(join(cluster.folder, 'pve', 'proxwarden', 'state.json'), '{}');
      assert.throws(() => cluster.state(), {
        name: 'InputError',
        message: /run gzip \/etc\/pve\/proxwarden\/state\.json/,
      });
    });
  });

  test('a corrupt state is refused and left as it is', async () => {
    const cluster = new Cluster();
    await cluster.on('pve1', async () => {
      const state = cluster.state();
      writeFileSync(join(cluster.folder, 'pve', 'proxwarden', 'state.json.gz'), 'torn');
      assert.throws(() => state.read(), /state\.json\.gz is corrupt \(it can’t be unpacked\)/);
      await assert.rejects(
        state.update(() => undefined),
        /is corrupt/,
      );
    });
  });

  test('what would be larger than 1 MiB is refused in words; a thousand containers are far from it', async () => {
    const cluster = new Cluster();
    await cluster.on('pve1', async () => {
      const state = cluster.state();
      await state.update((s) => {
        for (let n = 0; n < 1_000; n += 1) {
          s.containers[`container-${n}`] = { ...emptyContainerState(), countedAt: 1_795_380_888_123 + n };
          s.followed[`container-${n}`] = {
            vmid: n,
            checks: [`http://10.0.${n % 250}.1/`],
            digest: cluster.clock.now() * n,
          };
        }
      });
      const { size } = fs.statSync(`${DIR}/state.json.gz`);
      assert.ok(size < 100_000, `${size} bytes`);
      const store = cluster.operations('pve1');
      assert.throws(
        () => store.as((s) => s.create({ ...draftOperation(ID, 'dns'), reason: 'x'.repeat(1_100_000) })),
        { name: 'StateError', message: /1 MiB at most — nothing was changed; use several state folders/ },
      );
      assert.deepEqual(readdirSync(join(cluster.folder, 'pve', 'proxwarden', 'operations')), []);
    });
  });

  test('a file that is replaced while it is read is read again', (t) => {
    const cluster = new Cluster();
    cluster.on('pve1', () => {
      const store = cluster.operations('pve1');
      const op = store.as((s) => s.create(draftOperation(ID, 'dns')));
      const path = join(cluster.folder, 'pve', 'proxwarden', 'operations', `${ID}.json`);
      const text = readFileSync(path, 'utf8');
      let reads = 0;
      const { readSync } = fs;
      t.mock.method(fs, 'readSync', (...args: Parameters<typeof readSync>) => {
        const bytes = readSync(...args);
        reads += 1;
        if (reads === 1) writeFileSync(path, text.replace('three failed', 'four failed'));
        return bytes;
      });
      syncBuiltinESMExports();
      try {
        assert.equal(store.as((s) => s.load(op.id)).reason, 'four failed checks');
      } finally {
        t.mock.restoreAll();
        syncBuiltinESMExports();
      }
    });
  });
});

describe('leases on pmxcfs', () => {
  test('are proven by writing: what a node without quorum still reads is not believed', async () => {
    const cluster = new Cluster();
    const store = cluster.operations('pve1');
    const op = store.as((s) => s.create(draftOperation(ID, 'dns')));
    store.as((s) => s.assertLease(op));
    cluster.lose('pve1');
    assert.equal(store.as((s) => s.load(ID)).lease.pid, op.lease.pid, 'it reads its own name');
    await cluster.clock.advance(3_000);
    assert.throws(() => store.as((s) => s.assertLease(op)), StandbyError);
    assert.throws(() => store.as((s) => s.save(op)), StandbyError);
  });

  test('of an offline node are taken over after a minute, of one that is online after a quarter of an hour', async () => {
    const cluster = new Cluster();
    const owner = cluster.operations('pve1');
    const other = cluster.operations('pve2');
    const op = owner.as((s) => s.create(draftOperation(ID, 'dns')));
    const claimed = (): boolean => other.as((s) => s.claim(s.load(ID)));
    await cluster.clock.advance(14 * 60_000);
    assert.equal(claimed(), false, 'online');
    owner.as((s) => s.save(op));
    cluster.lose('pve1');
    await cluster.clock.advance(59_000);
    assert.equal(claimed(), false, 'its last request may be on its way');
    await cluster.clock.advance(2_000);
    assert.equal(claimed(), true);
    cluster.online.add('pve1');
    cluster.fs.settle();
    assert.throws(() => owner.as((s) => s.assertLease(op)), /taken over by process \d+ on pve2/);
    await cluster.clock.advance(15 * 60_000 + 1);
    assert.equal(
      cluster.operations('pve3').as((s) => s.claim(s.load(ID))),
      true,
      'online, and silent for long',
    );
  });

  test('a minority takes nothing over, whatever it believes of the others', async () => {
    const cluster = new Cluster();
    const owner = cluster.operations('pve1');
    owner.as((s) => s.create(draftOperation(ID, 'dns')));
    cluster.lose('pve2');
    await cluster.clock.advance(3_600_000);
    const minority = cluster.operations('pve2');
    assert.throws(() => minority.as((s) => s.claim(s.load(ID))), StandbyError);
    assert.throws(
      () => minority.as((s) => s.create(draftOperation('op-20260101T000000-000002', 'web'))),
      StandbyError,
    );
  });
});

describe('the lock on pmxcfs', () => {
  test('whoever wakes up late changes nothing, and does not release what is another’s by now', () => {
    const path = join(mkdtempSync(join(root, 'late-')), 'lock');
    const clock = { at: 1_000_000, now: () => clock.at };
    const late = lockAt(path, clock, () => undefined).tryTake();
    assert.ok(late.mine);
    late.assertHeld();
    clock.at += 59_000;
    late.assertHeld();
    clock.at += 2_000;
    assert.throws(() => late.assertHeld(), { name: 'LockedError', message: /held for too long \(61 s\)/ });
    // pmxcfs gives it away, and another takes it.
    rmdirSync(path);
    const other = lockAt(path, clock, () => undefined).tryTake();
    assert.ok(other.mine);
    late.release();
    assert.ok(existsSync(path));
    other.assertHeld();
    other.release();
    assert.ok(!existsSync(path));
  });

  test('that was given away in less time than it should is noticed all the same', () => {
    const path = join(mkdtempSync(join(root, 'early-')), 'lock');
    const clock = { now: () => 1_000_000 };
    const first = lockAt(path, clock, () => undefined).tryTake();
    assert.ok(first.mine);
    rmdirSync(path);
    assert.throws(() => first.assertHeld(), LockedError);
    mkdirSync(path);
    utimesSync(path, 5, 5);
    assert.throws(() => first.assertHeld(), LockedError);
    first.release();
    assert.ok(existsSync(path));
  });

  let worker = '';
  before(async () => {
    worker = await bundleWorker(root);
  });

  test('8 processes that take it by mkdir lose no increment', async (t) => {
    const dir = mkdtempSync(join(root, 'mkdir-'));
    writeFileSync(join(dir, 'counter'), '0');
    const children = Array.from({ length: 8 }, () => startChild(worker, ['mkdir', dir, '40']));
    const ends = await Promise.all(children.map((c) => c.exited));
    assert.deepEqual(
      ends.filter((e) => e.code !== 0),
      [],
      children.map((c) => c.stderr()).join(''),
    );
    assert.equal(readFileSync(join(dir, 'counter'), 'utf8'), '320');
    assert.deepEqual(readdirSync(dir), ['counter']);
    count(t, '320 races of 8 processes for a lock made by mkdir, no increment lost');
  });
});
