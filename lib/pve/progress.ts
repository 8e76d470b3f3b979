/**
 * How far a task is, as far as its log tells. Containers' logs give no share: vzdump and vzrestore name phases, and tar
 * gives a total at the end only (recordings 04, 05, 14). Percentages are VMs' and bytes a Proxmox Backup Server's; both
 * are unmeasured.
 */

export interface LogProgress {
  /** What it is doing, in words; null: the log has not said. */
  readonly phase: string | null;
  /** It waits for somebody else: nothing of it has been done yet. */
  readonly waiting: boolean;
  readonly percent: number | null;
  /** Bytes read so far. */
  readonly bytes: number | null;
}

export const NO_PROGRESS: LogProgress = { phase: null, waiting: false, percent: null, bytes: null };

const PHASES: readonly (readonly [RegExp, string])[] = [
  [/^INFO: trying to get global lock/, 'waiting for another backup on the node'],
  [/^INFO: got global lock/, 'it is its turn'],
  [/^INFO: stopping virtual guest/, 'stopping the container'],
  [/^INFO: starting first sync /, 'first sync'],
  [/^INFO: suspending guest/, 'suspended'],
  [/^INFO: starting final sync /, 'suspended, final sync'],
  [/^INFO: creating (Proxmox Backup Server|vzdump) archive /, 'writing the archive'],
  [/^INFO: Total bytes written: /, 'archive written'],
  [/^INFO: restarting vm/, 'starting the container again'],
  [/^recovering backed-up configuration /, 'reading the configuration'],
  [/^Formatting |^Creating filesystem /, 'making the disk'],
  [/^(extracting archive|restoring) '/, 'extracting'],
  [/^merging backed-up and given configuration/, 'archive extracted'],
];

/** What further lines of a log add to what the earlier ones have said. */
export function readProgress(before: LogProgress, lines: readonly string[]): LogProgress {
  let { phase, waiting, percent, bytes } = before;
  for (const line of lines) {
    const named = PHASES.find(([pattern]) => pattern.test(line));
    if (named !== undefined) {
      [, phase] = named;
      waiting = line.startsWith('INFO: trying to get global lock');
    }
    // unmeasured: `INFO:  45% (4.5 GiB of 10.0 GiB) in 12s, read: …`, `progress 45% (read …)`
    const share = /^(?:INFO: +|progress )(\d{1,3})% \(/.exec(line)?.[1];
    if (share !== undefined) percent = Math.min(Number(share), 100);
    // unmeasured: `INFO: processed 6.028 GiB in 1m, uploaded 5.9 GiB`
    const [, amount, unit] = /^INFO: processed (\d+(?:\.\d+)?) ([KMGT]i?)?B\b/.exec(line) ?? [];
    if (amount !== undefined) bytes = Math.round(Number(amount) * (UNITS[unit ?? ''] ?? 1));
  }
  return { phase, waiting, percent, bytes };
}

const UNITS: Readonly<Record<string, number>> = {
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
};
