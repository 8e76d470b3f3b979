/** Whether, and how, an original can be kept from starting by itself later (rule 1, last gate). Pure. */
import type { Container } from '../inventory/types.ts';
import { guardAsBelt, guardInPlace, guardObstacle, guardWay } from './guard.ts';
import { copyInItsPlace } from './same-vmid.ts';
import type { ClusterView, FailoverAction, Gate, Incarnation } from './model.ts';
import type { State } from '../state/model.ts';

/** What is remembered of nodes that can't be asked any more. */
export type Memory = Pick<State, 'containers' | 'lastSeenOnline'>;

/** In the last runs before its node fell silent. Nobody can have set it since but at that node itself. */
const LATELY_INTERVALS = 3;

/**
 * Whether the original is known to have onboot=0, from when its node could be asked: for one whose onboot ProxWarden
 * keeps off, since it starts it itself (autostart: proxwarden). A lost state knows of nothing.
 */
export function onbootKnownOff(
  { name, intervalMs, failover }: Container,
  { cluster, node, vmid }: Pick<Incarnation, 'cluster' | 'node' | 'vmid'>,
  { containers, lastSeenOnline }: Memory,
): boolean {
  if (failover.autostart !== 'proxwarden') return false;
  const readAt = containers[name]?.onbootOff[`${cluster}/${node}/${vmid}`];
  const seenAt = lastSeenOnline[`${cluster}/${node}`];
  return readAt !== undefined && seenAt !== undefined && seenAt - readAt <= LATELY_INTERVALS * intervalMs;
}

/** How the original will be kept down, the gate that says so, and whether it is so already. `sourceAlive`: its node answers. */
export function retirement(
  container: Container,
  original: Incarnation,
  view: ClusterView,
  sourceAlive: boolean,
  memory: Memory,
): { readonly retire: FailoverAction['retire']; readonly gate: Gate; readonly settled: boolean } {
  const what = `CT ${original.vmid} on ${original.node}`;
  if (sourceAlive) return answer('onboot-off', true, `${what} will be stopped and get onboot=0`, null);
  const copy = copyInItsPlace(view, original);
  if (copy !== null)
    return answer('config-moved', true, `the config of ${what} has been moved aside for ${copy}`, null, true);
  if (guardInPlace(view, original.node, original.vmid))
    return answer('ha-guard', true, `the inert HA guard of ${what} is in place`, null, true);
  const obstacle = guardObstacle(view, original);
  const off = onbootKnownOff(container, original, memory);
  if (obstacle === null)
    return answer(
      'ha-guard',
      true,
      `the inert HA guard will keep ${what} from starting when its node returns`,
      null,
      off,
    );
  if (off)
    return answer(
      'onboot-known-off',
      true,
      `${what} had onboot=0 when its node last answered (autostart: proxwarden), so it stays down when that returns`,
      null,
      true,
    );
  if (container.failover.returnRisk === 'accepted') {
    const belt = guardAsBelt(view, original);
    return answer(
      belt ? 'risk-and-guard' : 'risk-accepted',
      true,
      `${what} may start when its node returns (${obstacle}); the inventory accepts that: returnRisk: accepted${belt ? '. The guard is set all the same' : ''}`,
      null,
      true,
    );
  }
  return answer(
    'nothing-to-do',
    false,
    `${what} would start by itself when its node returns, and it can't be prevented: ${obstacle}${container.failover.autostart === 'proxwarden' ? '; and that its onboot was off (autostart: proxwarden) is not known' : ''}`,
    // A right helps only where the right is what is missing.
    `${view.mayGuard === false && guardWay(view) === 'group' ? 'give the token Sys.Console on / (propagate=0), or ' : ''}set failover.returnRisk: accepted for ${container.name}`,
  );
}

function answer(
  retire: FailoverAction['retire'],
  ok: boolean,
  evidence: string,
  flip: string | null,
  settled = false,
) {
  return { retire, gate: { gate: 'return', ok, evidence, flip }, settled };
}
