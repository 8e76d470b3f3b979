/** The documents name only commands and flags that exist, and their YAML is a valid inventory. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { loadInventory } from '../../lib/inventory/load.ts';
import { main } from '../../lib/cli/main.ts';
import { systemRuntime } from '../../lib/system-runtime.ts';
import { COMMANDS } from '../../scripts/commands.ts';
import { commandLines } from './command-lines.ts';

const DOCUMENTS = ['README.md', 'inventory/README.md', '.github/CONTRIBUTING.md', '.github/RUNBOOK.md'];

async function helpOf(command: string): Promise<string> {
  let text = '';
  const io = {
    out: (line: string) => void (text += `${line}\n`),
    err: () => undefined,
    tty: false,
    columns: 200,
  };
  const invocation = { runtime: systemRuntime(), io, signal: new AbortController().signal, cwd: '.' };
  assert.equal(await main([command, '--help'], COMMANDS, invocation), 0);
  return text;
}

for (const document of DOCUMENTS) {
  test(`${document}: every command line names a command and flags that exist`, async () => {
    const lines = commandLines(readFileSync(document, 'utf8'));
    if (document === 'README.md') assert.ok(lines.length > 20, 'the README shows command lines');
    for (const line of lines) {
      const words = line.split(/\s+/);
      const command = words.find((w) => !w.startsWith('-')) ?? '';
      if (command === 'COMMAND') continue;
      assert.ok(Object.hasOwn(COMMANDS, command), `${document} names \`proxwarden ${line}\``);
      const help = await helpOf(command);
      for (const flag of words.filter((w) => w.startsWith('--')))
        assert.ok(flag === '--help' || help.includes(flag), `${document}: ${command} has no ${flag}`);
    }
  });
}

test('the inventory in the README is valid, and begins by observing', () => {
  const yaml = /```yaml\n([\s\S]*?)```/.exec(readFileSync('README.md', 'utf8'))?.[1];
  assert.ok(yaml !== undefined);
  const dir = mkdtempSync(join(tmpdir(), 'proxwarden-readme-'));
  try {
    writeFileSync(join(dir, 'home.yaml'), yaml);
    const inventory = loadInventory(dir, { env: {} });
    assert.deepEqual(Object.keys(inventory.containers), ['dns']);
    assert.equal(inventory.containers['dns']?.failover.auto, false);
    assert.deepEqual(inventory.warnings, []);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('the README shows the exit codes that the program has', () => {
  const text = readFileSync('README.md', 'utf8');
  for (const code of [0, 1, 2, 3, 4, 5, 75]) assert.match(text, new RegExp(`^\\| ${code} \\|`, 'm'));
});
