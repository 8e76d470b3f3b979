/**
 * What one run does of what it has decided: by priority, as many at the same time as the limits allow. Each is begun
 * when its turn comes, and looks again then (preflight), however long ago it was decided.
 */
import type { Decision } from '../decide/model.ts';
import { LockedError, messageOf } from '../errors.ts';
import type { Container } from '../inventory/types.ts';
import type { Operation } from '../state/model.ts';
import type { ActContext } from './context.ts';
import { begin } from './operate.ts';
import { NotItsTurn, nextTurn, waitingFor } from './turn.ts';

interface Due {
  readonly container: Container;
  readonly decision: Decision;
}

/**
 * Begins what was decided, by `carry` carried out at the same time (undefined: handed to a process of its own). What
 * does not get its turn while an operation of this run goes on is left to the next run. Throws what the first of them
 * has thrown, when all have ended; nothing more is begun meanwhile.
 */
export async function actOn(
  context: ActContext,
  decisions: readonly Decision[],
  carry: (op: Operation) => Promise<void> | undefined,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const broken: unknown[] = [];
  const told = new Set<string>();
  const mine = new Set<string>();
  const begun = (op: Operation): void => {
    mine.add(op.id);
    const run = carry(op)
      ?.catch((error: unknown) => void broken.push(error))
      .finally(() => void (run !== undefined && running.delete(run)));
    if (run !== undefined) running.add(run);
  };
  let waiting = decisions.flatMap((decision) => dueOf(context, decision));
  try {
    for (;;) {
      waiting = await beginAll(context, waiting, begun);
      if (waiting.length === 0 || running.size === 0) break;
      const journals = tellWaiting(context, waiting, told, 'it begins when that is over');
      await nextTurn(
        context,
        journals.every(({ id, status }) => status !== 'running' || mine.has(id)),
      );
      if (broken.length > 0) break;
    }
  } catch (error) {
    await Promise.all(running);
    tellOthers(context, broken);
    // Which operation was interrupted, and where, says more than that something was.
    throw broken[0] ?? error;
  }
  await Promise.all(running);
  tellOthers(context, broken);
  if (broken.length > 0) throw broken[0];
  tellWaiting(context, waiting, told, 'the next run goes on');
}

/** Only the first can be thrown: how the others ended is told. */
export function tellOthers({ teller }: ActContext, broken: readonly unknown[]): void {
  for (const error of broken.slice(1))
    teller.tell({ kind: 'note', level: 'warn', container: null, text: messageOf(error) });
}

function dueOf({ inventory }: ActContext, decision: Decision): Due[] {
  const container = inventory.containers[decision.container];
  const acts = decision.kind === 'failover' || decision.kind === 'start' || decision.kind === 'restart';
  return container === undefined || !acts ? [] : [{ container, decision }];
}

/** Begins those whose turn it is, in order. Returns those that have to wait. */
async function beginAll(
  context: ActContext,
  due: readonly Due[],
  begun: (op: Operation) => void,
): Promise<Due[]> {
  const { operations, teller } = context;
  const waiting: Due[] = [];
  let journals = operations.list().operations;
  for (const one of due) {
    const { container, decision } = one;
    const inHand = journals.some((op) => op.container === container.name && op.status === 'running');
    if (!inHand && decision.action !== null && waitingFor(context, decision.action, journals) !== null) {
      waiting.push(one);
      continue;
    }
    try {
      begun(await begin(context, one));
      journals = operations.list().operations;
    } catch (error) {
      // Another run has taken that place just now.
      if (error instanceof NotItsTurn) waiting.push(one);
      // Another runner was faster: normal, and its business.
      else if (error instanceof LockedError)
        teller.tell({ kind: 'note', level: 'info', container: container.name, text: messageOf(error) });
      else throw error;
    }
  }
  return waiting;
}

/** Tells of each once what it waits for. Returns the journals that it is known from. */
function tellWaiting(
  context: ActContext,
  waiting: readonly Due[],
  told: Set<string>,
  then: string,
): readonly Operation[] {
  const journals = context.operations.list().operations;
  for (const { container, decision } of waiting) {
    if (told.has(container.name) || decision.action === null) continue;
    told.add(container.name);
    const why = waitingFor(context, decision.action, journals) ?? 'another run was quicker';
    const text = `waits for its turn: ${why}; ${then}`;
    context.teller.tell({ kind: 'note', level: 'info', container: container.name, text });
  }
  return journals;
}
