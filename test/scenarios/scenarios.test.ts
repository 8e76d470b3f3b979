/**
 * Every folder here is a story: a world, an inventory, what happens, and the log that must come of it, to the letter.
 * `RECORD=1 npm test -- scenarios/scenarios` writes the logs anew; look at what has changed before it is committed.
 * `SCENARIO=node npm test -- scenarios/scenarios` plays only those with that word in their name.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { count } from '../contract/count.ts';
import { play } from './harness/play.ts';
import { inWorker, serve, Workers } from './harness/workers.ts';

const ROOT = join('test', 'scenarios');

if (inWorker) serve((name) => play(join(ROOT, name)));
else tell();

function tell(): void {
  const record = (process.env['RECORD'] ?? '') !== '';
  const only = process.env['SCENARIO'];
  if (record && process.env['CI'] !== undefined)
    throw new Error('CI never records: RECORD and CI are both set');
  const names = readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(ROOT, entry.name, 'steps.yaml')))
    .map((entry) => entry.name)
    .filter((name) => only === undefined || name.includes(only))
    .toSorted();
  // `npm test` plays those of the regression list, `npm run test:rest` the others.
  const part = process.env['PROXWARDEN_TESTS'] ?? 'all';
  const played = names.filter((name) => part === 'all' || (part === 'first') === isListed(name));
  const workers = new Workers(import.meta.url);
  after(() => workers.close());

  test('every scenario says what it is about, and every number of the list has one', (t) => {
    const told = new Set<number>();
    for (const name of only === undefined ? names : []) {
      const [title = '', empty, intent = ''] = readFileSync(join(ROOT, name, 'README.md'), 'utf8').split(
        '\n',
      );
      const match = /^# (\S+)(?: \((\d+(?:, \d+)*)\))?$/.exec(title);
      assert.equal(match?.[1], name, `the title of ${name}`);
      assert.deepEqual([empty, intent === ''], ['', false], `${name} says nothing`);
      for (const number of match?.[2]?.split(', ') ?? []) told.add(Number(number));
    }
    if (only !== undefined) return;
    // 32, killed at each journal step, is a matrix: test/faults/kill.test.ts.
    const missing = Array.from({ length: 50 }, (_, n) => n + 1).filter((n) => n !== 32 && !told.has(n));
    assert.deepEqual(missing, []);
    count(t, `${played.length} of ${names.length} scenarios, which have all 50 of the list`);
    const steps = names.map((name) => readFileSync(join(ROOT, name, 'steps.yaml'), 'utf8'));
    const several = steps.filter((text) => /^- (as \w+|cron on .*|'?run .* &'?)$/m.test(text));
    const onNodes = steps.filter((text) => text.includes('- cron on '));
    count(t, `${several.length} of them with several runners, ${onNodes.length} of those on the nodes`);
  });

  describe('scenarios', { concurrency: true }, () => {
    for (const name of played)
      test(name, async () => {
        const log = await workers.run(name);
        const path = join(ROOT, name, 'expected.log');
        if (record) {
          if (!existsSync(path) || readFileSync(path, 'utf8') !== log) writeFileSync(path, log);
          return;
        }
        assert.ok(existsSync(path), `no ${path}: record it with RECORD=1 npm test -- scenarios/scenarios`);
        assert.equal(log, readFileSync(path, 'utf8'));
      });
  });
}

/** Its title names numbers of the list. */
function isListed(name: string): boolean {
  return /^# \S+ \(\d/.test(readFileSync(join(ROOT, name, 'README.md'), 'utf8'));
}
