/** plans/<id>.json: what `decide` has found should be done, for `failover --plan ID` to do exactly that or refuse. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Plan } from '../decide/model.ts';
import { BlockedError, InputError, StateError } from '../errors.ts';
import { plainText } from '../text.ts';
import { DurableJson, errnoOf, fileFailure } from './durable.ts';
import { makeSubfolder } from '../folder.ts';

/** An id becomes a file name. */
const PLAN_ID = /^[0-9a-z]{4,64}$/;
/** Expired plans are kept for a while, so that a late `--plan ID` is told that it is too late. */
const KEPT_AFTER_EXPIRY_MS = 24 * 3_600_000;
const KEPT = 100;
/** See AHEAD_MS in observation.ts: a plan from the future would be good for too long. */
const AHEAD_MS = 5_000;

function planFile(dir: string, id: string): DurableJson<Plan> {
  return new DurableJson(join(dir, 'plans', `${id}.json`), {
    schema: Plan,
    version: 1,
    what: 'plan',
    advice: 'delete it and run `decide` again',
  });
}

/** Writes the plan and deletes old ones. The same plan found again gets a new time of expiry. Throws StateError. */
export function savePlan(dir: string, plan: Plan, now: number): void {
  if (!PLAN_ID.test(plan.id)) throw new Error(`bug: the plan id ${plan.id} can't be a file name`);
  const folder = join(dir, 'plans');
  try {
    makeSubfolder(folder, 0o700);
  } catch (error) {
    throw fileFailure(`make the folder ${folder}`, error);
  }
  planFile(dir, plan.id).write(plan);
  prune(dir, plan.id, now);
}

/**
 * A plan that still holds. Throws InputError when the id can't be one, BlockedError when there is no such plan or it has
 * expired, StateError when its file is corrupt.
 */
export function loadPlan(dir: string, id: string, now: number): Plan {
  if (!PLAN_ID.test(id))
    throw new InputError(
      `"${id.slice(0, 80)}" is not a plan id; \`decide\` prints the id of the plan that it has made`,
    );
  const file = planFile(dir, id);
  const plan = file.read();
  if (plan === null)
    throw new BlockedError(
      `there is no plan ${id}; run \`check\` and \`decide\` and use the id that it prints`,
    );
  if (plan.id !== id)
    throw new StateError(
      `plan ${file.path} is that of another id, ${plainText(plan.id, 80)}; delete it and run \`decide\` again`,
    );
  if (now >= plan.expiresAt)
    throw new BlockedError(
      `plan ${id} is stale: it expired ${Math.round((now - plan.expiresAt) / 60_000)} min ago; run \`check\` and \`decide\` again`,
    );
  if (plan.at - now > AHEAD_MS)
    throw new BlockedError(
      `plan ${id} is stale: it is dated in the future (the clock was set back); run \`check\` and \`decide\` again`,
    );
  return plan;
}

/** Deletes plans that expired a day ago, and the oldest when there are too many. What can't be read is left alone. */
function prune(dir: string, keep: string, now: number): void {
  const folder = join(dir, 'plans');
  try {
    const others = readdirSync(folder)
      .filter((name) => name.endsWith('.json') && name !== `${keep}.json` && PLAN_ID.test(name.slice(0, -5)))
      .map((name) => ({ path: join(folder, name), expiresAt: expiryOf(dir, name.slice(0, -5)) }))
      .filter((plan): plan is { path: string; expiresAt: number } => plan.expiresAt !== null)
      .toSorted((a, b) => b.expiresAt - a.expiresAt);
    for (const [index, { path, expiresAt }] of others.entries())
      if (index >= KEPT - 1 || now - expiresAt > KEPT_AFTER_EXPIRY_MS) rmSync(path, { force: true });
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw fileFailure(`delete old plans in ${folder}`, error, 'the new plan is written');
  }
}

function expiryOf(dir: string, id: string): number | null {
  try {
    return planFile(dir, id).read()?.expiresAt ?? null;
  } catch (error) {
    if (error instanceof StateError) return null;
    throw error;
  }
}
