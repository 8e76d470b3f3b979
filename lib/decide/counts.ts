/** Folding verdicts into consecutive-failure counts. Pure. */
import type { Container } from '../inventory/types.ts';
import type { ContainerState } from '../state/model.ts';
import type { Verdict } from './model.ts';

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
): ContainerState {
  const shown = { ...previous, verdict, stoppedByHand: stoppedByHand(previous, verdict) };
  if (verdict.kind === 'inconclusive' || verdict.kind === 'stopped-by-hand') return shown;
  const since = previous.countedAt === null ? null : now - previous.countedAt;
  const broken = since === null || since < 0 || since > GAP_INTERVALS * container.intervalMs;
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
    restartedAt: recovered ? null : base.restartedAt,
  };
}

function countFailure(base: ContainerState, container: Container, now: number): ContainerState {
  const failures = base.failures + 1;
  return {
    ...base,
    failures,
    successes: 0,
    firstFailureAt: base.firstFailureAt ?? now,
    countedAt: now,
    down: base.down || failures >= container.failureThreshold,
  };
}

/** It is remembered while nothing can be seen of it: a node that dies takes the task log along, not the wish. */
function stoppedByHand(previous: ContainerState, verdict: Verdict): string | null {
  if (verdict.kind === 'inconclusive') return previous.stoppedByHand;
  return verdict.kind === 'stopped-by-hand' ? (previous.stoppedByHand ?? verdict.reason) : null;
}
