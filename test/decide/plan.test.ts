import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Decision, FailoverAction } from '../../lib/decide/model.ts';
import { makePlan, planActs, sameAction } from '../../lib/decide/plan.ts';
import { HOUR, MINUTE, NOW } from './parts.ts';
import { dueWorld, world } from './world.ts';

const inventory = dueWorld().inventory;
const due = dueWorld().decides();

function id(decisions: readonly Decision[], digest = 'digest', now = NOW): string {
  return makePlan({ ...inventory, digest }, decisions, now).id;
}

function withAction(patch: Partial<FailoverAction>): Decision {
  assert.ok(due.action !== null);
  return { ...due, action: { ...due.action, ...patch } };
}

test('the same input has the same id', () => {
  assert.equal(id([due]), id([dueWorld().decides()]));
  assert.match(id([due]), /^[0-9a-f]{12}$/);
});

test('times, latencies, wording and evidence do not matter', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 5000 }),
      fc.string(),
      fc.integer({ min: 0, max: HOUR }),
      (ms, text, at) => {
        const later: Decision = {
          ...withAction({ backupAt: at }),
          why: text,
          verdict: { kind: 'unhealthy', reason: `${text} in ${ms} ms` },
          gates: [{ gate: 'proof', ok: true, evidence: text, flip: null }],
          rejected: [{ what: text, why: text }],
        };
        assert.equal(id([later], 'digest', NOW + at), id([due]));
      },
    ),
  );
});

test('a second look some seconds later finds the same plan', () => {
  const later = dueWorld().but((w) => {
    w.now += 9000;
    w.observation.probes['dns'] = (w.observation.probes['dns'] ?? []).map((p) => ({ ...p, latencyMs: 77 }));
  });
  assert.equal(id([later.decides()]), id([due]));
});

const changes: readonly (readonly [string, Decision])[] = [
  ['its target', withAction({ target: { cluster: 'home', node: 'pve3' } })],
  ['its alternatives', withAction({ alternatives: [] })],
  ['its vmid', withAction({ vmid: 2_000_101 })],
  ['its epoch', withAction({ epoch: 2 })],
  ['its backup', withAction({ volid: 'nas:backup/other' })],
  ['what it fences', withAction({ fence: ['home/pve1'] })],
  ['how the original is retired', withAction({ retire: 'risk-accepted' })],
  ['whether the source is alive', withAction({ sourceAlive: true })],
  ['by whose wish', withAction({ mode: 'by-hand' })],
  ['the container', { ...withAction({ container: 'web' }), container: 'web' }],
  ['its kind', { ...due, kind: 'restart', action: null }],
];
for (const [what, decision] of changes)
  test(`the id changes with ${what}`, () => assert.notEqual(id([decision]), id([due])));

test('the id changes with the inventory, and with one more action', () => {
  assert.notEqual(id([due], 'other'), id([due]));
  assert.notEqual(id([due, { ...due, container: 'web' }]), id([due]));
});

test('what does nothing is not part of it', () => {
  const idle = world().decides();
  assert.equal(id([due, { ...idle, container: 'web' }]), id([due]));
  assert.equal(planActs(makePlan(inventory, [idle], NOW)), false);
  assert.equal(planActs(makePlan(inventory, [due], NOW)), true);
});

test('it holds for half an hour', () => {
  const plan = makePlan(inventory, [due], NOW);
  assert.equal(plan.expiresAt - plan.at, 30 * MINUTE);
});

test('a node fenced meanwhile needs no fence; anything else is another action', () => {
  const planned = withAction({ fence: ['home/pve1'] });
  assert.equal(sameAction(due, planned), true);
  assert.equal(sameAction(planned, planned), true);
  assert.equal(sameAction(planned, due), false, 'a fence that the plan did not speak of');
  for (const [what, decision] of changes)
    if (what !== 'what it fences') assert.equal(sameAction(decision, due), false, what);
});

test('the id changes with what was asked for, since only that is looked at again', () => {
  const request = { container: due.container, mode: 'planned' as const };
  const ids = [
    makePlan(inventory, [due], NOW).id,
    makePlan(inventory, [due], NOW, request).id,
    makePlan(inventory, [due], NOW, { ...request, despitePause: true }).id,
  ];
  assert.equal(new Set(ids).size, 3);
  assert.deepEqual(makePlan(inventory, [due], NOW, request).request, request);
});
