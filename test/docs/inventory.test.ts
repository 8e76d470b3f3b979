/**
 * inventory/README.md is the reference of every key, made from the schema. `UPDATE_SCHEMA=1 npm test -- docs/inventory`
 * writes it anew.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { inventoryJsonSchema } from '../../lib/inventory/schema.ts';
import { anchor, Node, reference, said } from '../inventory/reference.ts';

const FILE = 'inventory/README.md';
const [BEGIN, END] = ['<!-- made by test/docs/inventory.test.ts -->', '<!-- end -->'];
const schema = Node.parse(inventoryJsonSchema());

test('the reference of the keys is what the schema says', () => {
  const text = readFileSync(FILE, 'utf8');
  const [before = '', rest = ''] = text.split(BEGIN);
  const wanted = `${before}${BEGIN}\n\n${reference(schema)}\n\n${rest.slice(rest.indexOf(END))}`;
  if (process.env['UPDATE_SCHEMA'] === '1' && rest !== '') writeFileSync(FILE, wanted);
  else assert.equal(text, wanted, 'run: UPDATE_SCHEMA=1 npm test -- docs/inventory');
});

test('every link in it leads to a heading', () => {
  const text = readFileSync(FILE, 'utf8');
  const headings = new Set([...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => anchor(title)));
  const links = [...text.matchAll(/\]\(#([^)]+)\)/g)].map(([, to = '']) => to);
  assert.ok(links.length > 3);
  for (const to of links) assert.ok(headings.has(to), to);
});

/** All keys with their place. */
function* keys(node: Node, path: string): Generator<[place: string, node: Node, required: boolean]> {
  for (const inner of [...(node.anyOf ?? []), node.items, node.additionalProperties])
    if (typeof inner === 'object') yield* keys(inner, path);
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    const place = `${path}.${key}`;
    yield [place, child, (node.required ?? []).includes(key)];
    yield* keys(child, place);
  }
}

test('every description says what the key is, and what holds without it stands at its end', () => {
  let found = 0;
  for (const [place, node, required] of keys(schema, '')) {
    found += 1;
    const { what, otherwise } = said(node, required);
    assert.match(what, /^\S.*\S$/s, `${place}: ${what}`);
    assert.ok(what.split(' ').length >= 2, `${place}: ${what}`);
    assert.doesNotMatch(what, /\b[Dd]efaults?\b(?! gateway)/, `${place}: the default comes last: ${what}`);
    if (required) assert.doesNotMatch(otherwise, /`/, `${place} is required, and has a default?`);
  }
  assert.ok(found > 200, String(found));
});

test('every example is of the kind that the schema wants', () => {
  let found = 0;
  const fits = (node: Node, value: unknown): boolean => {
    if (node.anyOf !== undefined) return node.anyOf.some((one) => fits(one, value));
    if (node.enum !== undefined) return node.enum.includes(value);
    if (Array.isArray(value))
      return node.items !== undefined && value.every((one) => fits(node.items ?? {}, one));
    if (typeof value === 'object' && value !== null)
      return Object.entries(value).every(([key, one]) => {
        const inner = node.properties?.[key] ?? node.additionalProperties;
        return typeof inner === 'object' ? fits(inner, one) : false;
      });
    const types = [node.type ?? []].flat();
    if (typeof value === 'string')
      return types.includes('string') && new RegExp(node.pattern ?? '', 'u').test(value);
    return types.includes('integer') || types.includes('number');
  };
  for (const [place, node] of keys(schema, ''))
    for (const example of node.examples ?? []) {
      found += 1;
      assert.ok(fits(node, example), `${place}: ${JSON.stringify(example)}`);
    }
  assert.ok(found > 60, String(found));
});
