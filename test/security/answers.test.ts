/** What a hostile API, a hostile storage or a hostile guest can put into an answer of Proxmox VE. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { path } from '../../lib/pve/calls.ts';
import { configFromText } from '../../lib/pve/parse.ts';
import * as schemas from '../../lib/pve/schemas.ts';
import { createdArchive } from '../../lib/pve/task.ts';

test('a backup whose name can be no volid is passed over, and hides none of the others', () => {
  const good = 'nas:backup/vzdump-lxc-101-2026_11_22-09_00_00.tar.zst';
  const bad = [
    'nas:backup/../x.tar',
    'nas:a\nb',
    'nas:a b',
    'nas:a\u001b[2J',
    'nas:\u202Ea',
    '..:x',
    'x',
    `nas:${'x'.repeat(2000)}`,
  ];
  const read = schemas.ContentReply.parse([...bad, good].map((volid) => ({ volid })));
  assert.deepEqual(
    read.map(({ volid }) => volid),
    [good],
  );
});

test('names that lead elsewhere, and UPIDs that are none, make an answer unusable', () => {
  for (const name of ['..', '.', '', 'a/b', 'a\nb', 'constructor', 'toString', '-x'])
    assert.equal(schemas.ClusterStatusReply.safeParse([{ type: 'node', name }]).success, false, name);
  assert.equal(schemas.ClusterStatusReply.safeParse([{ type: 'node', name: 'pve1' }]).success, true);
  for (const upid of [
    'UPID:',
    'UPID:../x:1',
    'UPID:pve1:0000022B:00043D51:6B034DAF:vzdump:101:root@pam:\n',
    'OK',
  ])
    assert.equal(schemas.UpidReply.safeParse(upid).success, false, upid);
});

test('no part of a path leads to another one: nothing is sent', () => {
  for (const part of ['..', '.', '']) assert.throws(() => path('nodes', part, 'lxc'), /nothing was sent/);
  assert.equal(path('nodes', 'a/../b'), '/nodes/a%2F..%2Fb');
});

test('an archive’s config of blanks without end is read at once', () => {
  const before = process.cpuUsage();
  configFromText(`hostname: ${' '.repeat(200_000)}x\nlxc.a: ${' '.repeat(200_000)}x`);
  const { user } = process.cpuUsage(before);
  assert.ok(user < 2_000_000, `${user / 1000} ms`);
  assert.equal(schemas.ExtractedConfigReply.safeParse('x'.repeat(1024 * 1024)).success, false);
});

test('a guest’s file that is called like a line of the log does not name the backup', () => {
  const log = [
    "INFO: creating vzdump archive '/mnt/pve/nas/dump/vzdump-lxc-101-2026_11_22-09_00_00.tar.zst'",
    "INFO: tar: ./creating vzdump archive 'old.tar.zst': file changed as we read it",
  ];
  assert.equal(createdArchive(log, 'nas'), 'nas:backup/vzdump-lxc-101-2026_11_22-09_00_00.tar.zst');
});
