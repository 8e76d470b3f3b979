/** A fingerprint of what the inventory means, the same on every machine and for every way to write it. */
import { createHash } from 'node:crypto';
import { sep } from 'node:path';
import type { Inventory } from './types.ts';

/** SHA-256 (hexadecimal) of the resolved inventory. Where things are written (file, line) doesn't count. */
export function digestOf(
  inventory: Pick<Inventory, 'dir' | 'clusters' | 'containers' | 'limits' | 'keepApart'>,
): string {
  const { clusters, containers, limits, keepApart } = inventory;
  const text = canonical(
    { clusters: places(clusters), containers: places(containers), limits, keepApart },
    inventory.dir + sep,
  );
  return createHash('sha256').update(text).digest('hex');
}

function places(table: Readonly<Record<string, object>>): Record<string, object> {
  return Object.fromEntries(
    Object.entries(table).map(([name, entry]) => [name, { ...entry, file: undefined, line: undefined }]),
  );
}

/** JSON with sorted keys, and with paths inside the folder made relative to it. */
function canonical(value: unknown, dir: string): string {
  if (typeof value === 'string')
    return JSON.stringify(value.startsWith(dir) ? `./${value.slice(dir.length)}` : value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, dir)).join(',')}]`;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : Number(a > b)));
  return `{${sorted.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item, dir)}`).join(',')}}`;
}
