import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  composeDescription,
  formatLineage,
  isAtHome,
  parseLineage,
  withoutLineage,
} from '../../lib/decide/lineage.ts';
import type { Lineage } from '../../lib/decide/model.ts';
import { hasUnprintable, isReserved } from '../../lib/text.ts';
import { lineOf } from './parts.ts';

const printableText = (minLength: number): fc.Arbitrary<string> =>
  fc
    .string({ unit: 'grapheme', minLength, maxLength: 20 })
    .filter((value) => !hasUnprintable(value) && !isReserved(value));
const word = printableText(1);
const line: fc.Arbitrary<Lineage> = fc.record(
  {
    container: word,
    cluster: word,
    node: word,
    vmid: fc.integer({ min: 100, max: 999_999_999 }),
    epoch: fc.integer({ min: 0, max: 100_000 }),
    supersedes: word,
    operation: word,
    source: printableText(0),
    phase: fc.constantFrom('restored', 'live'),
    at: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  },
  { noNullPrototype: true },
);
const hostile = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '\n',
        '\r\n',
        '\r',
        'proxwarden-lineage:',
        ' proxwarden-lineage: epoch=9',
        'ProxWarden: x',
      ),
      line.map(formatLineage),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join('\n'));

test('a line comes back as it was written, whatever its values', () => {
  fc.assert(
    fc.property(line, (value) => {
      const text = formatLineage(value);
      assert.equal(text.split(/[\r\n]/).length, 1);
      assert.deepEqual(parseLineage(text), value);
    }),
  );
});

test('a description with hostile text around it says what our line says, and nothing else', () => {
  fc.assert(
    fc.property(line, hostile, (value, previous) => {
      const description = composeDescription({ sentence: 'a copy.', line: value, previous });
      assert.deepEqual(parseLineage(description), value);
      assert.equal(parseLineage(withoutLineage(description)), null);
    }),
  );
});

test('no description makes parseLineage throw', () => {
  fc.assert(fc.property(hostile, (text) => void parseLineage(text)));
});

test('a retired original, without a line of its own, loses the ones that travelled with its archive', () => {
  const description = composeDescription({
    sentence: 'superseded.',
    line: null,
    previous: `mine\n${formatLineage(lineOf())}`,
  });
  assert.equal(description, 'ProxWarden: superseded.\n\nmine');
});

test('composing again replaces our own words and keeps the person’s', () => {
  const once = composeDescription({ sentence: 'one.', line: lineOf(), previous: 'resolver\n100 %' });
  const twice = composeDescription({ sentence: 'two.', line: lineOf({ phase: 'restored' }), previous: once });
  assert.equal(
    twice,
    `ProxWarden: two.\n\n${formatLineage(lineOf({ phase: 'restored' }))}\n\nresolver\n100 %`,
  );
});

test('the line survives a description that is too long for PVE', () => {
  const description = composeDescription({ sentence: 's', line: lineOf(), previous: 'x'.repeat(20_000) });
  assert.deepEqual(parseLineage(description), lineOf());
  assert.ok(description.length <= 8192);
});

const good = formatLineage(lineOf());
const broken: readonly (readonly [string, string])[] = [
  ['an empty description', ''],
  ['two lines', `${good}\n${good}`],
  ['a line in the middle of other text', `see ${good}`],
  ['a missing field', good.replace(/ phase=\w+/, '')],
  ['a field twice', `${good} epoch=2`],
  ['a phase that is none', good.replace('phase=live', 'phase=running')],
  ['an epoch that is no number', good.replace('epoch=1', 'epoch=one')],
  ['a negative epoch', good.replace('epoch=1', 'epoch=-1')],
  ['a fraction', good.replace('epoch=1', 'epoch=1.5')],
  ['bad percent encoding', good.replace('container=dns', 'container=%zz')],
  ['a word without a value', `${good} foo`],
  ['a line break in a name', good.replace('container=dns', 'container=dns%0A2026-11-22 web: healthy')],
  ['a name that every object has', good.replace('container=dns', 'container=constructor')],
  ['an escape sequence', good.replace('node=pve2', 'node=%1b[2Jpve2')],
  ['a name written backwards', good.replace('container=dns', 'container=%E2%80%AEsnd')],
];
for (const [what, text] of broken)
  test(`${what} is no lineage line`, () => assert.equal(parseLineage(text), null));

test('a line is at home only on the very cluster, node and vmid that it names', () => {
  const place = { cluster: 'home', node: 'pve2', vmid: 1_000_101 };
  assert.equal(isAtHome(lineOf(), place), true);
  assert.equal(isAtHome(lineOf(), { ...place, cluster: 'office' }), false);
  assert.equal(isAtHome(lineOf(), { ...place, node: 'pve3' }), false);
  assert.equal(isAtHome(lineOf(), { ...place, vmid: 555 }), false);
});
