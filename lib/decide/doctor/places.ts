/** Storages and the nodes that containers may go to: what a restore there would meet. Pure. */
import { volumeBytes } from '../guest-config.ts';
import type { Target } from '../../inventory/types.ts';
import { formatSize } from '../../units.ts';
import { leastEpochOf, vmidOfEpoch } from '../incarnations.ts';
import type { StorageView } from '../model.ts';
import type { Finding, Subject } from './facts.ts';
import { finding, listed, type ClusterLook, type ContainerLook, type Look } from './look.ts';

export function checkPlaces(look: Look): Finding[] {
  return look.clusters.flatMap((cluster) =>
    cluster.view === null
      ? []
      : [
          ...storages(cluster),
          ...cluster.containers
            .filter((c) => c.isProtected && c.at !== null)
            .flatMap((c) => candidates(cluster, c)),
        ],
  );
}

/** One use of a storage on a node. */
interface Use {
  readonly storage: string;
  readonly node: string;
  readonly content: 'backup' | 'rootdir';
  readonly container: ContainerLook;
}

/** Nodes of its list that are there, and that it is not on. */
export function usable({ container, at }: ContainerLook, cluster: ClusterLook): Target[] {
  const known = new Set(cluster.view?.nodes.map((n) => n.name));
  return container.nodes.filter(
    (t) => t.cluster === container.cluster && t.node !== at?.node && known.has(t.node),
  );
}

function uses(cluster: ClusterLook): Use[] {
  return cluster.containers.flatMap((one): Use[] => {
    const { container, at, isProtected } = one;
    if (at === null) return [];
    const backup = (node: string): Use => ({
      storage: container.backup.storage,
      node,
      content: 'backup',
      container: one,
    });
    if (!isProtected) return [backup(at.node)];
    return [
      backup(at.node),
      ...usable(one, cluster).flatMap(({ node }) => [
        backup(node),
        { storage: container.failover.restoreStorage, node, content: 'rootdir' as const, container: one },
      ]),
    ];
  });
}

function storages(cluster: ClusterLook): Finding[] {
  const { view, name } = cluster;
  const online = new Set(view?.nodes.filter((n) => n.online).map((n) => n.name));
  const found: Finding[] = [];
  const all = uses(cluster).filter((use) => online.has(use.node));
  for (const id of [...new Set(all.map((use) => use.storage))].toSorted()) {
    const about: Subject = { cluster: name, kind: 'storage', name: id };
    const here = all.filter((use) => use.storage === id);
    const seen = (node: string): StorageView | undefined =>
      view?.storages.find((s) => s.storage === id && s.node === node);
    found.push(...absent(about, here, seen), ...content(about, here, seen), ...room(about, here, seen));
    const keeping = here.filter((use) => use.content === 'backup' && use.container.isProtected);
    const local = keeping.filter((use) => seen(use.node)?.shared === false);
    if (local.length > 0)
      found.push(
        finding(
          'backup-storage-local',
          'fail',
          about,
          `it is local to each node: the backups of ${names(local)} die with the node that they are for`,
          'keep backups on a NAS or a Proxmox Backup Server that all nodes see (if it is a mount that all share, mark it as shared)',
        ),
      );
  }
  return found;
}

function names(those: readonly Use[]): string {
  return listed([...new Set(those.map((use) => use.container.container.name))]);
}

function absent(
  about: Subject,
  here: readonly Use[],
  seen: (node: string) => StorageView | undefined,
): Finding[] {
  const gone = here.filter((use) => seen(use.node)?.active !== true);
  if (gone.length === 0) return [];
  const nodes = [...new Set(gone.map((use) => use.node))].toSorted();
  const none = nodes.every((node) => seen(node) === undefined);
  return [
    finding(
      'storage-missing',
      'fail',
      about,
      `${listed(nodes)} ${none ? `${nodes.length === 1 ? 'has' : 'have'} no such storage` : `${nodes.length === 1 ? 'does' : 'do'} not have it active`}, or the token may not see it; ${names(gone)} need${new Set(gone.map((u) => u.container)).size === 1 ? 's' : ''} it there`,
      'correct its name in the inventory, add the nodes to it (Datacenter → Storage), or mount it; the token needs Datastore.Audit on it; there:',
      ['pvesm status'],
    ),
  ];
}

function content(
  about: Subject,
  here: readonly Use[],
  seen: (node: string) => StorageView | undefined,
): Finding[] {
  return (['rootdir', 'backup'] as const).flatMap((kind) => {
    const wrong = here.filter(
      (use) => use.content === kind && seen(use.node)?.content.includes(kind) === false,
    );
    if (wrong.length === 0) return [];
    return [
      finding(
        'storage-content',
        'fail',
        about,
        kind === 'rootdir'
          ? `it does not take container disks (no rootdir content), and ${names(wrong)} would be restored to it`
          : `it does not take backups, and those of ${names(wrong)} are looked for on it`,
        `name another storage, or let it: add ${kind} to what it lists now, ${listed(seen(wrong[0]?.node ?? '')?.content ?? [])}`,
        [
          `pvesm set ${about.name} --content ${[...(seen(wrong[0]?.node ?? '')?.content ?? []), kind].join(',')}`,
        ],
      ),
    ];
  });
}

/** For each container by itself; how many fit together is in the table of what would happen. */
function room(
  about: Subject,
  here: readonly Use[],
  seen: (node: string) => StorageView | undefined,
): Finding[] {
  const tight = here.flatMap((use) => {
    const view = seen(use.node);
    const archived = use.container.choice?.chosen?.archived ?? use.container.backups[0]?.archived ?? null;
    const disk = archived === null ? null : volumeBytes(archived.config);
    if (use.content !== 'rootdir' || view?.total == null || view.used === null || disk === null) return [];
    const free = Math.max(view.total - view.used, 0);
    return free < disk ? [{ ...use, free, disk }] : [];
  });
  const byNode = new Map<string, typeof tight>();
  for (const one of tight) byNode.set(one.node, [...(byNode.get(one.node) ?? []), one]);
  return [...byNode].map(([node, ones]) =>
    finding(
      'storage-full',
      'fail',
      about,
      `on ${node} it has ${formatSize(ones[0]?.free ?? 0)} free: too little for ${listed(ones.map((o) => `${o.container.container.name} (${formatSize(o.disk)})`))}`,
      'make room, or name another restoreStorage',
    ),
  );
}

function candidates(cluster: ClusterLook, one: ContainerLook): Finding[] {
  const { view, name } = cluster;
  const { container, at, detail } = one;
  if (view === null || at === null) return [];
  const about: Subject = { cluster: name, kind: 'container', name: container.name };
  const found: Finding[] = [];
  const unknown = container.nodes.filter(
    (t) => t.cluster === name && !view.nodes.some((n) => n.name === t.node),
  );
  if (unknown.length > 0)
    found.push(
      finding(
        'candidate-unknown',
        'fail',
        about,
        `${listed(unknown.map((t) => t.node))} of its nodes: ${name} has no such node (${listed(view.nodes.map((n) => n.name))})`,
        'correct nodes in the inventory',
      ),
    );
  const places = usable(one, cluster);
  if (places.length === 0 && !view.standalone)
    found.push(
      finding(
        'candidate-none',
        'fail',
        about,
        `it is on ${at.node}, and no other node of its list (${listed(container.nodes.map((t) => t.node))}) can take it`,
        'name another node under nodes',
      ),
    );
  for (const { node } of places) {
    const there = view.nodes.find((n) => n.name === node);
    const memory = detail?.memMax ?? null;
    if (there?.memTotal == null || there.memUsed === null || memory === null) continue;
    const free = Math.max(there.memTotal - there.memUsed, 0);
    if (free < memory)
      found.push(
        finding(
          'memory-short',
          'warn',
          about,
          `${node} has ${formatSize(free)} of memory free, it needs ${formatSize(memory)}`,
          'free memory there, or name another node',
        ),
      );
  }
  const vmid = vmidOfEpoch(container, at.epoch + 1);
  const taken = view.guests.find((g) => g.vmid === vmid);
  const ours = view.lineages.some((l) => l.vmid === vmid && l.line.container === container.name);
  if (taken !== undefined && !ours && leastEpochOf(container, vmid) !== null)
    found.push(
      finding(
        'vmid-taken',
        'fail',
        about,
        `the vmid of its next copy, ${vmid}, is taken by ${taken.name || 'another guest'} on ${taken.node}`,
        'free that vmid, or give its copies others under failover.vmids',
      ),
    );
  return found;
}
