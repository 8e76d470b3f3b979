/** Each container's original once a dead node is back: would it start beside its copy, and for how long at most. Pure. */
import { formatDuration } from '../../units.ts';
import { guardAsBelt, guardObstacle } from '../guard.ts';
import { exposures, reactionMs, type Exposure } from '../two-copies.ts';
import type { Finding, Subject } from './facts.ts';
import { finding, type ClusterLook, type ContainerLook } from './look.ts';

export function checkReturns(cluster: ClusterLook, one: ContainerLook, about: Subject): Finding[] {
  return [...returns(cluster, one, about), ...cutOff(cluster, one, about), ...autostart(one, about)];
}

function returns({ view }: ClusterLook, { container, at, detail }: ContainerLook, about: Subject): Finding[] {
  if (view === null || view.standalone || at === null) return [];
  const { failover } = container;
  // Without its config nothing can start it: places.ts says whether that can be moved.
  if (failover.identity === 'same-vmid') return [];
  const obstacle = guardObstacle(view, at);
  if (obstacle === null || failover.autostart === 'proxwarden') return [];
  const accepted = failover.returnRisk === 'accepted';
  if (accepted && detail?.onboot !== true) return [];
  const belt = guardAsBelt(view, at) ? '; the guard is set all the same' : '';
  const most = `two copies could run for at most about ${formatDuration(reactionMs(container))}, until the next run has stopped it`;
  const cure =
    'failover.autostart: proxwarden (its onboot is off ahead of time, and ProxWarden starts it after a boot)';
  const right = view.mayGuard === false ? 'give the token Sys.Console on / (propagate=0), or ' : '';
  return [
    finding(
      'onboot-unguarded',
      accepted ? 'note' : 'fail',
      about,
      `its original ${detail?.onboot === true ? 'starts (onboot=1)' : 'could start'} when a dead node returns, and that can't be prevented: ${obstacle}${accepted ? `; the inventory accepts that (returnRisk: accepted): ${most}${belt}` : ', so a failover from a dead node is blocked'}`,
      accepted
        ? `${cure} rules that out; else, when ${at.node} has died, unplug its network before you power it on`
        : `${right}${cure}, or accept the risk by name: failover.returnRisk: accepted`,
    ),
  ];
}

/** Taken for dead on the others' word alone. */
function cutOff({ view }: ClusterLook, { container, at, detail }: ContainerLook, about: Subject): Finding[] {
  if (view === null || at === null) return [];
  const one = exposures(container, at, view, detail?.onboot).find(({ when }) => when === 'cut-off');
  if (one === undefined) return [];
  return [
    finding(
      'two-copies',
      'note',
      about,
      `if ${at.node} is cut off and lives, two copies run until its link is mended, and then for at most about ${formatDuration(one.ms)} more (proof: offline-accepted takes that risk)`,
      `a fence for ${at.node} and proof: stopped rule that out`,
    ),
  ];
}

function autostart({ container, detail }: ContainerLook, about: Subject): Finding[] {
  if (container.failover.autostart !== 'proxwarden') return [];
  return [
    finding(
      'autostart-ours',
      'note',
      about,
      `after a power cut nothing starts it but check-and-failover (autostart: proxwarden)${detail?.onboot === true ? '; it has onboot=1 still, and the next run turns that off' : ''}`,
      'see that this machine comes back by itself, and needs nothing that runs on the cluster',
    ),
  ];
}

/** In a container's line. */
export function exposureText(found: readonly Exposure[], node: string): string {
  const texts = found.map(({ when, ms }) =>
    when === 'returns'
      ? `two copies for at most about ${formatDuration(ms)} when ${node} returns`
      : `two copies while ${node} is cut off, and at most about ${formatDuration(ms)} more`,
  );
  return texts.length === 0 ? 'never two copies' : texts.join(', ');
}
