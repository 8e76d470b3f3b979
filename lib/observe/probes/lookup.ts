/**
 * Names to addresses. Numeric addresses never come here. Node asks the system in threads of which only two do look-ups
 * at a time, so a dead name server would hold up every other name: those in /etc/hosts are therefore read from there
 * (as the system would), and look-ups of one name under way are shared.
 */
import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { readFile } from 'node:fs/promises';
import { isIP, type LookupFunction } from 'node:net';

const underWay = new Map<string, Promise<readonly LookupAddress[]>>();

/** All addresses of `name`. Rejects with the system's error (ENOTFOUND, EAI_AGAIN). It cannot be cancelled. */
export async function addressesOf(name: string): Promise<readonly LookupAddress[]> {
  const family = isIP(name);
  if (family !== 0) return [{ address: name, family }];
  let pending = underWay.get(name);
  if (pending === undefined) {
    pending = find(name).finally(() => underWay.delete(name));
    underWay.set(name, pending);
  }
  return pending;
}

async function find(name: string): Promise<readonly LookupAddress[]> {
  const known = inHosts(await hostsFile(), name);
  if (known.length > 0) return known;
  return new Promise((resolve, reject) => {
    systemLookup(name, { all: true }, (error, addresses) => {
      if (error === null) resolve(addresses);
      else reject(error);
    });
  });
}

async function hostsFile(): Promise<string> {
  try {
    return await readFile('/etc/hosts', 'utf8');
  } catch {
    // A machine without a hosts file is in order: the system is asked.
    return '';
  }
}

/** The addresses of `name` in the text of a hosts file. */
export function inHosts(text: string, name: string): LookupAddress[] {
  const wanted = name.toLowerCase().replace(/\.$/, '');
  return text.split('\n').flatMap((line) => {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const family = isIP(address);
    return family !== 0 && names.some((each) => each.toLowerCase() === wanted) ? [{ address, family }] : [];
  });
}

/** A look-up in the form that net.connect and tls.connect take. */
export function socketLookup(lookUp: typeof addressesOf): LookupFunction {
  return (name, options, callback) => void answer(lookUp, name, options, callback);
}

async function answer(lookUp: typeof addressesOf, name: string, ...rest: LookupTail): Promise<void> {
  const [options, callback] = rest;
  let fitting: LookupAddress[];
  try {
    const all = await lookUp(name);
    fitting = all.filter(({ family }) => wantsFamily(options.family, family));
  } catch (error) {
    callback(error instanceof Error ? error : new Error(String(error)), '', 0);
    return;
  }
  const [first] = fitting;
  if (first === undefined) callback(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '', 0);
  else if (options.all === true) callback(null, fitting);
  else callback(null, first.address, first.family);
}

type LookupTail = Parameters<LookupFunction> extends [string, ...infer Rest] ? Rest : never;

function wantsFamily(wanted: number | 'IPv4' | 'IPv6' | undefined, family: number): boolean {
  if (wanted === undefined || wanted === 0) return true;
  return wanted === family || wanted === `IPv${family}`;
}
