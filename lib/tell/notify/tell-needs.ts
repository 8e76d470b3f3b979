/** At the end of a run: says what needs a person, and what an interrupted run could not say any more. */
import type { TickResult } from '../../act/tick.ts';
import { LockedError, messageOf, StateError } from '../../errors.ts';
import type { Inventory } from '../../inventory/types.ts';
import type { Clock } from '../../clock.ts';
import { redact } from '../../redact.ts';
import type { Operation, State } from '../../state/model.ts';
import type { StateStore } from '../../state/store.ts';
import { needsOf } from './needs.ts';
import { foldNeeds, noticesOfOperation } from './notices.ts';
import type { Notifier } from './notifier.ts';

/** Of operations that ended earlier nobody wants to hear for the first time. */
const RECENT_MS = 86_400_000;

interface Deps {
  readonly inventory: Inventory;
  readonly state: StateStore;
  readonly notifier: Notifier;
  readonly runtime: { readonly clock: Clock };
}

/**
 * Told first and noted then: killed in between, it is told again. Returns why it could not be noted, which must not hide
 * what else the run has to say.
 */
export async function tellNeeds(
  { inventory, state, notifier, runtime }: Deps,
  result: TickResult,
): Promise<string[]> {
  const now = runtime.clock.now();
  const { repeatMs } = inventory.notify;
  // They go into the state.
  const needs = needsOf(result).map((need) => ({ ...need, text: redact(need.text) }));
  const { ledger, notices } = foldNeeds(result.state.needs, needs, {
    now,
    repeatMs,
    unsettled: unsettledOf(result),
  });
  notifier.add(notices);
  if (essence(ledger) === essence(result.state.needs)) return [];
  try {
    await state.update((s) => void (s.needs = ledger));
    return [];
  } catch (error) {
    if (!(error instanceof StateError || error instanceof LockedError)) throw error;
    return [messageOf(error)];
  }
}

/** Puts in what the journals tell and a run that was killed did not. */
export function tellOperations(
  { notifier, runtime }: Pick<Deps, 'notifier' | 'runtime'>,
  operations: readonly Operation[],
): void {
  const since = runtime.clock.now() - RECENT_MS;
  notifier.recover(
    operations.filter((op) => (op.endedAt ?? op.createdAt) > since).flatMap(noticesOfOperation),
  );
}

function unsettledOf({ decisions }: TickResult): Set<string> {
  const well = new Set(['healthy', 'stopped-by-hand']);
  return new Set(decisions.filter(({ verdict }) => !well.has(verdict.kind)).map((d) => d.container));
}

/** Texts hold ages, which change every minute. */
function essence(needs: State['needs']): string {
  return JSON.stringify(Object.entries(needs).map(([key, { since, toldAt }]) => [key, since, toldAt]));
}
