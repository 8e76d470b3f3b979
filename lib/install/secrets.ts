/** Where the inventory says that its secrets, certificates and keys are. Pure. */
import type { Inventory } from '../inventory/types.ts';

export interface SecretPlaces {
  /** Names of environment variables, each once, in order. */
  readonly variables: readonly string[];
  /** Files, absolute, likewise. */
  readonly files: readonly string[];
}

/** Wherever a reference is, it looks the same: `{ kind: 'env', name }`, `{ kind: 'file', path }`, `{ kind: 'ca', path }`. */
export function secretPlaces({ clusters, notify, heartbeat }: Inventory): SecretPlaces {
  const [variables, files] = [new Set<string>(), new Set<string>()];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('kind' in value && value.kind === 'env' && 'name' in value && typeof value.name === 'string')
      variables.add(value.name);
    const inFile = 'kind' in value && (value.kind === 'file' || value.kind === 'ca');
    if (inFile && 'path' in value && typeof value.path === 'string') files.add(value.path);
    for (const inner of Object.values(value)) visit(inner);
  };
  visit([clusters, notify, heartbeat]);
  for (const { shell } of Object.values(clusters))
    if (shell?.kind === 'ssh')
      for (const path of [shell.key, shell.knownHosts]) if (path !== null) files.add(path);
  return { variables: [...variables].toSorted(), files: [...files].toSorted() };
}
