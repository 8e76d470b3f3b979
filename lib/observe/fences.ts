/** What the fences of silent nodes say, and what people have said of them. Reads only. */
import { fenceDrivers, readPower } from '../act/fence/driver.ts';
import type { ClusterView, FenceStatus } from '../decide/model.ts';
import { readWatchdog } from '../decide/watchdog.ts';
import { wordOn } from '../decide/word.ts';
import type { State } from '../state/model.ts';
import type { ViewDeps } from './view.ts';

/** Reads back the fences of `nodes`, and adds what a person has confirmed and is still valid. */
export async function addFences(
  view: ClusterView,
  nodes: readonly string[],
  state: State,
  deps: ViewDeps,
): Promise<void> {
  const { cluster, runtime, signal } = deps;
  const reads = nodes.map(async (node): Promise<FenceStatus[]> => {
    const configs = cluster.nodes[node]?.fence ?? [];
    const found: FenceStatus[] = [];
    await Promise.all(
      // At the same time: the BMC of a node without power keeps no plug's answer waiting until it is old.
      fenceDrivers(configs, runtime).map(async (driver) => {
        // As old as the question, whatever holds up the answer.
        const at = runtime.clock.now();
        const read = await readPower(driver, runtime.clock, signal);
        found.push({ node, driver: driver.name, ...read, at });
      }),
    );
    const word = wordOn(`${cluster.name}/${node}`, configs, state, runtime.clock.now());
    if (word !== null && word.leftMs > 0)
      found.push({ node, driver: 'manual', power: 'off', at: word.at, detail: `confirmed by ${word.by}` });
    return found;
  });
  view.fences = [...(await Promise.all(reads)).flat(), ...watchdogReads(view, nodes, state, deps)];
}

/** What the watchdogs of `nodes` say, as the view shows them. */
export function watchdogReads(
  view: ClusterView,
  nodes: readonly string[],
  { watchdogs }: State,
  { cluster }: Pick<ViewDeps, 'cluster'>,
): FenceStatus[] {
  return nodes
    .filter((node) => cluster.nodes[node]?.fence.some((c) => c.driver === 'ha-watchdog') === true)
    .map((node) => ({
      node,
      driver: 'ha-watchdog',
      at: view.at,
      ...readWatchdog(watchdogs[`${cluster.name}/${node}`], view, node),
    }));
}
