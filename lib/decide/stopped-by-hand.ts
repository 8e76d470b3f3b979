/** Stopped because somebody asked for it: no failure, whatever its checks say. Pure. */
import type { ContainerState } from '../state/model.ts';
import { guardInPlace, isMarked } from './guard.ts';
import type { Incarnation, Observation } from './model.ts';
import { isStop, lastListedTask, stoppedWithNode, type StopInput } from './node-stop.ts';

/** Which copy somebody's stop was about, for the state. The node is left out: a stopped copy can be migrated. */
export function stoppedKey({ cluster, vmid, epoch }: Incarnation): string {
  return `${cluster}/${vmid}@${epoch}`;
}

/** Who stopped this very copy, as far as is remembered; a stop of another one says nothing of it. */
export function rememberedStop(
  record: Pick<ContainerState, 'stoppedByHand' | 'stoppedCopy' | 'current'> | undefined,
  current: Incarnation | null,
): string | null {
  if (record === undefined || current === null) return null;
  const of = record.stoppedCopy ?? (record.current === null ? null : stoppedKey(record.current));
  return of === stoppedKey(current) ? record.stoppedByHand : null;
}

/**
 * Who stopped the current copy, as a clause; null: nobody, as far as can be known. With a living node its own task log
 * says so; without one what was remembered, what the cluster's list of tasks still holds of that node, and what the HA
 * manager was told.
 */
export function stoppedByHand(
  observation: Observation,
  current: Incarnation,
  remembered: string | null,
  kept: StopInput['kept'],
): string | null {
  const { cluster, node, vmid } = current;
  const view = observation.clusters[cluster];
  if (view === undefined) return null;
  const detail = view.details.find((d) => d.vmid === vmid && d.node === node);
  const listed = view.guests.find((g) => g.vmid === vmid && g.node === node)?.status;
  if (detail === undefined ? listed === 'running' : detail.status !== 'stopped') return null;
  const task = detail?.lastTask ?? lastListedTask(view, node, vmid);
  // A copy that we have stopped ourselves (its probes never passed) is down, whoever looks at the task log.
  if (task !== null && (!isStop(task) || task.ours === true)) return null;
  // Remembered, and no start since.
  if (remembered !== null)
    return detail === undefined ? `${remembered}; ${node} can't be asked now` : remembered;
  const entry = guardInPlace(view, node, vmid) ? undefined : view.ha.find((e) => e.sid === `ct:${vmid}`);
  const wanted = entry === undefined || isMarked(entry) ? undefined : entry.state;
  if (wanted === 'stopped' || wanted === 'disabled')
    return `the HA manager has been told to keep it ${wanted}`;
  if (task === null) return movedStopped(observation, current);
  if (!task.ok) return null;
  if (stoppedWithNode(task, { kept, view, node, now: observation.at })) return null;
  return `stopped by ${task.user} (${task.type})${detail === undefined ? ` before ${node} fell silent` : ''}`;
}

/** A copy that was never started here, of a container that a person had stopped before it was moved. */
function movedStopped(observation: Observation, current: Incarnation): string | null {
  const line = observation.clusters[current.cluster]?.lineages.find(
    (l) => l.vmid === current.vmid && l.node === current.node,
  )?.line;
  return line?.stopped === 'by-hand' && line.epoch === current.epoch
    ? `stopped by hand before ${line.operation} moved it to ${current.node}`
    : null;
}
