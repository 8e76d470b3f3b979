/** Sockets of the lab: binding with an error a person understands, and closing at once with all connections. */
import type { AddressInfo, Server, Socket } from 'node:net';
import { FailedError, messageOf } from '../errors.ts';

/** A TCP server (net, http or https) together with its connections, so that it can vanish like a machine without power. */
export interface TcpListener {
  /** The port that it got; differs from the one asked for only when that was 0. */
  readonly port: number;
  /** Destroys all connections; the listener stays. */
  readonly dropConnections: () => void;
  /** Stops listening and destroys all connections. The port is free as soon as this returns. */
  readonly close: () => void;
}

/**
 * Binds `server` to `host:port`. `what` names it in the error.
 * Throws FailedError when the port is taken or may not be used.
 */
export async function listenTcp(
  server: Server,
  host: string,
  port: number,
  what: string,
): Promise<TcpListener> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // A client that goes away in the middle is no trouble of the lab's; without a listener it would end the process.
    socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.on('error', (error) => reject(bindError(error, host, port, what)));
    server.listen({ host, port, exclusive: true }, resolve);
  });
  const dropConnections = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: portOf(server.address(), port),
    dropConnections,
    close: () => {
      server.close();
      dropConnections();
    },
  };
}

/** The port of a bound socket's address; `fallback` for sockets without one. */
function portOf(address: AddressInfo | string | null, fallback: number): number {
  return address !== null && typeof address === 'object' ? address.port : fallback;
}

/** What went wrong with binding `what` to `host:port`, as a FailedError. */
export function bindError(error: unknown, host: string, port: number, what: string): FailedError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const why =
    code === 'EADDRINUSE'
      ? 'another process uses that port'
      : code === 'EACCES'
        ? 'ports below 1024 need root'
        : messageOf(error);
  return new FailedError(`${what} cannot listen on ${host}:${port}: ${why}`, {
    hint: 'Stop the other process, or start the lab with another port base.',
    cause: error,
  });
}

/**
 * Calls `apply` once per burst of `request()`s, one after the other and never two at a time, so that opening and
 * closing of one port cannot overtake each other. `idle()` resolves when there is nothing left to do.
 */
export function serialised(apply: () => Promise<void>): { request(): void; idle(): Promise<void> } {
  let wanted = false;
  let work: Promise<void> | null = null;
  const loop = async (): Promise<void> => {
    try {
      while (wanted) {
        wanted = false;
        await apply();
      }
    } finally {
      work = null;
    }
  };
  return {
    request: () => {
      wanted = true;
      work ??= loop();
    },
    idle: () => work ?? Promise.resolve(),
  };
}
