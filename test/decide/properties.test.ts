/** What holds for every world: boldness never grows with less evidence, and deciding has no hidden input. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decide } from '../../lib/decide/decide.ts';
import { fold } from '../../lib/decide/counts.ts';
import type { Decision } from '../../lib/decide/model.ts';
import { proofOf } from '../../lib/decide/proof.ts';
import { emptyContainerState } from '../../lib/state/model.ts';
import { deepFreeze, GIB, HOUR, MINUTE, NOW, probeOf } from './parts.ts';
import { world, type World } from './world.ts';

interface Facts {
  readonly dead: boolean;
  readonly thirdDead: boolean;
  readonly copied: boolean;
  readonly stopped: boolean;
  readonly plug: 'none' | 'on' | 'off';
  readonly guarded: boolean;
  readonly mayGuard: boolean | null;
  readonly proof: 'fenced' | 'stopped' | 'offline-accepted';
  readonly returnRisk: 'refused' | 'accepted';
  readonly service: 'ok' | 'silent' | 'refused';
  readonly failures: number;
  readonly restarted: boolean;
  readonly neighbours: number;
  readonly lastFailoverAt: number | null;
}

const facts: fc.Arbitrary<Facts> = fc.record({
  dead: fc.boolean(),
  thirdDead: fc.boolean(),
  copied: fc.boolean(),
  stopped: fc.boolean(),
  plug: fc.constantFrom('none', 'on', 'off'),
  guarded: fc.boolean(),
  mayGuard: fc.constantFrom(true, false, null),
  proof: fc.constantFrom('fenced', 'stopped', 'offline-accepted'),
  returnRisk: fc.constantFrom('refused', 'accepted'),
  service: fc.constantFrom('ok', 'silent', 'refused'),
  failures: fc.integer({ min: 0, max: 4 }),
  restarted: fc.boolean(),
  neighbours: fc.integer({ min: 0, max: 3 }),
  lastFailoverAt: fc.constantFrom(null, NOW - MINUTE, NOW - 2 * HOUR, NOW + HOUR),
});

function build(f: Facts): World {
  const w = world().entry('dns', { failover: { proof: f.proof, returnRisk: f.returnRisk } });
  for (let index = 0; index < f.neighbours; index += 1)
    w.has({ name: `c${index}`, vmid: 110 + index }, 'pve2');
  if (f.copied) w.copy({ node: 'pve2' });
  if (f.stopped) w.stops('pve1', 101);
  if (f.dead) w.dies('pve1');
  if (f.thirdDead) w.dies('pve3');
  if (f.plug !== 'none') w.plug('pve1').reads('pve1', f.plug);
  if (f.guarded) w.guard('pve1', 101);
  w.view.mayGuard = f.mayGuard;
  w.failed('dns', f.failures).record('dns', {
    restartedAt: f.restarted ? NOW - HOUR : null,
    lastFailoverAt: f.lastFailoverAt,
  });
  return w.answers('dns', f.service);
}

/** How much a decision does. */
function boldness({ kind }: Decision): number {
  return { none: 0, wait: 0, blocked: 0, start: 1, restart: 1, failover: 2 }[kind];
}

test('deciding is a pure function: frozen input, and the same bytes twice', () => {
  fc.assert(
    fc.property(facts, (f) => {
      const { inventory, observation, state, now, busy, underWay } = build(f);
      const input = deepFreeze(structuredClone({ inventory, observation, state, now, busy, underWay }));
      const before = JSON.stringify(input);
      const once = JSON.stringify(decide(input));
      assert.equal(JSON.stringify(decide(input)), once);
      assert.equal(JSON.stringify(decide(structuredClone(input))), once);
      assert.equal(JSON.stringify(input), before);
    }),
  );
});

/** Each makes the runner see less than it did. Returns the world. */
const losses: Readonly<Record<string, (w: World) => World>> = {
  'a canary is silent': (w) => w.but(() => w.observation.canaries.splice(0, 1, probeOf('silent'))),
  'all canaries are silent': (w) =>
    w.but(() => w.observation.canaries.splice(0, 2, probeOf('silent'), probeOf('silent'))),
  'the neighbours fail': (w) => {
    for (const name of Object.keys(w.containers)) if (name !== 'dns') w.answers(name, 'silent');
    return w;
  },
  'there is no quorate view': (w) =>
    w.but(() => {
      w.view.via = null;
      w.view.quorate = false;
    }),
  'the cluster is not seen at all': (w) => w.but(() => void (w.observation.clusters = {})),
  'netstat is not read': (w) => w.but(() => w.view.nodes.forEach((n) => (n.netstat = null))),
  'details are not read': (w) =>
    w.but(() => {
      w.view.unread.push(...w.view.lineages.map(({ node, vmid }) => ({ node, vmid })));
      w.view.lineages = [];
      // A guest whose state is not read may be stopped or run; a restart in place needs to know.
      w.view.details = [];
    }),
  'fences are not read': (w) => w.but(() => void (w.view.fences = [])),
  'HA is not read': (w) => w.but(() => void (w.view.haProblem = 'HA entries: 403')),
  'whether a guard may be set is not read': (w) => w.but(() => void (w.view.mayGuard = null)),
  'backups are not read': (w) => w.but(() => void (w.observation.backups = [])),
  'storages are not read': (w) => w.but(() => void (w.view.storages = [])),
  'the APIs of dead nodes were not asked': (w) =>
    w.but(() => w.view.nodes.forEach((n) => (n.apiAnswers = n.apiAnswers === true ? true : null))),
  'the view has grown old': (w) => w.but(() => void (w.now += MINUTE)),
};
for (const [what, lose] of Object.entries(losses))
  test(`less evidence never makes a decision bolder: ${what}`, () => {
    fc.assert(
      fc.property(facts, (f) => {
        const full = build(f).decides();
        const less = lose(build(f)).decides();
        // What is unknown rather than running can't be restarted in place any more; it then may be moved. That is a
        // larger step, but through all the gates of a failover, so it is compared with those alone.
        const step = full.kind === 'restart' || full.kind === 'start' ? 2 : boldness(full);
        assert.ok(boldness(less) <= step, `${full.kind}: ${full.why} → ${less.kind}: ${less.why}`);
      }),
    );
  });

test('an answering address never lets a dead node be proven dead, by whatever evidence', () => {
  fc.assert(
    fc.property(facts, fc.constantFrom('ok' as const, 'refused' as const), (f, service) => {
      const w = build({ ...f, dead: true, service });
      const proof = proofOf({
        incarnation: { cluster: 'home', node: 'pve1', vmid: 101 },
        observation: w.observation,
        probes: w.observation.probes['dns'] ?? [],
        inventory: w.inventory,
        state: w.state,
        now: w.now,
      });
      assert.equal(proof.level, 0);
    }),
  );
});

test('… and so nothing of it is ever failed over, by hand or not', () => {
  fc.assert(
    fc.property(facts, (f) => {
      const w = build({ ...f, dead: true, copied: false, service: 'refused' });
      assert.notEqual(w.decides().kind, 'failover');
      assert.notEqual(w.decides('dns', { mode: 'by-hand' }).kind, 'failover');
    }),
  );
});

test('a failover that is decided has proven every copy, or fences it, or stops it first', () => {
  fc.assert(
    fc.property(facts, fc.boolean(), (f, byHand) => {
      const w = build(f);
      const { action, gates } = w.decides('dns', byHand ? { mode: 'by-hand' } : undefined);
      if (action === null) return;
      assert.ok(gates.every((g) => g.ok));
      const level = { fenced: 3, stopped: 2, 'offline-accepted': 1 }[f.proof];
      if (f.dead) {
        const { level: proven } = proofOf({
          incarnation: { cluster: 'home', node: 'pve1', vmid: 101 },
          observation: w.observation,
          probes: [],
          inventory: w.inventory,
          state: w.state,
          now: w.now,
        });
        assert.ok(proven >= level || action.fence.includes('home/pve1'));
        assert.ok(f.guarded || f.mayGuard === true || f.returnRisk === 'accepted');
      }
    }),
  );
});

test('an inconclusive verdict never moves a count', () => {
  fc.assert(
    fc.property(facts, fc.integer({ min: 0, max: 10 * MINUTE }), (f, later) => {
      const w = losses['there is no quorate view']?.(build({ ...f, service: 'silent' }));
      assert.ok(w !== undefined);
      const { verdict } = w.decides();
      assert.equal(verdict.kind, 'inconclusive');
      const record = w.state.containers['dns'] ?? emptyContainerState();
      assert.deepEqual({ ...fold(record, verdict, w.container(), NOW + later), verdict: null }, record);
    }),
  );
});

test('no node gets more memory promised than it has free', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 8 }), (sizes) => {
      const w = world().dies('pve1').reads('pve1', 'off');
      Object.assign(w.limits, { failoversPerRun: 99, failoversPerHour: 99 });
      for (const [index, size] of sizes.entries()) {
        const name = `c${index}`;
        w.has({ name, vmid: 110 + index })
          .answers(name, 'silent')
          .failed(name);
        for (const backup of w.observation.backups)
          if (backup.vmid === 110 + index && backup.archived !== null)
            backup.archived.config.memory = size * GIB;
      }
      w.view.details = [];
      const given = new Map<string, number>();
      for (const { container, action } of w.decisions())
        if (action !== null)
          given.set(
            action.target.node,
            (given.get(action.target.node) ?? 0) + (sizes[Number(container.slice(1))] ?? 0),
          );
      for (const [node, sum] of given) assert.ok(sum <= 12, `${sum} GiB on ${node}`);
    }),
  );
});

test('no storage gets more disk promised than it has free, shared or not', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 }),
      fc.boolean(),
      (sizes, shared) => {
        const w = world().dies('pve1').reads('pve1', 'off');
        Object.assign(w.limits, { failoversPerRun: 99, failoversPerHour: 99 });
        for (const storage of w.view.storages) if (storage.storage === 'local') storage.shared = shared;
        for (const [index, size] of sizes.entries()) {
          const name = `c${index}`;
          w.has({ name, vmid: 110 + index })
            .answers(name, 'silent')
            .failed(name);
          for (const backup of w.observation.backups)
            for (const mount of backup.archived?.config.mounts ?? [])
              if (backup.vmid === 110 + index) mount.bytes = size * GIB;
        }
        w.view.details = [];
        const given = new Map<string, number>();
        for (const { container, action } of w.decisions()) {
          if (action === null) continue;
          const where = shared ? 'all' : action.target.node;
          given.set(where, (given.get(where) ?? 0) + (sizes[Number(container.slice(1))] ?? 0));
        }
        for (const [where, sum] of given) assert.ok(sum <= 100, `${sum} GiB on ${where}`);
      },
    ),
  );
});
