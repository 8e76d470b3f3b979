/** In which mode a container is backed up. Pure. */
import type { Container } from '../inventory/types.ts';

export type BackupMode = 'snapshot' | 'suspend' | 'stop';

export interface ModeInput {
  readonly wish: Container['backup']['mode'];
  readonly running: boolean;
  /** Root disk and mount points that are in backups. */
  readonly volumes: readonly { readonly key: string; readonly storage: string }[];
  /** Types of the cluster's storages by their ids; empty: not known. */
  readonly types: ReadonlyMap<string, string>;
  /** Where the backup goes. */
  readonly target: string;
}

export interface ModeChoice {
  readonly mode: BackupMode;
  /** What a person should know of it, in one sentence; null: nothing. */
  readonly said: string | null;
  /** It may lose something. */
  readonly warn: boolean;
}

/** On these no volume of a container has snapshots. Types that PVE doesn't ship are not in it: there PVE itself decides. */
const WITHOUT_SNAPSHOTS: ReadonlySet<string> = new Set([
  'dir',
  'nfs',
  'cifs',
  'lvm',
  'glusterfs',
  'iscsi',
  'iscsidirect',
  'cephfs',
]);

/**
 * An explicit mode stands. Else snapshot where all volumes can, and suspend where one can't: both freeze the container
 * for a moment only and catch it as a power loss would; `stop` would take the service down for the whole backup. (Asked
 * for a snapshot that can't be, PVE falls back to suspend by itself: recording 04.) A stopped container has no choice.
 */
export function backupMode({ wish, running, volumes, types, target }: ModeInput): ModeChoice {
  const without = volumes.filter((v) => WITHOUT_SNAPSHOTS.has(types.get(v.storage) ?? ''));
  const mode = wish !== 'auto' ? wish : without.length > 0 ? 'suspend' : 'snapshot';
  if (!running || mode === 'stop') return { mode, said: null, warn: false };
  const suspended = mode === 'suspend' || without.length > 0;
  if (!suspended) return { mode, said: null, warn: false };
  const where = without.map((v) => `${v.key} on ${v.storage} (${types.get(v.storage) ?? '?'})`).join(', ');
  const why = without.length > 0 ? `${where} has no snapshots` : 'the inventory says so';
  const how = `mode suspend, since ${why}: it is copied while it runs, and frozen for the last part of the copy`;
  // PVE's source (unmeasured): rsync to a temporary folder on NFS runs without -X and -A.
  return types.get(target) === 'nfs'
    ? {
        mode,
        said: `${how}; that copy is on ${target} (nfs), where ACLs and file capabilities get lost: set backup.mode: stop, or tmpdir in /etc/vzdump.conf of the nodes`,
        warn: true,
      }
    : { mode, said: how, warn: false };
}
