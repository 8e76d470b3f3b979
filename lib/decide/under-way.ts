/** What operations that are under way, here or in other processes, take of nodes and storages. Pure. */
import type { Limits, Target } from '../inventory/types.ts';
import type { Operation } from '../state/model.ts';
import type { Takes } from './model.ts';

/** One copy that is being made. */
export interface UnderWay {
  readonly operation: string;
  readonly container: string;
  readonly target: Target;
  /** Of the copy; null: not known yet. */
  readonly vmid: number | null;
  /** Its restore has not ended, or not begun; false when it is being undone. */
  readonly restoring: boolean;
  /** `cluster/storage` that the backup is on. */
  readonly backups: string | null;
  /** Null: a restore to look into, or a journal of an earlier version. */
  readonly takes: Takes | null;
}

/** What of a journal tells it. */
type Making = Pick<Operation, 'id' | 'container' | 'kind' | 'status' | 'action'> & {
  readonly data: Pick<Operation['data'], 'target' | 'vmid' | 'volid' | 'live' | 'restored' | 'undoing'>;
};

/** The copy that an operation makes; null: it makes none, or has ended. */
export function underWayOf({ id, container, kind, status, action, data }: Making): UnderWay | null {
  const target = data.target ?? action?.target ?? null;
  if (status !== 'running' || target === null || (kind !== 'failover' && kind !== 'restore')) return null;
  const volid = data.volid ?? action?.volid ?? null;
  const storage = action?.takes?.backups ?? volid?.split(':')[0];
  return {
    operation: id,
    container,
    target,
    // Of a second attempt it is the one that was chosen for that, whatever the first one had.
    vmid: data.vmid ?? data.live?.vmid ?? action?.vmid ?? null,
    restoring: !data.restored && data.undoing === null,
    backups: storage === undefined ? null : `${action?.from.cluster ?? target.cluster}/${storage}`,
    takes: action?.takes ?? null,
  };
}

/**
 * Why a failover to `target`, from a backup on `backups` (`cluster/storage`), has to wait for others; null: its turn has
 * come. Each counts from its beginning until its restore is over.
 */
export function turnOf(
  limits: Pick<Limits, 'restoresPerNode' | 'restoresPerStorage'>,
  others: readonly UnderWay[],
  target: Target,
  backups: string,
): string | null {
  const restoring = others.filter((one) => one.restoring);
  const full = (here: readonly UnderWay[], where: string, limit: number, key: string): string | null =>
    here.length < limit
      ? null
      : `${here.map((one) => one.container).join(', ')} ${here.length === 1 ? 'is' : 'are'} being restored ${where}, the limit is ${limit} (limits.${key})`;
  return (
    full(
      restoring.filter((one) => one.target.cluster === target.cluster && one.target.node === target.node),
      `on ${target.node}`,
      limits.restoresPerNode,
      'restoresPerNode',
    ) ??
    full(
      restoring.filter((one) => one.backups === backups),
      `from ${backups.slice(backups.indexOf('/') + 1)}`,
      limits.restoresPerStorage,
      'restoresPerStorage',
    )
  );
}
