/** Plans: the decisions of one run with an id that stays the same as long as the same would be done. Pure. */
import { createHash } from 'node:crypto';
import type { Inventory } from '../inventory/types.ts';
import type { Decision, Plan, Request } from './model.ts';

const LIFETIME_MS = 30 * 60_000;

/** What makes two plans the same: who would be moved, from where to where, from what; times and latencies left out. */
function essence(decision: Decision): unknown {
  const { container, kind, current, action } = decision;
  if (kind !== 'failover' && kind !== 'start' && kind !== 'restart') return null;
  return { container, kind, current, action: action === null ? null : { ...action, backupAt: null } };
}

/**
 * The plan of these decisions; `request`: what they were asked for by. Its id is a hash of what would be done, so a second
 * run finds the same plan.
 */
export function makePlan(
  inventory: Inventory,
  decisions: readonly Decision[],
  now: number,
  request?: Request,
): Plan {
  const acts = decisions.map(essence).filter((e) => e !== null);
  const id = createHash('sha256')
    .update(JSON.stringify({ inventory: inventory.digest, acts, request }))
    .digest('hex')
    .slice(0, 12);
  return {
    version: 1,
    id,
    at: now,
    expiresAt: now + LIFETIME_MS,
    inventory: inventory.digest,
    decisions: [...decisions],
    ...(request === undefined ? {} : { request }),
  };
}

/** Whether a fresh decision does what the planned one says. A node that has been fenced meanwhile needs no fence. */
export function sameAction(fresh: Decision, planned: Decision): boolean {
  const fence = fresh.action?.fence ?? [];
  if (!fence.every((node) => planned.action?.fence.includes(node) ?? false)) return false;
  const strip = (decision: Decision): string =>
    JSON.stringify(
      essence(
        decision.action === null ? decision : { ...decision, action: { ...decision.action, fence: [] } },
      ),
    );
  return strip(fresh) === strip(planned);
}

/** Whether anything would be done. */
export function planActs(plan: Plan): boolean {
  return plan.decisions.some((d) => essence(d) !== null);
}
