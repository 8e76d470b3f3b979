/** The notes of the backups that we make: what they are for, and how prune knows them. Pure. */

/** What a backup was made for. */
export type BackupPurpose = 'by hand' | 'before a failover' | 'of a new copy';

export interface BackupNotes {
  readonly container: string;
  readonly epoch: number;
  readonly purpose: BackupPurpose;
  readonly operation: string;
}

/** One line of some hundred characters at most (PVE takes 1024): its lists show no more than the first line. */
export function formatNotes({ container, epoch, purpose, operation }: BackupNotes): string {
  return `ProxWarden: ${container} epoch ${epoch}, ${purpose}, ${operation}`;
}

/** Whose backup it is by our notes, or null when we have not written them. What people add in further lines is theirs. */
export function parseNotes(notes: string): Pick<BackupNotes, 'container' | 'epoch'> | null {
  const [, container, epoch] =
    /^ProxWarden: ([a-z0-9][a-z0-9-]*) epoch (\d{1,6}), (?:by hand|before a failover|of a new copy), op-[0-9T]+-[0-9a-f]+$/.exec(
      notes.split(/\r?\n/, 1)[0]?.trimEnd() ?? '',
    ) ?? [];
  return container === undefined || epoch === undefined ? null : { container, epoch: Number(epoch) };
}
