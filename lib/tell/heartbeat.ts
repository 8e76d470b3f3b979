/**
 * A dead man's switch, as healthchecks.io and its kin have it: told of the start and the end of each run, it raises an
 * alarm when it hears nothing. It never stops or delays a run by more than a moment.
 */
import { withDeadline } from '../clock.ts';
import { EXIT, messageOf, type ExitCode } from '../errors.ts';
import { readSecret } from '../inventory/secrets.ts';
import type { UrlRef } from '../inventory/types.ts';
import { redact } from '../redact.ts';
import type { Runtime } from '../runtime.ts';

const LIMIT_MS = 5_000;
/** What healthchecks.io keeps of a body. */
const TAIL_BYTES = 10_000;

/** Runs that have not done what they are there for: the service should raise an alarm at once. */
const FAILED: ReadonlySet<ExitCode> = new Set([EXIT.failed, EXIT.usage, EXIT.inconclusive]);

export interface Heartbeat {
  /** Says that a run begins; returns at once. */
  start(): void;
  /** Says how it has ended, with the end of its log; returns why that could not be said, or null. Never rejects. */
  end(code: ExitCode, log: string): Promise<string | null>;
}

/** `listener` null: nobody listens. */
export function createHeartbeat(
  listener: UrlRef | null,
  runtime: Pick<Runtime, 'clock' | 'env' | 'httpDispatcher'>,
  signal?: AbortSignal,
): Heartbeat {
  let begun: Promise<string | null> = Promise.resolve(null);
  if (listener === null) return { start: () => undefined, end: () => begun };
  const ref = listener;

  async function call(path: string, body: string): Promise<string | null> {
    try {
      const base = ref.kind === 'url' ? ref.url : readSecret(ref, runtime.env);
      const { request } = await import('../undici.ts');
      const dispatcher = await runtime.httpDispatcher();
      return await withDeadline(runtime.clock, LIMIT_MS, signal, async (inner) => {
        const to = `${base.replace(/\/$/, '')}${path}`;
        const answer = await request(to, { dispatcher, method: 'POST', body, signal: inner });
        await answer.body.dump();
        return answer.statusCode < 300 ? null : `it answers ${answer.statusCode}`;
      });
    } catch (error) {
      return redact(messageOf(error));
    }
  }

  return {
    start() {
      begun = call('/start', '');
    },
    async end(code, log) {
      // In this order, or it would take the run for one that has not ended.
      const early = await begun;
      // Whoever holds the lock says how that run ends.
      if (code === EXIT.locked) return null;
      const tail = Buffer.from(redact(log)).subarray(-TAIL_BYTES).toString();
      const late = await call(FAILED.has(code) ? '/fail' : '', tail);
      const why = late ?? early;
      return why === null ? null : `the heartbeat was not heard: ${why}`;
    },
  };
}
