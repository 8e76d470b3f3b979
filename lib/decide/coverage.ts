/** Whether a scheduled job of Proxmox VE backs up a copy that it did not know before a failover. Pure. */
import type { Container } from '../inventory/types.ts';
import type { BackupJob } from './doctor/facts.ts';
import type { Incarnation } from './model.ts';

export interface Uncovered {
  /** One sentence. */
  readonly what: string;
  /** What lets the job cover the copy. */
  readonly command: string;
}

/**
 * Null when an enabled job covers the copy, or none has ever covered the container: then the failover has changed
 * nothing, and `doctor` says it. Jobs of guests that have been deleted cover nothing, so that vmids are asked for as well.
 */
export function uncovered(
  { name, vmid: original, backup, failover }: Pick<Container, 'name' | 'vmid' | 'backup' | 'failover'>,
  { vmid }: Pick<Incarnation, 'vmid'>,
  jobs: readonly BackupJob[],
): Uncovered | null {
  const covers = (job: BackupJob, one: number): boolean =>
    job.enabled && (job.guests.includes(one) || job.vmids.includes(one));
  if (jobs.some((job) => covers(job, vmid))) return null;
  const before = [original, ...failover.vmids].filter((one) => one !== vmid);
  const found = jobs.flatMap((job) => {
    const known = before.find((one) => covers(job, one));
    return known === undefined ? [] : [{ job, known }];
  });
  const best = found.find(({ job }) => job.storage === backup.storage) ?? found[0];
  if (best === undefined) return null;
  const { job, known } = best;
  return {
    what: `no backup job covers CT ${vmid}, the current copy of ${name}; ${job.id} covers CT ${known}`,
    command: commandOf(job, vmid),
  };
}

/** The list of a job is replaced as a whole, so all that it names are named again. */
function commandOf(job: BackupJob, vmid: number): string {
  if (job.vmids.length > 0)
    return `pvesh set /cluster/backup/${job.id} --vmid ${[...job.vmids, vmid].join(',')}`;
  if (job.pool !== null) return `pvesh set /pools --poolid ${job.pool} --vms ${vmid}`;
  return `pvesh get /cluster/backup/${job.id}`;
}
