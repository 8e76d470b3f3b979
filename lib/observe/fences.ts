/** What the fences of silent nodes say, and what people have said of them. Reads only. */
import { fenceDrivers, readPower } from '../act/fence/driver.ts';
import type { ClusterView, FenceStatus } from '../decide/model.ts';
import { readWatchdog } from '../decide/watchdog.ts';
import type { State } from '../state/model.ts';
import type { ViewDeps } from './view.ts';

/** A cluster lists a node as online for some nine seconds after its death (facts, section 6). */
const SEEN_LATE_MS = 10_000;

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
        const read = await readPower(driver, runtime.clock, signal);
        found.push({ node, driver: driver.name, ...read, at: runtime.clock.now() });
      }),
    );
    const key = `${cluster.name}/${node}`;
    const word = state.fenceConfirmed[key];
    const manual = configs.find((c) => c.driver === 'manual');
    const age = word === undefined ? NaN : runtime.clock.now() - word.at;
    // It was said of that outage: a node that has been seen since may be running now, cut off or not.
    const stillOff = word !== undefined && (state.lastSeenOnline[key] ?? 0) <= word.at + SEEN_LATE_MS;
    if (stillOff && manual?.driver === 'manual' && age > -SEEN_LATE_MS && age < manual.validMs)
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
