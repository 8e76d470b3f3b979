/**
 * Containers that were failed over and that the inventory does not name any more, or ignores (`mode: off`). Their superseded
 * copies are kept down all the same: it was ProxWarden that made two of one. A person ends that with `forget`. Pure.
 */
import { ResolvedContainer } from '../inventory/resolved.ts';
import type { Container, Inventory } from '../inventory/types.ts';
import type { State } from '../state/model.ts';
import { incarnationsOf, parseIncarnationKey, type Incarnations } from './incarnations.ts';
import { isAtHome } from './lineage.ts';
import type { Incarnation, Lineage, Observation } from './model.ts';
import { clustersOf, copyVmids } from './reach.ts';

export interface Followed {
  /** The entry as it last was, or what the lineage lines tell of it. */
  readonly container: Container;
  readonly why: 'removed' | 'off';
  readonly incarnations: Incarnations;
}

type Known = Pick<State, 'containers' | 'followed' | 'forgotten'>;

/** Names that may have to be followed, by the state alone: whose clusters are looked at whatever the inventory says. */
export function followedClusters(inventory: Pick<Inventory, 'containers'>, state: Known): string[] {
  return remembered(inventory, state).flatMap((c) => clustersOf(c, state.containers[c.name]));
}

/** All that are seen in the observation, by name. One of which nothing is left in its cluster is not among them. */
export function followedOf(
  inventory: Pick<Inventory, 'containers'>,
  observation: Observation,
  state: Known,
): Followed[] {
  const entries = new Map(remembered(inventory, state).map((c) => [c.name, c]));
  const onlyLines = new Set<string>();
  for (const [name, lines] of linesOf(observation)) {
    if (entries.has(name) || !mayFollow(inventory, name)) continue;
    const named = inventory.containers[name];
    if (named === undefined) onlyLines.add(name);
    entries.set(name, named ?? entryFrom(name, lines));
  }
  return [...entries.values()]
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((container): Followed[] => {
      const incarnations = incarnationsOf(container, observation, state.containers[container.name], {
        onlyLines: onlyLines.has(container.name),
      });
      const all = [incarnations.current, ...incarnations.superseded, ...incarnations.pending];
      const newest = Math.max(0, ...all.map((i) => i?.epoch ?? 0));
      const forgotten = state.forgotten[container.name];
      if (forgotten !== undefined && newest <= forgotten.epoch) return [];
      if (newest === 0 || !isThere(container, observation)) return [];
      return [{ container, why: inventory.containers[container.name] ? 'off' : 'removed', incarnations }];
    });
}

/** Names of which nothing is left: a quorate view lists no guest under any of their vmids. */
export function goneOf(
  inventory: Pick<Inventory, 'containers'>,
  observation: Observation,
  state: Known,
): string[] {
  return remembered(inventory, state)
    .filter((c) => {
      const clusters = clustersOf(c, state.containers[c.name]);
      const seen = clusters.every((name) => observation.clusters[name]?.quorate === true);
      return seen && !isThere(c, observation);
    })
    .map((c) => c.name);
}

/** Whether any cluster lists a guest under one of its vmids. */
function isThere(container: Container, observation: Observation): boolean {
  const { cluster: home, vmid } = container;
  return Object.values(observation.clusters).some(({ cluster, guests }) => {
    const vmids = [...copyVmids(container, cluster), ...(cluster === home ? [vmid] : [])];
    return guests.some((g) => vmids.includes(g.vmid));
  });
}

/**
 * Whether a superseded copy is certainly one of this container. A line of its own says so; an original has none, and the
 * inventory no longer speaks for it: the MAC addresses that it shares with the current copy do.
 */
export function isCertain(
  { incarnations: { current }, container }: Followed,
  old: Incarnation,
  observation: Observation,
  state: Known,
): boolean {
  if (old.epoch > 0) return true;
  const detail = detailOf(observation, old);
  const macs = current === null ? [] : (detailOf(observation, current)?.macs ?? []);
  const known = new Set([...macs, ...(state.containers[container.name]?.identity?.macs ?? [])]);
  return detail !== undefined && detail.macs.some((mac) => known.has(mac));
}

/** What the current copy's own node says of it; null: nothing. */
export function currentStatus(
  { incarnations: { current } }: Followed,
  observation: Observation,
): string | null {
  return current === null ? null : (detailOf(observation, current)?.status ?? null);
}

function detailOf(observation: Observation, { cluster, node, vmid }: Incarnation) {
  return observation.clusters[cluster]?.details.find((d) => d.node === node && d.vmid === vmid);
}

function mayFollow(inventory: Pick<Inventory, 'containers'>, name: string): boolean {
  const named = Object.hasOwn(inventory.containers, name) ? inventory.containers[name] : undefined;
  return named === undefined || named.mode === 'off';
}

function remembered(inventory: Pick<Inventory, 'containers'>, state: Known): Container[] {
  return Object.entries(state.followed).flatMap(([name, entry]) => {
    const read = ResolvedContainer.safeParse(entry);
    return read.success && mayFollow(inventory, name) ? [read.data] : [];
  });
}

/** Lines of copies that have been live, where they are at home. */
function linesOf(observation: Observation): Map<string, Lineage[]> {
  const found = new Map<string, Lineage[]>();
  for (const view of Object.values(observation.clusters))
    for (const { node, vmid, line } of view.lineages)
      if (line.phase === 'live' && line.epoch > 0 && isAtHome(line, { cluster: view.cluster, node, vmid }))
        found.set(line.container, [...(found.get(line.container) ?? []), line]);
  return found;
}

/** What the lines tell of an entry that is not known: enough to keep copies down, and nothing that would start one. */
function entryFrom(name: string, lines: readonly Lineage[]): Container {
  const sorted = lines.toSorted((a, b) => a.epoch - b.epoch);
  const originals = lines.map((l) => parseIncarnationKey(l.supersedes)).filter((key) => key?.epoch === 0);
  return ResolvedContainer.parse({
    name,
    file: '',
    line: 0,
    cluster: sorted.at(-1)?.cluster ?? '',
    // Without a word about its original no guest passes for that.
    vmid: originals[0]?.vmid ?? sorted[0]?.vmid ?? 0,
    mode: 'protect',
    priority: 100,
    nodes: [],
    require: 'all',
    checks: [],
    intervalMs: 60_000,
    failureThreshold: 3,
    recoveryThreshold: 2,
    macs: [],
    backup: { storage: '', maxAgeMs: 0, beforeFailover: 'never', requireVerified: false, mode: 'auto' },
    failover: {
      auto: false,
      identity: 'new-vmid',
      proof: 'stopped',
      returnRisk: 'refused',
      cooldownMs: 0,
      restoreStorage: '',
      vmids: sorted.map((l) => l.vmid),
      maxAttempts: 1,
      verifyMs: 0,
      restart: 0,
    },
    hooks: { before: [], after: [] },
  });
}
