/** Which backup is used, and why not the others. Pure. Rule 7: the right backup. */
import type { Container } from '../inventory/types.ts';
import { formatDuration } from '../units.ts';
import type { BackupView, Incarnation } from './model.ts';
import { clustersOf, containerIn } from './reach.ts';
import { archiveOf } from './volid.ts';
import { NO_MACS, otherMacs } from './whose.ts';

/** Clocks of runner and cluster may differ by this much before a backup counts as made in the future. */
export const CLOCK_SLACK_MS = 60_000;

export interface BackupRules {
  readonly container: Container;
  readonly current: Incarnation;
  /** MACs by which its backups are known; empty: not known. */
  readonly macs: readonly string[];
  readonly now: number;
  /** A person named this one: its identity may be unknown (not wrong), its age up to `acceptAgeMs`. */
  readonly named?: { readonly volid: string; readonly acceptAgeMs: number } | undefined;
}

export interface BackupChoice {
  readonly chosen: BackupView | null;
  readonly rejected: readonly { readonly what: string; readonly why: string }[];
  /** The newest that was rejected for its age alone: what a person could accept. */
  readonly tooOld: BackupView | null;
}

/** The newest sound backup of the current incarnation, with a reason for every one that was rejected. */
export function chooseBackup(backups: readonly BackupView[], rules: BackupRules): BackupChoice {
  const rejected: { what: string; why: string }[] = [];
  let chosen: BackupView | null = null;
  let tooOld: BackupView | null = null;
  const candidates = ofCurrent(backups, rules).toSorted((a, b) => b.at - a.at);
  const later = laterCopy(candidates, rules);
  for (const backup of candidates) {
    const unsound = soundness(backup, rules) ?? later;
    const age = unsound === null ? ageProblem(backup, rules) : null;
    if (unsound !== null) rejected.push({ what: backup.volid, why: unsound });
    else if (age !== null) {
      rejected.push({ what: backup.volid, why: age });
      tooOld ??= backup;
    } else if (chosen !== null) rejected.push({ what: backup.volid, why: `older than ${chosen.volid}` });
    else chosen = backup;
  }
  return { chosen, rejected, tooOld };
}

/**
 * A copy with the same vmid (`same-vmid`) of which the runner knows nothing, because its state was lost while the copy's
 * node is down: what is older than that copy is not this container's data any more. A person may name one.
 */
function laterCopy(
  candidates: readonly BackupView[],
  { container, current, named }: BackupRules,
): string | null {
  const line = candidates
    .map((b) => b.archived?.lineage ?? null)
    .find(
      (l) =>
        l !== null &&
        l.container === container.name &&
        l.cluster === current.cluster &&
        l.vmid === current.vmid &&
        l.phase === 'live' &&
        l.epoch > current.epoch,
    );
  return line == null || named !== undefined
    ? null
    : `there are backups of a later copy under this vmid (epoch ${line.epoch} on ${line.node})`;
}

/** Those of its vmid; what several clusters list is one, listed by its own cluster if that can be asked. */
function ofCurrent(backups: readonly BackupView[], { container, current }: BackupRules): BackupView[] {
  const found: BackupView[] = [];
  for (const cluster of new Set([current.cluster, ...clustersOf(container, undefined)])) {
    const known = new Set(found.map(({ volid }) => archiveOf(volid)));
    found.push(
      ...backups.filter(
        (b) => b.cluster === cluster && b.vmid === current.vmid && !known.has(archiveOf(b.volid)),
      ),
    );
  }
  return found;
}

/** Why it may not be used whatever its age, or null. */
function soundness(backup: BackupView, { container, current, macs, now, named }: BackupRules): string | null {
  if (named !== undefined && archiveOf(backup.volid) !== archiveOf(named.volid))
    return 'another one was named';
  const { storage } = containerIn(container, backup.cluster).backup;
  if (backup.storage !== storage) return `not on ${storage}`;
  if (backup.unfinished !== null) return `not finished: ${backup.unfinished}`;
  if (backup.at > now + CLOCK_SLACK_MS)
    return `made ${formatDuration(backup.at - now)} in the future: check the clocks`;
  if (backup.at < current.since) return `made before this copy (epoch ${current.epoch}) came into being`;
  if (backup.verification === 'failed') return 'its verification failed';
  if (container.backup.requireVerified && backup.verification !== 'ok')
    return 'not verified, and the inventory demands it';
  if (backup.archived === null) return backup.problem ?? 'its config has not been read';
  return identityProblem(backup.archived, current, macs, named !== undefined, container.name);
}

function identityProblem(
  archived: NonNullable<BackupView['archived']>,
  current: Incarnation,
  macs: readonly string[],
  named: boolean,
  name: string,
): string | null {
  const lineage = archived.lineage;
  if (lineage !== null && (lineage.container !== name || lineage.epoch !== current.epoch))
    return `it is of ${lineage.container}, epoch ${lineage.epoch}`;
  // A clone of the whole cluster has the same names, vmids and MACs, and perhaps the same datastore.
  if (lineage !== null && lineage.cluster !== current.cluster)
    return `it is of a ${name} in cluster ${lineage.cluster}`;
  if (lineage === null && current.epoch > 0) return `it lacks the lineage line of epoch ${current.epoch}`;
  if (macs.length === 0) return named ? null : NO_MACS;
  return otherMacs(archived.macs, macs);
}

function ageProblem(backup: BackupView, { container, now, named }: BackupRules): string | null {
  const limit = Math.max(container.backup.maxAgeMs, named?.acceptAgeMs ?? 0);
  const age = now - backup.at;
  return age <= limit ? null : `${formatDuration(age)} old, older than the RPO of ${formatDuration(limit)}`;
}
