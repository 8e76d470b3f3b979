import assert from 'node:assert/strict';
import { test } from 'node:test';
import { removeGuard, RETIRED_TAG, retireAlive, setGuard } from '../../lib/act/retire.ts';
import { formatLineage, parseLineage } from '../../lib/decide/lineage.ts';
import type { PveApi } from '../../lib/pve/api.ts';
import { lineOf } from '../decide/parts.ts';
import { ActBench } from './bench.ts';

const ORIGINAL = { node: 'pve1', vmid: 101 };

function apiOf(bench: ActBench): PveApi {
  const api = bench.context.apis.get('home');
  assert.ok(api !== undefined);
  return api;
}

test('a living original gets onboot=0, a tag, and a sentence; the rest stays', async (t) => {
  const bench = new ActBench(t);
  Object.assign(bench.pve.guest(101).config, { tags: ['net'], description: 'resolver' });
  for (let twice = 0; twice < 2; twice += 1)
    await bench.run(retireAlive(bench.context, apiOf(bench), ORIGINAL, 'it must not be started.'));
  const { onboot, tags, description } = bench.pve.guest(101).config;
  assert.deepEqual([onboot, tags], [false, ['net', RETIRED_TAG]]);
  assert.equal(description, 'ProxWarden: it must not be started.\n\nresolver');
});

test('a retired copy keeps its lineage line', async (t) => {
  const bench = new ActBench(t);
  bench.pve.guest(101).config.description = formatLineage(lineOf());
  await bench.run(retireAlive(bench.context, apiOf(bench), ORIGINAL, 'superseded.'));
  assert.deepEqual(parseLineage(bench.pve.guest(101).config.description), lineOf());
});

test('the guard is an entry that is disabled, in a group of that node alone; a second time nothing is written', async (t) => {
  const bench = new ActBench(t);
  for (let twice = 0; twice < 2; twice += 1)
    await bench.run(setGuard(bench.context, apiOf(bench), ORIGINAL, 'op-1'));
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
      bench.run(setGuard(bench.context, apiOf(bench), ORIGINAL, 'op-1')),
      /would not be inert/,
    );
    assert.deepEqual(bench.pve.writes, []);
  }
});

test('a guard that does not read back as it was set is no guard', async (t) => {
  const bench = new ActBench(t);
  bench.pve.ha.push({ sid: 'ct:101', state: 'started', group: null, comment: '' });
  await assert.rejects(
    bench.run(setGuard(bench.context, apiOf(bench), ORIGINAL, 'op-1')),
    /reads back as started in no group/,
  );
});

test('removing: the entry, and the group when nothing else is in it', async (t) => {
  const bench = new ActBench(t);
  await bench.run(setGuard(bench.context, apiOf(bench), ORIGINAL, 'op-1'));
  await bench.run(setGuard(bench.context, apiOf(bench), { node: 'pve1', vmid: 102 }, 'op-2'));
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
  await bench.run(setGuard(bench.context, apiOf(bench), ORIGINAL, 'op-1'));
  assert.equal(await bench.run(removeGuard(bench.context, apiOf(bench), ORIGINAL, 'op-2')), false);
  assert.equal(bench.pve.ha.length, 1);
});
