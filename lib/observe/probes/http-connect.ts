/**
 * Connections of http probes. A probe wants to know that something accepted the connection before TLS is done, and what
 * is wrong with which date of a certificate.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { plainText, roughSpanText } from '../../text.ts';
import { ProbeError, type Attempt } from './attempt.ts';
import { socketLookup } from './lookup.ts';

/**
 * A connection to the origin of `url`, its certificate looked at unless `insecure`. It ends when the attempt does, connected
 * or not. Rejects with ProbeError or the socket's error.
 */
export function connectTo(url: URL, insecure: boolean, attempt: Attempt): Promise<Socket> {
  return new Promise((resolve, reject) => {
    // IPv6 addresses are in brackets.
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const socket = open(url, host, attempt);
    const abort = (): void => {
      socket.destroy();
    };
    if (attempt.signal.aborted) abort();
    attempt.signal.addEventListener('abort', abort, { once: true });
    socket.setNoDelay(true);
    socket.on('error', reject);
    let ready = false;
    const done = (): void => {
      ready = true;
      resolve(socket);
    };
    socket.once('close', () => {
      attempt.signal.removeEventListener('abort', abort);
      if (!ready) reject(new ProbeError('connection closed before an answer', false));
    });
    socket.once('connect', () => {
      attempt.alive();
      if (!('authorized' in socket)) done();
    });
    if (!('authorized' in socket)) return;
    socket.once('secureConnect', () => {
      const flaw = insecure ? undefined : certificateFlaw(socket, host, attempt.deps.clock.now());
      if (flaw === undefined) return done();
      socket.destroy();
      reject(new ProbeError(flaw, true));
    });
  });
}

function open(url: URL, host: string, attempt: Attempt): Socket | TLSSocket {
  const lookup = socketLookup(attempt.lookUp);
  if (url.protocol !== 'https:') return connectTcp({ host, port: Number(url.port) || 80, lookup });
  return connectTls({
    host,
    port: Number(url.port) || 443,
    lookup,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ['http/1.1'],
    // Checked by certificateFlaw, while the certificate can still be read; Node would destroy the socket first.
    rejectUnauthorized: false,
  });
}

/** What is wrong with the server's certificate, or undefined. `now` is epoch milliseconds. */
function certificateFlaw(socket: TLSSocket, host: string, now: number): string | undefined {
  // Includes the check of the name: no session is ever resumed here.
  if (socket.authorized) return undefined;
  const certificate = socket.getPeerCertificate();
  const until = Date.parse(certificate.valid_to);
  const from = Date.parse(certificate.valid_from);
  if (until < now) return `certificate expired ${roughSpanText(now - until)} ago`;
  if (from > now) return `certificate not yet valid, only in ${roughSpanText(from - now)}`;
  // The types say Error, Node gives the code.
  const code = String(socket.authorizationError);
  if (code.includes('ALTNAME')) return `certificate does not match the name ${plainText(host)}`;
  if (code.includes('SELF_SIGNED')) return 'certificate is self-signed';
  if (code.includes('UNABLE_TO')) return 'certificate is signed by an unknown authority';
  return `certificate is not trusted: ${plainText(code).toLowerCase().replaceAll('_', ' ')}`;
}
