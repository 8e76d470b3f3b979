/** What the commands that move one container by a person's wish have in common. */
import { checkCoverage } from '../act/coverage.ts';
import { assertDone, begin, carryOut } from '../act/operate.ts';
import type { Outcome } from '../act/outcome.ts';
import { busyContainers } from '../act/busy.ts';
import type { Decision, Plan } from '../decide/model.ts';
import { BlockedError, EXIT, LockedError, type ExitCode } from '../errors.ts';
import type { Container } from '../inventory/types.ts';
import type { Operation } from '../state/model.ts';
import { explainDecision } from '../tell/format.ts';
import { show } from './say.ts';
import type { Session } from './session.ts';

/** Throws LockedError while an operation of the container is in hand. */
export function refuseBusy(session: Session, { name }: Container): void {
  const inHand = busyContainers(session).busy.get(name);
  if (inHand !== undefined)
    throw new LockedError(`${name}: operation ${inHand} is in hand`, {
      hint: `\`proxwarden status ${name}\``,
    });
}

/** Shows a decision, carries it out unless that is a dry run, and prints its result. Throws what it fails with. */
export async function move(
  session: Session,
  {
    container,
    decision,
    notes = [],
    plan = null,
  }: {
    container: Container;
    decision: Decision;
    notes?: readonly string[];
    /** What a dry run has written down, to be executed by its id. */
    plan?: Plan | null;
  },
  { dryRun, json }: { readonly dryRun: boolean; readonly json: boolean },
): Promise<ExitCode> {
  const { invocation, teller } = session;
  const text = [...explainDecision(decision), ...notes.map((note) => `  ${note}`)].join('\n');
  if (dryRun || decision.kind === 'blocked') {
    if (json) {
      const planned = plan === null ? {} : { plan: plan.id, expiresAt: plan.expiresAt };
      invocation.io.out(JSON.stringify({ ...decision, ...planned }, null, 2));
    } else {
      show(invocation.io, text);
      if (plan !== null) show(invocation.io, planLine(plan, container.name));
    }
  }
  if (decision.kind === 'blocked')
    throw new BlockedError(`${container.name} is not failed over: ${decision.why}`, {
      hint: decision.gates.find((g) => !g.ok)?.flip ?? undefined,
    });
  if (dryRun) return EXIT.unhealthy;
  teller.tell({ kind: 'note', level: 'info', container: null, text });
  return finish(session, await begin(session, { container, decision }), json);
}

/** Carries an operation to its end and prints its result. Throws what it fails with. */
export async function finish(session: Session, op: Operation, json: boolean): Promise<ExitCode> {
  const outcome = await carryOut(session, op);
  if (outcome.status === 'done') await checkCoverage(session);
  await session.teller.end();
  assertDone(op, outcome);
  session.invocation.io.out(resultText(op, outcome, json));
  return EXIT.ok;
}

function resultText(op: Operation, outcome: Outcome, json: boolean): string {
  return json ? JSON.stringify({ operation: op.id, ...outcome }, null, 2) : outcome.text;
}

/** How a plan is executed. */
export function planLine({ id }: Plan, name: string): string {
  return `plan ${id}, holds for 30 min: \`proxwarden failover ${name} --plan ${id}\``;
}
