/** One list of Listr2 on the terminal, with room for operations that begin while it is drawn. */
import { Listr, Spinner, type DefaultRenderer, type ListrTask } from 'listr2';
import type { Drawing } from './drawing.ts';

/** How things look on this terminal. */
export interface Look {
  /** Its width now; it may be resized. */
  readonly columns: () => number;
  /** It doesn't know UTF-8. */
  readonly ascii: boolean;
}

export interface Screen {
  /** Draws it, too; false: there is no room left. */
  take(drawing: Drawing): boolean;
  /** Nothing more will come. */
  close(): void;
  /** When everything is on the screen. */
  readonly drawn: Promise<void>;
}

/** A place in a list: Listr2 takes all of them before it begins, and shows none that has no title. */
export interface Place<T> {
  readonly taken: Promise<T | null>;
  readonly take: (what: T | null) => void;
}

const OPERATIONS = 32;
const ASCII_ICONS = {
  PENDING: '>',
  COMPLETED: 'v',
  COMPLETED_WITH_FAILED_SUBTASKS: '!',
  COMPLETED_WITH_SISTER_TASKS_FAILED: '-',
  FAILED: 'x',
  FAILED_WITH_SUBTASKS: 'x',
  SKIPPED_WITH_COLLAPSE: '-',
  SKIPPED_WITHOUT_COLLAPSE: '!',
  WAITING: '-',
};

class AsciiSpinner extends Spinner {
  override spinner = ['-', '\\', '|', '/'];
}

export function placeFor<T>(): Place<T> {
  let take: (what: T | null) => void = () => undefined;
  const taken = new Promise<T | null>((resolve) => (take = resolve));
  return { taken, take };
}

/** Does something when something else is over. */
export async function after(before: Promise<void>, what: () => Promise<void> | void): Promise<void> {
  await before;
  await what();
}

/** Begins to draw when `before` is on the screen. */
export function openScreen({ ascii }: Look, before: Promise<void>): Screen {
  const places = Array.from({ length: OPERATIONS }, () => placeFor<Drawing>());
  let used = 0;
  const list = new Listr(
    places.map(({ taken }): ListrTask<unknown, typeof DefaultRenderer> => ({
      async task(_, task) {
        return (await taken)?.draw(task);
      },
    })),
    {
      concurrent: true,
      exitOnError: false,
      // Ctrl-C is ours: the journal is to be written and the way on to be said.
      registerSignalListeners: false,
      rendererOptions: {
        showErrorMessage: false,
        collapseSkips: true,
        collapseSubtasks: false,
        ...(ascii ? { icon: ASCII_ICONS, spinner: new AsciiSpinner() } : {}),
      },
    },
  );
  return {
    take(drawing) {
      const place = places[used];
      used += 1;
      place?.take(drawing);
      return place !== undefined;
    },
    close() {
      for (const { take } of places) take(null);
    },
    drawn: after(before, async () => void (await list.run())),
  };
}
