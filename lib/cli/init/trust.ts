/** Whom `init` believes to be the cluster: decided before a byte of a request is sent, and never by silence. */
import { X509Certificate } from 'node:crypto';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { FailedError, InputError, messageOf } from '../../errors.ts';
import { readRegularFile } from '../../file.ts';
import { parseFingerprint } from '../../inventory/addresses.ts';
import type { Tls } from '../../inventory/types.ts';
import { readCertificate, type ShownCertificate } from '../../observe/certificate.ts';
import type { InitContext } from './types.ts';

export interface Trust {
  /** As the client enforces it: the path of a CA is absolute. */
  readonly tls: Tls;
  /** As the inventory says it. */
  readonly written: Tls;
  /** PEM text of the CA. */
  readonly ca: string | undefined;
  readonly shown: ShownCertificate;
  /** How it came to be trusted: `confirmed by you`. */
  readonly how: string;
}

const COMPARE = 'compare it on the node: `pvenode cert info`, or System → Certificates in its web interface';

/**
 * Reads the certificate of the first endpoint and decides on it: by the flags, else by asking.
 * @throws FailedError when it is not the right one, or is not confirmed; nothing has been sent then
 */
export async function trustFirst(endpoint: string, context: InitContext): Promise<Trust> {
  const { flags } = context;
  if (flags.fingerprint !== undefined) return byFingerprint(endpoint, flags.fingerprint, context);
  if (flags.ca !== undefined) return byCa(endpoint, flags.ca, context);
  const shown = await read(endpoint, undefined, context);
  const tls: Tls = { kind: 'system' };
  if (flags.systemRoots) {
    if (shown.distrusted !== null)
      throw refused(endpoint, shown, `this system's roots don't vouch for it (${shown.distrusted})`);
    return { tls, written: tls, ca: undefined, shown, how: 'signed by a public CA' };
  }
  return byAsking(endpoint, shown, context);
}

function read(
  endpoint: string,
  ca: string | undefined,
  { invocation: { runtime, signal } }: InitContext,
): Promise<ShownCertificate> {
  return readCertificate(endpoint, { clock: runtime.clock, ca, signal });
}

function refused(endpoint: string, shown: ShownCertificate, why: string): FailedError {
  return new FailedError(
    `the certificate of ${endpoint} is not trusted: ${why}; nothing was sent to it, nothing was written`,
    { hint: `its SHA-256 is ${shown.sha256}; ${COMPARE}` },
  );
}

async function byFingerprint(endpoint: string, given: string, context: InitContext): Promise<Trust> {
  const sha256 = parseFingerprint(given);
  if (sha256 === undefined)
    throw new InputError(
      '--fingerprint is not a SHA-256 fingerprint: 64 hexadecimal digits, with or without colons',
    );
  const shown = await read(endpoint, undefined, context);
  if (shown.sha256 !== sha256) throw refused(endpoint, shown, 'it is not the one that --fingerprint names');
  const tls: Tls = { kind: 'fingerprint', sha256: [sha256] };
  return { tls, written: tls, ca: undefined, shown, how: 'given by --fingerprint' };
}

async function byCa(endpoint: string, given: string, context: InitContext): Promise<Trust> {
  const path = resolve(context.invocation.cwd, given);
  const ca = readCa(path);
  const shown = await read(endpoint, ca, context);
  if (shown.distrusted !== null)
    throw refused(endpoint, shown, `${given} doesn't vouch for it (${shown.distrusted})`);
  const inside = relative(context.dir, path);
  const isInside = inside !== '' && inside !== '..' && !inside.startsWith(`..${sep}`) && !isAbsolute(inside);
  const written: Tls = { kind: 'ca', path: isInside ? inside : path };
  return { tls: { kind: 'ca', path }, written, ca, shown, how: `signed by ${given}` };
}

function readCa(path: string): string {
  try {
    const pem = readRegularFile(path, { most: 1024 ** 2 }).bytes.toString('utf8');
    void new X509Certificate(pem);
    return pem;
  } catch (error) {
    throw new InputError(`the CA file ${path} cannot be used: ${messageOf(error)}`, {
      hint: 'it is /etc/pve/pve-root-ca.pem of any node, in PEM form',
      cause: error,
    });
  }
}

async function byAsking(endpoint: string, shown: ShownCertificate, context: InitContext): Promise<Trust> {
  const { asker, tell } = context;
  const unasked = refused(endpoint, shown, 'nobody has confirmed it');
  if (asker === null) throw unasked;
  tell(`${endpoint} shows this certificate; nothing has been sent to it yet:`);
  // In halves, so that it fits and can be compared by eye.
  tell(`  SHA-256    ${shown.sha256.slice(0, 48)}`);
  tell(`             ${shown.sha256.slice(48)}`);
  tell(`  subject    ${shown.subject}`);
  tell(`  issuer     ${shown.issuer}${shown.distrusted === null ? ' (this system trusts it)' : ''}`);
  tell(`  valid till ${shown.validTo}`);
  tell(`${COMPARE[0]?.toUpperCase()}${COMPARE.slice(1)}.`);
  if (!(await asker.confirm('Is it the same there?'))) throw unasked;
  const tls: Tls =
    shown.distrusted === null ? { kind: 'system' } : { kind: 'fingerprint', sha256: [shown.sha256] };
  return { tls, written: tls, ca: undefined, shown, how: 'confirmed by you' };
}

/**
 * Whether another endpoint of the same cluster may be used: null, or why not. `known`: fingerprints that the trusted
 * node has for its cluster. Sends nothing.
 * @throws FailedError when it can't be read (the node may be down)
 */
export async function doubtAbout(
  endpoint: string,
  trust: Trust,
  known: ReadonlySet<string>,
  context: InitContext,
): Promise<{ doubt: string | null; shown: ShownCertificate }> {
  const shown = await read(endpoint, trust.ca, context);
  if (trust.tls.kind !== 'fingerprint')
    return {
      shown,
      doubt: shown.distrusted === null ? null : `its certificate is not trusted (${shown.distrusted})`,
    };
  return {
    shown,
    doubt: known.has(shown.sha256) ? null : 'it shows a certificate that no node of the cluster has',
  };
}
