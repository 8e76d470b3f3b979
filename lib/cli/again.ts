/** Several runs within a minute: cron can't call more often. `--for 55s --every 10s`. */
import type { Clock } from '../clock.ts';
import { EXIT, InputError, ProxwardenError, type ExitCode } from '../errors.ts';
import { parseDuration } from '../units.ts';

const LONGEST_MS = 3_600_000;

export interface Pace {
  readonly forMs: number;
  readonly everyMs: number;
}

/** What the flags say; null: one run only. Throws InputError for one without the other, and for what makes no sense. */
export function paceOf(flags: {
  readonly for?: string | undefined;
  readonly every?: string | undefined;
}): Pace | null {
  if (flags.for === undefined && flags.every === undefined) return null;
  if (flags.for === undefined || flags.every === undefined)
    throw new InputError('--for and --every go together: --for 55s --every 10s');
  const pace = { forMs: durationOf('--for', flags.for), everyMs: durationOf('--every', flags.every) };
  if (pace.everyMs < 1000) throw new InputError(`--every ${flags.every} is less than a second`);
  if (pace.everyMs > pace.forMs)
    throw new InputError(`--every ${flags.every} is longer than --for ${flags.for}`);
  if (pace.forMs > LONGEST_MS)
    throw new InputError(`--for ${flags.for} is longer than an hour; let cron or a timer call it again`);
  return pace;
}

function durationOf(flag: string, text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`${flag} ${text} ${error.message}`, { hint: error.hint });
  }
}

export interface Repeated {
  readonly code: ExitCode;
  /** No other may come after it. */
  readonly last: boolean;
}

/**
 * Runs `run` every so often, and begins none that would, by the longest so far, not be over in time. What one fails with
 * is given to `failed`, and the next is tried; wrong usage, a bad inventory and bugs end it. So does the signal: between
 * runs with the code of those that were, during one with its error. Returns the most telling code of all.
 */
export async function again(
  { forMs, everyMs }: Pace,
  { clock, signal, failed }: { clock: Clock; signal: AbortSignal; failed: (error: ProxwardenError) => void },
  run: () => Promise<Repeated>,
): Promise<ExitCode> {
  const begun = clock.now();
  const codes: ExitCode[] = [];
  let longest = 0;
  for (;;) {
    const at = clock.now();
    const { code, last } = await run().catch((error: unknown): Repeated => {
      if (signal.aborted || !(error instanceof ProxwardenError) || error.exitCode === EXIT.usage) throw error;
      failed(error);
      return { code: error.exitCode, last: false };
    });
    codes.push(code);
    const now = clock.now();
    longest = Math.max(longest, now - at);
    // In step with the first; a run that took longer than a beat leaves out the ones it missed.
    const next = begun + (Math.floor((now - begun) / everyMs) + 1) * everyMs;
    // A clock that was set back must not make it last.
    if (last || now < at || next + longest > begun + forMs) break;
    try {
      await clock.sleep(next - now, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      break;
    }
  }
  return mostTelling(codes);
}

/** That another run had the lock says least: the others have said how things are. */
const TELLING: readonly ExitCode[] = [
  EXIT.failed,
  EXIT.usage,
  EXIT.blocked,
  EXIT.inconclusive,
  EXIT.unhealthy,
  EXIT.ok,
  EXIT.locked,
];

function mostTelling(codes: readonly ExitCode[]): ExitCode {
  return TELLING.find((code) => codes.includes(code)) ?? EXIT.failed;
}
