import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RETIRED_TAG, retireAlive } from '../../lib/act/retire.ts';
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
