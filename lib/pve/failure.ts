/** How a request can fail, and what is then known of it. */
import { DeadlineError } from '../clock.ts';
import { PveError, messageOf, type Outcome } from '../errors.ts';

/**
 * `network`, `tls`, `timeout`: no complete answer came, another endpoint may be asked. `auth`: 401 or 403. `answer`:
 * anything else that a server said. `aborted`: the caller's signal.
 */
export type FailureKind = 'network' | 'tls' | 'timeout' | 'auth' | 'answer' | 'aborted';

/** A failed request, with what the client itself needs to know of it beyond PveError. */
export class RequestError extends PveError {
  readonly failure: FailureKind;
  /** What the server said, untouched: reason phrase, or `message` and `errors` of the body. Empty without an answer. */
  readonly raw: string;
  /** The request itself was not sent, for want of a ticket: nothing is known of what it asks about. */
  readonly login: boolean;
  constructor(
    message: string,
    options: {
      failure: FailureKind;
      outcome: Outcome;
      raw?: string;
      login?: boolean;
      status?: number | undefined;
      hint?: string | undefined;
      cause?: unknown;
    },
  ) {
    super(message, options);
    this.failure = options.failure;
    this.raw = options.raw ?? '';
    this.login = options.login ?? false;
  }
}

/** No complete answer: it may be worth asking another endpoint. */
export function isNetworkFailure(error: unknown): error is RequestError {
  return (
    error instanceof RequestError &&
    (error.failure === 'network' || error.failure === 'tls' || error.failure === 'timeout')
  );
}

/** Nothing at all was heard: no answer in time, or no way there. A refusal is a sign of life, and a name that is not known says nothing. */
export function isSilence(error: unknown): boolean {
  if (!(error instanceof RequestError)) return false;
  const nowhere = ['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN'];
  return (
    error.failure === 'timeout' ||
    (error.failure === 'network' && errorCodes(error).some((code) => nowhere.includes(code)))
  );
}

/** The API could not reach the node that the call is for, or got nothing back from it. */
export function isPeerFailure(error: unknown): error is RequestError {
  return error instanceof RequestError && (error.status === 595 || error.status === 596);
}

/** PVE refused because the vmid (or HA entry) is taken: the mutex that all runners share. */
export function isAlreadyExists(error: unknown): boolean {
  return error instanceof RequestError && /already (exists|defined)/.test(error.raw);
}

/** The thing that was asked about is not there (PVE says 500, never 404). */
export function isMissing(error: unknown): boolean {
  return (
    error instanceof RequestError &&
    /does not exist|no such (task|resource|ha group)|not HA managed/i.test(error.raw)
  );
}

/**
 * What an answer's status says about a write (facts, section 2). 595: the peer could not be reached, so nothing was
 * carried out. 596: it was reached and then fell silent. 502 to 504 come from something in between that may have
 * passed the request on. Success by another number than 200 is nothing that PVE says.
 */
export function outcomeOfStatus(status: number): Outcome {
  if (status === 595) return 'not-sent';
  if (status >= 300 && status <= 501) return 'refused';
  return 'unknown';
}

/** What went wrong on the way, in words, and of which kind. */
export function networkTrouble(error: unknown): { kind: 'network' | 'tls' | 'timeout'; text: string } {
  if (error instanceof DeadlineError) return { kind: 'timeout', text: error.message };
  const codes = errorCodes(error);
  const code = codes.find((each) => NETWORK[each] !== undefined || TLS_CODE.test(each)) ?? codes[0] ?? '';
  const known = NETWORK[code];
  if (known !== undefined && !/before secure TLS connection/.test(messageOf(error)))
    return { kind: known.kind ?? 'network', text: known.text };
  const text = firstLine(messageOf(error));
  if (/before secure TLS connection/.test(text))
    return { kind: 'network', text: 'the connection was closed in the TLS handshake' };
  const [, odd] = /^Response does not match the HTTP\/1\.1 protocol \((.*)\)$/.exec(text) ?? [];
  if (odd !== undefined) return { kind: 'network', text: `it does not speak HTTP as it should (${odd})` };
  if (/wrong version number|packet length too long/i.test(text))
    return { kind: 'tls', text: 'it does not speak TLS (HTTPS) on that port' };
  // OpenSSL's own line: error:NUMBER:library:function:reason:file:line.
  const [, reason] = /\berror:[0-9A-F]+:[^:]*:[^:]*:([^:]+)/.exec(text) ?? [];
  if (reason !== undefined) return { kind: 'tls', text: `the TLS handshake failed (${reason})` };
  if (TLS_CODE.test(code) || /certificate|fingerprint|TLS|SSL/.test(text)) return { kind: 'tls', text };
  return { kind: 'network', text: text === '' ? code : text };
}

/** These come from connecting only, so nothing was sent, whatever else is known. */
export function neverConnected(error: unknown): boolean {
  return (
    errorCodes(error).some((code) =>
      ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'].includes(code),
    ) || inConnect(error)
  );
}

/** No way there; the same codes come from a connection that breaks later. */
function inConnect(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('syscall' in error && error.syscall === 'connect') return true;
  return inConnect(error.cause);
}

const TLS_CODE = /^ERR_TLS|^ERR_SSL|CERT|SELF_SIGNED|UNABLE_TO_|^EPROTO$/;

const NETWORK: Readonly<Record<string, { text: string; kind?: 'timeout' }>> = {
  ECONNREFUSED: { text: 'connection refused' },
  ECONNRESET: { text: 'connection lost' },
  EPIPE: { text: 'connection lost' },
  UND_ERR_SOCKET: { text: 'connection lost' },
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: { text: 'the answer was cut short' },
  UND_ERR_HEADERS_OVERFLOW: { text: 'the answer has too many headers' },
  ENOTFOUND: { text: 'its name cannot be resolved' },
  EAI_AGAIN: { text: 'its name cannot be resolved at the moment' },
  EHOSTUNREACH: { text: 'no route to host' },
  ENETUNREACH: { text: 'network unreachable' },
  EHOSTDOWN: { text: 'host is down' },
  ETIMEDOUT: { text: 'connection timed out', kind: 'timeout' },
  UND_ERR_CONNECT_TIMEOUT: { text: 'connection timed out', kind: 'timeout' },
  UND_ERR_HEADERS_TIMEOUT: { text: 'no answer in time', kind: 'timeout' },
  UND_ERR_BODY_TIMEOUT: { text: 'the answer stopped midway', kind: 'timeout' },
};

/** Codes of an error, of those that it collects (several addresses of one name) and of its cause. */
function errorCodes(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const inner =
    error instanceof AggregateError ? error.errors.flatMap((each: unknown) => errorCodes(each)) : [];
  const own = 'code' in error && typeof error.code === 'string' ? [error.code] : [];
  return [...own, ...inner, ...errorCodes(error.cause)];
}

function firstLine(text: string): string {
  return text.split('\n')[0]?.trim() ?? '';
}
