/** The start that PVE's autostart would make, where the inventory leaves it to ProxWarden (autostart: proxwarden). Pure. */
import type { Container } from '../inventory/types.ts';
import type { ContainerState } from '../state/model.ts';
import type { Incarnation, Observation } from './model.ts';

/**
 * Why the current copy is to be started now, as a sentence: its node has booted and answers, it is stopped there, and
 * since the boot nobody has started or stopped it. Null: not so. (That a person had stopped it before is the verdict's.)
 */
export function afterBoot(
  { mode, failover }: Container,
  current: Incarnation | null,
  record: Pick<ContainerState, 'lastHealthyAt'>,
  observation: Observation,
): string | null {
  if (mode !== 'protect' || failover.autostart !== 'proxwarden' || current === null) return null;
  const view = observation.clusters[current.cluster];
  const node = view?.nodes.find((n) => n.name === current.node);
  const detail = view?.details.find((d) => d.node === current.node && d.vmid === current.vmid);
  if (view?.via == null || node?.apiAnswers !== true || detail?.status !== 'stopped') return null;
  // Until it has reported, lists show how it was before.
  if (node.uptimeSeconds === null) return null;
  const bootedAt = view.at - node.uptimeSeconds * 1000;
  const used = Math.max(detail.lastTask?.endedAt ?? 0, record.lastHealthyAt ?? 0);
  return used < bootedAt && detail.starting === undefined
    ? `${current.node} has booted, and CT ${current.vmid} is started there (autostart: proxwarden)`
    : null;
}
