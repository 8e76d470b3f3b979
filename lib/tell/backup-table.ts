/** Backups as people and scripts see them: `backup list` and `backup prune`. Pure. */
import type { BackupChoice } from '../decide/backups.ts';
import type { BackupView } from '../decide/model.ts';
import { parseNotes } from '../decide/notes.ts';
import type { PruneEntry } from '../decide/prune.ts';
import { whoseIs, type WhoseRules } from '../decide/whose.ts';
import { formatDuration, formatSize } from '../units.ts';
import { table } from './tables.ts';
import { stamp } from './teller.ts';

/** One backup; also a row of `--json`. Times are epoch ms, sizes bytes. */
export interface BackupRow {
  readonly container: string;
  readonly volid: string;
  readonly at: number;
  readonly size: number;
  /** Of which copy it is, by what is inside it. */
  readonly of: 'current' | 'retired' | 'foreign' | 'unknown';
  readonly epoch: number | null;
  /** Whether our notes are on it. */
  readonly byProxwarden: boolean;
  readonly notes: string;
  readonly verification: string | null;
  readonly protected: boolean;
  /** Fingerprint of its key, or `1`; null: not encrypted. */
  readonly encrypted: string | null;
  readonly unfinished: boolean;
  /** Whether a failover would use it now. */
  readonly use: boolean;
  /** `would be used`, or why not. */
  readonly verdict: string;
}

export function backupRow(backup: BackupView, rules: WhoseRules, choice: BackupChoice): BackupRow {
  const whose = whoseIs(backup, rules);
  const use = choice.chosen?.volid === backup.volid;
  const rejected = choice.rejected.find((r) => r.what === backup.volid)?.why;
  const whoseWhy = 'why' in whose ? whose.why : 'its copy is retired';
  return {
    container: rules.container.name,
    volid: backup.volid,
    at: backup.at,
    size: backup.size,
    of: whose.kind,
    epoch: 'epoch' in whose ? whose.epoch : null,
    byProxwarden: parseNotes(backup.notes)?.container === rules.container.name,
    notes: backup.notes,
    verification: backup.verification,
    protected: backup.protected,
    encrypted: backup.encrypted,
    unfinished: backup.unfinished !== null,
    use,
    verdict: use ? 'would be used' : (rejected ?? whoseWhy),
  };
}

export function backupTable(rows: readonly BackupRow[], now: number, columns: number): string {
  return table(
    ['CONTAINER', 'VOLID', 'MADE', 'AGE', 'SIZE', 'OF', 'VERIFIED', 'FLAGS', 'USE'],
    rows.map((row) => [
      row.container,
      row.volid,
      stamp(row.at),
      formatDuration(Math.max(now - row.at, 0)),
      row.unfinished ? '-' : formatSize(row.size),
      row.epoch === null ? row.of : `${row.of} (${row.epoch})`,
      row.verification ?? '-',
      [row.protected ? 'protected' : '', row.encrypted === null ? '' : 'encrypted']
        .filter((flag) => flag !== '')
        .join(' '),
      row.verdict,
    ]),
    columns,
  );
}

/** One backup and what prune does with it; also a row of `--json`. */
export interface PruneRow {
  readonly container: string;
  readonly volid: string;
  readonly at: number;
  readonly size: number;
  readonly remove: boolean;
  readonly why: string;
}

export function pruneRow(container: string, { backup, remove, why }: PruneEntry): PruneRow {
  const { volid, at, size } = backup;
  return { container, volid, at, size, remove, why };
}

export function pruneTable(rows: readonly PruneRow[], columns: number): string {
  return table(
    ['CONTAINER', 'VOLID', 'MADE', 'SIZE', 'DO', 'WHY'],
    rows.map((row) => [
      row.container,
      row.volid,
      stamp(row.at),
      formatSize(row.size),
      row.remove ? 'remove' : 'keep',
      row.why,
    ]),
    columns,
  );
}
