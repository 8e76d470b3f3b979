/** How an operation goes from one process to another: `--detach` starts the second while the first still owns it. */
import { takeOver } from '../act/operate.ts';
import type { ActContext } from '../act/context.ts';
import { LockedError, messageOf } from '../errors.ts';
import type { Operation } from '../state/model.ts';
import type { Invocation } from './command.ts';
import { inventoryDir, stateDir, type CommonArgs } from './session.ts';

/** Set for a process that was started to take an operation over from the one that started it. */
const HANDOVER_VARIABLE = 'PROXWARDEN_HANDOVER';

/** Whoever has handed it over may still have people to tell. */
const WAIT_MS = 120_000;
const POLL_MS = 500;

/**
 * Starts a process of its own for each operation; last of all, since it waits for the end of this process, which holds
 * the leases. Returns why that was not possible: the next run takes them over.
 */
export async function handOver(
  operations: readonly Operation[],
  args: CommonArgs,
  invocation: Invocation,
): Promise<string[]> {
  const places = ['--inventory', inventoryDir(args, invocation), '--state', stateDir(args, invocation)];
  const problems: string[] = [];
  for (const { id, container } of operations) {
    const words = ['failover', container, '--resume', id, ...places];
    try {
      await invocation.runtime.detach(words, { [HANDOVER_VARIABLE]: '1' });
    } catch (error) {
      problems.push(
        `${id} (${container}) could not be handed over to a process of its own: ${messageOf(error)}; the next run goes on with it`,
      );
    }
  }
  return problems;
}

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
