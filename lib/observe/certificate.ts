/** Reads the certificate that an HTTPS endpoint shows, by a TLS handshake that sends nothing else. */
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { isIP } from 'node:net';
import { withDeadline, type Clock } from '../clock.ts';
import { FailedError } from '../errors.ts';
import { networkTrouble } from '../pve/failure.ts';
import { plainText } from '../text.ts';

export interface ShownCertificate {
  /** SHA-256, upper case with colons. */
  readonly sha256: string;
  readonly subject: string;
  readonly issuer: string;
  /** As the certificate has it: `Nov 23 02:11:40 2028 GMT`. */
  readonly validTo: string;
  /** Why the given CA (or the system's roots) doesn't vouch for it under this endpoint's name; null: it does. */
  readonly distrusted: string | null;
}

const HANDSHAKE_MS = 5000;

/**
 * Shakes hands and hangs up. `ca`: PEM text of the authority that is asked about; default: the roots that Node comes with.
 * @throws FailedError with the reason when there is no TLS to speak to
 */
export async function readCertificate(
  endpoint: string,
  options: { clock: Clock; ca?: string | undefined; signal?: AbortSignal | undefined },
): Promise<ShownCertificate> {
  try {
    return await withDeadline(options.clock, HANDSHAKE_MS, options.signal, (signal) =>
      handshake(endpoint, options.ca, signal),
    );
  } catch (error) {
    if (options.signal?.aborted === true || error instanceof FailedError) throw error;
    throw new FailedError(`cannot read the certificate of ${endpoint}: ${networkTrouble(error).text}`, {
      hint: 'is it the address of a Proxmox VE node, and does this machine reach its port 8006?',
      cause: error,
    });
  }
}

function handshake(endpoint: string, ca: string | undefined, signal: AbortSignal): Promise<ShownCertificate> {
  const { hostname, port } = new URL(endpoint);
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  const options: ConnectionOptions = {
    host,
    port: Number(port === '' ? 443 : port),
    // Looked at below; whether it is trusted is for a person or the flags to say.
    rejectUnauthorized: false,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === undefined ? {} : { ca }),
  };
  return new Promise((resolve, reject) => {
    const socket = connect(options);
    const onAbort = (): void => {
      socket.destroy();
      reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    const done = (): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
    };
    socket.once('error', (error) => {
      done();
      reject(error);
    });
    socket.once('secureConnect', () => {
      const shown = shownBy(socket);
      done();
      if (shown === null) reject(new FailedError(`${endpoint} shows no certificate`));
      else resolve(shown);
    });
  });
}

function shownBy(socket: TLSSocket): ShownCertificate | null {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return null;
  return {
    sha256: certificate.fingerprint256,
    subject: nameOf(certificate.subject),
    issuer: nameOf(certificate.issuer),
    validTo: plainText(certificate.validTo),
    distrusted: socket.authorized ? null : plainText(String(socket.authorizationError)),
  };
}

/** `CN=pve1.home.lan` of a name in lines; what others have put there is shown harmless. */
function nameOf(lines: string | undefined): string {
  const all = (lines ?? '').split('\n').map((line) => line.trim());
  const common = all.find((line) => line.startsWith('CN='));
  return plainText(common?.slice('CN='.length) ?? all.join(', '));
}
