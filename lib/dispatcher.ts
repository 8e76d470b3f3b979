/**
 * Connections to HTTP APIs. How an endpoint's certificate is checked is enforced here and nowhere else: where it does
 * not fit, the connection is closed before a byte of a request, and with it the token, is sent.
 * Imported lazily: undici is a third of the start-up time.
 */
import { X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import { Agent, buildConnector, Pool, type Dispatcher } from 'undici';
import { InputError, messageOf, PveError } from './errors.ts';
import { readRegularFile } from './file.ts';
import type { Tls } from './inventory/types.ts';

const CONNECT_TIMEOUT_MS = 3000;
/** Bundles of all roots there are have a quarter of that. */
const CA_BYTES_MAX = 1024 ** 2;
/** A pool has at most eight connections, each with one request at a time; idle ones are kept for the next. */
const POOL = { connections: 8, pipelining: 1 } as const;

/**
 * A dispatcher for one HTTPS endpoint. `system` means the roots that Node comes with, plus $NODE_EXTRA_CA_CERTS.
 * Throws InputError when the endpoint isn't https or the CA file cannot be used.
 */
export async function endpointDispatcher(endpoint: string, tls: Tls): Promise<Dispatcher> {
  const url = new URL(endpoint);
  if (url.protocol !== 'https:')
    throw new InputError(
      `The API endpoint ${url.origin} is not https; the token would be readable on the way.`,
    );
  return new Pool(url.origin, { ...POOL, connect: await endpointConnector(url, tls) });
}

/** A dispatcher for any HTTP(S) address; certificates are checked against the roots that Node comes with. */
export function plainDispatcher(): Dispatcher {
  return new Agent({ ...POOL, connect: { timeout: CONNECT_TIMEOUT_MS } });
}

async function endpointConnector(url: URL, tls: Tls): Promise<buildConnector.connector> {
  const timeout = CONNECT_TIMEOUT_MS;
  switch (tls.kind) {
    case 'ca':
      return buildConnector({ timeout, rejectUnauthorized: true, ca: readCa(tls.path) });
    case 'fingerprint':
      return pinned(url, tls.sha256);
    case 'insecure':
      return buildConnector({ timeout, rejectUnauthorized: false });
    case 'system':
    default:
      return buildConnector({ timeout, rejectUnauthorized: true });
  }
}

/**
 * Accepts exactly these certificates, whoever signed them. A resumed session has no certificate to compare, so none is
 * kept; and one without a certificate never fits.
 */
function pinned(url: URL, sha256: readonly string[]): buildConnector.connector {
  const connect = buildConnector({
    timeout: CONNECT_TIMEOUT_MS,
    rejectUnauthorized: false,
    maxCachedSessions: 0,
  });
  return (options, callback) =>
    connect(options, (...args) => {
      const [error, socket] = args;
      if (error !== null) return callback(error, null);
      const presented = fingerprintOf(socket);
      if (presented !== undefined && sha256.some((pin) => pin.toUpperCase() === presented))
        return callback(null, socket);
      socket.destroy();
      return callback(
        new PveError(
          `${url.origin}: its certificate fingerprint is ${presented ?? 'missing'}, the inventory pins ${sha256.join(' and ')}.`,
          {
            outcome: 'not-sent',
            hint: 'If its certificate was renewed, compare the new fingerprint on the node and put it into the inventory in place of the old one.',
          },
        ),
        null,
      );
    });
}

/** SHA-256, upper case with colons; undefined when the socket has no certificate of its own handshake. */
function fingerprintOf(socket: unknown): string | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const certificate: { fingerprint256?: string } = socket.getPeerCertificate();
  return certificate.fingerprint256;
}

function readCa(path: string): string {
  let pem: string;
  try {
    pem = readRegularFile(path, { most: CA_BYTES_MAX }).bytes.toString('utf8');
  } catch (error) {
    throw new InputError(`The CA file ${path} cannot be read: ${messageOf(error)}.`, { cause: error });
  }
  try {
    // OpenSSL ignores what it does not understand, which would then look like an untrusted server.
    void new X509Certificate(pem);
    return pem;
  } catch (error) {
    throw new InputError(`The CA file ${path} holds no certificate in PEM form.`, {
      hint: 'On a Proxmox VE node it is /etc/pve/pve-root-ca.pem.',
      cause: error,
    });
  }
}
