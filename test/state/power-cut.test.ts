/**
 * A power cut at every instant between two system calls of everything that the state writes: what was said to be on the
 * disk is there, a file that was being written is the old or the new one, and the next run can go on.
 */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { appendEvents, EVENTS_MAX_BYTES, readEvents } from '../../lib/state/events.ts';
import { readObservation, writeObservation } from '../../lib/state/observation.ts';
import { openOperations } from '../../lib/state/operations.ts';
import { loadPlan, savePlan } from '../../lib/state/plans.ts';
import { openState } from '../../lib/state/store.ts';
import { count } from '../contract/count.ts';
import { scratchFolder } from '../scratch.ts';
import { draftOperation } from './fixtures.ts';
import { PowerCut, REMAINS } from './power-cut.ts';

const deps = { clock: systemClock };
const IDS = ['op-20260101T000000-000001', 'op-20260101T000000-000002'];

/** What must be found: of each thing the last that was promised, or the one that is being written; null: none yet. */
interface Promised {
  /** `lastRunAt`. */
  runs: readonly (number | null)[];
  readonly attempts: Map<string, readonly (number | null)[]>;
  events: number;
  plans: readonly string[];
  observation: readonly (number | null)[];
}

async function assertFound(dir: string, promised: Promised): Promise<void> {
  const state = openState(dir, deps);
  assert.ok(promised.runs.includes(state.read().lastRunAt), `state: ${state.read().lastRunAt}`);
  const store = openOperations(dir, deps);
  const { operations, problems } = store.list();
  assert.deepEqual(problems, []);
  for (const [id, attempts] of promised.attempts) {
    const found = operations.find((op) => op.id === id)?.attempt ?? null;
    assert.ok(attempts.includes(found), `${id}: ${found}, not ${attempts.join(' or ')}`);
  }
  const events = readEvents(dir).events.map((event) => event.at);
  for (let at = 1; at <= promised.events; at += 1) assert.ok(events.includes(at), `event ${at}`);
  for (const id of promised.plans) assert.equal(loadPlan(dir, id, 0).id, id);
  let seen: number | null = null;
  if (existsSync(join(dir, 'observation.json'))) seen = readObservation(dir, { now: 0, maxAgeMs: 1e9 }).at;
  assert.ok(promised.observation.includes(seen), `observation: ${seen}`);
  // The next run goes on with all of it.
  await state.update((s) => void (s.lastRunAt = 77));
  for (const op of operations) if (op.status === 'running') assert.ok(store.claim(op));
  appendEvents(dir, [{ at: 77, kind: 'x', container: null, text: 'x' }]);
  assert.equal(readEvents(dir).events.at(-1)?.at, 77);
}

test('a power cut at any instant loses nothing that was on the disk, and keeps nobody from going on', async (t) => {
  const root = scratchFolder('power');
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const dir = join(root, 'home', 'state');
  mkdirSync(join(root, 'home'));
  const promised: Promised = { runs: [null], attempts: new Map(), events: 0, plans: [], observation: [null] };
  const cuts: { readonly at: string; readonly left: string; readonly promised: Promised }[] = [];
  const power = new PowerCut(join(root, 'home'));
  t.after(() => power.stop());
  power.onCall = (call) => {
    for (const remains of REMAINS) {
      const left = join(root, `${cuts.length}`);
      power.leave(left, remains);
      cuts.push({ at: `${remains} after ${call}`, left, promised: structuredClone(promised) });
    }
  };
  await live(dir, promised);
  power.stop();
  for (const { at, left, promised: then } of cuts) {
    try {
      await assertFound(join(left, 'state'), then);
    } catch (error) {
      throw new Error(`${at}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
  assert.ok(cuts.length > 300, `${cuts.length}`);
  count(t, `${cuts.length} power cuts of the state folder: nothing lost that was on the disk`);
});

/** Does everything that writes; `promised` is told before of what may be, and after of what must be. */
async function live(dir: string, promised: Promised): Promise<void> {
  const state = openState(dir, deps);
  const store = openOperations(dir, deps);
  for (const run of [1, 2]) {
    promised.runs = [...promised.runs, run];
    await state.update((s) => void (s.lastRunAt = run));
    promised.runs = [run];
    promised.observation = [...promised.observation, run];
    writeObservation(dir, {
      version: 2,
      at: run,
      inventory: 'd',
      canaries: [],
      probes: {},
      clusters: {},
      backups: [],
    });
    promised.observation = [run];
    const id = IDS[run - 1] ?? '';
    promised.attempts.set(id, [null, 0]);
    const op = store.create(draftOperation(id, `web${run}`));
    promised.attempts.set(id, [0]);
    for (const attempt of [1, 2]) {
      promised.attempts.set(id, [attempt - 1, attempt]);
      op.attempt = attempt;
      if (attempt === 2 && run === 1) op.status = 'done';
      store.save(op);
      promised.attempts.set(id, [attempt]);
      appendEvents(dir, [{ at: promised.events + 1, kind: 'x', container: null, text: 'something' }]);
      promised.events += 1;
    }
    savePlan(dir, { version: 1, id: `plan${run}`, at: 0, expiresAt: 1e9, inventory: 'd', decisions: [] }, 0);
    promised.plans = [...promised.plans, `plan${run}`];
  }
}

test('events that are put aside survive a power cut', (t: TestContext) => {
  const root = scratchFolder('power');
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const dir = join(root, 'state');
  mkdirSync(dir);
  const power = new PowerCut(dir);
  t.after(() => power.stop());
  appendEvents(dir, [{ at: 1, kind: 'x', container: null, text: 'x'.repeat(EVENTS_MAX_BYTES) }]);
  const cuts: string[] = [];
  power.onCall = () => {
    const left = join(root, `cut-${cuts.length}`);
    power.leave(left, cuts.length % 2 === 0 ? 'synced' : 'torn');
    cuts.push(left);
  };
  appendEvents(dir, [{ at: 2, kind: 'x', container: null, text: 'x' }]);
  cuts.push(join(root, 'end'));
  power.leave(join(root, 'end'), 'synced');
  power.stop();
  for (const left of cuts) assert.equal(readEvents(left).events[0]?.at, 1, left);
  assert.deepEqual(
    readEvents(join(root, 'end')).events.map((event) => event.at),
    [1, 2],
  );
  appendFileSync(join(root, 'end', 'events.ndjson'), Buffer.alloc(4096));
  appendEvents(join(root, 'end'), [{ at: 3, kind: 'x', container: null, text: 'x' }]);
  assert.deepEqual(
    readEvents(join(root, 'end')).events.map((event) => event.at),
    [1, 2, 3],
    'after a block of zeros',
  );
});
