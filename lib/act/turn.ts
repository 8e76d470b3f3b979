/** Whose turn it is: the limits on restores at the same time, held over all processes by the journals themselves. */
import { turnOf, underWayOf } from '../decide/under-way.ts';
import type { FailoverAction } from '../decide/model.ts';
import { LockedError } from '../errors.ts';
import type { Operation } from '../state/model.ts';
import type { ActContext } from './context.ts';

/** Another failover has to get further first; nothing is wrong. */
export class NotItsTurn extends LockedError {}

/** Why a failover has to wait for those that are under way; null: it may begin. A person's wish waits for nobody. */
export function waitingFor(
  { inventory }: Pick<ActContext, 'inventory'>,
  action: FailoverAction,
  running: readonly Operation[],
): string | null {
  const { mode, target, from, takes } = action;
  if (mode !== 'automatic' || takes === undefined) return null;
  const others = running.map(underWayOf).filter((one) => one !== null);
  return turnOf(inventory.limits, others, target, `${from.cluster}/${takes.backups}`);
}
