/** All checks together: a line for everything that was looked at, and what is wrong with it. Pure. */
import type { Inventory } from '../../inventory/types.ts';
import { formatDuration, formatSize } from '../../units.ts';
import { incarnationKey } from '../incarnations.ts';
import { exposures } from '../two-copies.ts';
import { fenceName } from '../power.ts';
import { checkBackups } from './backups.ts';
import { checkClusters } from './cluster.ts';
import { consequences, type Consequence } from './consequences.ts';
import { checkContainers } from './containers.ts';
import { checkEndpoints } from './endpoints.ts';
import type { Facts, Finding, Level, Subject } from './facts.ts';
import { checkFences } from './fences.ts';
import { lookAt, type ClusterLook, type Look } from './look.ts';
import { checkPlaces, restoreStorages, usable } from './places.ts';
import { checkRestores } from './restores.ts';
import { exposureText } from './returns.ts';
import { checkRights } from './rights.ts';
import { canariesSummary, checkCanaries, checkRunner } from './runner.ts';
import { checkShells } from './shells.ts';

/** One thing that was looked at. `summary` is what is so, findings apart. */
export interface SubjectLine extends Subject {
  /** `unknown`: it could not be looked at. */
  readonly level: Level | 'ok' | 'unknown';
  readonly summary: string;
  readonly findings: readonly Finding[];
}

export interface Diagnosis {
  readonly lines: readonly SubjectLine[];
  readonly findings: readonly Finding[];
  readonly consequences: readonly Consequence[];
  /** No cluster could be seen. */
  readonly blind: boolean;
}

const RANK = { fail: 3, warn: 2, note: 1, ok: 0 } as const;

export function diagnose(inventory: Inventory, facts: Facts, only?: ReadonlySet<string>): Diagnosis {
  const look = lookAt(inventory, facts, only);
  const findings = [
    ...checkRunner(look),
    ...checkCanaries(look),
    ...checkRights(look),
    ...checkEndpoints(look),
    ...checkClusters(look),
    ...checkFences(look),
    ...checkPlaces(look),
    ...checkRestores(look),
    ...checkShells(look),
    ...checkContainers(look),
    ...checkBackups(look),
  ].toSorted((a, b) => RANK[b.level] - RANK[a.level]);
  return {
    lines: subjects(look, findings).map((subject) => {
      const own = findings.filter((f) => same(f, subject));
      return { ...subject, level: own[0]?.level ?? (subject.seen ? 'ok' : 'unknown'), findings: own };
    }),
    findings,
    consequences: consequences(inventory, facts, only),
    blind: look.clusters.every((c) => c.view === null),
  };
}

function same(a: Subject, b: Subject): boolean {
  return a.cluster === b.cluster && a.kind === b.kind && a.name === b.name;
}

type Line = Subject & { readonly summary: string; readonly seen: boolean };

/** What was looked at, in the order of reading; and whatever else has a finding. */
function subjects(look: Look, findings: readonly Finding[]): Line[] {
  const { runner } = look.facts;
  const lines: Line[] = [
    {
      cluster: null,
      kind: 'runner',
      name: 'this machine',
      summary: `state in ${runner.stateDir}`,
      seen: true,
    },
    ...look.clusters.flatMap((cluster) => ofCluster(cluster, look)),
  ];
  for (const { cluster, kind, name } of findings)
    if (!lines.some((line) => same(line, { cluster, kind, name })))
      lines.push({ cluster, kind, name, summary: '', seen: true });
  return lines;
}

function ofCluster(cluster: ClusterLook, look: Look): Line[] {
  const { name, facts, view, config } = cluster;
  const at = (kind: Subject['kind'], what: string, summary: string, seen = view !== null): Line => ({
    cluster: name,
    kind,
    name: what,
    summary: seen ? summary : 'not checked',
    seen,
  });
  const quorate = view?.nodes.filter((n) => n.online).length ?? 0;
  return [
    at(
      'cluster',
      name,
      view === null
        ? 'not seen'
        : `Proxmox VE ${view.version ?? '?'}, ${view.standalone ? 'a stand-alone node' : `quorate, ${quorate} of ${view.nodes.length} nodes online${facts.qdevice === null || facts.qdevice === 'unread' ? '' : ' and a QDevice'}`}`,
    ),
    at('credential', facts.tokenId ?? 'token', 'holds what is needed', facts.privileges !== null),
    ...facts.endpoints.map((e) =>
      at(
        'endpoint',
        e.endpoint,
        `${e.node ?? ''}${e.certificate === null ? '' : `, certificate for ${formatDuration(e.certificate.expires - look.facts.at)} more`}`,
        e.ok,
      ),
    ),
    ...(config.canaries.length > 0
      ? [at('canaries', 'canaries', canariesSummary(look, name), look.facts.observation.canaries.length > 0)]
      : []),
    ...(view?.nodes ?? []).map((node) => at('node', node.name, nodeSummary(cluster, node.name))),
    ...storagesOf(cluster).map((id) => at('storage', id, storageSummary(cluster, id))),
    ...cluster.containers.map((c) =>
      at('container', c.container.name, containerSummary(cluster, c, look.facts.at)),
    ),
  ];
}

function nodeSummary({ view, facts, config }: ClusterLook, name: string): string {
  const node = view?.nodes.find((n) => n.name === name);
  const free = node?.memTotal == null || node.memUsed === null ? null : node.memTotal - node.memUsed;
  const offset = facts.nodes.find((n) => n.name === name)?.clockOffsetMs;
  const fences = (config.nodes[name]?.fence ?? []).map((f) => {
    const read = view?.fences.find((r) => r.node === name && r.driver === fenceName(f));
    return f.driver === 'manual' ? 'a person' : `${fenceName(f)} (${read?.power ?? 'not read'})`;
  });
  return [
    node?.online === true ? 'online' : 'offline',
    ...(free === null ? [] : [`${formatSize(free)} of memory free`]),
    ...(offset == null
      ? []
      : [Math.abs(offset) < 1000 ? 'clock right' : `clock off by ${formatDuration(Math.abs(offset))}`]),
    fences.length === 0 ? 'no fence' : `fence: ${fences.join(', ')}`,
  ].join(', ');
}

function storagesOf({ containers }: ClusterLook): string[] {
  return [
    ...new Set(
      containers.flatMap((c) => [
        c.container.backup.storage,
        ...(c.isProtected ? restoreStorages(c.container) : []),
      ]),
    ),
  ].toSorted();
}

function storageSummary({ view, facts }: ClusterLook, id: string): string {
  const on = view?.storages.filter((s) => s.storage === id && s.active) ?? [];
  const type = facts.storages?.find((s) => s.storage === id)?.type;
  const [first] = on;
  const free = on.flatMap((s) => (s.total === null || s.used === null ? [] : [s.total - s.used]));
  return [
    ...(type === undefined ? [] : [type]),
    first?.shared === true ? 'shared' : 'local',
    `on ${on.map((s) => s.node).join(', ') || 'no node'}`,
    ...(free.length === 0 ? [] : [`${formatSize(Math.min(...free))} free`]),
  ].join(', ');
}

function containerSummary(cluster: ClusterLook, one: ClusterLook['containers'][number], now: number): string {
  const { container, at, choice, detail, isProtected } = one;
  const where = at === null ? 'not found' : incarnationKey(at, container.cluster);
  if (!isProtected) return `${where}, observed only`;
  const places = usable(one, cluster).map((t) => t.node);
  const backup = choice?.chosen ?? null;
  return [
    where,
    container.failover.auto ? 'automatic' : 'by hand',
    `may go to ${places.join(', ') || 'no node'}`,
    backup === null ? 'no usable backup' : `backup ${formatDuration(Math.max(now - backup.at, 0))} old`,
    ...(at === null || cluster.view === null
      ? []
      : [exposureText(exposures(container, at, cluster.view, detail?.onboot), at.node)]),
  ].join(', ');
}
