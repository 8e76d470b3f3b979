/** The certificate that an endpoint shows, whoever signed it. Nothing is sent over that connection. */
import { systemClock, type Clock } from '../../clock.ts';
import type { Certificate } from '../../decide/doctor/facts.ts';
import { FailedError } from '../../errors.ts';
import { readCertificate as readShown } from '../certificate.ts';

export type ReadCertificate = (endpoint: string, signal?: AbortSignal) => Promise<Certificate | null>;

/** Null when no TLS connection can be had within five seconds of `clock`. Rejects only when `signal` aborts. */
export async function readCertificate(
  endpoint: string,
  signal?: AbortSignal,
  clock: Clock = systemClock,
): Promise<Certificate | null> {
  try {
    const { sha256, validTo } = await readShown(endpoint, { clock, signal });
    const expires = Date.parse(validTo);
    return Number.isNaN(expires) ? null : { fingerprint: sha256, expires };
  } catch (error) {
    if (error instanceof FailedError) return null;
    throw error;
  }
}
