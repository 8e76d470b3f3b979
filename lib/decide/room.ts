/** Whether a fresh backup of a living source can be made, as far as that can be known before it is stopped for it. Pure. */
import type { Container } from '../inventory/types.ts';
import { formatSize } from '../units.ts';
import { fail, pass } from './gates.ts';
import type { BackupView, ClusterView, Gate, Incarnation } from './model.ts';

/** A container grows between two backups. */
const GROWTH = 1.2;

/** The gate `backup` of a failover whose source lives: it would be stopped for nothing. */
export function freshBackupGate(
  view: ClusterView,
  { name, backup: { storage: id } }: Container,
  current: Incarnation,
  backups: readonly BackupView[],
): Gate {
  const { node, vmid } = current;
  const storage = view.storages.find((s) => s.node === node && s.storage === id);
  const fix = `compare backup.storage with \`pvesm status\` on ${node}; the token needs Datastore.Audit on it`;
  if (storage === undefined)
    return fail('backup', `${node} can't see the backup storage ${id}, so no fresh one can be made`, fix);
  if (!storage.active)
    return fail('backup', `storage ${id} is not active on ${node}, so no fresh one can be made`, fix);
  if (!storage.content.includes('backup'))
    return fail(
      'backup',
      `storage ${id} takes no backups (its content is ${storage.content.join(', ')})`,
      fix,
    );
  const made = pass('backup', `a fresh one is made on ${id} after the source has been stopped`);
  const free = storage.total === null || storage.used === null ? null : storage.total - storage.used;
  const last = backups
    .filter(
      (b) => b.cluster === current.cluster && b.storage === id && b.vmid === vmid && b.unfinished === null,
    )
    .toSorted((a, b) => b.at - a.at)[0];
  const used = view.guests.find((g) => g.vmid === vmid && g.node === node)?.diskUsed ?? null;
  // A backup server takes in only what has changed: the size of the last one says nothing of the next.
  const incremental = storage.type === 'pbs' && last !== undefined;
  const need = incremental ? 1 : last !== undefined ? last.size * GROWTH : used;
  if (free === null || need === null || free >= need) return made;
  const why = incremental
    ? 'it is full'
    : `the new one may need ${formatSize(need)} (${last === undefined ? 'what its disk holds' : `the last one was ${formatSize(last.size)}`})`;
  return fail(
    'backup',
    `storage ${id} has ${formatSize(free)} free, and ${why}: the source would be stopped for nothing`,
    `free space on ${id}, for example with \`proxwarden backup prune ${name}\``,
  );
}
