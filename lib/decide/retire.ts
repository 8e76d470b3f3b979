/** Whether, and how, an original can be kept from starting by itself later (rule 1, last gate). Pure. */
import type { Container } from '../inventory/types.ts';
import type { ClusterView, FailoverAction, Gate, Incarnation } from './model.ts';

/** Name of the restricted HA group that holds only the dead node. See facts, section 9. */
export function guardGroup(node: string): string {
  return `pw-guard-${node}`;
}

/** The guard is there and inert: state disabled, in a restricted group that holds only its node. */
export function guardInPlace(view: ClusterView, node: string, vmid: number): boolean {
  const entry = view.ha.find((e) => e.sid === `ct:${vmid}`);
  if (entry === undefined || entry.state !== 'disabled' || entry.group === null) return false;
  const group = view.haGroups.find((g) => g.group === entry.group);
  return group !== undefined && group.restricted && group.nodes.length === 1 && group.nodes[0] === node;
}

/** The guard has been measured on 8.x only; in 9.x groups became rules, so there it counts as absent. */
export function guardMeasured(version: string | null): boolean {
  return version !== null && version.startsWith('8.');
}

/** How the original will be kept down, the gate that says so, and whether it is so already. `sourceAlive`: its node answers. */
export function retirement(
  container: Container,
  original: Incarnation,
  view: ClusterView,
  sourceAlive: boolean,
): { readonly retire: FailoverAction['retire']; readonly gate: Gate; readonly settled: boolean } {
  const what = `CT ${original.vmid} on ${original.node}`;
  if (sourceAlive) return answer('onboot-off', true, `${what} will be stopped and get onboot=0`, null);
  if (guardInPlace(view, original.node, original.vmid))
    return answer('ha-guard', true, `the inert HA guard of ${what} is in place`, null, true);
  const obstacle = guardObstacle(view, original);
  if (obstacle === null)
    return answer(
      'ha-guard',
      true,
      `the inert HA guard will keep ${what} from starting when its node returns`,
      null,
    );
  if (container.failover.returnRisk === 'accepted')
    return answer(
      'risk-accepted',
      true,
      `${what} may start when its node returns (${obstacle}); the inventory accepts that: returnRisk: accepted`,
      null,
      true,
    );
  return answer(
    'nothing-to-do',
    false,
    `${what} would start by itself when its node returns, and it can't be prevented: ${obstacle}`,
    // A right helps only where the right is what is missing.
    `${view.mayGuard === false && guardMeasured(view.version) ? 'give the token Sys.Console on / (propagate=0), or ' : ''}set failover.returnRisk: accepted for ${container.name}`,
  );
}

/** Why the guard can't be set for an original whose node is dead; null: it can. */
export function guardObstacle(view: ClusterView, original: Incarnation): string | null {
  if (view.standalone) return 'a stand-alone node has no HA manager elsewhere';
  if (!guardMeasured(view.version))
    return `the HA guard has not been measured on Proxmox VE ${view.version ?? '(unknown version)'}`;
  if (view.haProblem !== undefined) return view.haProblem;
  const entry = view.ha.find((e) => e.sid === `ct:${original.vmid}`);
  if (entry !== undefined) return `there is an HA entry ct:${original.vmid} (${entry.state}) that isn't ours`;
  if (view.mayGuard === false) return 'the token may not write HA entries';
  if (view.mayGuard === null) return 'it is not known whether the token may write HA entries';
  return null;
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
