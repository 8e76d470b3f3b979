/** The lab's own certificate: made once, kept in the lab folder, renewed before it expires. */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from './runfile.ts';

const ADDRESS = '127.0.0.1';
const DAY_MS = 86_400_000;
const VALID_DAYS = 730;
const RENEW_BEFORE_DAYS = 30;

/** PEM texts. The certificate is its own CA: what `tls: { ca: … }` names. */
export interface LabCertificate {
  readonly cert: string;
  readonly key: string;
}

/**
 * The certificate in `folder` (ca.pem and key.pem), made anew when there is none, when it doesn't fit, or when it
 * runs out within 30 days of `now`. `now` is the wall clock's time even on a virtual clock: TLS knows no other.
 */
export async function labCertificate(folder: string, now: number): Promise<LabCertificate> {
  const cached = await readCached(folder);
  if (cached !== null && fits(cached, now)) return cached;
  // Loaded only here: it is slow to load, and needed once in two years.
  // As `default`, since the bundle knows no names of a CommonJS package.
  const { generate } = (await import('selfsigned')).default;
  const made = await generate([{ name: 'commonName', value: 'ProxWarden lab' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(now - DAY_MS),
    notAfterDate: new Date(now + VALID_DAYS * DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 7, ip: ADDRESS },
          { type: 2, value: 'localhost' },
        ],
      },
    ],
  });
  // The key first: a certificate without its key would be thrown away, the other way round it is only made anew.
  await writeAtomically(join(folder, 'key.pem'), made.private);
  await writeAtomically(join(folder, 'ca.pem'), made.cert);
  return { cert: made.cert, key: made.private };
}

async function readCached(folder: string): Promise<LabCertificate | null> {
  try {
    const [cert, key] = await Promise.all(
      ['ca.pem', 'key.pem'].map((name) => readFile(join(folder, name), 'utf8')),
    );
    return cert === undefined || key === undefined ? null : { cert, key };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function fits({ cert, key }: LabCertificate, now: number): boolean {
  try {
    const certificate = new X509Certificate(cert);
    return (
      certificate.checkPrivateKey(createPrivateKey(key)) &&
      certificate.checkIP(ADDRESS) !== undefined &&
      Date.parse(certificate.validTo) > now + RENEW_BEFORE_DAYS * DAY_MS
    );
  } catch {
    // Not a certificate or not a key at all: the same as one that doesn't fit, it is made anew.
    return false;
  }
}
