/**
 * Connections of http probes. undici's own connector reports a connection only when TLS is done and a bad certificate
 * only by its code; a probe wants to know that something accepted the connection, and what is wrong with which date.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { buildConnector } from 'undici';
import { plainText, roughSpanText } from '../../text.ts';
import { ProbeError, type Attempt } from './attempt.ts';
import { socketLookup } from './lookup.ts';

/** A connector for undici. It ends its sockets when the attempt does, connected or not. */
export function probeConnector(probe: { insecure: boolean; attempt: Attempt }): buildConnector.connector {
  const { insecure, attempt } = probe;
  return (options, callback) => {
    const host = options.hostname;
    let done = false;
    const finish = (...args: Parameters<buildConnector.Callback>): void => {
      if (done) return;
      done = true;
      callback(...args);
    };
    const socket = open(options, attempt);
    const abort = (): void => {
      socket.destroy();
    };
    if (attempt.signal.aborted) abort();
    attempt.signal.addEventListener('abort', abort, { once: true });
    socket.setNoDelay(true);
    socket.once('connect', attempt.alive);
    socket.on('error', (error) => finish(error, null));
    socket.once('close', () => {
      attempt.signal.removeEventListener('abort', abort);
      finish(new ProbeError('connection closed before an answer', false), null);
    });
    if (!('authorized' in socket)) {
      socket.once('connect', () => finish(null, socket));
      return;
    }
    socket.once('secureConnect', () => {
      const flaw = insecure ? undefined : certificateFlaw(socket, host, attempt.deps.clock.now());
      if (flaw === undefined) return finish(null, socket);
      socket.destroy();
      finish(new ProbeError(flaw, true), null);
    });
  };
}

function open(options: buildConnector.Options, attempt: Attempt): Socket | TLSSocket {
  const host = options.hostname;
  const lookup = socketLookup(attempt.lookUp);
  if (options.protocol !== 'https:') return connectTcp({ host, port: Number(options.port) || 80, lookup });
  return connectTls({
    host,
    port: Number(options.port) || 443,
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
