/** What the client makes of a container's config, status, tasks and archives. */
import type * as z from 'zod';
import { parseLineage } from '../decide/lineage.ts';
import type { BackupView, GuestDetail } from '../decide/model.ts';
import { isSnapshot } from '../decide/volid.ts';
import type { TaskListEntry } from './api.ts';
import { configFacts, configFromText, type ConfigFacts } from './parse.ts';
import type { ContentReply, TasksReply } from './schemas.ts';
import { parseUpid } from './upid.ts';

/** Tasks that start or stop a container. */
const POWER_TASKS = ['vzstart', 'vzstop', 'vzshutdown', 'vzreboot'];

export function guestDetailFrom(input: {
  node: string;
  vmid: number;
  readAt: number;
  facts: ConfigFacts;
  status: string | null;
  lastTask: GuestDetail['lastTask'];
  starting: string | undefined;
}): GuestDetail {
  const { node, vmid, readAt, facts, status, lastTask, starting } = input;
  return {
    vmid,
    node,
    readAt,
    status,
    onboot: facts.onboot,
    lock: facts.lock,
    protection: facts.protection,
    template: facts.template,
    hostname: facts.hostname,
    macs: [...facts.macs],
    ips: [...facts.ips],
    description: facts.description,
    tags: [...facts.tags],
    memMax: facts.memMax,
    storages: [...facts.storages],
    config: facts.config,
    lastTask,
    ...(starting === undefined ? {} : { starting }),
  };
}

/** The newest start, stop, shutdown or reboot that has ended. `alone`: nobody else acts under our name. */
export function lastPowerTask(
  tasks: readonly TaskListEntry[],
  { alone }: { readonly alone: boolean },
): GuestDetail['lastTask'] {
  const [newest] = tasks
    .filter((task) => POWER_TASKS.includes(task.type) && task.endedAt !== null)
    .toSorted((a, b) => b.startedAt - a.startedAt);
  if (newest === undefined || newest.endedAt === null) return null;
  const { type, user, startedAt, endedAt, exitstatus, ours } = newest;
  return { type, user, startedAt, endedAt, ok: succeeded(exitstatus), ...(ours && alone ? { ours } : {}) };
}

/** Tasks that make a container run: `status/current` says `stopped` until they are through. `hastart` (HA) is unmeasured. */
const STARTS = ['vzstart', 'vzreboot', 'hastart'];

/** The type of a task under way that starts it, or undefined. */
export function startUnderWay(tasks: readonly TaskListEntry[]): string | undefined {
  return tasks.find((task) => STARTS.includes(task.type) && task.endedAt === null)?.type;
}

/** Whether it has been started since its last restore, and by which task. */
export function startedSinceRestore(tasks: readonly TaskListEntry[]): TaskListEntry | undefined {
  const restoredAt = Math.max(0, ...tasks.filter((t) => t.type === 'vzrestore').map((t) => t.startedAt));
  return tasks.find((t) => STARTS.includes(t.type) && t.startedAt >= restoredAt);
}

/** `OK`, and `WARNINGS: 1`: done, with something to read in the log. */
export function succeeded(exitstatus: string | null): boolean {
  return exitstatus !== null && /^(OK|WARNINGS: \d+)$/.test(exitstatus);
}

/** `self`: who reads the list, as UPIDs name it. */
export function taskEntries(reply: z.infer<typeof TasksReply>, self: string): TaskListEntry[] {
  const seen = new Set<string>();
  return reply.flatMap((task): TaskListEntry[] => {
    // With source=all a task that ends in between is listed twice.
    if (seen.has(task.upid)) return [];
    seen.add(task.upid);
    // `user` is without the token's name, the UPID has it.
    const user = parseUpid(task.upid)?.user ?? task.user;
    return [
      {
        upid: task.upid,
        node: task.node,
        type: task.type,
        id: task.id,
        user,
        ours: user === self,
        startedAt: task.starttime * 1000,
        endedAt: task.endtime === undefined ? null : task.endtime * 1000,
        exitstatus: task.endtime === undefined ? null : (task.status ?? null),
      },
    ];
  });
}

/** Only containers' backups; a VM's with the same vmid is another thing. */
export function backupViews(
  place: { cluster: string; storage: string },
  reply: z.infer<typeof ContentReply>,
): BackupView[] {
  return reply.flatMap((entry): BackupView[] => {
    const [, fromName] = /:(?:backup\/)?(?:ct\/|.*vzdump-lxc-)(\d{1,9})[/-]/.exec(entry.volid) ?? [];
    const isContainer = entry.subtype === undefined ? fromName !== undefined : entry.subtype === 'lxc';
    const vmid = entry.vmid ?? (fromName === undefined ? undefined : Number(fromName));
    // Without a time it can't be told from an old one, so it can't be used. Times in names are not looked at: a file's is
    // the node's local time, a snapshot's on a Proxmox Backup Server is UTC.
    if (!isContainer || vmid === undefined || entry.ctime === undefined) return [];
    return [
      {
        cluster: place.cluster,
        storage: place.storage,
        volid: entry.volid,
        vmid,
        at: entry.ctime * 1000,
        size: entry.size,
        notes: entry.notes ?? '',
        protected: entry.protected,
        verification: entry.verification?.state ?? null,
        encrypted: entry.encrypted ?? null,
        unfinished: withoutManifest(entry),
        archived: null,
        problem: null,
      },
    ];
  });
}

/**
 * A file gets its name when it is whole (recording 15: nothing is listed of a backup that was cut off). A Proxmox Backup
 * Server lists a snapshot from its beginning; its manifest is written last, and without one PVE knows no size and says 1
 * (PVE's source; unmeasured).
 */
function withoutManifest({ volid, size }: { volid: string; size: number }): string | null {
  return isSnapshot(volid) && size <= 1
    ? 'it has no manifest yet: it is being written, or its writer was cut off'
    : null;
}

/** The config inside an archive. */
export function archivedFrom(text: string): NonNullable<BackupView['archived']> {
  const facts = configFacts(configFromText(text));
  return {
    macs: [...facts.macs],
    hostname: facts.hostname,
    onboot: facts.onboot,
    lineage: parseLineage(facts.description),
    description: facts.description,
    tags: [...facts.tags],
    bridges: [...facts.bridges],
    ips: [...facts.ips],
    config: facts.config,
  };
}
