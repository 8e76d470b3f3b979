/** What PVE says when something fails, what that means, and what helps: for answers and for the lines of task logs. */

/** The meaning; null: PVE's own words say it. `$1` stands for what the pattern caught. */
type Entry = readonly [pattern: RegExp, meaning: string | null, advice?: string];

/** The first that fits counts. Texts without a recording are marked. */
const KNOWN: readonly Entry[] = [
  [
    /no quorum|unable to open file '\/etc\/pve\/.*Permission denied/i,
    'the node has no quorum, so nothing can be written in its cluster',
    '`pvecm status` there shows the votes; wait until enough nodes are back',
  ],
  [/(?:CT|VM) (\d+) already exists on node '([^']+)'/, 'vmid $1 is taken: its configuration is on $2'],
  [/(?:CT|VM) (\d+) already exists/, 'vmid $1 is taken'],
  [/already running/, 'it runs already'],
  [/(?:CT|VM) \d+ not running$/, 'it does not run'],
  [
    /can't overwrite running container/,
    'a container with that vmid runs on the target',
    'look what it is before anything else',
  ],
  [
    /is locked \((\w+)\)/,
    'it is locked: a $1 works on it, or was cut off while it did',
    'look at the task list of its node; if none is running, `pct unlock VMID` there frees it',
  ],
  [
    /protection mode enabled/,
    'it is protected against removal',
    '`pct set VMID --protection 0` on its node takes that off',
  ],
  [/container is running/, 'it runs', 'stop it first'],
  [
    /Configuration file 'nodes\/([^/]+)\/lxc\/(\d+)\.conf' does not exist/,
    'there is no container $2 on $1',
    'it was removed or moved: `pvesh get /cluster/resources --type vm` shows where it is',
  ],
  [/unable to find VM '(\d+)'/, 'there is no container $1 on that node'],
  [
    /cannot remove protected volume/,
    'that backup is protected',
    'take its protection off first, if nobody needs it any more',
  ],
  [
    /storage '([^']+)' is disabled/,
    'storage $1 is disabled',
    '`pvesm set $1 --disable 0` enables it, or name another one in the inventory',
  ],
  [
    /storage '([^']+)' is not available on node '([^']+)'/,
    'storage $1 is not set up for $2',
    'add the node to the storage (`pvesm set $1 --nodes …`), or name another one in the inventory',
  ],
  [
    /directory is expected to be a mount point but is not mounted: '([^']+)'/,
    'its share is not mounted on $1',
    'see whether the NAS is up and the node reaches it',
  ],
  [
    /storage '([^']+)' does not support container directories/,
    'storage $1 may not hold containers',
    'allow it (content `rootdir`), or name another one as failover.restoreStorage',
  ],
  [
    /storage '([^']+)' does not exist|(No such storage)/,
    'there is no such storage',
    'compare the inventory with `pvesm status`',
  ],
  [
    /is not online|unable to activate storage|could not activate storage/,
    'that storage cannot be used at the moment',
    '`pvesm status` on the node shows what is wrong with it',
  ],
  [
    /volume '([^:']+:backup\/[^']+)' does not exist/,
    'that backup is gone from its storage',
    '`proxwarden backup list` shows those that are there',
  ],
  [
    /volume '([^']+-disk-[^']+)' does not exist/,
    'its disk $1 is gone',
    'restore it from a backup: `proxwarden restore`',
  ],
  [/interrupted by signal|received interrupt/, 'it was stopped, by a person or with its node'],
  [
    /unable to parse (?:directory )?volume name/,
    'that is not the name of a backup',
    '`proxwarden backup list` shows them',
  ],
  [
    /bridge '([^']+)' does not exist/,
    'the node has no bridge $1',
    'create it there, or take the node out of the container’s nodes',
  ],
  [
    /can't acquire lock '\/var\/run\/vzdump\.lock'/,
    'another backup runs on that node',
    'wait until it has ended',
  ],
  // unmeasured: Proxmox's source.
  [/got lock request timeout/, 'another change held the lock for too long'],
  [
    /hostname lookup '([^']+)' failed/,
    'the cluster has no node of the name $1',
    'compare the inventory with `pvecm nodes`',
  ],
  [/resource ID '[^']+' already defined/, 'it is under HA already'],
  [/no such resource|not HA managed/, 'it is not under HA'],
  [/used in HA resources/, 'it is under HA', 'remove its HA entry first'],
  [
    /no such task|unable to parse worker upid/,
    'the node does not know that task',
    'its log is in /var/log/pve/tasks of the node that ran it, if that is another one',
  ],
  [/detected modified configuration/, 'somebody else changed the configuration at the same moment'],
  // unmeasured: Proxmox's source, down to the one about external sources.
  [
    /restoring '(\w+)' to (\w+) mount is only possible for root/,
    'no token can restore $1: it is a $2 mount',
    'failover.restoreVia: shell, or failover.acceptLoss: [$1] for a copy without it',
  ],
  [
    /unable to detect disk size - please specify (\w+)/,
    'the archived configuration names no size for $1',
    '`pct rescan` on the node of the original writes it down; then make a new backup',
  ],
  [
    /rootfs configuration could not be recovered|restoring rootfs to \w+ mount/,
    'the archived configuration names no root disk that could be made anew',
    'restore it by hand, with --rootfs',
  ],
  [
    /refusing to restore privileged container backup from external source/,
    'a privileged container is only restored from Proxmox’s own kinds of storage',
    'take another backup.storage, or make the container unprivileged',
  ],
  [
    /(?:changing feature flags.*|mount point type \w+ is )only allowed for root/,
    'only root@pam may do that, no token can',
    'failover.restoreVia: shell',
  ],
  [
    /Only root may use this option|only allowed for root/,
    'only root@pam may do that, no token can',
    'restore it by hand with `pct restore`',
  ],
  [
    /Method '.*' not implemented|method '.*' not available/,
    'this Proxmox VE version has no such call',
    'Proxmox VE 8 or newer is needed',
  ],
  [
    /Parameter verification failed/,
    'this Proxmox VE does not take the call as ProxWarden makes it',
    'please report it, with the version of both',
  ],
];

/**
 * What a refusal or a log line means, with PVE's own words in parentheses, and what helps behind a dash. `about` says what
 * failed: the vmid in a command comes from there.
 */
export function inWords(said: string, about: string): string {
  const [, vmid = 'VMID'] = /CT (\d+)/.exec(about) ?? [];
  for (const [pattern, meaning, advice] of KNOWN) {
    const match = pattern.exec(said);
    if (match === null) continue;
    const filled = (text: string): string =>
      text.replace('VMID', vmid).replaceAll(/\$(\d)/g, (_, group: string) => match[Number(group)] ?? '');
    const what = meaning === null ? said : `${filled(meaning)} (${said})`;
    return advice === undefined ? what : `${what} — ${filled(advice)}`;
  }
  return said;
}
