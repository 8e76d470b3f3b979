/** What operations that are under way, here or in other processes, take of nodes and storages. Pure. */
import type { Limits, Target } from '../inventory/types.ts';
import type { Operation } from '../state/model.ts';
import type { FailoverAction, Takes } from './model.ts';

/** One copy that is being made. */
export interface UnderWay {
  readonly operation: string;
  readonly container: string;
  readonly target: Target;
  /** Of the copy; null: not known yet. */
  readonly vmid: number | null;
  /** Its restore has not ended, or not begun; false when it is being undone. */
  readonly restoring: boolean;
  /** Its place among the restores is taken; false: it prepares, or waits for one. */
  readonly turn: boolean;
  /** `cluster/storage` that the backup is on. */
  readonly backups: string | null;
  /** Null: a restore to look into, or a journal of an earlier version. */
  readonly takes: Takes | null;
}

/** What of a journal tells it. */
type Making = Pick<Operation, 'id' | 'container' | 'kind' | 'status' | 'action'> & {
  readonly data: Pick<
    Operation['data'],
    'target' | 'vmid' | 'volid' | 'live' | 'turn' | 'restored' | 'undoing'
  >;
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
    turn: data.turn,
    backups: storage === undefined ? null : `${action?.from.cluster ?? target.cluster}/${storage}`,
    takes: action?.takes ?? null,
  };
}

/**
 * Whether all that comes before its restore may be done while it waits for its turn: nothing of it is missed meanwhile. A
 * source that is alive, or a config that is moved away, would be.
 */
export function preparesAhead({
  sourceAlive,
  retire,
}: Pick<FailoverAction, 'sourceAlive' | 'retire'>): boolean {
  return !sourceAlive && retire !== 'config-moved';
}

type Slots = Pick<Limits, 'restoresPerNode' | 'restoresPerStorage'>;

/**
 * Why a failover to `target`, from a backup on `backups` (`cluster/storage`), may not restore yet; null: its turn has come.
 * `others`: all that are under way, and of those that wait only those before it, in the order of their beginning.
 */
export function turnOf(
  limits: Slots,
  others: readonly UnderWay[],
  target: Target,
  backups: string,
): string | null {
  const held = others.filter((one) => one.restoring && one.turn);
  for (const one of others)
    if (
      one.restoring &&
      !one.turn &&
      one.backups !== null &&
      fullOf(limits, held, one.target, one.backups) === null
    )
      held.push(one);
  return fullOf(limits, held, target, backups);
}

/**
 * Why a failover that prepares ahead may not begin yet; null: it may. For each place there is one that restores and one that
 * is ready to follow it, so that no place stands empty while the next one is looked into.
 */
export function beginOf(
  limits: Slots,
  others: readonly UnderWay[],
  target: Target,
  backups: string,
): string | null {
  return fullOf(
    limits,
    others.filter((one) => one.restoring),
    target,
    backups,
    2,
  );
}

function fullOf(
  limits: Slots,
  those: readonly UnderWay[],
  target: Target,
  backups: string,
  deep = 1,
): string | null {
  const full = (here: readonly UnderWay[], where: string, limit: number, key: string): string | null =>
    here.length < limit * deep
      ? null
      : `${restoringText(here, where)}, the limit is ${limit} (limits.${key})`;
  return (
    full(
      those.filter((one) => one.target.cluster === target.cluster && one.target.node === target.node),
      `on ${target.node}`,
      limits.restoresPerNode,
      'restoresPerNode',
    ) ??
    full(
      those.filter((one) => one.backups === backups),
      `from ${backups.slice(backups.indexOf('/') + 1)}`,
      limits.restoresPerStorage,
      'restoresPerStorage',
    )
  );
}

/** `app, app-1 are being restored from nas and app-2 is next`. */
function restoringText(those: readonly UnderWay[], where: string): string {
  const named = (some: readonly UnderWay[]): string =>
    `${some.map((one) => one.container).join(', ')} ${some.length === 1 ? 'is' : 'are'}`;
  const now = those.filter((one) => one.turn);
  const next = those.filter((one) => !one.turn);
  return [
    ...(now.length === 0 ? [] : [`${named(now)} being restored ${where}`]),
    ...(next.length === 0 ? [] : [`${named(next)} next${now.length === 0 ? ` ${where}` : ''}`]),
  ].join(' and ');
}
