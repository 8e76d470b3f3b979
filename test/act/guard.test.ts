/** The inert guard: with a group on 8.x, with a rule on 9.x; there is never a plain `disabled` entry. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { removeGuard, setGuard } from '../../lib/act/guard.ts';
import { guardGroup, isStrictRule } from '../../lib/decide/guard.ts';
import type { PveApi } from '../../lib/pve/api.ts';
import { ActBench } from './bench.ts';
import type { FakePve } from './fake-world.ts';

const ORIGINAL = { node: 'pve1', vmid: 101 };
const BY_GROUP = { operation: 'op-1', way: 'group' } as const;
const BY_RULE = { operation: 'op-1', way: 'rule' } as const;

function apiOf(bench: ActBench): PveApi {
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  return api;
}

/** A cluster of 9.x. */
function nine(t: ConstructorParameters<typeof ActBench>[0]): ActBench {
  const bench = new ActBench(t);
  bench.pve.version = '9.1.2';
  return bench;
}

/** Entries that would have their container moved to a living node within a minute (facts, section 9). */
function plain({ ha, groups, rules }: FakePve): string[] {
  return ha
    .filter(({ sid, state, group }) => {
      const restricted = groups.some((g) => g.group === group && g.restricted && g.nodes.join() === 'pve1');
      const strict = rules.some((r) => r.resources.includes(sid) && isStrictRule(r, ORIGINAL));
      return state !== 'ignored' && !restricted && !strict;
    })
    .map(({ sid, state }) => `${sid} ${state}`);
}

test('the guard is an entry that is disabled, in a group of that node alone; a second time nothing is written', async (t) => {
  const bench = new ActBench(t);
  for (let twice = 0; twice < 2; twice += 1)
    await bench.run(setGuard(bench.context, apiOf(bench), ORIGINAL, BY_GROUP));
  assert.deepEqual(bench.pve.writes, ['create group pw-guard-pve1', 'create ha ct:101']);
  assert.deepEqual(bench.pve.groups, [{ group: 'pw-guard-pve1', nodes: ['pve1'], restricted: true }]);
  assert.deepEqual(
    bench.pve.ha.map(({ sid, state, group }) => ({ sid, state, group })),
    [{ sid: 'ct:101', state: 'disabled', group: 'pw-guard-pve1' }],
  );
});

test('a group of that name that is not ours is not used', async (t) => {
  for (const spoilt of [{ restricted: false }, { nodes: ['pve2'] }, { nodes: ['pve1', 'pve2'] }]) {
    const bench = new ActBench(t);
    bench.pve.groups.push({ group: 'pw-guard-pve1', nodes: ['pve1'], restricted: true, ...spoilt });
    await assert.rejects(
      bench.run(setGuard(bench.context, apiOf(bench), ORIGINAL, BY_GROUP)),
      /would not be inert/,
    );
    assert.deepEqual(bench.pve.writes, []);
  }
});

test('a guard that does not read back as it was set is no guard', async (t) => {
  const bench = new ActBench(t);
  bench.pve.ha.push({ sid: 'ct:101', state: 'started', group: null, comment: '' });
  await assert.rejects(
    bench.run(setGuard(bench.context, apiOf(bench), ORIGINAL, BY_GROUP)),
    /reads back as started in no group/,
  );
});

test('removing: the entry, and the group when nothing else is in it', async (t) => {
  const bench = new ActBench(t);
  await bench.run(setGuard(bench.context, apiOf(bench), ORIGINAL, BY_GROUP));
  await bench.run(
    setGuard(bench.context, apiOf(bench), { node: 'pve1', vmid: 102 }, { operation: 'op-2', way: 'group' }),
  );
  assert.equal(await bench.run(removeGuard(bench.context, apiOf(bench), ORIGINAL)), true);
  assert.equal(bench.pve.groups.length, 1);
  assert.equal(await bench.run(removeGuard(bench.context, apiOf(bench), { node: 'pve1', vmid: 102 })), true);
  assert.deepEqual([bench.pve.ha, bench.pve.groups], [[], []]);
  assert.equal(await bench.run(removeGuard(bench.context, apiOf(bench), ORIGINAL)), false);
});

test('removing leaves alone what is in another group, and what another operation has set', async (t) => {
  const bench = new ActBench(t);
  bench.pve.ha.push({ sid: 'ct:101', state: 'disabled', group: 'theirs', comment: '' });
  assert.equal(await bench.run(removeGuard(bench.context, apiOf(bench), ORIGINAL)), false);
  bench.pve.ha.length = 0;
  await bench.run(setGuard(bench.context, apiOf(bench), ORIGINAL, BY_GROUP));
  assert.equal(await bench.run(removeGuard(bench.context, apiOf(bench), ORIGINAL, 'op-2')), false);
  assert.equal(bench.pve.ha.length, 1);
});

test('on 9.x: ignored first, then the strict rule, then disabled; a second time nothing is written', async (t) => {
  const bench = nine(t);
  for (let twice = 0; twice < 2; twice += 1)
    await bench.run(setGuard(bench.context, apiOf(bench), ORIGINAL, BY_RULE));
  assert.deepEqual(bench.pve.writes, [
    'create ha ct:101',
    'create rule pw-guard-pve1-101',
    'set ha ct:101 disabled',
  ]);
  assert.ok(bench.pve.rules.some((rule) => isStrictRule(rule, ORIGINAL)));
  bench.pve.writes.length = 0;
  assert.equal(await bench.run(removeGuard(bench.context, apiOf(bench), ORIGINAL)), true);
  assert.deepEqual(bench.pve.writes, [
    'set ha ct:101 ignored',
    'delete rule pw-guard-pve1-101',
    'delete ha ct:101',
  ]);
  assert.equal(await bench.run(removeGuard(bench.context, apiOf(bench), ORIGINAL)), false);
});

for (const way of ['group', 'rule'] as const)
  test(`killed before or after any write, set and removed: never a plain entry, and the next run goes on (${way})`, async (t) => {
    for (const when of ['before', 'after'] as const)
      for (let cut = 1; cut <= 6; cut += 1) {
        const bench = way === 'rule' ? nine(t) : new ActBench(t);
        let writes = 0;
        let killed = false;
        bench.pve.onWrite = () => {
          // What the writes so far have made of it.
          assert.deepEqual(plain(bench.pve), [], `${when} write ${cut}`);
          writes += 1;
          if (writes === (when === 'before' ? cut : cut + 1) && !killed) {
            killed = true;
            throw new Error('killed');
          }
        };
        const how = { operation: 'op-1', way };
        const attempt = async (work: () => Promise<unknown>): Promise<void> => {
          try {
            await bench.run(work());
          } catch (error) {
            if (!(error instanceof Error) || error.message !== 'killed') throw error;
            await bench.run(work());
          }
          assert.deepEqual(plain(bench.pve), []);
        };
        await attempt(() => setGuard(bench.context, apiOf(bench), ORIGINAL, how));
        assert.deepEqual(
          bench.pve.ha.map(({ sid, state }) => ({ sid, state })),
          [{ sid: 'ct:101', state: 'disabled' }],
        );
        await attempt(() => removeGuard(bench.context, apiOf(bench), ORIGINAL));
        assert.deepEqual([bench.pve.ha, bench.pve.rules], [[], []]);
      }
  });

test('half-made on 9.x: what is there of it is recognised and removed', async (t) => {
  const comment = 'ProxWarden guard, op-1: keeps a superseded original down';
  const rule = {
    rule: 'pw-guard-pve1-101',
    type: 'node-affinity',
    nodes: ['pve1'],
    resources: ['ct:101'],
    strict: true,
    disabled: false,
  };
  for (const [state, rules] of [
    ['ignored', []],
    ['ignored', [rule]],
    ['disabled', [rule]],
    [null, [rule]],
  ] as const) {
    const bench = nine(t);
    if (state !== null) bench.pve.ha.push({ sid: 'ct:101', state, group: null, comment });
    bench.pve.rules.push(...rules);
    assert.equal(await bench.run(removeGuard(bench.context, apiOf(bench), ORIGINAL)), true);
    assert.deepEqual([bench.pve.ha, bench.pve.rules], [[], []]);
  }
});

test("on 9.x somebody else's entry stays, whatever is in it; a rule of that name that is not ours is not used", async (t) => {
  for (const state of ['started', 'disabled', 'ignored']) {
    const bench = nine(t);
    bench.pve.ha.push({ sid: 'ct:101', state, group: null, comment: 'theirs' });
    await assert.rejects(
      bench.run(setGuard(bench.context, apiOf(bench), ORIGINAL, BY_RULE)),
      /reads back as/,
    );
    assert.equal(await bench.run(removeGuard(bench.context, apiOf(bench), ORIGINAL)), false);
    assert.deepEqual(bench.pve.writes, []);
  }
  const good = {
    type: 'node-affinity',
    nodes: ['pve1'],
    resources: ['ct:101'],
    strict: true,
    disabled: false,
  };
  for (const spoilt of [
    { strict: false },
    { disabled: true },
    { nodes: ['pve2'] },
    { nodes: ['pve1', 'pve2'] },
    { resources: ['ct:101', 'ct:102'] },
    { type: 'resource-affinity' },
  ]) {
    const bench = nine(t);
    bench.pve.rules.push({ rule: 'pw-guard-pve1-101', ...good, ...spoilt });
    await assert.rejects(
      bench.run(setGuard(bench.context, apiOf(bench), ORIGINAL, BY_RULE)),
      /would not be inert/,
    );
    assert.deepEqual(plain(bench.pve), []);
  }
});

test('a group’s guard from before an upgrade to 9.x is removed by its comment', async (t) => {
  const bench = new ActBench(t);
  await bench.run(setGuard(bench.context, apiOf(bench), ORIGINAL, BY_GROUP));
  bench.pve.version = '9.1.2';
  for (const entry of bench.pve.ha) Object.assign(entry, { group: null });
  bench.pve.groups.splice(0);
  bench.pve.rules.push({
    rule: `ha-group-${guardGroup('pve1')}`,
    type: 'node-affinity',
    nodes: ['pve1'],
    resources: ['ct:101'],
    strict: true,
    disabled: false,
  });
  assert.equal(await bench.run(removeGuard(bench.context, apiOf(bench), ORIGINAL)), true);
  assert.deepEqual(bench.pve.ha, []);
});
