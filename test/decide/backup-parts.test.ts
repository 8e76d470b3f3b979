/** The smaller decisions about backups: notes, mode, encryption, whose they are, room for a fresh one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyProblem } from '../../lib/decide/encryption.ts';
import { backupMode, type ModeInput } from '../../lib/decide/mode.ts';
import { formatNotes, parseNotes, type BackupNotes } from '../../lib/decide/notes.ts';
import { freshBackupGate } from '../../lib/decide/room.ts';
import { isSnapshot } from '../../lib/decide/volid.ts';
import { whoseIs } from '../../lib/decide/whose.ts';
import { archivedOf, at, backupOf, containerOf, GIB, guestOf, incarnationOf, lineOf, MAC } from './parts.ts';
import { world } from './world.ts';

const NOTES: BackupNotes = {
  container: 'dns',
  epoch: 2,
  purpose: 'before a failover',
  operation: 'op-20261122T201647-a1b2c3',
};

test('our notes are one line that says what it is for, and are known again', () => {
  const text = formatNotes(NOTES);
  assert.equal(text, 'ProxWarden: dns epoch 2, before a failover, op-20261122T201647-a1b2c3');
  assert.deepEqual(parseNotes(text), { container: 'dns', epoch: 2 });
  const longest = formatNotes({ ...NOTES, container: 'x'.repeat(63), epoch: 999_999 });
  assert.ok(longest.length < 1024 && !/[\\{}\n]/.test(longest));
  assert.deepEqual(parseNotes(longest), { container: 'x'.repeat(63), epoch: 999_999 });
});

test('what a person adds in further lines stays ours; a changed line, or one around it, does not', () => {
  const text = formatNotes(NOTES);
  assert.deepEqual(parseNotes(`${text}\r\nthe last one with the old disk`), { container: 'dns', epoch: 2 });
  for (const other of [
    '',
    'nightly',
    `keep! ${text}`,
    `${text} keep!`,
    text.replace('dns', 'DNS'),
    `x\n${text}`,
  ])
    assert.equal(parseNotes(other), null);
});

const MODE: ModeInput = {
  wish: 'auto',
  running: true,
  volumes: [
    { key: 'rootfs', storage: 'thin' },
    { key: 'mp0', storage: 'pool' },
  ],
  types: new Map([
    ['thin', 'lvmthin'],
    ['pool', 'zfspool'],
    ['local', 'dir'],
    ['nas', 'nfs'],
    ['pbs', 'pbs'],
    ['odd', 'storpool'],
  ]),
  target: 'pbs',
};
const onLocal = [{ key: 'rootfs', storage: 'local' }];

const modes: readonly (readonly [string, Partial<ModeInput>, string, RegExp | null])[] = [
  ['all volumes can', {}, 'snapshot', null],
  [
    'one can’t',
    { volumes: [...MODE.volumes, ...onLocal] },
    'suspend',
    /rootfs on local \(dir\) has no snapshots/,
  ],
  ['a type that PVE does not ship', { volumes: [{ key: 'rootfs', storage: 'odd' }] }, 'snapshot', null],
  ['types not known', { volumes: onLocal, types: new Map() }, 'snapshot', null],
  ['an explicit stop', { wish: 'stop', volumes: onLocal }, 'stop', null],
  ['an explicit suspend', { wish: 'suspend' }, 'suspend', /since the inventory says so/],
  [
    'an explicit snapshot that PVE will not make',
    { wish: 'snapshot', volumes: onLocal },
    'snapshot',
    /suspend, since/,
  ],
  ['stopped: there is nothing to say', { running: false, volumes: onLocal }, 'suspend', null],
  ['onto NFS', { volumes: onLocal, target: 'nas' }, 'suspend', /ACLs and file capabilities get lost/],
];
for (const [what, patch, mode, said] of modes)
  test(`mode: ${what}`, () => {
    const choice = backupMode({ ...MODE, ...patch });
    assert.equal(choice.mode, mode);
    if (said === null) assert.equal(choice.said, null);
    else assert.match(choice.said ?? '', said);
    assert.equal(choice.warn, patch.target === 'nas');
  });

test('an encrypted backup and the key of this cluster', () => {
  const long = 'aa:bb:cc:dd:ee:ff:00:11:22:33';
  const pbs = (encryptionKey: string | null) => ({ storage: 'pbs', encryptionKey });
  assert.equal(keyProblem(null, pbs(null)), null);
  assert.equal(keyProblem(long, pbs(long.toUpperCase())), null);
  assert.equal(keyProblem('aa:bb:cc:dd:ee:ff:00:11', pbs(long)), null);
  assert.equal(keyProblem('1', pbs(long)), null);
  assert.match(keyProblem(long, pbs(null)) ?? '', /storage pbs has no encryption key in this cluster/);
  assert.match(
    keyProblem(long, pbs('99:bb:cc:dd:ee:ff:00:11:22:33')) ?? '',
    /encrypted with key aa:bb:cc:dd:ee:ff:00:11, and storage pbs has key 99:bb:/,
  );
});

test('snapshots of a backup server are told by their form', () => {
  assert.ok(isSnapshot('pbs:backup/ct/101/2026-11-22T20:16:47Z'));
  for (const other of [
    'nas:backup/vzdump-lxc-101-2026_11_22-20_16_47.tar.zst',
    'pbs:backup/vm/101/2026-11-22T20:16:47Z',
    'pbs:backup/ct/101/2026-11-22T20:16:47',
  ])
    assert.ok(!isSnapshot(other));
});

test('of which copy a backup is, by what is inside', () => {
  const container = containerOf();
  const original = { container, current: incarnationOf(), macs: [MAC] };
  const copy = { container, current: at('pve2/1000101@1'), macs: [MAC] };
  const ofCopy = backupOf({ vmid: 1_000_101, archived: archivedOf({ lineage: lineOf() }) });
  assert.deepEqual(whoseIs(backupOf(), original), { kind: 'current', epoch: 0 });
  assert.deepEqual(whoseIs(backupOf(), copy), { kind: 'retired', epoch: 0 });
  assert.deepEqual(whoseIs(ofCopy, copy), { kind: 'current', epoch: 1 });
  assert.equal(whoseIs(ofCopy, original).kind, 'unknown');
  // The same vmid and hostname, but of another cluster on the same datastore.
  assert.equal(whoseIs(backupOf({ archived: archivedOf({ macs: ['AA'] }) }), original).kind, 'foreign');
  assert.equal(whoseIs(backupOf({ vmid: 901 }), original).kind, 'unknown');
  assert.equal(whoseIs(backupOf({ archived: null, problem: 'x' }), original).kind, 'unknown');
  assert.equal(whoseIs(backupOf(), { ...original, macs: [] }).kind, 'unknown');
});

/** The gate for a container on pve1 whose storage `nas` has `freeGib` free there. */
function room(patch: Readonly<Record<string, unknown>>, backups = [backupOf({ size: 10 * GIB })]) {
  const view = world().observation.clusters['home'];
  assert.ok(view !== undefined);
  const storages = view.storages.map((s) =>
    s.storage === 'nas' && s.node === 'pve1' ? { ...s, ...patch } : s,
  );
  const guests = [guestOf('pve1', 101, { diskUsed: 30 * GIB })];
  return freshBackupGate({ ...view, storages, guests }, containerOf(), incarnationOf(), backups);
}
const free = (gib: number) => ({ total: 100 * GIB, used: (100 - gib) * GIB });

test('a living source is not stopped for a backup that has no room', () => {
  assert.ok(room(free(12)).ok);
  assert.match(
    room(free(11)).evidence,
    /11 GiB free, and the new one may need 12 GiB \(the last one was 10 GiB\)/,
  );
  assert.match(room(free(11)).flip ?? '', /backup prune dns/);
});

test('without an earlier backup, what its disk holds counts; what is not known blocks nothing', () => {
  assert.ok(room(free(30), []).ok);
  assert.match(room(free(29), []).evidence, /may need 30 GiB \(what its disk holds\)/);
  assert.ok(room({ total: null, used: null }).ok);
  // Neither a backup that is being written nor one of another vmid says how large the next one will be.
  assert.ok(
    room(free(30), [backupOf({ size: 50 * GIB, unfinished: 'x' }), backupOf({ vmid: 102, size: 90 * GIB })])
      .ok,
  );
});

test('a backup server takes in only what has changed: it blocks when it is full', () => {
  assert.ok(room({ ...free(1), type: 'pbs' }).ok);
  assert.ok(!room({ ...free(0), type: 'pbs' }).ok);
  assert.ok(!room({ ...free(1), type: 'pbs' }, []).ok);
});

test('a storage that the source’s node cannot use', () => {
  assert.match(room({ node: 'pve9' }).evidence, /pve1 can't see the backup storage nas/);
  assert.match(room({ active: false }).evidence, /not active on pve1/);
  assert.match(room({ content: ['rootdir'] }).evidence, /takes no backups/);
});
