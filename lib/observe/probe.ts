/** Runs one probe: its attempts, each with a hard deadline, and the result as people and the decisions want it. */
import { abortReason, DeadlineError, withDeadline } from '../clock.ts';
import type { ProbeResult } from '../decide/model.ts';
import { messageOf } from '../errors.ts';
import type { ProbeSpec } from '../inventory/types.ts';
import { once } from '../once.ts';
import { plainText } from '../text.ts';
import { formatDuration } from '../units.ts';
import { ProbeError, type Attempt, type Outcome, type ProbeDeps } from './probes/attempt.ts';
import { dnsAttempt } from './probes/dns.ts';
import { execAttempt } from './probes/exec.ts';
import { addressesOf } from './probes/lookup.ts';
import { tcpAttempt } from './probes/tcp.ts';

export type { ProbeDeps } from './probes/attempt.ts';

const PAUSE_BETWEEN_ATTEMPTS_MS = 200;

/** Loaded when the first one is made, for the sake of start-up, and then kept: an import costs something each time. */
const loadHttp = once(() => import('./probes/http.ts'));
const loadPing = once(() => import('./probes/ping.ts'));

interface Tried {
  readonly ok: boolean;
  readonly alive: boolean;
  readonly unknown: boolean;
  readonly latencyMs: number | null;
  readonly reason: string;
}

/**
 * Tries `spec` up to `spec.attempts` times, each within `spec.timeoutMs`, until it succeeds.
 * Rejects only when `signal` aborts, with its reason.
 */
export async function runProbe(spec: ProbeSpec, deps: ProbeDeps, signal?: AbortSignal): Promise<ProbeResult> {
  let answered = false;
  for (let attempts = 1; ; attempts += 1) {
    const tried = await tryOnce(spec, deps, signal);
    answered ||= tried.alive;
    if (tried.ok || attempts >= spec.attempts) {
      const { ok, latencyMs, reason } = tried;
      const unknown = tried.unknown && !answered ? { unknown: true } : {};
      return { probe: spec.label, ok, answered, latencyMs, reason, attempts, ...unknown };
    }
    await deps.clock.sleep(PAUSE_BETWEEN_ATTEMPTS_MS, signal);
  }
}

async function tryOnce(spec: ProbeSpec, deps: ProbeDeps, outer: AbortSignal | undefined): Promise<Tried> {
  const { timeoutMs } = spec;
  const start = deps.clock.now();
  let alive = false;
  let waitsFor: string | undefined;
  const waits = (why: string | undefined): void => void (waitsFor = why);
  try {
    const outcome = await withDeadline(deps.clock, timeoutMs, outer, (signal) =>
      attemptOf(spec, {
        deps,
        signal,
        timeoutMs,
        alive: () => (alive = true),
        waits,
        async lookUp(name) {
          waits(`no name server has answered for ${plainText(name)} within ${formatDuration(timeoutMs)}`);
          const found = await addressesOf(name);
          waits(undefined);
          return found;
        },
      }),
    );
    const latencyMs = alive ? (outcome.latencyMs ?? elapsed(deps, start)) : null;
    return {
      ok: outcome.ok,
      alive,
      unknown: outcome.unknown === true,
      latencyMs,
      reason: outcome.reason ?? answeredIn(latencyMs),
    };
  } catch (error) {
    if (outer?.aborted === true) throw abortReason(outer);
    if (error instanceof DeadlineError) {
      if (waitsFor !== undefined)
        return { ok: false, alive, unknown: true, latencyMs: null, reason: waitsFor };
      const silence = `no answer within ${formatDuration(timeoutMs)}`;
      return {
        ok: false,
        alive,
        unknown: false,
        latencyMs: null,
        reason: alive ? `connected, but ${silence}` : silence,
      };
    }
    alive ||= error instanceof ProbeError && error.alive;
    const latencyMs = alive ? elapsed(deps, start) : null;
    // Anything but a ProbeError has not been foreseen; it still must not keep the others from being probed.
    const unknown = error instanceof ProbeError && error.unknown;
    return { ok: false, alive, unknown, latencyMs, reason: plainText(messageOf(error), 200) };
  }
}

function answeredIn(latencyMs: number | null): string {
  if (latencyMs === null) return 'answered';
  return latencyMs < 1 ? 'answered in less than 1 ms' : `answered in ${formatDuration(latencyMs)}`;
}

/** Milliseconds since `start`; never negative, although the clock may be set back. */
function elapsed(deps: ProbeDeps, start: number): number {
  return Math.max(0, deps.clock.now() - start);
}

async function attemptOf(spec: ProbeSpec, attempt: Attempt): Promise<Outcome> {
  switch (spec.kind) {
    case 'tcp':
      return tcpAttempt(spec, attempt);
    case 'http':
      return (await loadHttp()).httpAttempt(spec, attempt);
    case 'ping':
      return (await loadPing()).pingAttempt(spec, attempt);
    case 'dns':
      return dnsAttempt(spec, attempt);
    case 'exec':
    default:
      return execAttempt(spec, attempt);
  }
}
