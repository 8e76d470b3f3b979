/** How long something will take, by what the journals say of earlier ones of its kind. */
import type { Operation, StepRecord } from '../state/model.ts';

/** Bytes of archive in a millisecond, measured on a genuine cluster (facts, section 12): zstd, a directory storage. */
const RATES: Readonly<Record<string, number>> = { vzrestore: 89_000, vzdump: 105_000 };
/** What a task takes besides its bytes. */
const OVERHEAD_MS = 1_000;
/** A service that answered at once says nothing of how long one takes that does not. */
const AT_ONCE_MS = 1_000;
/** The newest ones of a kind say more than older ones, and one of them is no average. */
const SAMPLES = 3;

/** A task whose length depends on an archive. */
export interface Work {
  readonly container: string;
  readonly type: 'vzdump' | 'vzrestore';
  readonly node: string;
  /** Where the archive is, or will be. */
  readonly storage: string;
  /** Size of the archive; null: not known before it is made. */
  readonly bytes: number | null;
}

interface Sample {
  readonly container: string;
  readonly node: string;
  readonly storage: string;
  readonly bytes: number;
  readonly ms: number;
}

/**
 * Milliseconds that a vzdump or a restore will take: its bytes by the rate of the last ones of this container, else of
 * the same storage and node, else of the storage, else of any, else the measured one. A vzdump's bytes are those of the
 * container's last archive; null: there is none.
 */
export function expectedMs(operations: readonly Operation[], work: Work): number | null {
  const all = samples(operations, work.type);
  const own = all.filter((s) => s.container === work.container);
  const bytes = work.bytes ?? own.at(-1)?.bytes ?? lastArchive(operations, work.container);
  if (bytes === null) return null;
  const there = all.filter((s) => s.storage === work.storage);
  const kinds = [own, there.filter((s) => s.node === work.node), there, all];
  const alike = kinds.find((kind) => kind.length > 0)?.slice(-SAMPLES) ?? [];
  const rate =
    alike.length === 0
      ? (RATES[work.type] ?? 1)
      : alike.reduce((sum, s) => sum + s.bytes, 0) / alike.reduce((sum, s) => sum + s.ms, 0);
  return OVERHEAD_MS + bytes / rate;
}

/** Milliseconds from a start to passing probes: the container's last time, else anybody's; null: never yet. */
export function expectedVerifyMs(operations: readonly Operation[], container: string): number | null {
  const verified = operations.flatMap((op) =>
    op.steps
      .filter((s) => isDone(s) && s.name.startsWith('verify') && lengthOf(s) >= AT_ONCE_MS)
      .map((s) => ({ op, ms: lengthOf(s) })),
  );
  return (verified.findLast((v) => v.op.container === container) ?? verified.at(-1))?.ms ?? null;
}

function samples(operations: readonly Operation[], type: Work['type']): Sample[] {
  return operations.flatMap((op) =>
    op.steps.flatMap(({ task }): Sample[] => {
      if (task?.type !== type || task.exitstatus === null) return [];
      const { endedAt, storage, bytes, node, requestedAt } = task;
      if (endedAt === undefined || storage === undefined || bytes === undefined || bytes <= 0) return [];
      // A clock that was set back in between makes it negative.
      const ms = endedAt - requestedAt - OVERHEAD_MS;
      return ms > 0 ? [{ container: op.container, node, storage, bytes, ms }] : [];
    }),
  );
}

function lastArchive(operations: readonly Operation[], container: string): number | null {
  return (
    operations.findLast((op) => op.container === container && op.data.backupSize !== null)?.data.backupSize ??
    null
  );
}

function isDone(step: StepRecord): boolean {
  return step.status === 'done' && step.endedAt !== null;
}

function lengthOf(step: StepRecord): number {
  return Math.max((step.endedAt ?? step.startedAt) - step.startedAt, 0);
}
