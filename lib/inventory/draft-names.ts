/** Names and vmids for the containers of a new inventory file. Pure. */
import { clusterName, containerName, nodeName, storageName } from './fields.ts';
import { findLiteralSecrets } from './literals.ts';

const NAMES = { cluster: clusterName, container: containerName, node: nodeName, storage: storageName };

/**
 * Whether a name can stand in an inventory file: of that form, none of JavaScript's own (they are no keys), and nothing that
 * is taken for the secret of a token.
 */
export function isWritable(kind: keyof typeof NAMES, name: string): boolean {
  return NAMES[kind].safeParse(name).success && !(name in {}) && findLiteralSecrets(name).length === 0;
}

/**
 * A name for each, by vmid: the first label of its hostname, more of it where that is taken, its vmid where nothing else is
 * left. `taken`: names that other files of the inventory have. The same input gives the same names.
 */
export function namesFor(
  guests: readonly { readonly vmid: number; readonly hostname: string }[],
  taken: readonly string[],
): Map<number, string> {
  const used = new Set(taken);
  const names = new Map<number, string>();
  for (const { vmid, hostname } of guests.toSorted((a, b) => a.vmid - b.vmid)) {
    const whole = plain(hostname);
    const first = plain(hostname.split('.')[0] ?? '');
    const candidates = [first, whole, cut(first === '' ? 'ct' : first, `-${vmid}`), `ct-${vmid}`];
    const name =
      candidates.find((each) => isWritable('container', each) && !used.has(each)) ?? spare(vmid, used);
    used.add(name);
    names.set(vmid, name);
  }
  return names;
}

/** Lower-case letters, digits and hyphens, as many as a name may have. */
function plain(hostname: string): string {
  return cut(
    hostname
      .normalize('NFKD')
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replace(/^-/, ''),
    '',
  ).replace(/-$/, '');
}

function cut(text: string, ending: string): string {
  return text.slice(0, 63 - ending.length) + ending;
}

function spare(vmid: number, used: ReadonlySet<string>): string {
  for (let number = 2; ; number += 1) {
    const name = `ct-${vmid}-${number}`;
    if (!used.has(name)) return name;
  }
}

/** What load.ts derives when nothing is given (vmids.ts). */
const DERIVED_BELOW = 1_000_000;
const DERIVED = 9;
/** Where own vmids for copies begin, and how many a container gets. */
const OWN_FROM = 990_000_000;
const OWN = 3;

/**
 * vmids for copies, by the original's, for those whose derived ones won't do: because they are too large, or because
 * something else has one of them already. `others`: all vmids that the cluster knows.
 */
export function ownPools(originals: readonly number[], others: readonly number[]): Map<number, number[]> {
  const taken = new Set([...originals, ...others]);
  const pools = new Map<number, number[]>();
  let next = OWN_FROM;
  for (const vmid of originals.toSorted((a, b) => a - b)) {
    const derived = Array.from({ length: DERIVED }, (_, index) => (index + 1) * DERIVED_BELOW + vmid);
    if (vmid < DERIVED_BELOW && !derived.some((each) => taken.has(each))) continue;
    const pool: number[] = [];
    for (; pool.length < OWN; next += 1) if (!taken.has(next)) pool.push(next);
    pools.set(vmid, pool);
  }
  return pools;
}
