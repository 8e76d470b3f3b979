/** Hosts, ports and URLs as people write them. Each function returns undefined for what isn't one. */
import { isIPv4, isIPv6 } from 'node:net';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** An IPv4 address, an IPv6 address without brackets, or a host name. Never begins with `-`, so it is safe in argv. */
export function parseHost(text: string): string | undefined {
  if (isIPv4(text)) return text;
  if (isIPv6(text)) return text;
  if (
    text.length > 253 ||
    !/^[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*\.?$/i.test(text)
  )
    return undefined;
  // `10.0.0.300` is a mistyped address, not a name.
  return /^[\d.]+$/.test(text) ? undefined : text;
}

function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** `host:port` or `[v6]:port`; with `defaultPort` the port (and then the brackets) may be left out. */
export function parseHostPort(text: string, defaultPort?: number): HostPort | undefined {
  if (defaultPort !== undefined) {
    const bare = parseHost(text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text);
    if (bare !== undefined) return { host: bare, port: defaultPort };
  }
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+)$/.exec(text) ?? [];
  const host = bracketed === undefined ? parseHost(plain ?? '') : isIPv6(bracketed) ? bracketed : undefined;
  const port = parsePort(digits ?? '');
  return host === undefined || port === undefined ? undefined : { host, port };
}

/** `host:port` with brackets where they are needed. */
export function joinHostPort({ host, port }: HostPort): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** An API endpoint, `https://host:port` and nothing more; port 8006 when none is given. Lower case. */
export function parseEndpoint(text: string): string | undefined {
  const [, authority] = /^https:\/\/([^/?#@\s]+)\/?$/i.exec(text) ?? [];
  const parsed = authority === undefined ? undefined : parseHostPort(authority, 8006);
  // A bare IPv6 address is fine for ping but not in a URL.
  if (parsed === undefined || (isIPv6(authority ?? '') && !authority?.startsWith('['))) return undefined;
  return `https://${joinHostPort({ ...parsed, host: parsed.host.toLowerCase() })}`;
}

/** A SHA-256 fingerprint with or without colons; upper case with colons. */
export function parseFingerprint(text: string): string | undefined {
  const digits = text.replaceAll(':', '').toUpperCase();
  return /^[0-9A-F]{64}$/.test(digits) ? (digits.match(/../g) ?? []).join(':') : undefined;
}

/** What is wrong with an http(s) URL, and the fix; or the URL. */
export function parseHttpUrl(text: string): { url: URL } | { message: string; fix: string } {
  const fix = 'write http://host/path or https://host/path';
  if (!/^https?:\/\/[^\s]+$/i.test(text) || !URL.canParse(text))
    return { message: 'is not an http(s) URL', fix };
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    return { message: 'has credentials in the URL', fix: 'remove everything before the @' };
  }
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
  if (parseHost(host) === undefined) return { message: 'is not an http(s) URL', fix };
  url.hash = '';
  return { url };
}
