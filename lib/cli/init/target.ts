/** Where the new file goes. What is there already is never touched. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FailedError, InputError, messageOf } from '../../errors.ts';
import { InventoryError, loadInventory } from '../../inventory/load.ts';
import type { Inventory } from '../../inventory/types.ts';
import { errnoOf } from '../../state/durable.ts';
import type { InitContext } from './types.ts';
import { makeFolder } from '../../folder.ts';

/** The inventory that the folder holds already; null when there is none. Throws InputError for one with problems. */
export function existingInventory({ dir, invocation }: InitContext): Inventory | null {
  if (!existsSync(dir)) return null;
  const files = readdirSync(dir).filter((name) => !name.startsWith('.') && /\.ya?ml$/i.test(name));
  if (files.length === 0) return null;
  try {
    return loadInventory(dir, { env: invocation.runtime.env });
  } catch (error) {
    if (!(error instanceof InventoryError)) throw error;
    throw new InputError(`the inventory in ${dir} has problems, so nothing is added to it`, {
      hint: '`proxwarden validate` lists them; or name another folder with --output',
      cause: error,
    });
  }
}

/** The file for that cluster. Throws InputError when it is there, or when another file is about it. */
export function fileFor(cluster: string, dir: string, existing: Inventory | null): string {
  const file = join(dir, `${cluster}.yaml`);
  if (existsSync(file)) throw taken(file);
  const known = existing?.clusters[cluster];
  if (known !== undefined)
    throw new InputError(`${known.file} is about the cluster ${cluster} already; nothing was written`, {
      hint: 'init writes whole files and changes none; --cluster NAME gives this one another name',
    });
  return file;
}

function taken(file: string): InputError {
  return new InputError(`${file} exists already, and init never overwrites; nothing was written`, {
    hint: 'move it away, or name another folder with --output; --dry-run prints the file instead',
  });
}

/** Throws InputError when the inventory has one of these endpoints already: then it knows this cluster. */
export function refuseKnown(endpoints: readonly string[], existing: Inventory | null): void {
  for (const cluster of Object.values(existing?.clusters ?? {})) {
    const both = cluster.endpoints.find((endpoint) => endpoints.includes(endpoint));
    if (both !== undefined)
      throw new InputError(
        `${cluster.file} has ${both} already, as cluster ${cluster.name}; nothing was written`,
        {
          hint: 'init writes whole files and changes none; --output DIR writes into another folder',
        },
      );
  }
}

/** Writes a new file, and its folder if need be. */
export function writeNew(file: string, dir: string, text: string): void {
  try {
    makeFolder(dir);
    writeFileSync(file, text, { flag: 'wx', mode: 0o644 });
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') throw taken(file);
    throw new FailedError(`cannot write ${file}: ${messageOf(error)}; nothing was written`, { cause: error });
  }
}
