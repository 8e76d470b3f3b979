import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fitnessOf, type Fitness } from '../../lib/state/fitness.ts';
import { mountOf } from '../../lib/state/mounts.ts';
import { placeOf } from '../../lib/state/place.ts';
import { scratch } from './children.ts';

const root = scratch();

/** From a Debian with a NAS, a container and an odd name. */
const MOUNTS = String.raw`22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 22 0:25 / /dev/shm rw,nosuid,nodev shared:4 - tmpfs tmpfs rw,inode64
41 22 0:44 / /mnt/nas rw,relatime shared:7 - nfs4 10.0.0.20:/state rw,vers=4.2,rsize=1048576,soft
42 41 0:45 / /mnt/nas/win rw,relatime - cifs //10.0.0.20/state rw,vers=3.1.1,mfsymlinks
43 22 0:46 / /mnt/a\040b rw,relatime - fuse.sshfs anna@host:/ rw,user_id=0
44 22 0:47 / /mnt/twice rw,relatime - ext4 /dev/sdb1 rw
45 44 0:48 / /mnt/twice rw,relatime - vfat /dev/sdc1 rw
46 22 0:49 / /etc/pve rw,nosuid,nodev,relatime shared:9 - fuse /dev/fuse rw,user_id=0,group_id=0
`;

test('the mount of a path is the innermost, and of two at one place the later', () => {
  const types = (path: string): string | undefined => mountOf(path, MOUNTS)?.type;
  assert.equal(types('/var/lib/x'), 'ext4');
  assert.equal(types('/mnt/nas'), 'nfs4');
  assert.equal(types('/mnt/nasty'), 'ext4');
  assert.equal(types('/mnt/nas/win/state'), 'cifs');
  assert.equal(types('/mnt/a b/state'), 'fuse.sshfs');
  assert.equal(types('/mnt/twice/state'), 'vfat');
  assert.equal(types('/etc/pve/proxwarden'), 'fuse');
  assert.deepEqual(mountOf('/mnt/nas/x', MOUNTS)?.options, ['rw', 'vers=4.2', 'rsize=1048576', 'soft']);
  assert.equal(mountOf('/anywhere', ''), null);
});

const kinds: Readonly<Record<Fitness['kind'], readonly string[]>> = {
  own: ['ext4', 'xfs', 'btrfs', 'zfs'],
  shared: ['nfs', 'nfs4', 'ceph'],
  volatile: ['tmpfs', 'overlay'],
  unknown: ['9p', 'virtiofs', 'fuse.mergerfs', 'fuseblk', 'constructor'],
  refused: ['cifs', 'smb3', 'vfat', 'exfat', 'vboxsf', 'fuse.sshfs', 'fuse.rclone', 'fuse.s3fs', 'davfs'],
  cluster: [],
};

describe('what a file system is good for', () => {
  for (const [kind, types] of Object.entries(kinds))
    for (const type of types)
      test(`${type}: ${kind}`, () => {
        const found = fitnessOf({ point: '/', type, options: ['rw'] });
        assert.equal(found.kind, kind);
        if (found.kind === 'refused') assert.ok(found.why.length > 20);
      });

  test('an NFS that does not look whether a file has changed is refused', () => {
    assert.equal(fitnessOf({ point: '/', type: 'nfs4', options: ['rw', 'nocto'] }).kind, 'refused');
  });

  test('where it is not known, nothing is refused', () => {
    assert.equal(fitnessOf(null).kind, 'unknown');
  });
});

test('a place is known by what its links lead to, also before it is there', () => {
  const dir = mkdtempSync(join(root, 'place-'));
  mkdirSync(join(dir, 'real'));
  symlinkSync(join(dir, 'real'), join(dir, 'link'));
  const place = placeOf(join(dir, 'link', 'new', 'state'));
  assert.deepEqual(place, {
    dir: join(dir, 'real', 'new', 'state'),
    local: join(dir, 'real', 'new', 'state'),
  });
  assert.deepEqual(placeOf('/etc/pve/proxwarden/two'), {
    dir: '/etc/pve/proxwarden/two',
    local: '/var/lib/proxwarden/two',
  });
});
