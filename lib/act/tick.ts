/** One run of check-and-failover: resume → reconcile → check → decide → failover. What cron calls every minute. */
import { maintenanceGate, pauseGate } from '../decide/brakes.ts';
import { decide } from '../decide/decide.ts';
import type { Decision, Gate, Observation } from '../decide/model.ts';
import { EXIT, LockedError, messageOf, ProxwardenError, type ExitCode } from '../errors.ts';
import { observe } from '../observe/observe.ts';
import { writeObservation } from '../state/observation.ts';
import { ITSELF, type Operation, type State } from '../state/model.ts';
import { actOn, tellOthers } from './batch.ts';
import { busyContainers } from './busy.ts';
import type { ActContext } from './context.ts';
import { checkCoverage } from './coverage.ts';
import { foldObservation } from './fold.ts';
import { noteHandOver } from './hand-over.ts';
import { noteDay } from './note-day.ts';
import { carryOut, takeOver } from './operate.ts';
import type { Outcome } from './outcome.ts';
import { findings, reconcile, type Finding } from './reconcile.ts';

export interface TickOptions {
  readonly dryRun: boolean;
  readonly only: ReadonlySet<string> | undefined;
  /** Hands an operation to a process that outlives this one; undefined: carried out here. */
  readonly handOver?: ((op: Operation) => void) | undefined;
}

export interface TickResult {
  readonly observation: Observation;
  readonly state: State;
  readonly decisions: readonly Decision[];
  readonly outcomes: readonly {
    readonly operation: string;
    readonly kind: Operation['kind'];
    readonly container: string;
    readonly outcome: Outcome;
  }[];
  /** Needs a person. */
  readonly findings: readonly Finding[];
  readonly problems: readonly string[];
}

/** One run. Rejects only for what keeps it from saying anything at all. */
export async function tick(context: ActContext, options: TickOptions): Promise<TickResult> {
  const outcomes: { operation: string; kind: Operation['kind']; container: string; outcome: Outcome }[] = [];
  const record = (op: Operation, outcome: Outcome): void =>
    void outcomes.push({ operation: op.id, kind: op.kind, container: op.container, outcome });
  const failures: string[] = [];

  // Before anything is looked at: what is seen here without quorum could not be noted, and is others' to act on.
  if (!options.dryRun) context.state.assertWritable();
  const { cut, problems, ...hands } = busyContainers(context);
  // Operations that go on must not delay the checks of others; their ends are awaited at the end of the run.
  const resumed = Promise.allSettled(
    options.dryRun ? [] : resumeCut(context, cut, options, record, failures),
  );
  const looked = lookAndAct(context, options, { ...hands, count: true }, record, failures);
  const [seen] = await Promise.allSettled([looked]);
  const rejected = (await resumed).filter((r) => r.status === 'rejected');
  tellOthers(
    context,
    rejected.map(({ reason }): unknown => reason),
  );
  const [broken] = rejected;
  // An interrupted operation says more than an interrupted look.
  if (broken !== undefined) throw broken.reason;
  if (seen.status === 'rejected') throw seen.reason;
  // What had to wait for an operation that this very run has gone on with: the next run may be long in coming.
  const waited = outcomes.length > 0 && seen.value.decisions.some(waitsForTurn);
  const last = waited
    ? await lookAndAct(context, options, { ...busyContainers(context), count: false }, record, failures)
    : seen.value;
  const { clusters } = last.observation;
  const inSight = Object.values(clusters).flatMap((view) => (view.via === null ? [] : [view.cluster]));
  if (!options.dryRun) {
    await checkCoverage(context, new Set(inSight));
    // Of its first look: the second one, if there was one, came when things had been done.
    noteDay(context, seen.value.observation, seen.value.decisions);
  }
  const found = [...problems, ...failures, ...viewProblems(last.observation)];
  return { ...last, state: context.state.read(), outcomes, problems: found };
}

function waitsForTurn({ kind, gates }: Decision): boolean {
  return kind === 'wait' && gates.some(({ gate, ok }) => gate === 'turn' && !ok);
}

/** What is in hand already, and whether this look counts. */
type Hands = Pick<ReturnType<typeof busyContainers>, 'busy' | 'underWay'> & { readonly count: boolean };

async function lookAndAct(
  context: ActContext,
  options: TickOptions,
  { busy, underWay, count }: Hands,
  record: (op: Operation, outcome: Outcome) => void,
  failures: string[],
): Promise<Pick<TickResult, 'observation' | 'decisions' | 'findings'>> {
  const { inventory, apis, runtime, signal, state } = context;
  const observation = await observe({
    inventory,
    state: state.read(),
    apis,
    runtime,
    signal,
    only: options.only,
  });
  const folded = options.dryRun ? state.read() : await foldObservation(context, observation, { count });
  if (!options.dryRun && options.only === undefined) writeObservation(state.local, observation);

  const found = findings(context, observation, busy);
  const left = options.dryRun
    ? found
    : await reconcile(context, found, (name) => brakeOf(context, observation, name));
  const now = runtime.clock.now();
  const all = decide({ inventory, observation, state: folded, now, busy, underWay });
  const decisions = all.filter((d) => options.only?.has(d.container) ?? true);
  await tellDecisions(context, decisions, options);
  if (!options.dryRun) {
    await latchFlapping(context, decisions);
    await actOn(context, decisions, (op) => carry(context, op, options, record, failures));
  }
  return { observation, decisions, findings: left };
}

/** What keeps a run from clearing up by itself after a container. */
function brakeOf({ state, runtime }: ActContext, observation: Observation, container: string): Gate | null {
  const now = runtime.clock.now();
  const s = state.read();
  const at = { state: s, observation, container, current: s.containers[container]?.current ?? null, now };
  return pauseGate(at) ?? maintenanceGate(at);
}

/** What has been failed over too often stays blocked until `ack`, also when the day is over. */
async function latchFlapping({ state, runtime }: ActContext, decisions: readonly Decision[]): Promise<void> {
  const flapping = decisions.flatMap(({ container, gates, current }) =>
    gates
      .filter(({ gate, ok }) => gate === 'flapping' && !ok)
      .map(({ evidence }) => ({
        container,
        reason: evidence,
        operation: current?.operation ?? 'no operation',
      })),
  );
  if (flapping.length === 0) return;
  const at = runtime.clock.now();
  await state.update((s) => {
    for (const { container, reason, operation } of flapping) {
      const record = s.containers[container];
      if (record !== undefined) record.error ??= { at, reason, operation };
    }
  });
}

/** Decisions are told in every run, and kept as an event only when they change. */
async function tellDecisions(
  context: ActContext,
  decisions: readonly Decision[],
  { dryRun }: TickOptions,
): Promise<void> {
  const { state, teller } = context;
  const before = state.read().told;
  const changed: Record<string, string> = {};
  for (const decision of decisions) {
    const key = `decision ${decision.container}`;
    const essence = [decision.kind, ...decision.gates.filter((g) => !g.ok).map((g) => g.gate)].join(' ');
    if (decision.kind !== 'none')
      teller.tell({ kind: 'decision', decision, repeated: before[key] === essence });
    if (before[key] !== essence) changed[key] = essence;
  }
  if (!dryRun && Object.keys(changed).length > 0)
    await state.update((s) => void Object.assign(s.told, changed));
}

function resumeCut(
  context: ActContext,
  cut: readonly Operation[],
  options: TickOptions,
  record: (op: Operation, outcome: Outcome) => void,
  failures: string[],
): Promise<void>[] {
  return cut.map(async (op) => {
    try {
      await takeOver(context, op);
    } catch (error) {
      if (error instanceof LockedError) return;
      throw error;
    }
    await carry(context, op, options, record, failures);
  });
}

/** Carries an operation out, or hands it over: then there is nothing to wait for. */
function carry(
  context: ActContext,
  op: Operation,
  options: TickOptions,
  record: (op: Operation, outcome: Outcome) => void,
  failures: string[],
): Promise<void> | undefined {
  if (options.handOver !== undefined && noteHandOver(context, op)) {
    options.handOver(op);
    return undefined;
  }
  return carryOut(context, op).then(
    (outcome) => record(op, outcome),
    (error: unknown) => {
      if (context.signal?.aborted === true || !(error instanceof ProxwardenError)) throw error;
      failures.push(error.hint === undefined ? messageOf(error) : `${messageOf(error)} → ${error.hint}`);
    },
  );
}

/** Why views are incomplete, in sentences; a node that is simply down is no problem of its own. */
export function viewProblems(observation: Observation): string[] {
  return Object.values(observation.clusters).flatMap((view) =>
    view.via === null ? view.problems.map((p) => `cluster ${view.cluster}: ${p}`) : [],
  );
}

/** What is wrong with endpoints of clusters that are seen through others: worth a line to a person, and no more. */
export function endpointProblems(observation: Observation): string[] {
  return Object.values(observation.clusters).flatMap((view) =>
    view.via === null
      ? []
      : view.endpoints
          .filter((e) => !e.ok)
          .map((e) => `cluster ${view.cluster}: ${e.error ?? `${e.endpoint} does not answer`}`),
  );
}

/** The exit code of a run: the worst of what it has seen. */
export function tickExitCode(result: TickResult): ExitCode {
  const outcomes = result.outcomes.map((o) => o.outcome.status);
  if (result.problems.length > 0 && result.problems.some((p) => !p.startsWith('cluster ')))
    return EXIT.failed;
  if (outcomes.includes('failed') || outcomes.includes('error')) return EXIT.failed;
  const kinds = result.decisions.map((d) => d.kind);
  // A restart in place that did not help is no person's business yet: the counts go on.
  const stopped = result.outcomes.some((o) => o.kind === 'failover' && o.outcome.status === 'cancelled');
  const held = handsOff(result.state, result.decisions).length > 0 || result.state.paused?.by === ITSELF;
  if (kinds.includes('blocked') || stopped || held || result.findings.length > 0) return EXIT.blocked;
  const code = verdictExitCode(
    result.decisions.filter(
      (d) => !result.outcomes.some((o) => o.container === d.container && o.outcome.status === 'done'),
    ),
  );
  // All services answer, but a cluster can't be seen: nobody would be failed over.
  return code === EXIT.ok && result.problems.length > 0 ? EXIT.inconclusive : code;
}

/** Containers that an earlier failure keeps unprotected until somebody has said `ack`, however healthy they are. */
export function handsOff(state: State, decisions: readonly Decision[]): string[] {
  return decisions.map((d) => d.container).filter((name) => state.containers[name]?.error != null);
}

/** 3 with unhealthy containers that aren't in maintenance, 5 when something is inconclusive, else 0. */
export function verdictExitCode(decisions: readonly Decision[]): ExitCode {
  // What is in maintenance is down because somebody is at work on it.
  const verdicts = decisions
    .filter(({ gates }) => !gates.some(({ gate, ok }) => gate === 'maintenance' && !ok))
    .map((d) => d.verdict.kind);
  if (verdicts.includes('inconclusive')) return EXIT.inconclusive;
  return verdicts.includes('unhealthy') ? EXIT.unhealthy : EXIT.ok;
}
