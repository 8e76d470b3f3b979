import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import * as z from 'zod';
import { loadInventory } from '../../lib/inventory/load.ts';
import { inventoryJsonSchema } from '../../lib/inventory/schema.ts';

const FILE = 'inventory/schema.json';

test('inventory/schema.json is what the schema says', () => {
  const current = `${JSON.stringify(inventoryJsonSchema(), null, 2)}\n`;
  if (process.env['UPDATE_SCHEMA'] === '1') writeFileSync(FILE, current);
  assert.equal(readFileSync(FILE, 'utf8'), current, 'run: UPDATE_SCHEMA=1 npm test -- inventory/schema');
});

const Node: z.ZodType<{ properties?: Record<string, unknown> | undefined; [key: string]: unknown }> =
  z.looseObject({
    properties: z.record(z.string(), z.unknown()).optional(),
  });

/** All objects within the JSON Schema, with their place. */
function* nodes(value: unknown, place: string): Generator<[string, z.infer<typeof Node>]> {
  if (typeof value !== 'object' || value === null) return;
  const parsed = Node.safeParse(value);
  if (!Array.isArray(value) && parsed.success) yield [place, parsed.data];
  for (const [key, item] of Object.entries(value)) yield* nodes(item, `${place}/${key}`);
}

test('every mapping is closed and every key that a person may write is described', () => {
  let mappings = 0;
  for (const [place, node] of nodes(inventoryJsonSchema(), '#')) {
    if (node['type'] !== 'object' || node.properties === undefined) continue;
    mappings++;
    assert.equal(node['additionalProperties'], false, place);
    for (const [key, property] of Object.entries(node.properties)) {
      const described = Node.parse(property)['description'];
      assert.ok(typeof described === 'string' && described !== '', `${place}/${key} has no description`);
    }
  }
  assert.ok(mappings > 10);
});

test('all patterns are regular expressions that editors understand', () => {
  for (const [place, node] of nodes(inventoryJsonSchema(), '#')) {
    const pattern = node['pattern'];
    if (typeof pattern === 'string') assert.doesNotThrow(() => new RegExp(pattern, 'u'), place);
  }
});

test('the example inventory is valid and points editors to the schema', (t) => {
  if (!existsSync('inventory/example/home.yaml')) return t.skip('inventory/example is not there yet');
  const { files, clusters } = loadInventory('inventory/example', { env: {} });
  assert.ok(Object.keys(clusters).length > 0);
  for (const file of files)
    assert.match(readFileSync(file, 'utf8'), /yaml-language-server: \$schema=\.\.\/schema\.json/);
});
