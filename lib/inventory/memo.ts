/**
 * The inventory as the last run has put it together, so that a run that finds the very same files need not parse and check
 * them again: YAML and schema are most of what a quiet run costs. It lies in the state folder, which only its owner can
 * write. Whatever else an inventory depends on (this program, PROXWARDEN_ALLOWED_HOOKS, what is found on this machine) is
 * compared as well; when anything differs, or the file is damaged, the inventory is loaded as if there were none.
 */
import { createHash } from 'node:crypto';
import { lstatSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { readRegularFile } from '../file.ts';
import { readFolder, type Folder } from './files.ts';
import { allowedPrograms, Finder, type Sought } from './programs.ts';
import type { Inventory } from './types.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface MemoOptions {
  readonly env: Env;
  /** Where it is kept; null: nowhere. */
  readonly file: string | null;
  /** Identifies the code that loads; null: not known (sources), so nothing is kept. */
  readonly build: string | null;
}

interface Memo {
  readonly key: string;
  readonly sought: readonly Sought[];
  readonly inventory: Inventory;
}

export interface Opened {
  readonly inventory: Inventory;
  /** Keeps it for the next run, where that did not find it; for whoever has made sure that there is a state folder. */
  readonly keep: () => void;
}

/** The inventory of a folder, as loadInventory gives it. Rejects with InventoryError. */
export async function openRemembered(dir: string, options: MemoOptions): Promise<Opened> {
  const folder = readFolder(dir);
  const { env, file, build } = options;
  const key =
    file === null || build === null || folder.problems.length > 0 ? null : keyOf(folder, env, build);
  if (file !== null && key !== null) {
    const memo = readMemo(file, key);
    if (memo !== null && isStillFound(memo.sought, folder.root, env))
      return { inventory: memo.inventory, keep: () => undefined };
  }
  const { loadFolder } = await import('./load.ts');
  const { inventory, sought } = loadFolder(folder, env);
  return {
    inventory,
    keep() {
      if (file !== null && key !== null) writeMemo(file, { key, sought, inventory });
    },
  };
}

function keyOf({ root, sources }: Folder, env: Env, build: string): string {
  const hash = createHash('sha256').update(JSON.stringify([build, root, allowedPrograms(env)]));
  for (const { file, text } of sources) hash.update(JSON.stringify([file, text.length])).update(text);
  return hash.digest('hex');
}

/** Programs may have gone, or have become links that lead elsewhere. */
function isStillFound(sought: readonly Sought[], root: string, env: Env): boolean {
  const finder = new Finder(root, allowedPrograms(env));
  return sought.every(({ kind, written, found }) => isDeepStrictEqual(finder[kind](written), found));
}

/** The first line is the digest of the rest. */
function readMemo(file: string, key: string): Memo | null {
  try {
    if (!isOurs(dirname(file))) return null;
    const text = readRegularFile(file).bytes.toString('utf8');
    const end = text.indexOf('\n');
    const json = text.slice(end + 1);
    if (end === -1 || text.slice(0, end) !== digestOf(json)) return null;
    const memo: unknown = JSON.parse(json);
    return isOf(memo, key) ? memo : null;
  } catch {
    // There is none yet, or none that this user may read: it only takes longer.
    return null;
  }
}

/** Whoever may write into the folder could say what is probed and moved where (store.ts refuses such a folder later on). */
function isOurs(folder: string): boolean {
  const { uid, mode } = lstatSync(folder);
  return (uid === 0 || uid === process.geteuid?.()) && (mode & 0o022) === 0;
}

/** What has this key was made by this very code of these very files, and its digest says that it is as it was written. */
function isOf(memo: unknown, key: string): memo is Memo {
  return typeof memo === 'object' && memo !== null && 'key' in memo && memo.key === key;
}

function writeMemo(file: string, memo: Memo): void {
  const json = JSON.stringify(memo);
  const temp = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(temp, `${digestOf(json)}\n${json}`, { mode: 0o600, flag: 'wx' });
    // Not synced: one that a power loss has torn is not used.
    renameSync(temp, file);
  } catch {
    // A full disk, say: the state, which is written next, says so where it matters.
    rmSync(temp, { force: true });
  }
}

function digestOf(json: string): string {
  return createHash('sha256').update(json).digest('hex');
}
