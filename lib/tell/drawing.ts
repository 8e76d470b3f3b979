/** One operation in the list: a line for each step, a bar where it takes time. */
import type { DefaultRenderer, Listr, ListrTask, ListrTaskWrapper, SimpleRenderer } from 'listr2';
import { redact } from '../redact.ts';
import { printable } from '../text.ts';
import { toAscii } from './ascii.ts';
import { placeFor, type Look } from './screen.ts';

export type Result = { readonly kind: 'done' | 'failed' | 'skipped' | 'cut'; readonly note: string };

type Task = ListrTaskWrapper<unknown, typeof DefaultRenderer, typeof SimpleRenderer>;
type Steps = Listr<unknown, typeof DefaultRenderer, typeof SimpleRenderer>;

export interface Drawing {
  begin(step: string): void;
  show(step: string, text: string): void;
  finish(step: string, result: Result): void;
  /** Nothing more will come. What has not begun is left out. */
  end(rest: 'skipped' | 'cut'): void;
  /** Draws it as this task of a list. */
  draw(task: Task): Steps;
}

interface Slot {
  readonly name: string;
  readonly result: Promise<Result>;
  readonly settle: (result: Result) => void;
  begun: boolean;
  settled: boolean;
  text: string;
  show: (text: string) => void;
}

/** What Listr2 puts around a title, and a little air: a longer one would be wrapped. */
const MARGIN = 10;
/** Steps that nobody planned: another target, an undo. */
const EXTRA = 40;

export function createDrawing(title: string, planned: readonly string[], look: Look): Drawing {
  const slots = new Map<string, Slot>(planned.map((name) => [name, createSlot(name)]));
  const first = [...slots.values()];
  const places = Array.from({ length: EXTRA }, () => placeFor<Slot>());
  let used = 0;

  function extra(name: string): Slot {
    skip([...slots.keys()], 'skipped');
    const slot = createSlot(name);
    slots.set(name, slot);
    places[used]?.take(slot);
    used += 1;
    return slot;
  }

  function skip(names: readonly string[], rest: 'skipped' | 'cut'): void {
    for (const name of names) {
      const slot = slots.get(name);
      slot?.settle({
        kind: rest === 'cut' && slot.begun ? 'cut' : 'skipped',
        note: rest === 'cut' ? 'not begun' : 'not needed',
      });
    }
  }

  return {
    begin(step) {
      const known = slots.get(step);
      if (known !== undefined) skip(planned.slice(0, Math.max(planned.indexOf(step), 0)), 'skipped');
      // One that was passed over for an unplanned step comes after it.
      (known === undefined || known.settled ? extra(step) : known).begun = true;
    },
    show: (step, text) => slots.get(step)?.show(text),
    finish: (step, result) => (slots.get(step) ?? extra(step)).settle(result),
    end(rest) {
      skip([...slots.keys()], rest);
      for (const { take } of places) take(null);
    },
    draw(task) {
      task.title = fitted(title, look);
      return task.newListr(
        [
          ...first.map((slot): ListrTask<unknown, typeof DefaultRenderer> => ({
            title: fitted(slot.name, look),
            task: (_, step) => drawStep(slot, step, look),
          })),
          ...places.map(({ taken }): ListrTask<unknown, typeof DefaultRenderer> => ({
            async task(_, step) {
              const slot = await taken;
              if (slot === null) return;
              step.title = fitted(slot.name, look);
              await drawStep(slot, step, look);
            },
          })),
        ],
        { concurrent: false, exitOnError: false },
      );
    },
  };
}

/** Rejects when it has failed: that is what a red line is made of. Its meaning is the operation's. */
async function drawStep(slot: Slot, task: Task, look: Look): Promise<void> {
  slot.show = (text) => (task.title = fitted(`${slot.name} ${text}`, look));
  if (slot.text !== '') slot.show(slot.text);
  const { kind, note } = await slot.result;
  if (kind === 'skipped') {
    task.skip(fitted(`${slot.name} (${note})`, look));
    return;
  }
  task.title = fitted(kind === 'cut' ? `${slot.name}: interrupted` : `${slot.name}: ${note}`, look);
  if (kind !== 'done') throw new Error(task.title);
}

function createSlot(name: string): Slot {
  let resolve: (result: Result) => void = () => undefined;
  const result = new Promise<Result>((done) => (resolve = done));
  const slot: Slot = {
    name,
    result,
    settle(outcome) {
      slot.settled = true;
      resolve(outcome);
    },
    begun: false,
    settled: false,
    text: '',
    show: (text) => (slot.text = text),
  };
  return slot;
}

function fitted(text: string, { columns, ascii }: Look): string {
  const line = printable(redact(text).replaceAll(/\s+/g, ' '));
  const plain = ascii ? toAscii(line) : line;
  const room = Math.max(columns() - MARGIN, 8);
  const dots = ascii ? '...' : '…';
  return plain.length > room ? `${plain.slice(0, room - dots.length)}${dots}` : plain;
}
