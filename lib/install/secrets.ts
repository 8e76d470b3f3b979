/** Which environment variables the inventory names for secrets. Pure. */
import type { Inventory } from '../inventory/types.ts';

/** Their names, each once, in order. Wherever a reference is, it looks the same: `{ kind: 'env', name }`. */
export function environmentSecrets({ clusters, notify, heartbeat }: Inventory): string[] {
  const names = new Set<string>();
  visit([clusters, notify, heartbeat], names);
  return [...names].toSorted();
}

function visit(value: unknown, names: Set<string>): void {
  if (typeof value !== 'object' || value === null) return;
  if ('kind' in value && value.kind === 'env' && 'name' in value && typeof value.name === 'string')
    names.add(value.name);
  for (const inner of Object.values(value)) visit(inner, names);
}
