/** Operations on a terminal, drawn by Listr2: one list per operation, one line per step, a bar where it takes time. */
import { Listr } from 'listr2';
import { redact } from '../redact.ts';
import { printable } from '../text.ts';
import type { Event, Teller } from './events.ts';
import { bar } from './format.ts';

type Result = { readonly kind: 'done' | 'failed' | 'skipped' | 'cut'; readonly note: string };

/**
 * A teller that draws operations, one below the other even when they run at the same time: two lists would draw over
 * each other. What is told meanwhile waits for the end of the list.
 */
export function stepsTeller({
  line,
  columns,
}: {
  readonly line: (event: Event) => void;
  readonly columns: number;
}): Teller {
  const drawings = new Map<string, Drawing>();
  const held: Event[] = [];
  let screen: Promise<void> = Promise.resolve();

  function open(event: Extract<Event, { kind: 'operation-started' | 'operation-resumed' }>): void {
    const drawing = createDrawing(event.steps, columns);
    if (event.kind === 'operation-resumed')
      for (const step of event.steps.slice(0, event.steps.indexOf(event.after) + 1))
        drawing.finish(step, { kind: 'done', note: 'done earlier' });
    drawings.set(event.operation, drawing);
    const above = screen;
    screen = (async () => {
      await above;
      line(event);
      await drawing.run();
      drawings.delete(event.operation);
      for (const waiting of held.splice(0)) line(waiting);
    })();
  }

  function tell(event: Event): void {
    switch (event.kind) {
      case 'operation-started':
      case 'operation-resumed':
        return open(event);
      case 'step-started':
        drawings.get(event.operation)?.begin(event.step);
        return;
      case 'step-progress':
        drawings.get(event.operation)?.show(event.step, `${bar(event.percent)}${event.text}`);
        return;
      case 'step-done':
        drawings.get(event.operation)?.finish(event.step, { kind: 'done', note: event.note });
        return;
      case 'step-failed':
        drawings.get(event.operation)?.finish(event.step, { kind: 'failed', note: event.note });
        return;
      case 'operation-ended':
        drawings.get(event.operation)?.end('skipped');
        hold(event);
        return;
      case 'note':
      case 'counted':
      case 'verdict':
      case 'availability':
      case 'decision':
      case 'reconciled':
      case 'brake':
        hold(event);
    }
  }

  function hold(event: Event): void {
    if (drawings.size > 0) held.push(event);
    else line(event);
  }

  return {
    tell,
    async end() {
      // What has not ended by now was interrupted.
      for (const drawing of drawings.values()) drawing.end('cut');
      await screen;
    },
  };
}

interface Drawing {
  begin(step: string): void;
  show(step: string, text: string): void;
  finish(step: string, result: Result): void;
  /** Nothing more will come. What has not begun is left out. */
  end(rest: 'skipped' | 'cut'): void;
  /** Draws; resolves when it has ended and everything is on the screen. */
  run(): Promise<void>;
}

interface Slot {
  readonly result: Promise<Result>;
  readonly settle: (result: Result) => void;
  begun: boolean;
  text: string;
  show: (text: string) => void;
}

function createDrawing(planned: readonly string[], columns: number): Drawing {
  const slots = new Map<string, Slot>(planned.map((name) => [name, createSlot()]));
  let [go, ended] = [(): void => undefined, (): void => undefined];
  const mayDraw = new Promise<void>((resolve) => (go = resolve));
  const over = new Promise<void>((resolve) => (ended = resolve));
  let lists = mayDraw.then(() => draw([...slots.entries()], columns));

  /** A step that wasn't planned (another target, an undo) gets a list of its own below. */
  function extra(name: string): Slot {
    skip([...slots.keys()], 'skipped');
    const slot = createSlot();
    slots.set(name, slot);
    lists = lists.then(() => draw([[name, slot]], columns));
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
      (known ?? extra(step)).begun = true;
    },
    show: (step, text) => slots.get(step)?.show(text),
    finish: (step, result) => (slots.get(step) ?? extra(step)).settle(result),
    end(rest) {
      skip([...slots.keys()], rest);
      ended();
    },
    async run() {
      go();
      await over;
      await lists;
    },
  };
}

function createSlot(): Slot {
  let settle: (result: Result) => void = () => undefined;
  const result = new Promise<Result>((resolve) => (settle = resolve));
  const slot: Slot = { result, settle, begun: false, text: '', show: (text) => (slot.text = text) };
  return slot;
}

/** What Listr2 puts around a title, and a little air: a longer one would be wrapped. */
const MARGIN = 8;

/** Draws steps one after the other. Never rejects: a failed step is a red line, its meaning is the operation's. */
async function draw(slots: readonly (readonly [string, Slot])[], columns: number): Promise<void> {
  const fit = (text: string): string => {
    const plain = printable(redact(text).replaceAll(/\s+/g, ' '));
    const room = Math.max(columns - MARGIN, 20);
    return plain.length > room ? `${plain.slice(0, room - 1)}…` : plain;
  };
  const list = new Listr(
    slots.map(([name, slot]) => ({
      title: fit(name),
      async task(_: unknown, task): Promise<void> {
        slot.show = (text) => (task.title = fit(`${name} ${text}`));
        if (slot.text !== '') slot.show(slot.text);
        const { kind, note } = await slot.result;
        if (kind === 'skipped') {
          task.skip(fit(`${name} (${note})`));
          return;
        }
        task.title = fit(kind === 'cut' ? `${name}: interrupted` : `${name}: ${note}`);
        if (kind !== 'done') throw new Error(task.title);
      },
    })),
    {
      concurrent: false,
      exitOnError: false,
      // Ctrl-C is ours: the journal is to be written and the way on to be said.
      registerSignalListeners: false,
      rendererOptions: { showErrorMessage: false, collapseSkips: true },
    },
  );
  await list.run();
}
