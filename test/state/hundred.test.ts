/**
 * A hundred processes at once at one state folder (issue 5, item 3): some count, some update the state, some begin an
 * operation that only one may begin, some take over one whose owner is dead, and some are killed with the lock in hand.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { openOperations } from '../../lib/state/operations.ts';
import { openState } from '../../lib/state/store.ts';
import { count } from '../contract/count.ts';
import { bundleWorker, killChild, scratch, startChild, type Child } from './children.ts';

const EACH = 20;
const TIMES = 2;
const CONTAINERS = ['db', 'dns', 'mail', 'web'];

test('a hundred processes started at once leave a correct state', async (t) => {
  const root = scratch();
  const worker = await bundleWorker(root);
  const dir = join(root, 'shared');
  mkdirSync(dir, { mode: 0o700 });
  writeFileSync(join(dir, 'counter'), '0');
  writeFileSync(join(dir, 'names'), '');
  const dead = startChild(worker, ['operate', dir, 'op-20260101T000000-000001']);
  await dead.printed;
  await killChild(dead);
  const left = dead.stdout().trim();

  const go = join(root, 'go');
  const env = { ...process.env, PROXWARDEN_TEST_GO: go };
  const start = (mode: string, third: (n: number) => string): Child[] =>
    Array.from({ length: EACH }, (_, n) => startChild(worker, [mode, dir, third(n)], { env }));
  const counting = start('count', () => String(TIMES));
  const updating = start('update', () => String(TIMES));
  const creating = start('create', (n) => CONTAINERS[n % CONTAINERS.length] ?? '');
  const claiming = start('claim', () => left);
  const dying = start('die', (n) => `child${n}`);
  const all = [...counting, ...updating, ...creating, ...claiming, ...dying];
  await Promise.all(all.map((child) => child.printed));
  writeFileSync(go, '');

  const answered = async (child: Child): Promise<void> => {
    while (child.stdout().split('\n').length <= 2) await systemClock.sleep(20);
  };
  await Promise.all([...creating, ...claiming].map(answered));
  rmSync(go);
  const killed = await Promise.all(dying.map((child) => child.exited));
  assert.ok(killed.every(({ signal }) => signal === 'SIGKILL'));
  const ends = await Promise.all([...counting, ...updating, ...creating, ...claiming].map((c) => c.exited));
  assert.deepEqual(
    ends.filter(({ code }) => code !== 0),
    [],
    all.map((child) => child.stderr()).join(''),
  );

  assert.equal(readFileSync(join(dir, 'counter'), 'utf8'), String(EACH * TIMES));
  const state = openState(dir, { clock: systemClock }).read();
  assert.equal(state.lastRunAt, EACH * TIMES);
  assert.equal(Object.keys(state.told).length, EACH * TIMES);
  const winners = (children: readonly Child[]): number =>
    children.filter((child) => child.stdout() === 'ready\nwon\n').length;
  assert.equal(winners(claiming), 1, 'one takes the operation over');
  for (const [n, name] of CONTAINERS.entries()) {
    const contenders = creating.filter((_, k) => k % CONTAINERS.length === n);
    // The one that is left, of a dead owner and then of a living one, is of dns.
    assert.equal(winners(contenders), name === 'dns' ? 0 : 1, name);
  }
  const { operations, problems } = openOperations(dir, { clock: systemClock }).list();
  assert.deepEqual(problems, []);
  assert.deepEqual(operations.map((op) => op.container).toSorted(), CONTAINERS);
  const names = readFileSync(join(dir, 'names'), 'utf8').trimEnd().split('\n');
  assert.deepEqual(names.toSorted(), dying.map((_, n) => `child${n}`).toSorted());
  count(
    t,
    `${all.length} processes at once at one state folder, ${dying.length} of them killed with the lock in hand: nothing lost, nothing begun twice`,
  );
});
