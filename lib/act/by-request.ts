/** What a person's wish leads to, from a fresh look. */
import { assess, decide } from '../decide/decide.ts';
import { homeOf, wantedGate } from '../decide/home.ts';
import { incarnationKey } from '../decide/incarnations.ts';
import type { Decision, Observation, Request } from '../decide/model.ts';
import { BlockedError, InputError } from '../errors.ts';
import type { Container, Target } from '../inventory/types.ts';
import type { State } from '../state/model.ts';
import { busyContainers } from './busy.ts';
import type { ActContext } from './context.ts';
import { foldObservation } from './fold.ts';
import { observeClosely } from './start-gate.ts';

/** The decision on a wish. Throws InputError for a container that is `mode: off`. */
export async function decideRequest(
  context: ActContext,
  container: Container,
  request: Request,
): Promise<Decision> {
  return decideOn(context, await look(context, container), request);
}

export interface WayHome {
  /** `pve1/101@0`, where it is now. */
  readonly current: string;
  readonly home: Target;
  /** Whether its original is still there, kept down. */
  readonly original: boolean;
  /** Null: it is there already. */
  readonly decision: Decision | null;
}

/** The decision on going home. Throws BlockedError when it can't be said where that is, InputError for `mode: off`. */
export async function decideFailback(context: ActContext, container: Container): Promise<WayHome> {
  const { name } = container;
  const seen = await look(context, container);
  const { observation, state } = seen;
  const found = assess(context.inventory, observation, state).find((a) => a.container.name === name);
  if (found === undefined) throw new InputError(`${name} is mode: off`);
  const { incarnations, verdict } = found;
  const home = homeOf(container, incarnations, observation);
  if (home === null)
    throw new BlockedError(
      `${name}: which node is its home is not known: ${incarnations.current === null ? 'it is not seen in its cluster' : 'its original is gone'}`,
      {
        hint: `write \`home: NODE\` for ${name} in the inventory, or \`proxwarden failover ${name} --planned --to NODE\``,
      },
    );
  const { current } = incarnations;
  const decision = decideOn(context, seen, { container: name, mode: 'planned', to: home });
  const original = incarnations.superseded.some((i) => i.epoch === 0);
  const key = current === null ? '?' : incarnationKey(current);
  if (current?.cluster === home.cluster && current.node === home.node)
    return { current: key, home, original, decision: null };
  const wanted = wantedGate(container, verdict, home);
  const gates = [...decision.gates, wanted];
  if (decision.kind !== 'blocked' && !wanted.ok)
    return {
      current: key,
      home,
      original,
      decision: { ...decision, kind: 'blocked', why: `home: ${wanted.evidence}`, gates, action: null },
    };
  const why = decision.kind === 'failover' ? `back home: ${decision.why}` : decision.why;
  return { current: key, home, original, decision: { ...decision, why, gates } };
}

interface Seen {
  readonly observation: Observation;
  readonly state: State;
}

async function look(context: ActContext, container: Container): Promise<Seen> {
  const observation = await observeClosely(context, container);
  return { observation, state: await foldObservation(context, observation, { count: false }) };
}

function decideOn(context: ActContext, seen: Seen, request: Request): Decision {
  const { inventory, runtime } = context;
  const { underWay } = busyContainers(context);
  const now = runtime.clock.now();
  const [decision] = decide({ inventory, ...seen, now, busy: new Map(), underWay, request });
  if (decision === undefined) throw new InputError(`${request.container} is mode: off`);
  return decision;
}
