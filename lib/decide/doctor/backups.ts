/** Whether there is a backup to use, and a job that goes on making them. Pure. */
import { uncovered } from '../coverage.ts';
import { formatDuration } from '../../units.ts';
import type { BackupJob, Finding, Retention, Subject } from './facts.ts';
import { finding, listed, type ClusterLook, type ContainerLook, type Look } from './look.ts';
import { longestGap } from './schedule.ts';

export function checkBackups(look: Look): Finding[] {
  return look.clusters.flatMap((cluster) =>
    cluster.view === null
      ? []
      : cluster.containers
          .filter((c) => c.isProtected && c.at !== null)
          .flatMap((one) => {
            const about: Subject = { cluster: cluster.name, kind: 'container', name: one.container.name };
            // A local storage is listed on one node only; what is wrong with it is said of the storage.
            const local = cluster.view?.storages.some(
              (s) => s.storage === one.container.backup.storage && s.node === one.at?.node && !s.shared,
            );
            return [
              ...(local === true ? [] : newest(one, look.facts.at, about)),
              ...scheduled(cluster, one, about),
            ];
          }),
  );
}

/** As a failover would choose it. */
function newest({ container, at, backups, choice }: ContainerLook, now: number, about: Subject): Finding[] {
  if (choice === null || choice.chosen !== null) return [];
  const { name, backup } = container;
  const make = [`proxwarden backup ${name}`];
  if (choice.tooOld !== null)
    return [
      finding(
        'backup-old',
        'fail',
        about,
        `its newest sound backup is ${formatDuration(now - choice.tooOld.at)} old, the RPO (backup.maxAge) is ${formatDuration(backup.maxAgeMs)}`,
        'make one now, and see to its scheduled job',
        make,
      ),
    ];
  if (backups.length === 0)
    return [
      finding(
        'backup-missing',
        'fail',
        about,
        `there is no backup of CT ${at?.vmid ?? container.vmid} on ${backup.storage}`,
        'make one, or correct backup.storage',
        make,
      ),
    ];
  const reasons = choice.rejected.slice(0, 3).map((r) => `${r.what}: ${r.why}`);
  return [
    finding(
      'backup-unusable',
      'fail',
      about,
      `none of its ${backups.length} backups on ${backup.storage} may be used: ${reasons.join('; ')}`,
      'make a new one; whatever makes them unusable has to be mended as well',
      make,
    ),
  ];
}

function scheduled({ facts }: ClusterLook, { container, at }: ContainerLook, about: Subject): Finding[] {
  if (facts.jobs === null || at === null) return [];
  const { backup } = container;
  const covering = facts.jobs.filter((job) => job.guests.includes(at.vmid));
  const enabled = covering.filter((job) => job.enabled);
  const fix = 'Datacenter → Backup in the web interface';
  const elsewhere = uncovered(container, at, facts.jobs);
  if (enabled.length === 0 && covering.length === 0 && elsewhere !== null)
    return [
      finding('backup-job-missing', 'warn', about, elsewhere.what, `let that job cover it, too: ${fix}`, [
        elsewhere.command,
      ]),
    ];
  if (enabled.length === 0)
    return covering.length > 0
      ? [
          finding(
            'backup-job-disabled',
            'warn',
            about,
            `the job that backs it up (${listed(ids(covering))}) is disabled: its backups only get older`,
            `enable it: ${fix}`,
          ),
        ]
      : [
          finding(
            'backup-job-missing',
            'warn',
            about,
            `no scheduled job backs up CT ${at.vmid}: its backups only get older`,
            `add it to one that writes to ${backup.storage}: ${fix}, or let cron run`,
            [`proxwarden backup ${container.name}`],
          ),
        ];
  const onStorage = enabled.filter((job) => job.storage === backup.storage);
  if (onStorage.length === 0)
    return [
      finding(
        'backup-job-elsewhere',
        'warn',
        about,
        `its job (${listed(enabled.map((j) => `${j.id} to ${j.storage ?? 'a folder'}`))}) does not write to ${backup.storage}, where a failover looks`,
        'set backup.storage to where they are, or let the job write there',
      ),
    ];
  return [
    ...rhythm(onStorage, backup.maxAgeMs, about),
    ...pruning(facts.storages ?? [], onStorage, about),
    ...naming(onStorage, about),
  ];
}

function ids(jobs: readonly BackupJob[]): string[] {
  return jobs.map((job) => job.id);
}

/** The most frequent one counts. */
function rhythm(jobs: readonly BackupJob[], maxAgeMs: number, about: Subject): Finding[] {
  const gaps = jobs.map((job) => (job.schedule === null ? null : longestGap(job.schedule)));
  const known = gaps.filter((gap) => gap !== null);
  if (known.length < gaps.length || known.length === 0) return [];
  const best = Math.min(...known);
  return best <= maxAgeMs
    ? []
    : [
        finding(
          'backup-job-rare',
          'warn',
          about,
          `its job (${listed(jobs.map((j) => `${j.id}, ${j.schedule ?? ''}`))}) leaves up to ${formatDuration(best)} between two backups, and the RPO (backup.maxAge) is ${formatDuration(maxAgeMs)}: in between a failover is blocked`,
          'let it run more often, or raise backup.maxAge',
        ),
      ];
}

function pruning(
  storages: readonly { readonly storage: string; readonly retention: Retention }[],
  jobs: readonly BackupJob[],
  about: Subject,
): Finding[] {
  const strict = jobs.filter((job) => {
    const rules = job.retention ?? storages.find((s) => s.storage === job.storage)?.retention ?? {};
    return kept(rules) === 1;
  });
  if (strict.length === 0) return [];
  return [
    finding(
      'backup-job-prunes',
      'warn',
      about,
      `its job (${listed(ids(strict))}) keeps one backup: a bad new one replaces the last good one`,
      'keep at least two (retention of the job, or of its storage)',
    ),
  ];
}

/** How many are kept at least; null: all, or nothing is said. */
function kept(rules: Retention): number | null {
  if (rules['keep-all'] === 1) return null;
  const counts = Object.entries(rules).flatMap(([name, count]) => (name === 'keep-all' ? [] : [count]));
  const sum = counts.reduce((total, count) => total + count, 0);
  return sum === 0 ? null : sum;
}

function naming(jobs: readonly BackupJob[], about: Subject): Finding[] {
  return jobs.every((job) => job.byVmid)
    ? [
        finding(
          'backup-job-not-copies',
          'note',
          about,
          `its job (${listed(ids(jobs))}) names vmids: after a failover its copy, under another vmid, is not backed up by it`,
          'a job of all guests, or of a pool that the copy is then put into, goes on',
        ),
      ]
    : [];
}
