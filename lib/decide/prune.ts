/** Which backups `backup prune` removes, and why it spares the others. Pure. */
import type { KeepPolicy } from '../inventory/types.ts';
import { chooseBackup, CLOCK_SLACK_MS } from './backups.ts';
import type { BackupView } from './model.ts';
import { parseNotes } from './notes.ts';
import { archiveOf } from './volid.ts';
import { whoseIs, type WhoseRules } from './whose.ts';

export interface PruneRules extends WhoseRules {
  readonly keep: KeepPolicy;
  /** Those too that other jobs made. */
  readonly all: boolean;
  /** Volids that operations under way use, as whatever cluster calls them. */
  readonly inUse: ReadonlySet<string>;
  readonly now: number;
}

export interface PruneEntry {
  readonly backup: BackupView;
  readonly remove: boolean;
  readonly why: string;
}

/**
 * What happens to each of the container's backups, newest first. Removed is only what is proven to be of the current
 * copy, was made by us (or `all`), is not protected, not in use, and not kept by the policy; never the one that a
 * failover would use. Backups of retired copies stay: what they hold is nowhere else.
 */
export function prunePlan(backups: readonly BackupView[], rules: PruneRules): PruneEntry[] {
  const newestFirst = backups.toSorted((a, b) => b.at - a.at);
  const spared = new Map(newestFirst.map((backup) => [backup, spareReason(backup, rules)]));
  const candidates = newestFirst.filter((backup) => spared.get(backup) === null);
  const kept = keptBy(
    candidates.map((backup) => backup.at),
    rules.keep,
  );
  const { chosen, tooOld } = chooseBackup(backups, rules);
  const sound = chosen ?? tooOld;
  return newestFirst.map((backup) => {
    const reason = spared.get(backup) ?? kept[candidates.indexOf(backup)] ?? null;
    if (reason !== null) return { backup, remove: false, why: reason };
    if (sound === null) return { backup, remove: false, why: 'no backup of it is sound: nothing is removed' };
    if (backup === sound)
      return { backup, remove: false, why: 'the newest sound one: a failover would use it' };
    return { backup, remove: true, why: 'the policy does not keep it' };
  });
}

/** Why it is no candidate, so that it is neither removed nor counted; or null. */
function spareReason(backup: BackupView, rules: PruneRules): string | null {
  if (backup.protected) return 'protected';
  if ([...rules.inUse].some((volid) => archiveOf(volid) === archiveOf(backup.volid)))
    return 'in use by an operation';
  if (backup.unfinished !== null) return `not finished: ${backup.unfinished}`;
  if (backup.at > rules.now + CLOCK_SLACK_MS) return 'made in the future: check the clocks';
  const whose = whoseIs(backup, rules);
  if (whose.kind === 'retired') return `of a retired copy (epoch ${whose.epoch}), never pruned`;
  if (whose.kind !== 'current') return whose.why;
  if (backup.verification === 'failed')
    return 'its verification failed: it does not count, remove it by hand';
  const notes = parseNotes(backup.notes);
  const ours = notes !== null && notes.container === rules.container.name && notes.epoch === whose.epoch;
  return ours || rules.all ? null : 'not made by ProxWarden: only --all prunes it';
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The periods of PVE's `prune-backups`, in the order in which it goes through them. Times are UTC, as in all we print. */
const PERIODS: readonly (readonly [keyof KeepPolicy, (at: number) => number | string])[] = [
  ['last', (at) => at],
  ['hourly', (at) => Math.floor(at / HOUR_MS)],
  ['daily', (at) => Math.floor(at / DAY_MS)],
  // The epoch was a Thursday: three days later a week begins on Monday, as in the ISO week date system.
  ['weekly', (at) => Math.floor((at + 3 * DAY_MS) / (7 * DAY_MS))],
  ['monthly', (at) => new Date(at).toISOString().slice(0, 7)],
  ['yearly', (at) => new Date(at).getUTCFullYear()],
];

/**
 * By which rule each of `times` (epoch ms, newest first) is kept; null: by none. As PVE does it: one rule after the other
 * takes the newest of each of its newest periods, until it has its number; periods that hold a kept one already don't
 * count, and periods without backups neither.
 */
export function keptBy(times: readonly number[], keep: KeepPolicy): (string | null)[] {
  const kept: (string | null)[] = times.map(() => null);
  for (const [rule, periodOf] of PERIODS) {
    const covered = new Set(times.filter((_, index) => kept[index] !== null).map(periodOf));
    let left = keep[rule];
    for (const [index, at] of times.entries()) {
      if (left === 0) break;
      if (kept[index] !== null || covered.has(periodOf(at))) continue;
      covered.add(periodOf(at));
      kept[index] = `kept: ${rule}`;
      left -= 1;
    }
  }
  return kept;
}
