import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import * as z from 'zod';
import { DurableJson, sweepTemps, writeDurable } from '../../lib/state/durable.ts';
import { describeBadJson } from '../../lib/state/json-position.ts';
import { scratch } from './children.ts';

const root = scratch();
const Counter = z.object({ version: z.literal(1), count: z.object({ now: z.number() }) });

function newDir(): string {
  return mkdtempSync(join(root, 'dir-'));
}

function fileWith(text: string): DurableJson<z.infer<typeof Counter>> {
  const path = join(newDir(), 'counter.json');
  writeFileSync(path, text);
  return new DurableJson(path, { schema: Counter, version: 1, what: 'counter file', advice: 'move it away' });
}

/** It is refused with these words and left as it is. */
function refused(text: string, words: RegExp): void {
  const file = fileWith(text);
  assert.throws(() => file.read(), { name: 'StateError', exitCode: 1, message: words });
  assert.equal(readFileSync(file.path, 'utf8'), text);
}

describe('writeDurable', () => {
  test('replaces the text, readable by the owner only, and leaves nothing else', () => {
    const dir = newDir();
    const path = join(dir, 'a.json');
    writeDurable(path, 'one');
    writeDurable(path, 'two');
    assert.equal(readFileSync(path, 'utf8'), 'two');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(dir), ['a.json']);
  });

  test('removes its temp file when the rename fails', () => {
    const dir = newDir();
    mkdirSync(join(dir, 'a.json'));
    assert.throws(() => writeDurable(join(dir, 'a.json'), 'x'), {
      name: 'StateError',
      message: /cannot write .*a\.json: EISDIR/,
    });
    assert.deepEqual(readdirSync(dir), ['a.json']);
  });

  test('temp files of killed writers are ignored, and swept after an hour', () => {
    const file = fileWith('{"version":1,"count":{"now":5}}');
    const dir = join(file.path, '..');
    writeFileSync(join(dir, '.counter.json.99.aa.tmp'), '{"version":1,"cou');
    writeFileSync(join(dir, '.counter.json.99.bb.tmp'), '');
    utimesSync(join(dir, '.counter.json.99.bb.tmp'), 1_000, 1_000);
    utimesSync(join(dir, '.counter.json.99.aa.tmp'), 9_000, 9_000);
    assert.equal(file.read()?.count.now, 5);
    sweepTemps(dir, 9_500_000);
    assert.deepEqual(readdirSync(dir), ['.counter.json.99.aa.tmp', 'counter.json']);
  });
});

describe('DurableJson', () => {
  test('reads back what it wrote; no file is null', () => {
    const file = new DurableJson(join(newDir(), 'c.json'), {
      schema: Counter,
      version: 1,
      what: 'file',
      advice: '',
    });
    assert.equal(file.read(), null);
    file.write({ version: 1, count: { now: 3 } });
    assert.deepEqual(file.read(), { version: 1, count: { now: 3 } });
  });

  test('refuses what is empty, torn or not of its format, says where, and leaves it', () => {
    refused(
      '',
      /counter file .*counter\.json is corrupt \(it is empty\) — it was left as it is; move it away/,
    );
    refused('  \n', /it is empty/);
    refused('{"version":1,"cou', /line 1, column 14: not JSON/);
    refused('{"version":1,"count":', /it ends too early/);
    refused('\0\0\0\0', /line 1, column 1/);
    refused('{\n  "version": 1,\n  "count": {,}\n}', /line 3, column 13: not JSON/);
    refused('{"version":1,"count":{"now":"3"}}', /count\.now: Invalid input: expected number/);
    refused('[]', /the top: /);
  });

  test('refuses a newer and an older format by name, and never writes over a newer one', () => {
    const newer = /was written by a newer ProxWarden \(format 2, this one knows 1\)/;
    refused('{"version":2,"anything":[]}', newer);
    refused('{"version":0,"count":{"now":3}}', /is of an older format \(0\) .* \(it reads 1\)/);
    const file = fileWith('{\n "version": 12, "anything": []}');
    assert.throws(() => file.write({ version: 1, count: { now: 3 } }), {
      name: 'StateError',
      message: /newer/,
    });
    assert.equal(readFileSync(file.path, 'utf8'), '{\n "version": 12, "anything": []}');
  });

  test('does not write what it could not read back', () => {
    const file = fileWith('{"version":1,"count":{"now":5}}');
    assert.throws(() => file.write({ version: 1, count: { now: Number.NaN } }), /^Error: bug.*count\.now/);
    assert.equal(file.read()?.count.now, 5);
  });
});

describe('describeBadJson', () => {
  test('finds the first character that can not be there', () => {
    const cases: [string, RegExp][] = [
      ['[1 2]', /column 4/],
      ['[1,]', /column 4/],
      ['{"a" 1}', /column 6/],
      ['{"a":1}}', /column 8/],
      ['{a:1}', /column 2/],
      ['[tru]', /column 2/],
      ['[1,{"b":[{}]', /ends too early/],
      ['{"a":1]', /column 7/],
      ['\n\n  nope', /line 3, column 3/],
    ];
    for (const [text, where] of cases) assert.match(describeBadJson(text), where, text);
  });
});
