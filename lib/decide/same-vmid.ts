/**
 * `identity: same-vmid`: the original's config is moved aside inside the cluster's file system, so that the copy can have
 * its vmid. Whether that can be done, and how it is seen afterwards that it has been. Pure.
 */
import type { Cluster, Container } from '../inventory/types.ts';
import type { ArchivedConfig } from './guest-config.ts';
import { incarnationKey, parseIncarnationKey } from './incarnations.ts';
import { isAtHome } from './lineage.ts';
import type { ClusterView, Gate, Incarnation } from './model.ts';
import { storageOf } from './volid.ts';

/** Where configs are moved to, below /etc/pve. */
export const RETIRED_FOLDER = 'proxwarden/retired';

/** The copy that has taken over the vmid of this incarnation, by its own line: its config is not there any more. */
export function copyInItsPlace(
  view: ClusterView,
  { node, vmid }: Pick<Incarnation, 'node' | 'vmid'>,
): string | null {
  const copy = view.lineages.find(({ node: at, vmid: own, line }) => {
    const before = parseIncarnationKey(line.supersedes);
    return (
      own === vmid &&
      at !== node &&
      isAtHome(line, { cluster: view.cluster, node: at, vmid }) &&
      before?.vmid === vmid &&
      before.node === node &&
      (before.cluster ?? view.cluster) === view.cluster
    );
  });
  return copy === undefined ? null : incarnationKey({ node: copy.node, vmid, epoch: copy.line.epoch });
}

export interface Movable {
  readonly container: Container;
  readonly current: Incarnation;
  readonly view: ClusterView;
  readonly cluster: Pick<Cluster, 'shell'> | undefined;
  /** The original's, or that of its backup; null: not known. */
  readonly config: ArchivedConfig | null;
}

export interface Obstacle {
  readonly what: string;
  readonly fix: string;
}

/** What stands in the way of moving the config of the current copy aside; empty: nothing that is known. */
export function movingObstacles({ container, current, view, cluster, config }: Movable): Obstacle[] {
  const { name } = container;
  const other = `set failover.identity: new-vmid for ${name}`;
  const ha = view.ha.find((e) => e.sid === `ct:${current.vmid}`);
  const shared = config === null ? [] : sharedVolumes(view, config);
  return [
    ...(cluster?.shell == null
      ? [
          {
            what: `the inventory names no shell for the nodes of ${view.cluster}`,
            fix: `add shell: { ssh: { … } } beside api, or ${other}`,
          },
        ]
      : []),
    ...(view.standalone
      ? [{ what: 'a stand-alone node takes its own configs down with it', fix: other }]
      : []),
    ...(ha === undefined
      ? []
      : [
          {
            what: `there is an HA entry ${ha.sid} (${ha.state}), which the copy would inherit`,
            fix: `remove it (\`ha-manager remove ${ha.sid}\`), or ${other}`,
          },
        ]),
    ...(shared.length === 0
      ? []
      : [
          {
            what: `${shared.join(', ')} ${shared.length === 1 ? 'is' : 'are'} on shared storage, where the copy's disks would lie beside the original's under the same vmid`,
            fix: other,
          },
        ]),
  ];
}

/** Disks on a storage that is shared: `mp0 (nas:101/vm-101-disk-1.raw)`. */
export function sharedVolumes(
  { storages }: Pick<ClusterView, 'storages'>,
  { mounts }: Pick<ArchivedConfig, 'mounts'>,
): string[] {
  return mounts
    .filter(
      ({ kind, source }) =>
        kind === 'volume' && storages.some((s) => s.storage === storageOf(source) && s.shared),
    )
    .map(({ key, source }) => `${key} (${source})`);
}

/** How the original is kept down: without its config nothing can start it. */
export function movingGate(movable: Movable): Gate {
  const { current } = movable;
  const what = `the config of CT ${current.vmid} on ${current.node}`;
  const [first, ...more] = movingObstacles(movable);
  return first === undefined
    ? {
        gate: 'return',
        ok: true,
        evidence: `${what} will be moved aside, so that nothing can start it there; its disks stay`,
        flip: null,
      }
    : {
        gate: 'return',
        ok: false,
        evidence: `${what} can't be moved aside (failover.identity: same-vmid): ${[first, ...more].map((o) => o.what).join('; ')}`,
        flip: first.fix,
      };
}
