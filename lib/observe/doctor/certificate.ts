/** The certificate that an endpoint shows, whoever signed it. Nothing is sent over that connection. */
import { connect } from 'node:tls';
import type { Certificate } from '../../decide/doctor/facts.ts';

const LIMIT_MS = 3000;

export type ReadCertificate = (endpoint: string, signal?: AbortSignal) => Promise<Certificate | null>;

/** Null when no TLS connection can be had within three seconds. Rejects only when `signal` aborts. */
export async function readCertificate(endpoint: string, signal?: AbortSignal): Promise<Certificate | null> {
  signal?.throwIfAborted();
  const { hostname, port } = new URL(endpoint);
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return new Promise((resolve, reject) => {
    // Only looked at: what is accepted is decided in dispatcher.ts, and no byte of a request goes this way.
    const socket = connect({ host, port: Number(port === '' ? 443 : port), rejectUnauthorized: false });
    const end = (found: Certificate | null): void => {
      signal?.removeEventListener('abort', aborted);
      socket.destroy();
      resolve(found);
    };
    const aborted = (): void => {
      socket.destroy();
      reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
    };
    signal?.addEventListener('abort', aborted, { once: true });
    socket.setTimeout(LIMIT_MS, () => end(null));
    socket.once('error', () => end(null));
    socket.once('secureConnect', () => {
      const peer: { fingerprint256?: string; valid_to?: string } = socket.getPeerCertificate();
      const expires = Date.parse(peer.valid_to ?? '');
      end(
        peer.fingerprint256 === undefined || Number.isNaN(expires)
          ? null
          : { fingerprint: peer.fingerprint256, expires },
      );
    });
  });
}
