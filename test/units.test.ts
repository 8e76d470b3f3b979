import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { InputError } from '../lib/errors.ts';
import { registerSecret, redact } from '../lib/redact.ts';
import { DURATION_PATTERN, formatDuration, formatSize, parseDuration, parseSize } from '../lib/units.ts';

test('durations are read', () => {
  const cases: readonly [string, number][] = [
    ['500ms', 500],
    ['90s', 90_000],
    ['15m', 900_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['0s', 0],
    ['007s', 7000],
  ];
  for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text);
});

test('anything else is refused with an example', () => {
  for (const text of [
    '',
    '90',
    's',
    '1.5h',
    '-5s',
    '1h30m',
    '5 s',
    '5S',
    '1y',
    '99999d',
    '1constructor',
    '٣s',
    '1e3s',
  ]) {
    assert.throws(() => parseDuration(text), InputError, text);
  }
  assert.throws(() => parseDuration('90'), { hint: /90s/ });
});

test('durations are written with two units at most', () => {
  const cases: readonly [number, string][] = [
    [0, '0 s'],
    [0.4, '0 s'],
    [500, '500 ms'],
    [999.6, '1 s'],
    [1500, '1.5 s'],
    [9960, '10 s'],
    [59_400, '59 s'],
    [59_900, '1 min'],
    [90_000, '1 min 30 s'],
    [119_900, '2 min'],
    [3_599_900, '1 h'],
    [14_520_000, '4 h 2 min'],
    [86_399_999, '1 d'],
    [183_600_000, '2 d 3 h'],
    [-90_000, '-1 min 30 s'],
    [Number.NaN, 'unknown'],
    [Infinity, 'unknown'],
  ];
  for (const [ms, text] of cases) assert.equal(formatDuration(ms), text, String(ms));
});

test('a written duration never shows a full smaller unit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 11 }), (ms) => {
      assert.doesNotMatch(formatDuration(ms), /\b60 s|\b60 min|\b24 h/);
    }),
  );
});

test('the pattern for editors accepts what parseDuration accepts', () => {
  const pattern = new RegExp(DURATION_PATTERN);
  fc.assert(
    fc.property(fc.nat(3000), fc.constantFrom('ms', 's', 'm', 'h', 'd', 'y', ''), (amount, unit) => {
      const text = `${amount}${unit}`;
      let parsed = true;
      try {
        parseDuration(text);
      } catch {
        parsed = false;
      }
      assert.equal(pattern.test(text), parsed, text);
    }),
  );
});

test('sizes are read and written', () => {
  assert.equal(parseSize('10GiB'), 10 * 1024 ** 3);
  assert.equal(parseSize('1.5 GiB'), 1.5 * 1024 ** 3);
  assert.equal(parseSize('512B'), 512);
  for (const text of ['', '10', '10GB', 'GiB', '-1B', '1e9B', '99999999999TiB']) {
    assert.throws(() => parseSize(text), InputError, text);
  }
  assert.equal(formatSize(0), '0 B');
  assert.equal(formatSize(1023), '1023 B');
  assert.equal(formatSize(1024), '1 KiB');
  assert.equal(formatSize(1024 ** 2 - 1), '1 MiB');
  assert.equal(formatSize(1.5 * 1024 ** 3), '1.5 GiB');
  assert.equal(formatSize(120 * 1024 ** 3), '120 GiB');
  assert.equal(formatSize(-1024), '-1 KiB');
  assert.equal(formatSize(Number.NaN), 'unknown');
});

test('a written size reads back within its rounding', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 50 }), (bytes) => {
      const back = parseSize(formatSize(bytes));
      assert.ok(Math.abs(back - bytes) <= bytes * 0.05 + 1, `${bytes} → ${formatSize(bytes)} → ${back}`);
    }),
  );
});

test('a registered secret disappears in all its forms, inside any text', () => {
  const secret = 'root@pam!cli=s3cr+t/v"lue zürich';
  registerSecret(secret);
  const url = `https://x/?q=${encodeURIComponent(secret)}&r=${new URLSearchParams({ r: secret }).toString().slice(2)}`;
  assert.equal(redact(`a ${secret} b`), 'a *** b');
  assert.equal(redact(url), 'https://x/?q=***&r=***');
  assert.equal(redact(JSON.stringify({ secret })), '{"secret":"***"}');
  assert.equal(redact(Buffer.from(secret).toString('base64')), '***');
  for (const user of ['', 'a', 'ab', 'abc']) {
    const basic = Buffer.from(`${user}:${secret}`).toString('base64');
    assert.ok(redact(basic).length < basic.length / 2, redact(basic));
  }
  assert.equal(redact('nothing of the kind'), 'nothing of the kind');
});

test('a secret that contains another one goes as a whole', () => {
  registerSecret('hunter2222');
  registerSecret('hunter2222-longer');
  assert.equal(redact('x hunter2222-longer y hunter2222'), 'x *** y ***');
});

test('empty and tiny values are not masked, so that output stays readable', () => {
  registerSecret('');
  registerSecret('ab');
  assert.equal(redact('about'), 'about');
});
