/** Events of what has happened. They are for people: what has happened is not undone because it can't be written down. */
import { LockedError, messageOf, StateError } from '../errors.ts';
import { appendEvents } from '../state/events.ts';
import type { EventRecord } from '../state/model.ts';

/** Appends to the events in the state folder `dir`. Where that can't be done, `warn` is told why. */
export function recordEvents(
  dir: string,
  events: readonly EventRecord[],
  warn: (text: string) => void,
): void {
  try {
    appendEvents(dir, events);
  } catch (error) {
    if (!(error instanceof StateError || error instanceof LockedError)) throw error;
    warn(messageOf(error));
  }
}
