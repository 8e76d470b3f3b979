/** Operations on a terminal, drawn by Listr2: one list per operation, one line per step, a bar where it takes time. */
import { Listr } from 'listr2';
import { redact } from '../redact.ts';
import type { Event, Teller } from './events.ts';
import { bar } from './format.ts';

type Result = { readonly kind: 'done' | 'failed' | 'skipped'; readonly note: string };

/** A teller that draws operations; what is told between their lines waits for the end of the list. */
export function stepsTeller({
  line,
  columns,
}: {
  readonly line: (event: Event) => void;
  readonly columns: number;
}): Teller {
  const drawings = new Map<string, Drawing>();
  const held: Event[] = [];
  let drawn: Promise<void> = Promise.resolve();

  function tell(event: Event): void {
    switch (event.kind) {
      case 'operation-started':
      case 'operation-resumed':
        line(event);
        drawings.set(event.operation, createDrawing(event.steps, columns));
        return;
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
      case 'operation-ended': {
        held.push(event);
        const drawing = drawings.get(event.operation);
        if (drawing !== undefined)
          drawn = drawn.then(() => drawing.end()).then(() => release(event.operation));
        else drawn = drawn.then(() => release(event.operation));
        return;
      }
      case 'note':
      case 'counted':
      case 'verdict':
      case 'decision':
      case 'reconciled':
        if (drawings.size > 0) held.push(event);
        else line(event);
    }
  }

  function release(operation: string): void {
    drawings.delete(operation);
    if (drawings.size === 0) for (const event of held.splice(0)) line(event);
  }

  return {
    tell,
    async end() {
      await drawn;
      await Promise.all([...drawings.values()].map((drawing) => drawing.end()));
      drawings.clear();
      for (const event of held.splice(0)) line(event);
    },
  };
}

interface Drawing {
  begin(step: string): void;
  show(step: string, text: string): void;
  finish(step: string, result: Result): void;
  /** Resolves when everything is drawn; what has not begun is left out. */
  end(): Promise<void>;
}

interface Slot {
  readonly result: Promise<Result>;
  readonly settle: (result: Result) => void;
  show: (text: string) => void;
}

function createDrawing(planned: readonly string[], columns: number): Drawing {
  const slots = new Map<string, Slot>(planned.map((name) => [name, createSlot()]));
  let lists = draw([...slots.entries()], columns);

  /** A step that wasn't planned (another target, an undo) gets a list of its own below. */
  function extra(name: string): Slot {
    skip([...slots.keys()]);
    const slot = createSlot();
    slots.set(name, slot);
    lists = lists.then(() => draw([[name, slot]], columns));
    return slot;
  }

  function skip(names: readonly string[]): void {
    for (const name of names) slots.get(name)?.settle({ kind: 'skipped', note: '' });
  }

  return {
    begin(step) {
      if (!slots.has(step)) extra(step);
      else skip(planned.slice(0, Math.max(planned.indexOf(step), 0)));
    },
    show: (step, text) => slots.get(step)?.show(text),
    finish: (step, result) => (slots.get(step) ?? extra(step)).settle(result),
    async end() {
      skip([...slots.keys()]);
      await lists;
    },
  };
}

function createSlot(): Slot {
  let settle: (result: Result) => void = () => undefined;
  const result = new Promise<Result>((resolve) => (settle = resolve));
  return { result, settle, show: () => undefined };
}

/** Draws steps one after the other. Never rejects: a failed step is a red line, its meaning is the operation's. */
async function draw(slots: readonly (readonly [string, Slot])[], columns: number): Promise<void> {
  const fit = (text: string): string => {
    const plain = redact(text).replaceAll(/\s+/g, ' ');
    const room = Math.max(columns - 4, 20);
    return plain.length > room ? `${plain.slice(0, room - 1)}…` : plain;
  };
  const list = new Listr(
    slots.map(([name, slot]) => ({
      title: name,
      async task(_: unknown, task): Promise<void> {
        slot.show = (text) => (task.title = fit(`${name} ${text}`));
        const { kind, note } = await slot.result;
        if (kind === 'skipped') {
          task.skip(`${name} (not needed)`);
          return;
        }
        task.title = fit(`${name}: ${note}`);
        if (kind === 'failed') throw new Error(task.title);
      },
    })),
    {
      concurrent: false,
      exitOnError: false,
      rendererOptions: { showErrorMessage: false, collapseSkips: true },
    },
  );
  await list.run();
}
