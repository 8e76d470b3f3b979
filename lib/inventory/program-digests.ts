/** Fingerprints of the programs that an inventory names: what a pull request would make the runner execute. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Inventory, ProbeSpec } from './types.ts';

/** SHA-256 by path, relative to the folder where it lies in there. Runs nothing. */
export function programDigests(inventory: Inventory): Record<string, string> {
  const paths = new Set<string>();
  const probes = (list: readonly ProbeSpec[]): void => {
    for (const probe of list) if (probe.kind === 'exec') paths.add(probe.path);
  };
  for (const { canaries } of Object.values(inventory.clusters)) probes(canaries);
  for (const { checks, hooks } of Object.values(inventory.containers)) {
    probes(checks);
    for (const hook of [...hooks.before, ...hooks.after]) paths.add(hook.path);
  }
  for (const { via } of inventory.notify.to) if (via.kind === 'exec') paths.add(via.path);
  return Object.fromEntries(
    [...paths].map((path) => {
      const inside = relative(inventory.dir, path);
      const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
      return [inside.startsWith('..') ? path : inside, digest];
    }),
  );
}
