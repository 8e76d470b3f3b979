/** Root shells on the nodes, and what needs one: a failover with the same vmid, a restore by pct, ending an orphan. Pure. */
import type { Cluster, Container } from '../../inventory/types.ts';
import { movingObstacles } from '../same-vmid.ts';
import type { Finding } from './facts.ts';
import { finding, listed, type ClusterLook, type ContainerLook, type Look } from './look.ts';

/** What needs a root shell on some node of the cluster: `failover.identity: same-vmid (web)`; empty: nothing. */
export function shellUses(cluster: Cluster, containers: readonly Container[]): string[] {
  const ours = containers.filter((c) => c.cluster === cluster.name && c.mode === 'protect');
  const use = (what: string, users: readonly Container[]): string[] =>
    users.length === 0 ? [] : [`${what} (${listed(users.map((c) => c.name))})`];
  return [
    ...use(
      'failover.identity: same-vmid',
      ours.filter((c) => c.failover.identity === 'same-vmid'),
    ),
    ...use(
      'failover.restoreVia: shell',
      ours.filter((c) => c.failover.restoreVia === 'shell'),
    ),
    ...(cluster.orphans === 'stop' || Object.values(cluster.nodes).some((n) => n.orphans === 'stop')
      ? ['orphans: stop']
      : []),
  ];
}

export function checkShells(look: Look): Finding[] {
  return look.clusters.flatMap((cluster) => [
    ...silent(cluster, look),
    ...cluster.containers.flatMap((one) => blocked(cluster, one)),
  ]);
}

/** Moving a config needs one node that has a shell; a restore by pct and lxc-stop need that very node. */
function silent({ name, config, facts }: ClusterLook, { inventory }: Look): Finding[] {
  const shells = facts.shells ?? [];
  const uses = shellUses(config, Object.values(inventory.containers));
  const none = shells.every(({ why }) => why !== null);
  return shells.flatMap(({ node, why, hint }) =>
    why === null
      ? []
      : [
          finding(
            'shell-silent',
            none ? 'fail' : 'warn',
            { cluster: name, kind: 'node', name: node },
            `a root shell can't be had on it (${why}), which is needed for ${listed(uses)}`,
            hint ??
              'see `shell` in the inventory, and try it: the runner must reach it without being asked anything',
          ),
        ],
  );
}

function blocked({ name, config, view, facts }: ClusterLook, one: ContainerLook): Finding[] {
  const { container, at, detail, backups, isProtected } = one;
  if (!isProtected || view === null || at === null || container.failover.identity !== 'same-vmid') return [];
  const archived = backups[0]?.archived?.config ?? null;
  const obstacles = [
    ...movingObstacles({
      container,
      current: at,
      view,
      cluster: config,
      config: detail?.config ?? archived,
    }),
    ...(facts.replicated?.includes(at.vmid) === true
      ? [
          {
            what: 'it has a storage replication job, which would work on the disks of both',
            fix: `remove the job, or set failover.identity: new-vmid for ${container.name}`,
          },
        ]
      : []),
  ];
  return obstacles.map(({ what, fix }) =>
    finding(
      'same-vmid-blocked',
      'fail',
      { cluster: name, kind: 'container', name: container.name },
      `its config can't be moved aside for a copy with the same vmid: ${what}`,
      fix,
    ),
  );
}
