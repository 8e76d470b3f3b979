/** How an operation goes from one process to another: `--detach` starts the second while the first still owns it. */
import { takeOver } from '../act/operate.ts';
import type { ActContext } from '../act/context.ts';
import { LockedError } from '../errors.ts';
import type { Operation } from '../state/model.ts';

/** Set for a process that was started to take an operation over from the one that started it. */
export const HANDOVER_VARIABLE = 'PROXWARDEN_HANDOVER';

const WAIT_MS = 20_000;
const POLL_MS = 100;

/** Takes the operation over; when it is being handed over, waits for the end of its owner first. Throws LockedError. */
export async function takeOverWhenFree(context: ActContext, op: Operation): Promise<void> {
  const { runtime, signal } = context;
  const waitMs = runtime.env[HANDOVER_VARIABLE] === undefined ? 0 : WAIT_MS;
  for (let waited = 0; ; waited += POLL_MS) {
    try {
      await takeOver(context, op);
      return;
    } catch (error) {
      if (!(error instanceof LockedError) || waited >= waitMs) throw error;
      await runtime.clock.sleep(POLL_MS, signal);
    }
  }
}
