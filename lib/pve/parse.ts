/** What a container's config says, be it from the API or from the file inside an archive. */
import type * as z from 'zod';
import type { ArchivedConfig, Mount, Net } from '../decide/guest-config.ts';
import type { ConfigReply } from './schemas.ts';

export interface GuestConfig {
  /** All single-value keys, as text. */
  readonly values: Readonly<Record<string, string>>;
  /** Raw `lxc.*` lines. */
  readonly raw: readonly { readonly key: string; readonly value: string }[];
}

export interface ConfigFacts {
  readonly hostname: string;
  readonly onboot: boolean;
  readonly lock: string | null;
  readonly protection: boolean;
  readonly template: boolean;
  /** Upper case, with colons. */
  readonly macs: readonly string[];
  /** Static addresses, without prefix length. */
  readonly ips: readonly string[];
  readonly bridges: readonly string[];
  readonly description: string;
  readonly tags: readonly string[];
  /** Bytes; null: what is written there is no number. */
  readonly memMax: number | null;
  /** Of root disk and mount points. */
  readonly storages: readonly string[];
  /** What a restore of it can trip over. */
  readonly config: ArchivedConfig;
}

/** One `netN` line. */
export interface Network {
  /** Static addresses, without prefix length. */
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  /** Its address comes from the network: DHCP, or IPv6's own ways. */
  readonly dynamic: boolean;
}

/** PVE's default when the config has no `memory`. */
const DEFAULT_MEMORY_MIB = 512;
const MIB = 1024 * 1024;

export function configFromReply(reply: z.infer<typeof ConfigReply>): GuestConfig {
  const { lxc, ...rest } = reply;
  const values: Record<string, string> = {};
  for (const [key, value] of Object.entries(rest)) {
    if (typeof value === 'string') values[key] = value;
    else if (typeof value === 'number' || typeof value === 'boolean') values[key] = String(Number(value));
  }
  return { values, raw: (lxc ?? []).map(([key = '', value = '']) => ({ key, value })) };
}

/**
 * A config file as it lies in /etc/pve and in archives: `key: value` lines, the description as percent-encoded
 * comment lines, snapshots and pending changes in `[sections]` after them, which are not the current config.
 */
export function configFromText(text: string): GuestConfig {
  const values: Record<string, string> = {};
  const raw: { key: string; value: string }[] = [];
  const description: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (/^\[\S+\]\s*$/.test(line)) break;
    if (line.startsWith('#')) {
      description.push(decodeText(line.slice(1)));
      continue;
    }
    const [lxcStart = '', lxcKey] = /^(lxc\.[a-z0-9_.-]+)(?::| *=)/.exec(line) ?? [];
    if (lxcKey !== undefined) {
      raw.push({ key: lxcKey, value: line.slice(lxcStart.length).trim() });
      continue;
    }
    const [start = '', key] = /^([a-z][a-z_-]*\d*):/.exec(line) ?? [];
    if (key === undefined) continue;
    // Not by an expression: an archive's config may be anybody's, and blanks without end would keep it busy.
    const value = line.slice(start.length).trim();
    if (key === 'description') description.push(decodeText(value));
    else values[key] = value;
  }
  if (description.length > 0) values['description'] = description.join('\n');
  return { values, raw };
}

/** Reverses the percent-encoding of comment lines; a stray `%` stays. */
function decodeText(text: string): string {
  return text.replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (bytes) =>
    Buffer.from(bytes.replaceAll('%', ''), 'hex').toString('utf8'),
  );
}

export function configFacts(guest: GuestConfig): ConfigFacts {
  const { values } = guest;
  const config = restoreFacts(guest);
  const nets = numbered(values, 'net').map(([, value]) => properties(value));
  return {
    hostname: values['hostname'] ?? '',
    onboot: values['onboot'] === '1',
    lock: values['lock'] ?? null,
    protection: values['protection'] === '1',
    template: values['template'] === '1',
    macs: nets.flatMap((net) => (net['hwaddr'] === undefined ? [] : [net['hwaddr'].toUpperCase()])),
    ips: nets.flatMap((net) => [net['ip'], net['ip6']].flatMap(staticAddress)),
    bridges: [...new Set(nets.flatMap((net) => (net['bridge'] === undefined ? [] : [net['bridge']])))],
    description: normalDescription(values['description'] ?? ''),
    tags: splitTags(values['tags']),
    memMax: memoryBytes(values),
    storages: [...new Set(config.mounts.flatMap(({ source }) => /^([^:/]+):/.exec(source)?.[1] ?? []))],
    config,
  };
}

/** Its network interfaces, in order of their number. */
export function networksOf({ values }: GuestConfig): Network[] {
  return numbered(values, 'net')
    .map(([, value]) => properties(value))
    .map((net) => ({
      addresses: [net['ip'], net['ip6']].flatMap(staticAddress),
      gateways: [net['gw'], net['gw6']].flatMap(staticAddress),
      dynamic: [net['ip'], net['ip6']].some((value) => value === 'dhcp' || value === 'auto'),
    }));
}

/** PVE appends a line break to descriptions, and browsers send CR LF. */
export function normalDescription(text: string): string {
  return text.replaceAll('\r\n', '\n').trimEnd();
}

/** PVE separates tags by semicolons; commas and spaces are accepted in its files. */
export function splitTags(tags: string | undefined): string[] {
  return (tags ?? '').split(/[;,\s]+/).filter((tag) => tag !== '');
}

/** `net0`, `net1`, … with their values, in order of their number. */
function numbered(values: Readonly<Record<string, string>>, prefix: string): [string, string][] {
  const pattern = new RegExp(`^${prefix}(\\d+)$`);
  return Object.entries(values)
    .filter(([key]) => pattern.test(key))
    .toSorted(([a], [b]) => Number(a.slice(prefix.length)) - Number(b.slice(prefix.length)));
}

/** `local:101/disk.raw,mp=/data,size=8G`: what has no key is the volume. */
function properties(value: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const part of value.split(',')) {
    const equals = part.indexOf('=');
    if (equals > 0) found[part.slice(0, equals).trim()] = part.slice(equals + 1).trim();
    else if (part !== '') found['volume'] = part.trim();
  }
  return found;
}

function staticAddress(value: string | undefined): string[] {
  const [address] = (value ?? '').split('/');
  return address === undefined || !/[.:]/.test(address) ? [] : [address];
}

function sizeBytes(size: string | undefined): number | null {
  const [, digits, unit] = /^(\d{1,15}(?:\.\d{1,3})?)([KMGT]?)$/.exec(size ?? '') ?? [];
  return digits === undefined ? null : Number(digits) * 1024 ** ['', 'K', 'M', 'G', 'T'].indexOf(unit ?? '');
}

/** null: it is no number of MiB. */
function memoryBytes(values: GuestConfig['values']): number | null {
  const written = values['memory'] ?? String(DEFAULT_MEMORY_MIB);
  return /^\d{1,9}$/.test(written) ? Number(written) * MIB : null;
}

function restoreFacts({ values, raw }: GuestConfig): ArchivedConfig {
  const features = Object.entries(properties(values['features'] ?? ''));
  const rootfs = values['rootfs'];
  return {
    privileged: values['unprivileged'] !== '1',
    protection: values['protection'] === '1',
    template: values['template'] === '1',
    arch: values['arch'] ?? null,
    memory: memoryBytes(values),
    features: features.filter(([, on]) => on !== '0').map(([feature]) => feature),
    hookscript: values['hookscript'] ?? null,
    devices: numbered(values, 'dev').map(([key, value]) => {
      const device = properties(value);
      return { key, path: device['path'] ?? device['volume'] ?? '' };
    }),
    raw: [...raw],
    mounts: [
      ...(rootfs === undefined ? [] : [mountOf('rootfs', rootfs)]),
      ...numbered(values, 'mp').map((mp) => mountOf(...mp)),
    ],
    nets: numbered(values, 'net').map(([key, value]) => netOf(key, value)),
  };
}

function mountOf(key: string, value: string): Mount {
  const { volume, file, mp, size, backup, ...options } = properties(value);
  const source = volume ?? file ?? '';
  const kind = source.startsWith('/dev/') ? 'device' : source.startsWith('/') ? 'bind' : 'volume';
  return {
    key,
    kind,
    source,
    path: key === 'rootfs' ? '/' : (mp ?? ''),
    bytes: sizeBytes(size),
    // vzdump leaves out what isn't a volume, whatever its option says.
    backup: kind === 'volume' && (key === 'rootfs' || backup === '1'),
    options,
  };
}

function netOf(key: string, value: string): Net {
  const { bridge, tag, trunks } = properties(value);
  return {
    key,
    bridge: bridge ?? null,
    tag: tag === undefined || !/^\d{1,4}$/.test(tag) ? null : Number(tag),
    trunks: trunks ?? null,
  };
}
