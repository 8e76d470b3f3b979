/** From the error codes of sockets, TLS and resolvers to a sentence, and to whether they are a sign of life. */
import { BlockList, isIP } from 'node:net';
import { plainText } from '../../text.ts';
import { messageOf } from '../../errors.ts';
import { formatDuration } from '../../units.ts';
import { ProbeError } from './attempt.ts';

const own = new BlockList();
own.addSubnet('127.0.0.0', 8, 'ipv4');
own.addAddress('::1', 'ipv6');
// Connecting to "any address" reaches the machine itself.
own.addAddress('0.0.0.0', 'ipv4');
own.addAddress('::', 'ipv6');

/** Whether a host is this machine by its loopback interface: 127.0.0.0/8 (also in IPv6 dress), ::1, localhost. */
export function isLoopback(host: string): boolean {
  const address = host.replace(/^\[|\]$/g, '').toLowerCase();
  const version = isIP(address);
  if (version === 4) return own.check(address, 'ipv4');
  if (version === 6) return own.check(address, 'ipv6');
  return address === 'localhost' || address.endsWith('.localhost');
}

/** The `code` of an error of Node or undici, looking through aggregates (several addresses) and causes. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string' && !(error instanceof AggregateError))
    return error.code;
  return codeOf(error instanceof AggregateError ? decisive(error) : error.cause);
}

/** Of several addresses of one name, the error that says most: a refusal is an answer, a timeout is not. */
function decisive(error: AggregateError): unknown {
  const errors: unknown[] = error.errors;
  return errors.find((each) => codeOf(each) === 'ECONNREFUSED') ?? errors[0];
}

/** The address that an error of a connection is about, if it says so. */
function addressOf(error: unknown): string | undefined {
  if (error instanceof AggregateError) return addressOf(decisive(error));
  if (!(error instanceof Error)) return undefined;
  if ('address' in error && typeof error.address === 'string') return error.address;
  return addressOf(error.cause);
}

/** The network has looked for the host, and there was nothing. */
const SILENT: Readonly<Record<string, string>> = {
  EHOSTUNREACH: 'no route to host',
  EHOSTDOWN: 'no route to host',
};
/** It never left this machine. */
const NOT_SENT: Readonly<Record<string, string>> = {
  ENETUNREACH: 'network unreachable',
  ENETDOWN: 'network is down',
  EADDRNOTAVAIL: 'network unreachable',
  EACCES: 'forbidden by a firewall on this machine',
  EPERM: 'forbidden by a firewall on this machine',
  EMFILE: 'too many open files on this machine',
  ENFILE: 'too many open files on this machine',
};

/**
 * The ProbeError for an error of a connection to `host`. A refused connection is a sign of life unless the
 * refusing kernel is this machine's own.
 */
export function connectionFailure(error: unknown, host: string): ProbeError {
  if (error instanceof ProbeError) return error;
  const code = codeOf(error) ?? '';
  const silent = SILENT[code];
  if (silent !== undefined) return new ProbeError(silent, false);
  const notSent = NOT_SENT[code];
  if (notSent !== undefined) return new ProbeError(notSent, false, true);
  switch (code) {
    case 'ECONNREFUSED':
      return new ProbeError('connection refused', !isLoopback(addressOf(error) ?? host));
    case 'ECONNRESET':
    case 'EPIPE':
      return new ProbeError('connection closed before an answer', true);
    case 'ENOTFOUND':
      return nameFailure(host);
    case 'EAI_AGAIN':
      return nameFailure(host, ' (no name server answers)');
    case 'HPE_HEADER_OVERFLOW':
      return new ProbeError('the answer has endless headers', true);
  }
  if (code.startsWith('HPE_')) return new ProbeError('the answer is not HTTP', true);
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) return tlsFailure(code);
  return new ProbeError(plainText(messageOf(error)), false);
}

/** What ping and fping pass on from a router or from our own kernel, if it is that: the host itself has given no sign. */
export function routeFailure(said: string): ProbeError | undefined {
  if (/host unreachable|no route to host/i.test(said)) return new ProbeError('no route to host', false);
  if (/net(work)? (is )?unreachable/i.test(said)) return new ProbeError('network unreachable', false, true);
  return undefined;
}

/** The host was asked, and has been silent for the whole of the timeout. */
export function noAnswer(timeoutMs: number): ProbeError {
  return new ProbeError(`no answer within ${formatDuration(timeoutMs)}`, false);
}

/** Whatever the reason, the host itself has not been asked. */
export function nameFailure(host: string, more = ''): ProbeError {
  return new ProbeError(`name not found: ${plainText(host)}${more}`, false, true);
}

/** A handshake that failed: whatever it was, something sent it. */
function tlsFailure(code: string): ProbeError {
  const why = code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG';
  if (why || code === 'EPROTO') return new ProbeError('the port does not speak TLS', true);
  return new ProbeError(
    `TLS handshake failed: ${code.slice('ERR_SSL_'.length).toLowerCase().replaceAll('_', ' ')}`,
    true,
  );
}
