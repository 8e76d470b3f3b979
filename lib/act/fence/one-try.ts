/** One fence of a dead node for all failovers from it: while one of them is at it, in this process or another, the others wait. */
import { BlockedError } from '../../errors.ts';
import type { Container } from '../../inventory/types.ts';
import type { State } from '../../state/model.ts';
import type { ActContext } from '../context.ts';
import { SKEW_MS } from '../../decide/skew.ts';

const POLL_MS = 1_000;
/** A driver has taken this long at most; whoever began it and is not done by then is dead. */
const TRY_MS = 120_000;
/** Fences of one node that are less than this apart belong to one run. */
const ROUND_MS = 50_000;

interface Try {
  readonly context: ActContext;
  readonly container: Container;
  /** `cluster/node`. */
  readonly place: string;
  readonly drivers: number;
  /** A sentence when the node reads off. */
  readonly isOff: () => Promise<string | null>;
  /** Throws when rule 5 forbids it; else the other nodes that are online. */
  readonly allowed: () => Promise<readonly string[]>;
}

/**
 * Resolves to null when the order is this failover's to give (it is noted in the state, and `endTry` is to be called), or
 * to a sentence when the node is off. Throws BlockedError when rule 5 forbids it, or when the failover that was waited
 * for did not get it off.
 */
export async function beginTry(one: Try): Promise<string | null> {
  const { context, container, place } = one;
  const { runtime, state, signal } = context;
  let waitedFor: string | null = null;
  for (;;) {
    const off = await one.isOff();
    if (off !== null) return off;
    const other = anothers(state.read().fenced[place], container.name, runtime.clock.now());
    if (other === null) {
      const record = state.read().fenced[place];
      // One whose runner has died has left its note, and has proven nothing.
      if (waitedFor !== null && record?.failed !== undefined && record.trying === undefined)
        throw new BlockedError(
          `${place} is still on after the failover of ${waitedFor} has tried to power it off: it is not tried again at once`,
          { hint: `power it off by hand, then \`proxwarden fence confirm ${place}\`` },
        );
      if (await claim(one, await one.allowed())) return null;
    } else waitedFor = other;
    await runtime.clock.sleep(POLL_MS, signal);
  }
}

/** Lets the others go on. */
export async function endTry({ state }: ActContext, container: Container, place: string): Promise<void> {
  await state.update((s) => {
    const record = s.fenced[place];
    if (record?.trying?.container === container.name) delete record.trying;
  });
}

/** Notes the try unless another failover has just begun one. */
async function claim(
  { context, container, place, drivers }: Try,
  othersOnline: readonly string[],
): Promise<boolean> {
  const { clock } = context.runtime;
  let ours = false;
  await context.state.update((s) => {
    const now = clock.now();
    const last = s.fenced[place];
    ours = anothers(last, container.name, now) === null;
    if (!ours) return;
    // Each container of that node may try; together they are one try.
    const again = last !== undefined && (s.lastSeenOnline[place] ?? 0) <= last.at ? (last.failed ?? 0) : 0;
    s.fenced[place] = {
      at: now,
      othersOnline: [...othersOnline],
      failed: last !== undefined && now - last.at < ROUND_MS ? Math.max(again, 1) : again + 1,
      trying: { container: container.name, until: now + drivers * TRY_MS },
    };
  });
  return ours;
}

/** Whose failover is at it; null: nobody's. A time far ahead is of a clock that has been set back since. */
function anothers(record: State['fenced'][string] | undefined, own: string, now: number): string | null {
  const trying = record?.trying;
  const over = trying === undefined || now >= trying.until || now < (record?.at ?? 0) - SKEW_MS;
  return over || trying.container === own ? null : trying.container;
}
