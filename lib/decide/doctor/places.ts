/** Storages of the backups, and the nodes that containers may go to. Pure. */
import type { Container, Target } from '../../inventory/types.ts';
import { leastEpochOf, nextVmid } from '../incarnations.ts';
import type { StorageView } from '../model.ts';
import type { Finding, Subject } from './facts.ts';
import { containerIn, placeOf } from '../reach.ts';
import { finding, listed, type ClusterLook, type ContainerLook, type Look } from './look.ts';

export function checkPlaces(look: Look): Finding[] {
  return look.clusters.flatMap((cluster) =>
    cluster.view === null
      ? []
      : [
          ...storages(cluster, look),
          ...cluster.containers
            .filter((c) => c.isProtected && c.at !== null)
            .flatMap((c) => candidates(cluster, c, look)),
        ],
  );
}

/** A node that has to see a container's backups: its own, to make them, and those that may restore them. */
interface Use {
  readonly storage: string;
  readonly node: string;
  readonly container: ContainerLook;
}

/** Nodes of its list in that cluster that are there, and that it is not on. */
export function usable({ container, at }: ContainerLook, { name, view }: ClusterLook): Target[] {
  const known = new Set(view?.nodes.map((n) => n.name));
  return container.nodes.filter(
    (t) => t.cluster === name && (at?.cluster !== name || t.node !== at.node) && known.has(t.node),
  );
}

/** Where disks of a copy may go. */
export function restoreStorages({ failover }: Container): string[] {
  return [...new Set([failover.restoreStorage, ...Object.values(failover.mountStorage)])];
}

/** Of its own containers, and of those that may come from other clusters. */
function uses(cluster: ClusterLook, { clusters }: Look): Use[] {
  return clusters
    .flatMap((one) => one.containers)
    .flatMap((one): Use[] => {
      const { container, at, isProtected } = one;
      if (at === null) return [];
      const { storage } = containerIn(container, cluster.name).backup;
      const places = isProtected ? usable(one, cluster).map((target) => target.node) : [];
      const here = at.cluster === cluster.name ? [at.node] : [];
      return [...here, ...places].map((node) => ({ storage, node, container: one }));
    });
}

function storages(cluster: ClusterLook, look: Look): Finding[] {
  const { view, name } = cluster;
  const online = new Set(view?.nodes.filter((n) => n.online).map((n) => n.name));
  const found: Finding[] = [];
  const all = uses(cluster, look).filter((use) => online.has(use.node));
  for (const id of [...new Set(all.map((use) => use.storage))].toSorted()) {
    const about: Subject = { cluster: name, kind: 'storage', name: id };
    const here = all.filter((use) => use.storage === id);
    const seen = (node: string): StorageView | undefined =>
      view?.storages.find((s) => s.storage === id && s.node === node);
    found.push(...absent(about, here, seen), ...content(about, here, seen));
    const keeping = here.filter((use) => use.container.isProtected);
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
  const wrong = here.filter((use) => seen(use.node)?.content.includes('backup') === false);
  const listing = seen(wrong[0]?.node ?? '')?.content ?? [];
  if (wrong.length === 0) return [];
  return [
    finding(
      'storage-content',
      'fail',
      about,
      `it does not take backups, and those of ${names(wrong)} are looked for on it`,
      `name another storage, or let it: add backup to what it lists now, ${listed(listing)}`,
      [`pvesm set ${about.name} --content ${[...listing, 'backup'].join(',')}`],
    ),
  ];
}

function candidates(cluster: ClusterLook, one: ContainerLook, { clusters }: Look): Finding[] {
  const { view, name } = cluster;
  const { container, at } = one;
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
  const places = clusters.flatMap((each) => usable(one, each));
  const elsewhere = container.nodes.some((t) => t.cluster !== name);
  if (places.length === 0 && (!view.standalone || elsewhere))
    found.push(
      finding(
        'candidate-none',
        'fail',
        about,
        `it is on ${at.node}, and no other node of its list (${listed(container.nodes.map((t) => placeOf(t, name)))}) can take it`,
        'name another node under nodes',
      ),
    );
  const vmid = nextVmid(container, at, at.epoch + 1);
  const taken = view.guests.find((g) => g.vmid === vmid && (vmid !== at.vmid || g.node !== at.node));
  const ours = view.lineages.some((l) => l.vmid === vmid && l.line.container === container.name);
  if (taken !== undefined && !ours && leastEpochOf(container, name, vmid) !== null)
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
