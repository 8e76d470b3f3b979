/** The plain teller: time-stamped lines for cron and CI, NDJSON for --json. On a terminal, steps get Listr2 (steps.ts). */
import type { Clock } from '../clock.ts';
import { redact } from '../redact.ts';
import { actionsTeller } from './actions.ts';
import type { Event, Teller } from './events.ts';
import { formatEvent } from './format.ts';
import { wrapLines } from './wrap.ts';

export interface TellerOptions {
  readonly io: {
    err(text: string): void;
    readonly workflow?: ((line: string) => void) | undefined;
    readonly tty: boolean;
    readonly columns: number;
    readonly ascii?: boolean | undefined;
  };
  readonly clock: Clock;
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  readonly json: boolean;
  /** The command has long steps: show them with Listr2 on a terminal. */
  readonly steps: boolean;
}

const RANK = { error: 0, warn: 1, info: 2, debug: 3 } as const;
/** In a log, progress of one step is shown after this time, and then each time after twice as long. */
const PROGRESS_FIRST_MS = 10_000;
const PROGRESS_MAX_MS = 300_000;

function levelOf(event: Event): keyof typeof RANK {
  if (event.kind === 'note') return event.level;
  if (event.kind === 'step-failed') return 'warn';
  // Its verdict and its count have just said so.
  if (event.kind === 'availability') return 'debug';
  // A wait without gates says no more than the verdict and the count that were just told.
  if (event.kind === 'decision') {
    const { kind, gates } = event.decision;
    return kind === 'none' || (kind === 'wait' && gates.length === 0) ? 'debug' : 'info';
  }
  return 'info';
}

/** A teller for where the output goes. */
export function createTeller(options: TellerOptions): Teller {
  const plain = plainTeller(options);
  const { workflow } = options.io;
  if (workflow !== undefined && !options.json) return actionsTeller(plain, workflow);
  if (!options.steps || !options.io.tty || options.json) return plain;
  return lazySteps(options, plain);
}

function plainTeller({ io, clock, level, json }: TellerOptions): Teller {
  const next = new Map<string, { at: number; pauseMs: number }>();
  /** What was told of failed steps, by operation: its end need not repeat that. */
  const failed = new Map<string, string[]>();
  return {
    tell(event) {
      if (event.kind === 'step-failed')
        failed.set(event.operation, [...(failed.get(event.operation) ?? []), event.note]);
      if (RANK[levelOf(event)] > RANK[level]) return;
      const now = clock.now();
      if (event.kind === 'step-progress') {
        const key = `${event.operation} ${event.step}`;
        const due = next.get(key);
        const pauseMs = due === undefined ? PROGRESS_FIRST_MS : Math.min(due.pauseMs * 2, PROGRESS_MAX_MS);
        if (due === undefined || now >= due.at) next.set(key, { at: now + pauseMs, pauseMs });
        if (due === undefined || now < due.at) return;
      }
      if (json) return io.err(redact(JSON.stringify({ at: now, ...event })));
      const text = formatEvent(
        event.kind === 'operation-ended'
          ? { ...event, text: withoutRepeats(event.text, failed.get(event.operation) ?? []) }
          : event,
      );
      if (text === null) return;
      const line = redact(`${stamp(now)} ${text}`);
      io.err(io.tty ? wrapLines(line, io.columns) : line);
    },
    end: () => Promise.resolve(),
  };
}

/** The end of an operation without what its failed steps, undoing included, have said already. */
function withoutRepeats(text: string, failed: readonly string[]): string {
  const cause = failed.find((note) => note !== '' && text.startsWith(note));
  if (cause === undefined) return text;
  return failed.reduce(
    (shorter, note) => (note === '' ? shorter : shorter.replaceAll(`: ${note}`, '')),
    `see above${text.slice(cause.length)}`,
  );
}

/** `2026-11-22 20:16:47`, in UTC: logs of runner and nodes are to be compared. */
export function stamp(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace('T', ' ');
}

/** Listr2 is loaded when the first operation starts, and not before. */
function lazySteps({ io }: TellerOptions, plain: Teller): Teller {
  let chain: Promise<Teller> | null = null;
  return {
    tell(event) {
      const stepwise = event.kind.startsWith('step-') || event.kind.startsWith('operation-');
      if (!stepwise && chain === null) return plain.tell(event);
      chain ??= import('./steps.ts').then(({ stepsTeller }) =>
        stepsTeller({ columns: () => io.columns, ascii: io.ascii ?? false, line: (e) => plain.tell(e) }),
      );
      chain = chain.then((teller) => {
        teller.tell(event);
        return teller;
      });
    },
    async end() {
      if (chain !== null) await (await chain).end();
    },
  };
}
