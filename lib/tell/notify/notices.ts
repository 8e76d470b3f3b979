/** What people are told of outside of the screen: transitions, and what needs a person. Pure. */
import * as z from 'zod';
import type { Topic } from '../../inventory/types.ts';
import type { Operation, State } from '../../state/model.ts';
import { formatDuration } from '../../units.ts';
import type { Event } from '../events.ts';

export const Notice = z.object({
  /** The same for the same fact, so that it is told once. */
  key: z.string(),
  at: z.number(),
  topic: z.enum(['down', 'up', 'failover', 'restart', 'returned', 'needs-person', 'brake', 'test']),
  urgency: z.enum(['info', 'warning', 'urgent']),
  container: z.string().nullable(),
  /** One line. */
  title: z.string(),
  /** More of it; may be empty. */
  text: z.string(),
});
export type Notice = z.infer<typeof Notice>;

type Urgency = Notice['urgency'];

/** The notice that an event is worth; null: none. `at` in epoch ms. */
export function noticeOf(event: Event, at: number): Notice | null {
  switch (event.kind) {
    case 'availability': {
      const { container, down, reason, lastedMs } = event;
      const again = lastedMs === null ? '' : ` after ${formatDuration(lastedMs)}`;
      return down
        ? make(at, 'down', 'warning', container, `${container} is down`, reason)
        : make(at, 'up', 'info', container, `${container} is up again${again}`, '');
    }
    case 'operation-started':
      return event.of === 'failover' ? started(event.operation, event.container, event.what, at) : null;
    case 'operation-ended':
      return ended(event.operation, event.of, event.container, event.status, event.text, at);
    case 'reconciled':
      return make(at, 'returned', 'warning', event.container, `${event.container}: put in order`, event.text);
    case 'brake': {
      const what = event.container ?? 'ProxWarden';
      return make(at, 'brake', 'info', event.container, `${what}: ${event.text}`, '');
    }
    case 'note':
    case 'counted':
    case 'verdict':
    case 'decision':
    case 'operation-resumed':
    case 'step-started':
    case 'step-progress':
    case 'step-done':
    case 'step-failed':
      return null;
  }
}

/** Those of an operation, from its journal: what was told of it if nothing went wrong in between. */
export function noticesOfOperation(op: Operation): Notice[] {
  const begin = op.kind === 'failover' ? [started(op.id, op.container, op.reason, op.createdAt)] : [];
  const last = op.steps.findLast((step) => step.note !== '')?.note ?? op.reason;
  const end =
    op.status === 'running'
      ? null
      : ended(op.id, op.kind, op.container, op.status, last, op.endedAt ?? op.createdAt);
  return end === null ? begin : [...begin, end];
}

function started(operation: string, container: string, what: string, at: number): Notice {
  const title = `${container}: failover started`;
  return { ...make(at, 'failover', 'warning', container, title, what), key: `${operation} started` };
}

const ENDS: Readonly<Record<Operation['status'], readonly [string, Urgency]>> = {
  running: ['under way', 'info'],
  done: ['done', 'info'],
  cancelled: ['called off', 'warning'],
  failed: ['FAILED', 'urgent'],
  error: ['FAILED, hands off', 'urgent'],
};

function ended(
  operation: string,
  of: Operation['kind'],
  container: string,
  status: Operation['status'],
  text: string,
  at: number,
): Notice | null {
  if (of !== 'failover' && of !== 'restart' && of !== 'start') return null;
  const [word, urgency] = ENDS[status];
  const topic = of === 'failover' ? 'failover' : 'restart';
  const name = { failover: 'failover', restart: 'restart in place', start: 'start in place' }[of];
  return {
    ...make(at, topic, urgency, container, `${container}: ${name} ${word}`, text),
    key: `${operation} ended`,
  };
}

function make(
  at: number,
  topic: Topic,
  urgency: Urgency,
  container: string | null,
  title: string,
  text: string,
): Notice {
  return { key: `${at} ${topic} ${container ?? ''} ${title}`, at, topic, urgency, container, title, text };
}

/** Something that waits for a person. */
export interface Need {
  /** What it is, the same in every run. */
  readonly key: string;
  readonly container: string | null;
  readonly text: string;
  /** Told only after it has lasted so long, since some things mend themselves. Default: at once. */
  readonly patienceMs?: number;
  /** Said again this often. Default: as the inventory has it. */
  readonly repeatMs?: number;
}

/**
 * What is to be said of the needs of this run: what is new, what lasts and is due again, and what is over. `known`: the
 * ledger of the run before; the new one is returned. `unsettled`: containers that are not well: that the need of one has
 * gone may only mean that its failures are counted anew, so it is kept and nothing is said.
 */
export function foldNeeds(
  known: State['needs'],
  needs: readonly Need[],
  {
    now,
    repeatMs: every,
    unsettled,
  }: { readonly now: number; readonly repeatMs: number; readonly unsettled: ReadonlySet<string> },
): { readonly ledger: State['needs']; readonly notices: readonly Notice[] } {
  const ledger: State['needs'] = {};
  const notices: Notice[] = [];
  for (const { key, container, text, patienceMs = 0, repeatMs = every } of needs) {
    const before = Object.hasOwn(known, key) ? known[key] : undefined;
    // A clock that was set back begins anew.
    const since = Math.min(before?.since ?? now, now);
    const toldAt =
      before?.toldAt === undefined || before.toldAt === null ? null : Math.min(before.toldAt, now);
    const due = toldAt === null ? now - since >= patienceMs : now - toldAt >= repeatMs;
    if (due) {
      const what = container ?? 'ProxWarden';
      const still = toldAt === null ? 'needs you' : `still needs you, for ${formatDuration(now - since)}`;
      notices.push({
        ...make(now, 'needs-person', 'urgent', container, `${what} ${still}`, text),
        key: `${key} ${now}`,
      });
    }
    ledger[key] = { since, toldAt: due ? now : toldAt, container, text };
  }
  for (const [key, entry] of Object.entries(known)) {
    const { since, toldAt, container, text } = entry;
    if (toldAt === null || Object.hasOwn(ledger, key)) continue;
    if (container !== null && unsettled.has(container)) {
      ledger[key] = entry;
      continue;
    }
    const what = container ?? 'ProxWarden';
    const title = `${what} needs you no more, after ${formatDuration(Math.max(now - since, 0))}`;
    notices.push({
      ...make(now, 'needs-person', 'info', container, title, `It was: ${text}`),
      key: `${key} over ${now}`,
    });
  }
  return { ledger, notices };
}
