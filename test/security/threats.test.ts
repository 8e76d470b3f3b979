/** The threat model: every threat has its answer, and a test that is there. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

test('every row of .github/SECURITY.md names a test that exists', () => {
  const [, table = ''] =
    /<!-- threats -->\n([\s\S]*?)<!-- end -->/.exec(readFileSync('.github/SECURITY.md', 'utf8')) ?? [];
  const rows = table.trim().split('\n').slice(2);
  assert.ok(rows.length > 25);
  const sources = readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && !name.endsWith('threats.test.ts'))
    .map((name) => readFileSync(join('test', name), 'utf8'))
    .join('\n');
  for (const row of rows) {
    const cells = row.split('|').map((cell) => cell.trim());
    const title = /^`([^`]+)`$/.exec(cells[4] ?? '')?.[1];
    assert.ok(title !== undefined && cells.slice(1, 4).every((cell) => cell !== ''), row);
    // Titles of tables of cases are `${name}: refused, and soon`.
    const [name = '', ...rest] = title.split(/: (?=refused)| (?=is refused$)/);
    const there = (...parts: string[]): boolean => parts.every((part) => sources.includes(part));
    assert.ok(
      there(`'${title}'`) || there(`'${name}'`, rest.join('') || title),
      `no test is called ${title}`,
    );
  }
});
