/**
 * What a file system is good for as the place of a state folder. A folder is refused when its kind is known not to do what
 * the state rests on: a link that is made with its target in one step, by one of several at most; a file that is replaced
 * in one step, also while it is read; and that a reader sees what was written before.
 */
import type { Mount } from './mounts.ts';

export type Fitness =
  /** A disk of this machine. */
  | { readonly kind: 'own' }
  /** Runners on several machines may share it. */
  | { readonly kind: 'shared' }
  /** All is well until it goes, with the container or at the next boot. */
  | { readonly kind: 'volatile' }
  /** Nobody has tried it. */
  | { readonly kind: 'unknown' }
  /** pmxcfs, which has ways of its own. */
  | { readonly kind: 'cluster' }
  | { readonly kind: 'refused'; readonly why: string };

const OWN = new Set(
  'ext2 ext3 ext4 xfs btrfs zfs f2fs bcachefs jfs reiserfs nilfs2 ubifs ecryptfs apfs hfs'.split(' '),
);
const SHARED = new Set(['nfs', 'nfs4', 'ceph', 'gfs2', 'ocfs2']);
const VOLATILE = new Set(['tmpfs', 'ramfs', 'overlay', 'aufs', 'rootfs']);

const NO_LINKS = 'it has no symbolic links and no owners of files';
const WINDOWS = 'it makes no link in one step, and replaces no file that is being read';
const CACHED = 'it answers from its own cache, so that a runner would not see what another has written';
const OBJECTS = 'two that make the same file there at the same time both succeed';
const REFUSED: Readonly<Record<string, string>> = {
  vfat: NO_LINKS,
  msdos: NO_LINKS,
  exfat: NO_LINKS,
  cifs: WINDOWS,
  smb3: WINDOWS,
  smbfs: WINDOWS,
  vboxsf: WINDOWS,
  'fuse.sshfs': CACHED,
  'fuse.curlftpfs': CACHED,
  davfs: CACHED,
  'fuse.davfs': CACHED,
  'fuse.rclone': OBJECTS,
  'fuse.s3fs': OBJECTS,
  'fuse.goofys': OBJECTS,
  'fuse.gcsfuse': OBJECTS,
  'fuse.blobfuse2': OBJECTS,
  'fuse.mountpoint-s3': OBJECTS,
};

/** Of the mount that a state folder is on (null: not known), which is not pmxcfs. Pure. */
export function fitnessOf(mount: Mount | null): Fitness {
  if (mount === null) return { kind: 'unknown' };
  const { type, options } = mount;
  const why = Object.hasOwn(REFUSED, type) ? REFUSED[type] : undefined;
  if (why !== undefined) return { kind: 'refused', why };
  // Close-to-open consistency is what makes the lock of any use there.
  if (/^nfs4?$/.test(type) && options.includes('nocto'))
    return { kind: 'refused', why: `it is mounted with nocto: ${CACHED}` };
  if (OWN.has(type)) return { kind: 'own' };
  if (SHARED.has(type)) return { kind: 'shared' };
  return { kind: VOLATILE.has(type) ? 'volatile' : 'unknown' };
}
