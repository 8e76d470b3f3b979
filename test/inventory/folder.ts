/** Writes inventory folders for tests, and reads them back. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { InventoryError, loadInventory, type Problem } from '../../lib/inventory/load.ts';

/** A folder with these files that is gone after the test. Names under `hooks/` become executable. */
export function folder(t: TestContext, files: Readonly<Record<string, string | Uint8Array>>): string {
  const dir = mkdtempSync(join(tmpdir(), 'proxwarden-inventory-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), content);
    if (name.startsWith('hooks/')) chmodSync(join(dir, name), 0o755);
  }
  return dir;
}

/** The problems that loading a folder reports; fails when it loads or throws anything else. */
export function problemsIn(dir: string, env: Record<string, string> = {}): readonly Problem[] {
  try {
    loadInventory(dir, { env });
  } catch (error) {
    assert.ok(error instanceof InventoryError, String(error));
    assert.equal(error.exitCode, 2);
    return error.problems;
  }
  throw new Error('the inventory was accepted');
}

/** `line:col  path  message  fix` of each problem, without the folder. */
export function linesIn(dir: string, env: Record<string, string> = {}): string[] {
  return problemsIn(dir, env).map((p) => [`${p.line}:${p.col}`, p.path, p.message, p.fix].join('  '));
}

/** One file named a.yaml in a folder of its own. */
export function linesOf(t: TestContext, text: string): string[] {
  return linesIn(folder(t, { 'a.yaml': text }));
}

export const HEAD = `cluster: home
api:
  endpoints: ["https://10.0.0.11:8006"]
  token: env:PROXWARDEN_HOME_TOKEN
defaults:
  backup: { storage: nas }
  failover: { restoreStorage: local-lvm }
  nodes: [pve2]
`;

/** A valid container, to be indented below \`containers:\`. */
export function container(name: string, vmid: number, more = ''): string {
  return `  ${name}:\n    vmid: ${vmid}\n    checks: [{ ping: 10.0.0.53 }]\n${more}`;
}
