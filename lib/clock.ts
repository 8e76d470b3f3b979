import { onAbort } from './abort.ts';

/** Time is injected everywhere, so that scenarios can run on a virtual clock. All times are milliseconds. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after `ms`; rejects with the signal's reason as soon as `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(abortReason(signal));
      const done = (): void => {
        signal?.removeEventListener('abort', aborted);
        resolve();
      };
      const aborted = (): void => {
        clearTimeout(timer);
        reject(abortReason(signal));
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', aborted, { once: true });
    }),
};

/** Thrown by `withDeadline` when the time is up. */
export class DeadlineError extends Error {
  constructor(ms: number) {
    super(`no answer within ${ms} ms`);
    this.name = 'DeadlineError';
  }
}

/** A timer is never that late unless the whole process has stood still: a write that was held up, a machine that slept. */
const STOOD_STILL_MS = 500;

/** Why a deadline's timer is called off: one for all, since abort() without a reason makes an exception each time. */
const IN_TIME = new Error('it was in time');

/** The reason a signal was aborted with, as an Error. */
export function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('aborted');
}

/**
 * Runs `work` with a signal that aborts after `ms` on `clock`, or when the outer `signal` does. While the process stands
 * still no answer can be looked at, so it has that much longer afterwards, at most `ms` more.
 * Rejects with DeadlineError when the time is up, even if `work` ignores its signal.
 */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const timer = new AbortController();
  let giveUp = (_reason: Error): void => undefined;
  const given = new Promise<never>((_, reject) => {
    giveUp = (reason) => {
      // First, since what `work` makes of its signal says less.
      reject(reason);
      controller.abort(reason);
    };
  });
  given.catch(() => undefined);
  const unheard = signal === undefined ? undefined : onAbort(signal, () => giveUp(abortReason(signal)));
  const timeIsUp = async (): Promise<void> => {
    const due = clock.now() + ms;
    await clock.sleep(ms, timer.signal);
    const lateMs = clock.now() - due;
    if (lateMs > STOOD_STILL_MS) await clock.sleep(Math.min(lateMs, ms), timer.signal);
  };
  timeIsUp().then(
    () => giveUp(new DeadlineError(ms)),
    () => undefined,
  );
  try {
    return await Promise.race([work(controller.signal), given]);
  } finally {
    timer.abort(IN_TIME);
    unheard?.();
  }
}
