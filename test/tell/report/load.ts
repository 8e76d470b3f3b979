/** An inventory from one text. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadInventory } from '../../../lib/inventory/load.ts';
import type { Inventory } from '../../../lib/inventory/types.ts';

export function loadFrom(text: string): Inventory {
  const folder = mkdtempSync(join(tmpdir(), 'proxwarden-report-'));
  try {
    writeFileSync(join(folder, 'home.yaml'), text);
    return loadInventory(folder, { env: {} });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
