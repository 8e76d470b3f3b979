/**
 * What a restore would trip over on a node, known before anything is stopped for it. Pure. Where Proxmox's answer is
 * not in the recordings it is taken from its source (pve-container: API2/LXC.pm, LXC/Create.pm), unmeasured.
 */
import type { Container } from '../inventory/types.ts';
import type { ArchivedConfig, Mount } from './guest-config.ts';
import type { ClusterView, StorageView } from './model.ts';
import { targetIssues } from './restorable-there.ts';
import { blocks, loses, type RestoreIssue, type RestoreRights, type RestoreTarget } from './restore-issue.ts';
import { mountsToName } from './restore-mounts.ts';

export type { RestoreIssue, RestoreRights, RestoreTarget } from './restore-issue.ts';

/** Everything of one node in a view. `used` counts what is promised to others (bytes). */
export function restoreTarget(
  view: ClusterView,
  node: string,
  reserved: { readonly memory: number; readonly disk: (storage: StorageView) => number } = {
    memory: 0,
    disk: () => 0,
  },
): RestoreTarget {
  const seen = view.nodes.find((n) => n.name === node);
  const plus = (used: number | null, more: number): number | null => (used === null ? null : used + more);
  return {
    node,
    storages: view.storages
      .filter((s) => s.node === node)
      .map((s) => ({ ...s, used: plus(s.used, reserved.disk(s)) })),
    bridges: seen?.bridges ?? null,
    memory: {
      total: seen?.memTotal ?? null,
      used: plus(seen?.memUsed ?? null, reserved.memory),
      promised: reserved.memory,
    },
    machine: seen?.machine ?? null,
    maySysModify: view.maySysModify,
    mayNameDisks: view.mayNameDisks,
  };
}

/** Everything that stands in the way of a restore of this config on this node, or that it would lose. */
export function restoreIssues(
  container: Container,
  archived: ArchivedConfig,
  target: RestoreTarget,
): RestoreIssue[] {
  return [...containerIssues(container, archived, target), ...targetIssues(container, archived, target)];
}

/** The token's rights have not been read: nothing is held against them. */
export const UNREAD: RestoreRights = { maySysModify: null, mayNameDisks: null };

/** What of an inventory entry matters for the container's own issues. */
type Restored = Pick<Container, 'vmid'> & {
  readonly failover: Pick<
    Container['failover'],
    'restoreVia' | 'acceptLoss' | 'restoreStorage' | 'mountStorage'
  >;
};

/** What is the container's own, whatever the node. */
export function containerIssues(
  container: Restored,
  archived: ArchivedConfig,
  rights: RestoreRights,
): RestoreIssue[] {
  const token = container.failover.restoreVia === 'api';
  return [
    ...(archived.template
      ? [blocks('it is a template, and so would its copy be', 'protect a container made from it')]
      : []),
    ...(archived.privileged && token && rights.maySysModify === false
      ? [
          blocks(
            'it is a privileged container, which a token restores only with Sys.Modify on /',
            'failover.restoreVia: shell, or make it unprivileged (a backup, restored with --unprivileged 1)',
          ),
        ]
      : []),
    ...(token && rights.mayNameDisks === false && namesDisks(container, archived)
      ? [
          blocks(
            'its disks do not all go to one storage as the archive has them, and a token names them only with VM.Config.Disk on /vms',
            "give the token's role VM.Config.Disk (`pveum role modify`), or let all disks go to one storage",
          ),
        ]
      : []),
    ...archived.mounts.flatMap((mount) => mountIssues(container, mount, token)),
    ...rawIssues(container, archived, token),
    ...(token ? keptIssues(archived) : []),
  ];
}

/** Whether the call names mount points; what bars a bind mount is said of itself. */
function namesDisks({ failover }: Restored, archived: ArchivedConfig): boolean {
  const barred = archived.mounts.some(
    ({ key, kind }) => kind !== 'volume' && !failover.acceptLoss.includes(key),
  );
  return !barred && mountsToName(failover, archived) !== null;
}

/** Data that no backup holds: a loss that the inventory accepts by name, or else it blocks. */
function unsaved(container: Restored, name: string, what: string, fix: string): RestoreIssue {
  return container.failover.acceptLoss.includes(name)
    ? loses(what, null)
    : blocks(what, `${fix}; failover.acceptLoss: [${name}] accepts it`);
}

function mountIssues(container: Restored, mount: Mount, token: boolean): RestoreIssue[] {
  const { key, kind, source, path } = mount;
  const { vmid } = container;
  const name = key === 'rootfs' ? key : `${key} (${path})`;
  if (kind === 'volume') {
    const found: RestoreIssue[] = [];
    if (mount.bytes === null)
      found.push(
        blocks(
          `${name} has no size in the config, so Proxmox VE cannot make its disk anew`,
          `\`pct rescan --vmid ${vmid}\` on its node writes it down; then make a new backup`,
        ),
      );
    if (!mount.backup)
      found.push(
        unsaved(
          container,
          key,
          `${name} is left out of backups: the copy gets an empty disk there`,
          `set backup=1 on ${key} and make a new backup`,
        ),
      );
    return found;
  }
  const bound = kind === 'device' ? `the node's device ${source}` : `a bind mount of the node's ${source}`;
  if (key === 'rootfs')
    return [blocks(`its root disk is ${bound}, which Proxmox VE does not restore`, 'move it to a storage')];
  return token
    ? [
        unsaved(
          container,
          key,
          `${name} is ${bound}, which no backup holds and a token cannot restore${container.failover.acceptLoss.includes(key) ? ': the copy comes up without it' : ''}`,
          'failover.restoreVia: shell',
        ),
      ]
    : [
        unsaved(
          container,
          key,
          `${name} is ${bound}, which no backup holds: the copy gets what is there on its own node`,
          `have the same data at ${source} of every node of its list`,
        ),
      ];
}

/** Raw lines: dropped with a warning when a token restores (`WARNINGS: 1`), kept for root. */
function rawIssues(container: Restored, { raw }: ArchivedConfig, token: boolean): RestoreIssue[] {
  const found: RestoreIssue[] = [];
  for (const { key, value } of raw)
    if (key === 'lxc.mount.entry' && bindsData(value))
      found.push(
        unsaved(
          container,
          key,
          `the raw line lxc.mount.entry binds the node's ${value.split(/\s+/)[0] ?? ''}, which no backup holds${token ? ' and a token does not restore' : ': the copy gets what is there on its own node'}`,
          token ? 'failover.restoreVia: shell' : 'have the same data there on every node of its list',
        ),
      );
  const names = [...new Set(raw.map(({ key }) => key))];
  if (token && names.length > 0)
    found.push(
      loses(
        `${names.length === 1 ? 'the raw line' : 'the raw lines'} ${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} dropped when a token restores`,
        'failover.restoreVia: shell keeps them',
      ),
    );
  return found;
}

/** A folder of the node that may hold data; not what the kernel and the node's devices show. */
function bindsData(entry: string): boolean {
  return /^\/(?!dev(\/|\s)|proc(\/|\s)|sys(\/|\s)|run(\/|\s))\S/.test(entry.trim());
}

/**
 * Only root may set these, and yet Proxmox's source takes them over from an archive whoever restores it (it checks the
 * parameters of the call). Unmeasured, and documented otherwise: told, not refused.
 */
function keptIssues({ features, devices, hookscript }: ArchivedConfig): RestoreIssue[] {
  const rare = [
    ...features.filter((feature) => feature !== 'nesting').map((feature) => `feature ${feature}`),
    ...devices.map(({ key, path }) => `${key} (${path})`),
    ...(hookscript === null ? [] : [`hookscript ${hookscript}`]),
  ];
  return rare.length === 0
    ? []
    : [
        loses(
          `${rare.join(', ')} can only be set by root: a token should keep ${rare.length === 1 ? 'it' : 'them'} in a restore, but that is not measured`,
          'failover.restoreVia: shell is sure to keep them',
        ),
      ];
}
