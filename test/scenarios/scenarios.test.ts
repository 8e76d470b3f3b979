/**
 * Every folder here is a story: a world, an inventory, what happens, and the log that must come of it, to the letter.
 * `RECORD=1 npm test -- scenarios` writes the logs anew; look at what has changed before it is committed.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { play } from './harness/play.ts';

const ROOT = join('test', 'scenarios');
const record = process.env['RECORD'] !== undefined && process.env['RECORD'] !== '';
const only = process.env['SCENARIO'];
const names = readdirSync(ROOT, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(join(ROOT, entry.name, 'steps.yaml')))
  .map((entry) => entry.name)
  .filter((name) => only === undefined || name.includes(only))
  .toSorted();

if (record && process.env['CI'] !== undefined) throw new Error('CI never records: RECORD and CI are both set');

for (const name of names)
  test(`scenario ${name}`, async () => {
    const folder = join(ROOT, name);
    const log = await play(folder);
    const path = join(folder, 'expected.log');
    if (record) {
      if (!existsSync(path) || readFileSync(path, 'utf8') !== log) writeFileSync(path, log);
      return;
    }
    assert.ok(existsSync(path), `no ${path}: record it with RECORD=1 npm test -- scenarios`);
    assert.equal(log, readFileSync(path, 'utf8'));
  });
