/** All backups of one container on its backup storage, of whatever copy, with what is inside each. Reads only. */
import { incarnationsOf } from '../decide/incarnations.ts';
import type { BackupView, Incarnation } from '../decide/model.ts';
import { containerIn } from '../decide/reach.ts';
import { knownMacs } from '../decide/whose.ts';
import { FailedError, InconclusiveError } from '../errors.ts';
import type { Container } from '../inventory/types.ts';
import { readStore } from '../observe/backups.ts';
import type { ActContext } from './context.ts';
import { observeClosely } from './start-gate.ts';

export interface ContainerBackups {
  readonly current: Incarnation;
  /** Why which copy is the current one can't be relied on. */
  readonly problems: readonly string[];
  /** MACs by which they are known; empty: not known. */
  readonly macs: readonly string[];
  readonly backups: readonly BackupView[];
  /** Through which node they were listed. */
  readonly node: string;
}

/**
 * Throws InconclusiveError without a quorate view, FailedError when the container isn't in the cluster or no node that
 * answers can list its backup storage.
 */
export async function containerBackups(context: ActContext, container: Container): Promise<ContainerBackups> {
  const { name, vmid } = container;
  const observation = await observeClosely(context, container, { backups: false });
  const record = context.state.read().containers[name];
  const { current, problems } = incarnationsOf(container, observation, record);
  const cluster = current?.cluster ?? container.cluster;
  const view = observation.clusters[cluster];
  const api = context.apis.get(cluster);
  if (view === undefined || view.via === null || api === undefined)
    throw new InconclusiveError(
      [`${name}: there is no quorate view of cluster ${cluster}`, ...(view?.problems ?? [])].join('; '),
    );
  if (current === null) throw new FailedError(`${name}: vmid ${vmid} is not in cluster ${cluster}`);
  const macs = knownMacs(container, current, observation, record);
  const elsewhere = Object.values(container.elsewhere).flatMap((there) => there.vmids);
  const vmids = new Set([vmid, current.vmid, ...container.failover.vmids, ...elsewhere]);
  const { backups, node, problem } = await readStore({
    api,
    view,
    storage: containerIn(container, cluster).backup.storage,
    wanted: new Map([...vmids].map((one) => [one, macs])),
    all: true,
    signal: context.signal,
  });
  if (node === null) throw new FailedError(`${name}: ${problem ?? 'its backups could not be listed'}`);
  return { current, problems, macs, backups: backups.toSorted((a, b) => b.at - a.at), node };
}
