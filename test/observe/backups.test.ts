/** Listing backups: through which node, how deep, what is being written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StorageDefinition } from '../../lib/decide/doctor/facts.ts';
import type { BackupView, ClusterView } from '../../lib/decide/model.ts';
import { PveError } from '../../lib/errors.ts';
import { readStore, type StoreInput } from '../../lib/observe/backups.ts';
import type { TaskListEntry } from '../../lib/pve/api.ts';
import { archivedOf, backupOf, detailOf, guestOf, MAC, MINUTE, NOW } from '../decide/parts.ts';
import { world } from '../decide/world.ts';

const PBS: StorageDefinition = {
  storage: 'nas',
  type: 'pbs',
  shared: true,
  disabled: false,
  retention: {},
  encryptionKey: null,
};

class Store {
  readonly asked: string[] = [];
  readonly view: ClusterView;
  listed: BackupView[] = [];
  /** By node: why it can't list. */
  readonly broken = new Map<string, string>();
  tasks: TaskListEntry[] = [];
  /** MACs inside, by volid; null: it can't be read. */
  inside: (volid: string) => string[] | null = () => [MAC];

  constructor() {
    const view = world().observation.clusters['home'];
    assert.ok(view !== undefined);
    this.view = { ...view, guests: [guestOf('pve1', 101)], details: [] };
  }

  read(patch: Partial<StoreInput> = {}) {
    const api: StoreInput['api'] = {
      backups: async (node) => {
        this.asked.push(node);
        const why = this.broken.get(node);
        if (why !== undefined) throw new PveError(why, { outcome: 'refused', status: 500 });
        return this.listed;
      },
      archivedConfig: async (_, volid) => {
        const macs = this.inside(volid);
        if (macs === null) throw new PveError('wrong key', { outcome: 'refused', status: 500 });
        const archived = archivedOf({ macs });
        assert.ok(archived !== null);
        return archived;
      },
      runningTasks: async () => this.tasks,
      inspect: { storages: async () => [PBS] },
    };
    return readStore({ api, view: this.view, storage: 'nas', wanted: new Map([[101, [MAC]]]), ...patch });
  }
}

function snapshot(minutes: number, patch: Partial<BackupView> = {}): BackupView {
  const time = new Date(NOW - minutes * MINUTE).toISOString().slice(0, 19);
  return backupOf({ minutes, volid: `nas:backup/ct/101/${time}Z`, archived: null, ...patch });
}

function dump(patch: Partial<TaskListEntry> = {}): TaskListEntry {
  return {
    upid: 'UPID:pve1:0:0:0:vzdump:101:root@pam:',
    node: 'pve1',
    type: 'vzdump',
    id: '101',
    user: 'root@pam',
    ours: false,
    startedAt: NOW - 10 * MINUTE,
    endedAt: null,
    exitstatus: null,
    ...patch,
  };
}

test('a node that cannot list it is passed over', async () => {
  const store = new Store();
  store.listed = [snapshot(60)];
  store.broken.set('pve1', 'storage is not online');
  const { backups, node, problem } = await store.read();
  assert.deepEqual([backups.length, node, problem], [1, 'pve2', null]);
  assert.deepEqual(store.asked, ['pve1', 'pve2']);
});

test('when none can, each says why; those that were not asked say why not', async () => {
  const store = new Store();
  store.broken.set('pve1', 'not online').set('pve2', 'timed out');
  Object.assign(store.view.nodes[2] ?? {}, { apiAnswers: false });
  const { problem, node } = await store.read();
  assert.equal(node, null);
  assert.equal(
    problem,
    'backups on nas: through pve1: not online; through pve2: timed out; pve3 does not answer',
  );
});

test('only nodes that answer and on which the storage is set up and active are asked', async () => {
  const store = new Store();
  Object.assign(store.view.nodes[0] ?? {}, { online: false });
  Object.assign(store.view.storages.find((s) => s.node === 'pve2' && s.storage === 'nas') ?? {}, {
    active: false,
  });
  const storages = store.view.storages.filter((s) => s.node !== 'pve3');
  const { problem } = await store.read({ view: { ...store.view, storages } });
  assert.deepEqual(store.asked, []);
  assert.equal(
    problem,
    'no node of cluster home that answers sees the backup storage nas (pve1 does not answer; it is not active on pve2; it is not set up for pve3)',
  );
});

test('the other cluster’s backups on the same datastore do not hide the container’s own', async () => {
  const store = new Store();
  store.listed = Array.from({ length: 60 }, (_, index) => snapshot(60 + index * 60));
  const own = store.listed[34]?.volid;
  store.inside = (volid) => (volid === own ? [MAC] : ['AA']);
  const read = (await store.read()).backups.filter((b) => b.archived !== null);
  assert.equal(read.length, 40);
  assert.ok(read.some((b) => b.volid === own));
  store.inside = () => ['AA'];
  assert.equal((await store.read()).backups.filter((b) => b.archived !== null).length, 50);
  assert.equal((await store.read({ all: true })).backups.filter((b) => b.archived !== null).length, 60);
});

test('ten are looked into when one of them is the container’s', async () => {
  const store = new Store();
  store.listed = Array.from({ length: 12 }, (_, index) => snapshot(60 + index * 60));
  const { backups } = await store.read();
  assert.equal(backups.filter((b) => b.archived !== null).length, 10);
  assert.equal(backups.at(-1)?.problem, 'not looked into: too many newer ones');
});

test('a snapshot that a running vzdump of its container has begun is not finished', async () => {
  const store = new Store();
  store.listed = [snapshot(9), snapshot(60)];
  store.tasks = [dump()];
  const [newest, older] = (await store.read()).backups;
  assert.match(newest?.unfinished ?? '', /a vzdump of it runs on pve1/);
  assert.equal(newest?.archived, null);
  assert.equal(older?.unfinished, null);
});

test('of a job of several guests, only the one that is locked is being written', async () => {
  const store = new Store();
  store.listed = [snapshot(9)];
  store.tasks = [dump({ id: '', startedAt: NOW - 60 * MINUTE })];
  assert.equal((await store.read()).backups[0]?.unfinished, null);
  store.view.details.push(detailOf('pve1', 101, { lock: 'backup' }));
  assert.match((await store.read()).backups[0]?.unfinished ?? '', /runs on pve1/);
});

test('a lock that was left behind, or a task of another guest, makes no backup unfinished', async () => {
  const store = new Store();
  store.listed = [snapshot(9)];
  store.view.details.push(detailOf('pve1', 101, { lock: 'backup' }));
  assert.equal((await store.read()).backups[0]?.unfinished, null);
  store.tasks = [dump({ id: '102' })];
  assert.equal((await store.read()).backups[0]?.unfinished, null);
});

test('a file is listed only when it is whole: a running vzdump says nothing against it', async () => {
  const store = new Store();
  store.listed = [backupOf({ minutes: 9, archived: null, volid: 'nas:backup/vzdump-lxc-101-x.tar.zst' })];
  store.tasks = [dump()];
  assert.equal((await store.read()).backups[0]?.unfinished, null);
});

test('an encrypted one that cannot be read says that this cluster lacks the key', async () => {
  const store = new Store();
  store.listed = [snapshot(60, { encrypted: 'aa:bb:cc:dd:ee:ff:00:11' })];
  store.inside = () => null;
  assert.equal(
    (await store.read()).backups[0]?.problem,
    "its config can't be read: it is encrypted, and storage nas has no encryption key in this cluster (wrong key)",
  );
});
