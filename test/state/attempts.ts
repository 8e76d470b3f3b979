/** Everything that reads or writes the state folder, tried once: in this process, or in one of another user (worker.ts). */
import { systemClock } from '../../lib/clock.ts';
import { messageOf, ProxwardenError } from '../../lib/errors.ts';
import { appendEvents, readEvents } from '../../lib/state/events.ts';
import { readObservation, writeObservation } from '../../lib/state/observation.ts';
import { openOperations } from '../../lib/state/operations.ts';
import { loadPlan, savePlan } from '../../lib/state/plans.ts';
import { openState } from '../../lib/state/store.ts';
import { draftOperation } from './fixtures.ts';

export const ID = 'op-20260101T000000-000001';
const ID2 = 'op-20260101T000000-000002';
const deps = { clock: systemClock };

/** A folder in which each of them has been done once. */
export async function fillState(dir: string): Promise<void> {
  await openState(dir, deps).update((s) => void (s.lastRunAt = 1));
  openOperations(dir, deps).create(draftOperation(ID, 'web'));
  appendEvents(dir, [{ at: 1, kind: 'x', container: null, text: 'x' }]);
  writeObservation(dir, observation(1));
  savePlan(dir, plan('plan1'), 0);
}

function observation(at: number): Parameters<typeof writeObservation>[1] {
  return { version: 2, at, inventory: 'd', canaries: [], probes: {}, clusters: {}, backups: [] };
}

function plan(id: string): Parameters<typeof savePlan>[1] {
  return { version: 1, id, at: 0, expiresAt: 1e15, inventory: 'd', decisions: [] };
}

/** What came of each: `done`, or the error's name and sentence. Writes leave nothing that a reader would trip over. */
export async function attemptAll(dir: string): Promise<Record<string, string>> {
  const store = openOperations(dir, deps);
  const attempts: Record<string, () => unknown> = {
    'read the state': () => openState(dir, deps).read(),
    'read the journal': () => store.load(ID),
    'read the events': () => readEvents(dir),
    'read the observation': () => readObservation(dir, { now: 1, maxAgeMs: 1e9 }),
    'read the plan': () => loadPlan(dir, 'plan1', 1),
    'write the state': () => openState(dir, deps).update((s) => void (s.lastRunAt = 2)),
    'begin an operation': () => store.create(draftOperation(ID2, 'dns')),
    'claim the operation': () => store.claim(store.load(ID)),
    // Longer than what may be left of a block that is in use.
    'write an event': () =>
      appendEvents(dir, [{ at: 2, kind: 'x', container: null, text: 'x'.repeat(9000) }]),
    'write the observation': () => writeObservation(dir, observation(2)),
    'write a plan': () => savePlan(dir, plan('plan2'), 0),
  };
  const came: Record<string, string> = {};
  for (const [what, attempt] of Object.entries(attempts)) {
    try {
      await attempt();
      came[what] = 'done';
    } catch (error) {
      came[what] = `${error instanceof ProxwardenError ? error.name : 'bug'}: ${messageOf(error)}`;
    }
  }
  return came;
}
