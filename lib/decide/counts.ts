/** Folding verdicts into consecutive-failure counts. Pure. */
import type { Container } from '../inventory/types.ts';
import type { ContainerState } from '../state/model.ts';
import { rememberedStop, stoppedKey } from './stopped-by-hand.ts';
import { freshCounts } from './brakes.ts';
import type { Verdict } from './model.ts';
import { SKEW_MS } from './skew.ts';

/** More than this many intervals without a counted run breaks "consecutive". */
const GAP_INTERVALS = 3;

/**
 * The record after one more run. A count moves at most once in half an interval; inconclusive and stopped-by-hand
 * runs move nothing; a gap of more than three intervals, or a clock that went back, starts the count anew.
 */
export function fold(
  previous: ContainerState,
  verdict: Verdict,
  container: Container,
  now: number,
  /** In maintenance: its failures don't count. */
  held = false,
): ContainerState {
  const shown = { ...previous, verdict, ...stopOf(previous, verdict, now) };
  if (verdict.kind === 'inconclusive' || verdict.kind === 'stopped-by-hand') return shown;
  if (held && verdict.kind === 'unhealthy') return freshCounts(shown);
  const since = previous.countedAt === null ? null : now - previous.countedAt;
  const broken = since === null || since < -SKEW_MS || since > GAP_INTERVALS * container.intervalMs;
  if (!broken && since < container.intervalMs / 2) return shown;
  const base = broken ? { ...shown, failures: 0, successes: 0, firstFailureAt: null } : shown;
  return verdict.kind === 'healthy' ? countSuccess(base, container, now) : countFailure(base, container, now);
}

function countSuccess(base: ContainerState, container: Container, now: number): ContainerState {
  const successes = Math.min(base.successes + 1, container.recoveryThreshold);
  const recovered = successes >= container.recoveryThreshold;
  return {
    ...base,
    successes,
    failures: 0,
    firstFailureAt: null,
    countedAt: now,
    lastHealthyAt: now,
    down: base.down && !recovered,
    downSince: recovered ? null : base.downSince,
    restartedAt: recovered ? null : base.restartedAt,
  };
}

function countFailure(base: ContainerState, container: Container, now: number): ContainerState {
  const failures = base.failures + 1;
  const firstFailureAt = base.firstFailureAt ?? now;
  const down = base.down || failures >= container.failureThreshold;
  return {
    ...base,
    failures,
    successes: 0,
    firstFailureAt,
    countedAt: now,
    down,
    downSince: down ? (base.downSince ?? firstFailureAt) : null,
  };
}

type Stop = Pick<ContainerState, 'stoppedByHand' | 'stoppedCopy' | 'stoppedSince' | 'stoppedToldAt'>;

/** It is remembered while nothing can be seen of it: a node that dies takes the task log along, not the wish. */
function stopOf(previous: ContainerState, verdict: Verdict, now: number): Stop {
  const { stoppedByHand, stoppedCopy, stoppedSince, stoppedToldAt, current } = previous;
  if (verdict.kind === 'inconclusive') return { stoppedByHand, stoppedCopy, stoppedSince, stoppedToldAt };
  // What stopped with its node is not stopped by hand: it counts later.
  if (verdict.kind !== 'stopped-by-hand' || verdict.until !== undefined)
    return { stoppedByHand: null, stoppedCopy: null, stoppedSince: null, stoppedToldAt: null };
  const before = rememberedStop(previous, current);
  return {
    stoppedByHand: before ?? verdict.reason,
    stoppedCopy: current === null ? null : stoppedKey(current),
    stoppedSince: before === null ? now : (stoppedSince ?? now),
    // The change of the verdict is told at once.
    stoppedToldAt: before === null ? now : Math.min(stoppedToldAt ?? now, now),
  };
}

const DAY_MS = 86_400_000;

/** Whether people are to be told again that it is stopped by hand. A clock that was set back begins the day anew. */
export function reminderDue({ stoppedByHand, stoppedToldAt, verdict }: ContainerState, now: number): boolean {
  if (stoppedByHand === null || stoppedToldAt === null || verdict?.kind !== 'stopped-by-hand') return false;
  return now - stoppedToldAt >= DAY_MS;
}
