/** Batches of containers from one dead node: what holds wherever they are put. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Decision } from '../../lib/decide/model.ts';
import { place, type PlacementInput } from '../../lib/decide/placement.ts';
import { backupOf, configOf, GIB, incarnationOf } from './parts.ts';
import { World } from './world.ts';

const TARGETS = ['pve2', 'pve3', 'pve4'] as const;

interface One {
  readonly priority: number;
  readonly memory: number;
  readonly disk: number;
  readonly spread: boolean;
  readonly nodes: readonly string[];
  /** Number of its group that is kept apart; 0: none. */
  readonly group: number;
}

interface Batch {
  readonly ones: readonly One[];
  /** Memory free on each target, GiB; null: not known. */
  readonly free: readonly (number | null)[];
  readonly shared: boolean;
  readonly offline: readonly string[];
  /** Where a healthy member of group 1 runs; null: nowhere. */
  readonly lives: string | null;
  /** GiB that an operation of another process is about to put on pve2. */
  readonly coming: number;
}

const one: fc.Arbitrary<One> = fc.record({
  priority: fc.integer({ min: 1, max: 3 }),
  memory: fc.integer({ min: 1, max: 6 }),
  disk: fc.integer({ min: 1, max: 60 }),
  spread: fc.boolean(),
  nodes: fc.shuffledSubarray([...TARGETS], { minLength: 1 }),
  group: fc.integer({ min: 0, max: 2 }),
});

const batch: fc.Arbitrary<Batch> = fc.record({
  ones: fc.array(one, { minLength: 1, maxLength: 8 }),
  free: fc.array(fc.option(fc.integer({ min: 0, max: 12 }), { freq: 6 }), { minLength: 3, maxLength: 3 }),
  shared: fc.boolean(),
  offline: fc.subarray([...TARGETS], { maxLength: 1 }),
  lives: fc.option(fc.constantFrom(...TARGETS)),
  coming: fc.integer({ min: 0, max: 6 }),
});

function nameOf(index: number): string {
  return `c${index}`;
}

function build({ ones, free, shared, offline, lives, coming }: Batch, only = ones.length): World {
  const w = new World(['pve1', ...TARGETS, 'pve5', 'pve6']);
  Object.assign(w.limits, { failoversPerRun: 99, failoversPerHour: 99 });
  for (const storage of w.view.storages) if (storage.storage === 'local') storage.shared = shared;
  for (const [index, node] of TARGETS.entries()) {
    const given = free[index] ?? null;
    w.node(node).memTotal = given === null ? null : 16 * GIB;
    w.node(node).memUsed = given === null ? null : (16 - given) * GIB;
  }
  for (const [index, { priority, memory, disk, spread, nodes, group }] of ones.slice(0, only).entries()) {
    const name = nameOf(index);
    const vmid = 110 + index;
    w.has({
      name,
      vmid,
      priority,
      nodes: nodes.map((node) => ({ cluster: 'home', node })),
      failover: { placement: spread ? 'spread' : 'order' },
    }).failed(name);
    if (group > 0) (w.keepApart[`g${group}`] ??= []).push(name);
    for (const backup of w.observation.backups)
      if (backup.vmid === vmid && backup.archived !== null) {
        backup.archived.config.memory = memory * GIB;
        for (const mount of backup.archived.config.mounts) mount.bytes = disk * GIB;
      }
  }
  if (lives !== null) {
    w.has({ name: 'living', vmid: 900 }, lives);
    (w.keepApart['g1'] ??= []).push('living');
  }
  w.dies('pve1').reads('pve1', 'off');
  for (const node of offline) w.dies(node);
  if (coming > 0)
    w.underWay.push({
      operation: 'op-1',
      container: 'another',
      target: { cluster: 'home', node: 'pve2' },
      vmid: 1_000_800,
      // Its restore is over, so that nothing waits for its turn.
      restoring: false,
      turn: true,
      backups: 'home/nas',
      takes: { memory: coming * GIB, disks: {}, backups: 'nas' },
    });
  w.view.details = [];
  return w;
}

/** Decisions that name a target, with what was asked for. */
function placedOf(b: Batch, decisions: readonly Decision[]) {
  return decisions.flatMap(({ container, action, rejected }) => {
    const asked = b.ones[Number(container.slice(1))];
    return action === null || asked === undefined
      ? []
      : [{ container, asked, node: action.target.node, alternatives: action.alternatives, rejected }];
  });
}

function check(what: string, property: (b: Batch) => void): void {
  test(what, () => fc.assert(fc.property(batch, property), { numRuns: 60 }));
}

check('no node gets more memory than it has free, what others are to get included', (b) => {
  const given = new Map<string, number>([['pve2', b.coming]]);
  for (const { node, asked } of placedOf(b, build(b).decisions()))
    given.set(node, (given.get(node) ?? 0) + asked.memory);
  for (const [index, node] of TARGETS.entries()) {
    const free = b.free[index] ?? null;
    const sum = given.get(node) ?? 0;
    const own = sum - (node === 'pve2' ? b.coming : 0);
    if (free !== null && own > 0) assert.ok(sum <= free, `${sum} GiB on ${node}, which has ${free}`);
  }
});

check('no storage gets more than it has free, a shared one counted once', (b) => {
  const given = new Map<string, number>();
  for (const { node, asked } of placedOf(b, build(b).decisions())) {
    const where = b.shared ? 'shared' : node;
    given.set(where, (given.get(where) ?? 0) + asked.disk);
  }
  for (const [where, sum] of given) assert.ok(sum <= 100, `${sum} GiB on ${where}`);
});

check('only nodes of its list that are there, and none that it was said not to fit', (b) => {
  for (const { asked, node, alternatives, rejected } of placedOf(b, build(b).decisions()))
    for (const target of [node, ...alternatives.map((t) => t.node)]) {
      assert.ok(asked.nodes.includes(target));
      assert.ok(!b.offline.includes(target));
      assert.ok(!rejected.some((r) => r.what === `home/${target}`));
    }
});

check('no two of a group on one node, those that live there already included', (b) => {
  const placed = placedOf(b, build(b).decisions());
  for (const group of [1, 2]) {
    const nodes = placed.filter(({ asked }) => asked.group === group).map(({ node }) => node);
    if (group === 1 && b.lives !== null) nodes.push(b.lives);
    assert.equal(new Set(nodes).size, nodes.length, `${nodes.join(', ')} in group ${group}`);
  }
});

check('the same whatever the order of the inventory’s entries', (b) => {
  const w = build(b);
  const again = build(b);
  for (const [name, container] of Object.entries(again.containers).toReversed()) {
    delete again.containers[name];
    again.containers[name] = container;
  }
  const text = (x: World): string =>
    JSON.stringify(x.decisions().map((d) => [d.container, d.kind, d.action]));
  assert.equal(text(again), text(w));
});

check('what comes after it by priority takes nothing from a container', (b) => {
  const order = b.ones
    .map((asked, index) => ({ asked, index }))
    .toSorted((x, y) => x.asked.priority - y.asked.priority || x.index - y.index);
  const sorted: Batch = { ...b, ones: order.map(({ asked }) => asked) };
  const all = placedOf(sorted, build(sorted).decisions());
  for (let count = 1; count < sorted.ones.length; count += 1) {
    const first = placedOf(sorted, build(sorted, count).decisions());
    const same = all.filter(({ container }) => Number(container.slice(1)) < count);
    assert.deepEqual(
      first.map(({ container, node }) => `${container} ${node}`),
      same.map(({ container, node }) => `${container} ${node}`),
    );
  }
});

test('less room, or a node less, never gives one container a node that it could not have', () => {
  const less = fc.record({
    node: fc.constantFrom(...TARGETS),
    how: fc.constantFrom('dies', 'memory', 'disk', 'backups'),
  });
  fc.assert(
    fc.property(batch, less, (b, { node, how }) => {
      const w = build(b);
      const asked = (): string[] => place(inputOf(w)).targets.map((t) => t.node);
      const before = asked();
      if (how === 'dies') w.dies(node);
      if (how === 'memory') w.node(node).memUsed = (w.node(node).memUsed ?? 0) + GIB;
      for (const storage of w.view.storages)
        if (storage.node === node && how === (storage.storage === 'nas' ? 'backups' : 'disk'))
          Object.assign(storage, how === 'backups' ? { active: false } : { used: 99 * GIB });
      for (const name of asked()) assert.ok(before.includes(name), `${name} after ${how} of ${node}`);
    }),
  );
});

function inputOf(w: World): PlacementInput {
  return {
    container: w.container('c0'),
    current: incarnationOf({ vmid: 110 }),
    observation: w.observation,
    backup: backupOf(),
    memory: GIB,
    config: configOf(),
    vmidIn: () => 1_000_110,
    reserved: new Map(),
    apart: [],
  };
}
