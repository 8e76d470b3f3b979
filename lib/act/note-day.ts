/** What a run has seen of each container, added to the summary of its day. It is for people: a run goes on without it. */
import type { Decision, Observation, ProbeResult } from '../decide/model.ts';
import type { Container } from '../inventory/types.ts';
import { messageOf, StateError } from '../errors.ts';
import { updateDay, type ContainerDay, type Day } from '../state/days.ts';
import { bucketOf } from '../tell/latency.ts';
import type { ActContext } from './context.ts';

/** After a gap of more than so many intervals between two runs, and than so long, nobody knows what was in between. */
const GAP_INTERVALS = 3;
const GAP_MS = 180_000;

/** Adds what was observed, and was found of each container, to its day. Where that can't be written, it is said. */
export function noteDay(
  {
    inventory,
    state,
    teller,
  }: {
    readonly inventory: Pick<ActContext['inventory'], 'containers'>;
    readonly state: Pick<ActContext['state'], 'local'>;
    readonly teller: Pick<ActContext['teller'], 'tell'>;
  },
  { at, probes }: Observation,
  decisions: readonly Decision[],
): void {
  const seen = decisions.flatMap((decision) => {
    const container = inventory.containers[decision.container];
    return container === undefined || !counts(decision)
      ? []
      : [{ container, ...healthOf(decision, probes[container.name]) }];
  });
  if (seen.length === 0) return;
  try {
    updateDay(state.local, at, (day) => {
      for (const one of seen) addTo(day, one, at);
    });
  } catch (error) {
    if (!(error instanceof StateError)) throw error;
    teller.tell({ kind: 'note', level: 'warn', container: null, text: messageOf(error) });
  }
}

interface Seen {
  readonly container: Container;
  readonly healthy: boolean;
  /** Of its slowest probe, when it is healthy. */
  readonly latencyMs: number | null;
}

/** Of what is stopped by hand, down in maintenance, or out of sight nobody can say how available it was. */
function counts({ verdict: { kind }, gates }: Decision): boolean {
  return (
    (kind === 'healthy' || kind === 'unhealthy') &&
    !gates.some(({ gate, ok }) => gate === 'maintenance' && !ok)
  );
}

function healthOf({ verdict }: Decision, probes: readonly ProbeResult[] = []): Omit<Seen, 'container'> {
  const healthy = verdict.kind === 'healthy';
  const times = probes.map((probe) => probe.latencyMs).filter((ms) => ms !== null);
  return { healthy, latencyMs: healthy && times.length > 0 ? Math.max(...times) : null };
}

function addTo(day: Day, { container, healthy, latencyMs }: Seen, at: number): void {
  const record: ContainerDay = (Object.hasOwn(day.containers, container.name)
    ? day.containers[container.name]
    : undefined) ?? { runs: 0, healthy: 0, seenMs: 0, downMs: 0, lastAt: at, latency: {}, maxMs: null };
  // Below zero: another run was quicker to write, or the clock was set back.
  const gapMs = at - record.lastAt;
  const spanMs = gapMs > 0 && gapMs <= Math.max(GAP_INTERVALS * container.intervalMs, GAP_MS) ? gapMs : 0;
  record.runs += 1;
  record.seenMs += spanMs;
  if (healthy) record.healthy += 1;
  else record.downMs += spanMs;
  record.lastAt = Math.max(record.lastAt, at);
  if (latencyMs !== null) {
    const bucket = bucketOf(latencyMs);
    record.latency[bucket] = (record.latency[bucket] ?? 0) + 1;
    record.maxMs = Math.max(record.maxMs ?? 0, latencyMs);
  }
  day.containers[container.name] = record;
}
