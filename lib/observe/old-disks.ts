/** Reads what volumes the storages of the nodes hold of the containers' vmids. Only when asked: a call per node, storage and vmid. */
import pLimit from 'p-limit';
import { assess } from '../decide/decide.ts';
import type { Observation } from '../decide/model.ts';
import { oldDisks, type OldDisk, type Volume } from '../decide/old-disks.ts';
import { copyVmids } from '../decide/reach.ts';
import { messageOf, PveError } from '../errors.ts';
import type { Container, Inventory } from '../inventory/types.ts';
import type { PveApi } from '../pve/api.ts';
import type { State } from '../state/model.ts';
import { addDetails } from './view.ts';
import type { Runtime } from '../runtime.ts';

const CONCURRENCY = 8;

export interface OldDisksInput {
  readonly inventory: Inventory;
  readonly observation: Observation;
  readonly state: State;
  readonly apis: ReadonlyMap<string, PveApi>;
  readonly runtime: Runtime;
  readonly signal?: AbortSignal | undefined;
}

/** The disks that earlier copies have left, and why some storages could not be looked at. */
export async function readOldDisks(
  input: OldDisksInput,
): Promise<{ readonly disks: readonly OldDisk[]; readonly problems: readonly string[] }> {
  const { inventory, observation, state, apis, runtime, signal } = input;
  const disks: OldDisk[] = [];
  const problems: string[] = [];
  const limit = pLimit(CONCURRENCY);
  for (const { container, incarnations } of assess(inventory, observation, state)) {
    const { current, superseded, pending } = incarnations;
    const known = [...(current === null ? [] : [current]), ...superseded, ...pending];
    for (const view of Object.values(observation.clusters)) {
      const api = apis.get(view.cluster);
      const cluster = inventory.clusters[view.cluster];
      if (view.via === null || api === undefined || cluster === undefined) continue;
      const vmids = vmidsIn(
        container,
        view.cluster,
        known.filter((i) => i.cluster === view.cluster).map((i) => i.vmid),
      );
      await addDetails(
        view,
        view.guests.filter((g) => vmids.includes(g.vmid) && g.type === 'lxc'),
        { api, cluster, runtime, signal },
      );
      const places = view.storages.filter(
        (s, index) =>
          s.active &&
          (s.content.includes('rootdir') || s.content.includes('images')) &&
          view.nodes.find((n) => n.name === s.node)?.apiAnswers === true &&
          // All nodes say the same of a shared one.
          !(s.shared && view.storages.findIndex((o) => o.storage === s.storage && o.active) < index),
      );
      const lists = await Promise.all(
        places.flatMap(({ node, storage }) =>
          vmids.map((vmid) =>
            limit(async (): Promise<Volume[]> => {
              try {
                return await api.volumes(node, storage, vmid, { signal });
              } catch (error) {
                if (signal?.aborted === true || !(error instanceof PveError)) throw error;
                problems.push(messageOf(error));
                return [];
              }
            }),
          ),
        ),
      );
      disks.push(...oldDisks(container, view, incarnations, lists.flat()));
    }
  }
  return { disks, problems: [...new Set(problems)] };
}

/** Its own and those that copies of it have or had: of the pool only as many as there have been epochs. */
function vmidsIn(container: Container, cluster: string, known: readonly number[]): number[] {
  const own = cluster === container.cluster ? [container.vmid] : [];
  const used = copyVmids(container, cluster).filter((vmid) => known.includes(vmid));
  return [...new Set([...own, ...used, ...known])];
}
