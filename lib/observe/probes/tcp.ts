/** The tcp probe: the port accepts a connection. Nothing is sent. */
import { connect } from 'node:net';
import type { Attempt, Outcome } from './attempt.ts';
import { socketLookup } from './lookup.ts';
import { connectionFailure } from './reasons.ts';

/** Connects to `host:port` and closes. Rejects with ProbeError. */
export function tcpAttempt(target: { host: string; port: number }, attempt: Attempt): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: target.host, port: target.port, lookup: socketLookup(attempt.lookUp) });
    const abort = (): void => {
      socket.destroy();
    };
    if (attempt.signal.aborted) abort();
    attempt.signal.addEventListener('abort', abort, { once: true });
    socket.once('connect', () => {
      attempt.alive();
      socket.destroy();
      resolve({ ok: true });
    });
    socket.on('error', (error) => reject(connectionFailure(error, target.host)));
    socket.once('close', () => attempt.signal.removeEventListener('abort', abort));
  });
}
