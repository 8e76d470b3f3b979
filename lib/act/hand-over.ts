/** Operations that are given to a process of their own: what if something ends that one, too, each time? */
import type { Operation } from '../state/model.ts';
import type { ActContext } from './context.ts';

/** Whoever got nowhere so often will get nowhere the next time. */
const IN_VAIN = 2;

/**
 * Notes in the journal that the operation is handed over now; false when that has been in vain so far: something ends
 * these processes before they get any further, and it has to be carried out in the run itself. Throws StateError.
 */
export function noteHandOver({ operations, teller }: ActContext, op: Operation): boolean {
  const done = op.steps.filter((step) => step.status === 'done').length;
  const before = op.handedOver?.done === done ? op.handedOver.times : 0;
  if (before < IN_VAIN) {
    op.handedOver = { times: before + 1, done };
    operations.save(op);
    return true;
  }
  teller.tell({
    kind: 'note',
    level: 'warn',
    container: op.container,
    text: `${op.id} was handed over ${before} times, and each time its process was ended before it got any further: it is carried out in this run. In a systemd unit --detach needs KillMode=process`,
  });
  return false;
}

/** The process it was given to has ended by itself, for now: nothing has cut it off. Throws StateError. */
export function forgetHandOver({ operations }: ActContext, op: Operation): void {
  if (op.handedOver === undefined) return;
  delete op.handedOver;
  operations.save(op);
}
