/** How long a restore will take, for the progress bar: PVE's log of one gives no share. */
import type { Operation } from '../state/model.ts';

/** Measured on a genuine cluster: 89 MB/s of zstd onto a directory (facts, section 12). */
const BYTES_PER_MS = 89_000;
const OVERHEAD_MS = 1_000;

/** Milliseconds for an archive of `bytes`, by the rate of the last restore in the journals; null: the size is unknown. */
export function expectedRestoreMs(operations: readonly Operation[], bytes: number | null): number | null {
  if (bytes === null) return null;
  const last = operations.findLast((op) => rateOf(op) !== null);
  const rate = (last === undefined ? null : rateOf(last)) ?? BYTES_PER_MS;
  return OVERHEAD_MS + bytes / rate;
}

function rateOf(op: Operation): number | null {
  const step = op.steps.find((s) => s.name === 'restore' && s.status === 'done');
  if (step?.endedAt == null || op.data.backupSize === null) return null;
  const ms = step.endedAt - step.startedAt - OVERHEAD_MS;
  return ms > 0 ? op.data.backupSize / ms : null;
}
