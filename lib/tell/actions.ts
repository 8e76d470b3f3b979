/**
 * What is told in a job of GitHub Actions: the lines of an operation in a group that can be folded, and what needs a person
 * as an annotation of the run. Commands to the runner of Actions are lines that begin with `::`.
 */
import type { Event, Teller } from './events.ts';
import { formatEvent } from './format.ts';

/** `plain` prints the lines; `command` gives the runner a command, as it is. */
export function actionsTeller(plain: Teller, command: (line: string) => void): Teller {
  /** Whose group is open. Operations run at the same time, and groups can't be nested. */
  let open: string | null = null;
  const known = new Set<string>();

  function close(): void {
    if (open !== null) command('::endgroup::');
    open = null;
  }

  function group(operation: string, container: string): void {
    if (open === operation) return;
    close();
    command(`::group::${data(`${container}: ${operation}${known.has(operation) ? ', continued' : ''}`)}`);
    known.add(operation);
    open = operation;
  }

  return {
    tell(event) {
      if ('operation' in event && event.kind !== 'operation-ended') group(event.operation, event.container);
      else close();
      plain.tell(event);
      const note = annotation(event);
      if (note !== null) command(note);
    },
    async end() {
      close();
      await plain.end();
    },
  };
}

/** The annotation of an event; null: it needs nobody. */
function annotation(event: Event): string | null {
  const text = formatEvent(event) ?? '';
  switch (event.kind) {
    case 'note':
      return event.level === 'warn'
        ? annotated('warning', event.container ?? 'ProxWarden', event.text)
        : null;
    case 'step-failed':
      return annotated('warning', `${event.container}: ${event.step} failed`, event.note);
    case 'decision': {
      const { container, kind } = event.decision;
      return kind === 'blocked' ? annotated('error', `${container} is blocked`, text) : null;
    }
    case 'operation-ended':
      if (event.status === 'done') return annotated('notice', event.container, text);
      return annotated(event.status === 'cancelled' ? 'warning' : 'error', event.container, text);
    case 'availability':
      return event.down ? annotated('error', `${event.container} is down`, event.reason) : null;
    case 'reconciled':
      return annotated('notice', event.container, text);
    case 'counted':
    case 'verdict':
    case 'operation-started':
    case 'operation-resumed':
    case 'step-started':
    case 'step-progress':
    case 'step-done':
    case 'brake':
      return null;
  }
}

/** One annotation of the run, as a command. */
export function annotated(level: 'notice' | 'warning' | 'error', title: string, text: string): string {
  return `::${level} title=${property(title)}::${data(text)}`;
}

/** As GitHub's own toolkit escapes them. */
function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

/** Somebody else's words that would be taken for a command (`::name::`, and the older `##[name]`), made harmless. */
export function withoutCommands(text: string): string {
  return text.replaceAll(/^(\s*):(?=:)/gm, '$1: ').replaceAll('##[', '## [');
}
