/**
 * Every command of the runbook is executed in a lab, and says what the runbook shows.
 * `UPDATE_DOCS=1 npm test -- docs/runbook` writes the answers anew: read them.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { executed } from './runbook.ts';

const FILE = '.github/RUNBOOK.md';

test('the runbook shows what its commands say', async () => {
  const text = readFileSync(FILE, 'utf8');
  const { text: wanted, commands } = await executed(text);
  assert.ok(commands > 20, String(commands));
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(FILE, wanted);
  else assert.equal(text, wanted, 'run: UPDATE_DOCS=1 npm test -- docs/runbook');
});
