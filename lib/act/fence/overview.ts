/** What every fence of some nodes says, for people: also those that only serve them. Reads only. */
import type { ClusterView, FenceStatus } from '../../decide/model.ts';
import { fenceName, switchesPower } from '../../decide/power.ts';
import { isArmed, readWatchdog } from '../../decide/watchdog.ts';
import { wordOn } from '../../decide/word.ts';
import type { FenceConfig } from '../../inventory/types.ts';
import { PveError } from '../../errors.ts';
import type { PveApi } from '../../pve/api.ts';
import { clusterView } from '../../observe/view.ts';
import { formatDuration } from '../../units.ts';
import { powerSwitches, readPower } from './driver.ts';
import { createPveFence } from './pve.ts';
import { createSshFence } from './ssh.ts';
import type { Place, WordContext } from './word.ts';

export interface FenceRow extends Place {
  readonly driver: string;
  readonly power: FenceStatus['power'];
  readonly detail: string;
  /** It is switched automatically, and read back. */
  readonly switches: boolean;
  /** What is wrong with it as a fence; null: nothing that can be found out without switching. */
  readonly problem: string | null;
}

/** One row per driver, in the inventory's order; a row for a person's word where there is one. */
export async function fenceRows(context: WordContext, places: readonly Place[]): Promise<FenceRow[]> {
  const clusters = [...new Set(places.map((place) => place.cluster))];
  const views = new Map(
    await Promise.all(clusters.map(async (name) => [name, await viewOf(context, name)] as const)),
  );
  const rows = places.map(async (place) => {
    const configs = fencesOf(context, place);
    const view = views.get(place.cluster) ?? null;
    return Promise.all(configs.map((config) => rowsOf(context, place, config, view)));
  });
  return (await Promise.all(rows)).flat(2);
}

/** The cluster as it is seen now; null: the inventory has no such cluster. */
export async function viewOf(
  { inventory, apis, runtime, signal }: WordContext,
  name: string,
): Promise<ClusterView | null> {
  const cluster = inventory.clusters[name];
  const api = apis.get(name);
  return cluster === undefined || api === undefined ? null : clusterView({ api, cluster, runtime, signal });
}

export function fencesOf({ inventory }: Pick<WordContext, 'inventory'>, { cluster, node }: Place) {
  return inventory.clusters[cluster]?.nodes[node]?.fence ?? [];
}

async function rowsOf(
  context: WordContext,
  place: Place,
  config: FenceConfig,
  view: ClusterView | null,
): Promise<FenceRow[]> {
  const row = (power: FenceRow['power'], detail: string, problem: string | null = null): FenceRow => ({
    ...place,
    driver: fenceName(config),
    power,
    detail,
    switches: switchesPower(config),
    problem,
  });
  const { runtime, signal, state, apis } = context;
  const online = view?.nodes.find((n) => n.name === place.node)?.online ?? null;
  if (switchesPower(config)) {
    const [driver] = powerSwitches([config], runtime);
    if (driver === undefined) return [];
    const { power, detail } = await readPower(driver, runtime.clock, signal);
    return [row(power, detail, switchProblem(power, online))];
  }
  const key = `${place.cluster}/${place.node}`;
  switch (config.driver) {
    case 'ha-watchdog': {
      if (view === null || view.via === null)
        return [row('unknown', 'there is no quorate view of its cluster')];
      const { power, detail } = readWatchdog(state.read().watchdogs[key], view, place.node);
      return [
        row(power, detail, online === true && !isArmed(view, place.node) ? 'it would prove nothing' : null),
      ];
    }
    case 'pve': {
      const api = apis.get(place.cluster);
      if (api === undefined || view?.via == null)
        return [row('unknown', 'there is no quorate view of its cluster')];
      const { power, detail } = await createPveFence(api, place.node).status(signal);
      return [row(power, detail, await mayShutDown(api, place.node, signal))];
    }
    case 'ssh': {
      const api = apis.get(place.cluster);
      const shell = context.inventory.clusters[place.cluster]?.shell ?? null;
      if (api === undefined || shell === null)
        return [
          row('unknown', 'the inventory names no shell for its cluster', 'it needs `shell:` beside `api`'),
        ];
      const { power, detail } = await readPower(
        createSshFence({ api, shell, node: place.node }, runtime),
        runtime.clock,
        signal,
      );
      return [
        row(power, detail, power === 'unknown' && online === true ? 'it could not power it off' : null),
      ];
    }
    case 'manual': {
      const word = wordOn(key, fencesOf(context, place), state.read(), runtime.clock.now());
      if (word === null) return [];
      const said = `confirmed by ${word.by} ${formatDuration(Math.max(runtime.clock.now() - word.at, 0))} ago`;
      return [
        word.leftMs > 0
          ? row('off', `${said}, holds for ${formatDuration(word.leftMs)}`)
          : row('unknown', `${said}, void: ${word.void}`),
      ];
    }
  }
}

/** What the token lacks for it; null: nothing, or it could not be asked. */
async function mayShutDown(
  api: PveApi,
  node: string,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  try {
    const held = await api.permissions({ signal });
    const here = held[`/nodes/${node}`] ?? held['/nodes'] ?? held['/'] ?? [];
    return here.includes('Sys.PowerMgmt') ? null : `the token lacks Sys.PowerMgmt on /nodes/${node}`;
  } catch (error) {
    if (!(error instanceof PveError) || signal?.aborted === true) throw error;
    return null;
  }
}

function switchProblem(power: FenceRow['power'], online: boolean | null): string | null {
  if (power === 'unknown') return 'it could not prove anything';
  if (power === 'off' && online === true)
    return 'it says off, and the node is online: another plug, or a wrong field';
  return null;
}
