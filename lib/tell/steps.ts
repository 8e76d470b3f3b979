/** Operations on a terminal, drawn by Listr2: those that run at the same time in one list, the steps of each below it. */
import type { Event, Teller } from './events.ts';
import { createDrawing, type Drawing } from './drawing.ts';
import { bar, formatEvent } from './format.ts';
import { after, openScreen, type Look, type Screen } from './screen.ts';

/**
 * A teller that draws operations as long as any of them goes on; what is told meanwhile waits for the end of the list,
 * which it would be drawn over otherwise.
 */
export function stepsTeller({ line, ...look }: { readonly line: (event: Event) => void } & Look): Teller {
  const drawings = new Map<string, Drawing>();
  const held: Event[] = [];
  let screen: Screen | null = null;
  let drawn: Promise<void> = Promise.resolve();

  function open(event: Extract<Event, { kind: 'operation-started' | 'operation-resumed' }>): void {
    const drawing = createDrawing(formatEvent(event) ?? event.operation, event.steps, look);
    if (screen === null) {
      screen = openScreen(look, drawn);
      drawn = screen.drawn;
    }
    // There are not that many at a time; one more would be told in lines when the others have ended.
    if (!screen.take(drawing)) return hold(event);
    if (event.kind === 'operation-resumed')
      for (const step of event.steps.slice(0, event.steps.indexOf(event.after) + 1))
        drawing.finish(step, { kind: 'done', note: 'done earlier' });
    drawings.set(event.operation, drawing);
  }

  function end(operation: string, rest: 'skipped' | 'cut'): void {
    drawings.get(operation)?.end(rest);
    drawings.delete(operation);
    if (drawings.size > 0 || screen === null) return;
    screen.close();
    screen = null;
    drawn = after(drawn, () => {
      for (const waiting of held.splice(0)) line(waiting);
    });
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
        hold(event);
        end(event.operation, 'skipped');
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
    // In their order: what was held before may not be on the screen yet.
    else drawn = after(drawn, () => line(event));
  }

  return {
    tell,
    async end() {
      // What has not ended by now was interrupted.
      for (const operation of drawings.keys()) end(operation, 'cut');
      await drawn;
    },
  };
}
