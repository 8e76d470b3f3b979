/** HTTP digest authentication (RFC 7616) with `qop=auth`, as far as plugs ask for it: SHA-256 (Shelly), MD5. */
import { createHash } from 'node:crypto';

/** Characters; a longer one is from no plug. */
const CHALLENGE_MAX = 2000;

export interface DigestRequest {
  /** The `WWW-Authenticate` header of the refusal. */
  readonly challenge: string;
  readonly method: string;
  /** Path and query, as they are sent. */
  readonly uri: string;
  readonly user: string;
  readonly password: string;
  readonly cnonce: string;
}

/** The `Authorization` header that answers the challenge; null: it is none that is known here. */
export function digestAuthorization(request: DigestRequest): string | null {
  const { challenge, method, uri, user, password, cnonce } = request;
  if (!/^digest\s/i.test(challenge) || challenge.length > CHALLENGE_MAX) return null;
  const given = new Map<string, string>();
  for (const [, name = '', quoted, bare] of challenge.matchAll(/([a-z]+)\s*=\s*(?:"([^"]*)"|([^\s,]+))/gi))
    given.set(name.toLowerCase(), quoted ?? bare ?? '');
  const algorithm = given.get('algorithm') ?? 'MD5';
  const hash = { 'SHA-256': 'sha256', MD5: 'md5' }[algorithm.toUpperCase()];
  const [realm, nonce, opaque] = [given.get('realm'), given.get('nonce'), given.get('opaque')];
  const offered = (given.get('qop') ?? '').split(',').map((one) => one.trim());
  if (hash === undefined || realm === undefined || nonce === undefined || !offered.includes('auth'))
    return null;
  const of = (text: string): string => createHash(hash).update(text).digest('hex');
  const count = '00000001';
  const response = of(
    [of(`${user}:${realm}:${password}`), nonce, count, cnonce, 'auth', of(`${method}:${uri}`)].join(':'),
  );
  const fields = [
    `username="${user}"`,
    `realm="${realm}"`,
    `nonce="${nonce}"`,
    `uri="${uri}"`,
    `algorithm=${algorithm}`,
    'qop=auth',
    `nc=${count}`,
    `cnonce="${cnonce}"`,
    `response="${response}"`,
    ...(opaque === undefined ? [] : [`opaque="${opaque}"`]),
  ];
  return `Digest ${fields.join(', ')}`;
}
