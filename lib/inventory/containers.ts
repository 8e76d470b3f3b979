/** Containers with everything they inherit: built-in < global hooks < cluster defaults < file defaults < container. */
import { closest } from './problems.ts';
import { resolvePrograms, type Clusters, type Context } from './clusters.ts';
import type { Part } from './parts.ts';
import type { Path } from './problems.ts';
import type { HookLists } from './shared.ts';
import type { ContainerInput, Settings } from './schema.ts';
import type { Container, Hook, Target } from './types.ts';
import type { VmidClaims } from './vmids.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** One place that a setting may come from, nearest first. */
interface Layer {
  readonly part: Part;
  readonly path: Path;
  readonly settings: Settings | ContainerInput;
}

export interface Shared {
  readonly context: Context;
  readonly clusters: Clusters;
  readonly hooks: HookLists;
  readonly claims: VmidClaims;
}

/** All containers of all files, by name. */
export function resolveContainers(parts: readonly Part[], shared: Shared): Record<string, Container> {
  const containers: Record<string, Container> = {};
  for (const part of parts) {
    for (const [name, input] of Object.entries(part.input.containers ?? {})) {
      if (part.input.cluster === undefined || Object.hasOwn(containers, name)) continue;
      containers[name] = resolveContainer(part.input.cluster, name, input, part, shared);
    }
  }
  // What a vmid is elsewhere can be said when all have been claimed where they are at home.
  for (const part of parts)
    for (const [name, input] of Object.entries(part.input.containers ?? {})) {
      const container = containers[name];
      if (container !== undefined && container.file === part.file && part.input.cluster !== undefined)
        containers[name] = {
          ...container,
          elsewhere: resolveElsewhere(
            container,
            layersOf(part.input.cluster, name, input, part, shared),
            shared,
          ),
        };
    }
  return containers;
}

/** What differs in the other clusters of its targets. */
function resolveElsewhere(
  { name, cluster, vmid, nodes, backup, failover }: Container,
  layers: readonly Layer[],
  shared: Shared,
): Container['elsewhere'] {
  const { context, clusters, claims } = shared;
  const others = [...new Set(nodes.map((target) => target.cluster))].filter((other) => other !== cluster);
  for (const { part, path, settings } of layers)
    for (const [section, key, given] of [
      ['backup', 'storageIn', settings.backup?.storageIn],
      ['failover', 'restoreStorageIn', settings.failover?.restoreStorageIn],
    ] as const)
      for (const other of Object.keys(given ?? {}))
        if (!clusters.mains.has(other) && !context.incomplete)
          context.report.add(
            part,
            [...path, section, key, other],
            `the cluster ${other} is not in the inventory`,
            `known here: ${[...clusters.mains.keys()].toSorted().join(', ')}`,
          );
  const via = layers.find((layer) => layer.settings.failover?.restoreVia !== undefined);
  if (failover.restoreVia === 'shell')
    for (const other of others) demandShell(other, via, 'restoreVia', shared);
  const [own] = layers;
  const given = own !== undefined && 'vmid' in own.settings ? own.settings.failover?.vmids : undefined;
  return Object.fromEntries(
    others.map((other) => {
      const disks = layers
        .map((layer) => layer.settings.failover?.restoreStorageIn?.[other])
        .find((found) => found !== undefined);
      return [
        other,
        {
          vmids: claims.claimElsewhere(other, name, { vmid, vmids: given }),
          backupStorage:
            layers
              .map((layer) => layer.settings.backup?.storageIn?.[other])
              .find((found) => found !== undefined) ?? backup.storage,
          restoreStorage: disks?.rootfs ?? failover.restoreStorage,
          mountStorage: disks?.mounts ?? failover.mountStorage,
        },
      ];
    }),
  );
}

function resolveContainer(
  cluster: string,
  name: string,
  input: ContainerInput,
  part: Part,
  shared: Shared,
): Container {
  const layers = layersOf(cluster, name, input, part, shared);
  const get = <T>(pick: (settings: Settings | ContainerInput) => T | undefined): T | undefined =>
    layers.map((layer) => pick(layer.settings)).find((value) => value !== undefined);
  const mode = get((s) => s.mode) ?? 'protect';
  const required = (
    value: string | undefined,
    section: 'backup' | 'failover',
    key: string,
    needed: boolean,
  ): string => {
    if (value === undefined && needed && !defaultsUnknown(cluster, shared)) {
      const elsewhere = layers
        .slice(1)
        .map((layer): [Part, Path] => [layer.part, [...layer.path, section, key]]);
      shared.context.report.missing(
        part,
        ['containers', name, section, key],
        `add ${section}: { ${key}: NAME } to the container or to defaults`,
        elsewhere,
      );
    }
    return value ?? '';
  };
  return {
    name,
    file: part.file,
    line: part.yaml.keyAt(['containers', name]).line,
    cluster,
    vmid: input.vmid,
    mode,
    priority: get((s) => s.priority) ?? 100,
    nodes: resolveTargets(cluster, mode, layers, shared),
    require: get((s) => s.require) ?? 'all',
    checks: resolveChecks(name, input, mode, part, shared),
    intervalMs: get((s) => s.interval) ?? MINUTE_MS,
    failureThreshold: get((s) => s.failureThreshold) ?? 3,
    recoveryThreshold: get((s) => s.recoveryThreshold) ?? 2,
    rebootGraceMs: get((s) => s.rebootGrace) ?? 15 * MINUTE_MS,
    home: input.home ?? null,
    macs: input.macs ?? [],
    backup: {
      storage: required(
        get((s) => s.backup?.storage),
        'backup',
        'storage',
        mode !== 'off',
      ),
      maxAgeMs: get((s) => s.backup?.maxAge) ?? 24 * HOUR_MS,
      beforeFailover: get((s) => s.backup?.beforeFailover) ?? 'when-source-alive',
      requireVerified: get((s) => s.backup?.requireVerified) ?? false,
      mode: get((s) => s.backup?.mode) ?? 'auto',
      keep: get((s) => s.backup?.keep) ?? null,
    },
    failover: {
      auto: get((s) => s.failover?.auto) ?? false,
      identity: resolveIdentity(cluster, layers, shared),
      proof: get((s) => s.failover?.proof) ?? 'stopped',
      returnRisk: get((s) => s.failover?.returnRisk) ?? 'refused',
      autostart: get((s) => s.failover?.autostart) ?? 'pve',
      unseenRisk: get((s) => s.failover?.unseenRisk) ?? 'refused',
      cooldownMs: get((s) => s.failover?.cooldown) ?? HOUR_MS,
      maxPerDay: get((s) => s.failover?.maxPerDay) ?? 2,
      restoreStorage: required(
        get((s) => s.failover?.restoreStorage)?.rootfs,
        'failover',
        'restoreStorage',
        mode === 'protect',
      ),
      mountStorage: get((s) => s.failover?.restoreStorage)?.mounts ?? {},
      restoreVia: resolveVia(cluster, layers, shared),
      acceptLoss: [...new Set(get((s) => s.failover?.acceptLoss) ?? [])],
      vmids: shared.claims.claimPool(part, name, {
        vmid: input.vmid,
        vmids: input.failover?.vmids,
        needed: mode === 'protect',
      }),
      placement: get((s) => s.failover?.placement) ?? 'order',
      maxAttempts: get((s) => s.failover?.maxAttempts) ?? 2,
      verifyMs: get((s) => s.failover?.verify) ?? 2 * MINUTE_MS,
      restart: get((s) => s.failover?.restart) ?? 1,
    },
    elsewhere: {},
    hooks: { before: resolveHooks('before', layers, shared), after: resolveHooks('after', layers, shared) },
  };
}

function resolveVia(
  cluster: string,
  layers: readonly Layer[],
  shared: Shared,
): Container['failover']['restoreVia'] {
  const from = layers.find((layer) => layer.settings.failover?.restoreVia !== undefined);
  const via = from?.settings.failover?.restoreVia ?? 'api';
  if (via === 'shell') demandShell(cluster, from, 'restoreVia', shared);
  return via;
}

function resolveIdentity(
  cluster: string,
  layers: readonly Layer[],
  shared: Shared,
): Container['failover']['identity'] {
  const from = layers.find((layer) => layer.settings.failover?.identity !== undefined);
  const identity = from?.settings.failover?.identity ?? 'new-vmid';
  if (identity === 'same-vmid') demandShell(cluster, from, 'identity', shared);
  return identity;
}

/** What needs a root shell needs to be told how: reported where it is written. */
function demandShell(
  cluster: string,
  from: Layer | undefined,
  key: 'restoreVia' | 'identity',
  { context, clusters }: Shared,
): void {
  const main = clusters.mains.get(cluster);
  if (from === undefined || main === undefined || main.input.shell !== undefined) return;
  context.report.add(
    from.part,
    [...from.path, 'failover', key],
    `needs a root shell on the nodes of ${cluster}`,
    `add shell: { ssh: { … } } (or shell: local) beside api in ${main.file}`,
  );
}

function layersOf(cluster: string, name: string, input: ContainerInput, part: Part, shared: Shared): Layer[] {
  const layers: Layer[] = [{ part, path: ['containers', name], settings: input }];
  const main = shared.clusters.mains.get(cluster);
  const withDefaults = main === undefined || main === part ? [part] : [part, main];
  return [
    ...layers,
    ...withDefaults.map((from): Layer => ({
      part: from,
      path: ['defaults'],
      settings: from.input.defaults ?? {},
    })),
  ];
}

/** The cluster's defaults may be in a file that can't be read: what is missing may be given there. */
function defaultsUnknown(cluster: string, { context, clusters }: Shared): boolean {
  return context.incomplete && !clusters.mains.has(cluster);
}

function resolveHooks(when: 'before' | 'after', layers: readonly Layer[], shared: Shared): readonly Hook[] {
  for (const { part, path, settings } of layers) {
    const given = settings.hooks?.[when];
    if (given !== undefined) return shared.hooks.resolve(part, [...path, 'hooks', when], given);
  }
  return shared.hooks.global(when);
}

function resolveChecks(
  name: string,
  input: ContainerInput,
  mode: string,
  part: Part,
  shared: Shared,
): Container['checks'] {
  const path = ['containers', name, 'checks'];
  const given = input.checks ?? [];
  if (given.length === 0 && mode !== 'off') {
    shared.context.report.missing(part, path, 'add at least one check, for example - tcp: 10.0.0.53:53');
  }
  return resolvePrograms(given, part, path, shared.context);
}

function resolveTargets(cluster: string, mode: string, layers: readonly Layer[], shared: Shared): Target[] {
  const { report } = shared.context;
  const from = layers.find((layer) => layer.settings.nodes !== undefined) ?? layers[0];
  const given = from?.settings.nodes ?? [];
  if (from === undefined) return [];
  const base = [...from.path, 'nodes'];
  if (given.length === 0 && mode === 'protect' && !defaultsUnknown(cluster, shared)) {
    const elsewhere = layers.slice(1).map((layer): [Part, Path] => [layer.part, [...layer.path, 'nodes']]);
    report.missing(from.part, base, 'add the nodes where it may go: nodes: [pve2, pve3]', elsewhere);
  }
  const seen = new Set<string>();
  return given.map((text, index) => {
    const path = [...base, index];
    const target = parseTarget(text, cluster);
    const key = `${target.cluster}/${target.node}`;
    if (seen.has(key)) report.add(from.part, path, `${text} is given twice`, 'name each node once');
    seen.add(key);
    checkTarget(target, { cluster, part: from.part, path }, shared);
    return target;
  });
}

function parseTarget(text: string, cluster: string): Target {
  const slash = text.indexOf('/');
  return slash === -1
    ? { cluster, node: text }
    : { cluster: text.slice(0, slash), node: text.slice(slash + 1) };
}

function checkTarget(
  target: Target,
  from: { cluster: string; part: Part; path: Path },
  { context, clusters }: Shared,
): void {
  const known = clusters.mains.get(target.cluster);
  if (known === undefined) {
    // The own cluster is reported with its file; others may be in a file that can't be read.
    if (context.incomplete || target.cluster === from.cluster) return;
    const names = [...clusters.mains.keys()].toSorted();
    const meant = closest(target.cluster, names);
    const fix =
      meant === undefined
        ? `known here: ${names.join(', ') || 'none'}`
        : `did you mean ${meant}/${target.node}?`;
    context.report.add(from.part, from.path, `the cluster ${target.cluster} is not in the inventory`, fix);
    return;
  }
  const listed = Object.keys(known.input.nodes ?? {});
  const sameButCase = listed.find((node) => node.toLowerCase() === target.node.toLowerCase());
  if (sameButCase !== undefined && sameButCase !== target.node) {
    context.report.add(
      from.part,
      from.path,
      `no node is called ${target.node}`,
      `did you mean ${sameButCase}?`,
    );
  }
}
