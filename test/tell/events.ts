import type { Event } from '../../lib/tell/events.ts';
import { dueWorld, world } from '../decide/world.ts';

const at = { operation: 'op-1', container: 'dns' };

/** One event of every kind. */
export const EVENTS: { readonly [K in Event['kind']]: Extract<Event, { kind: K }> } = {
  note: { kind: 'note', level: 'warn', container: 'dns', text: 'look here' },
  counted: { kind: 'counted', container: 'dns', failures: 2, threshold: 3, reason: 'refused' },
  verdict: {
    kind: 'verdict',
    container: 'dns',
    from: 'healthy',
    to: { kind: 'unhealthy', reason: 'refused' },
  },
  decision: { kind: 'decision', decision: dueWorld().decides(), repeated: false },
  availability: { kind: 'availability', container: 'dns', down: true, reason: 'no answer', lastedMs: null },
  'operation-started': {
    kind: 'operation-started',
    ...at,
    of: 'failover',
    what: 'move it',
    steps: ['restore', 'start'],
  },
  'operation-resumed': { kind: 'operation-resumed', ...at, after: 'restore', steps: ['restore', 'start'] },
  'step-started': { kind: 'step-started', ...at, step: 'restore' },
  'step-progress': {
    kind: 'step-progress',
    ...at,
    step: 'restore',
    percent: 50,
    remainingMs: 5000,
    estimated: true,
    text: '5 s',
  },
  'step-done': { kind: 'step-done', ...at, step: 'restore', note: 'restored' },
  'step-failed': { kind: 'step-failed', ...at, step: 'restore', note: 'disk full' },
  'operation-ended': { kind: 'operation-ended', ...at, of: 'failover', status: 'failed', text: 'disk full' },
  reconciled: { kind: 'reconciled', container: 'dns', text: 'kept down' },
  brake: { kind: 'brake', container: 'dns', text: 'in maintenance' },
};

export const IDLE: Event = { kind: 'decision', decision: world().decides(), repeated: false };
