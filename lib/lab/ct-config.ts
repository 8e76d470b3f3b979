import { createHash } from 'node:crypto';

/** A container's config file: its description (`#` lines) and its `key: value` lines. */
export interface CtConfig {
  /** As the API returns it: every line ends with a newline; empty when there is none. */
  readonly description: string;
  readonly values: ReadonlyMap<string, string>;
}

const INTEGERS = new Set(
  'cores memory swap onboot unprivileged protection template tty console debug cpuunits'.split(' '),
);

/** Reads the text of `nodes/NODE/lxc/ID.conf`; snapshot sections are left out. */
export function parseConfig(text: string): CtConfig {
  const values = new Map<string, string>();
  let description = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('[')) break;
    if (line.startsWith('#')) description += `${decodeText(line.slice(1))}\n`;
    else {
      const match = /^([a-z][\w.-]*):\s*(.*?)\s*$/i.exec(line);
      if (match?.[1] !== undefined && match[2] !== undefined) values.set(match[1], match[2]);
    }
  }
  return { description, values };
}

/** Writes a config as Proxmox does: description first, then the keys in order. */
export function formatConfig(config: CtConfig): string {
  const lines = config.description === '' ? [] : config.description.replace(/\n$/, '').split('\n');
  const comment = lines.map((line) => `#${encodeText(line)}`);
  const keys = [...config.values.keys()].toSorted();
  return [...comment, ...keys.map((key) => `${key}: ${config.values.get(key) ?? ''}`), ''].join('\n');
}

export function digestOf(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}

/** The config as GET …/config answers it. */
export function configForApi(text: string): Record<string, string | number | string[][]> {
  const config = parseConfig(text);
  const data: Record<string, string | number | string[][]> = { digest: digestOf(text) };
  if (config.description !== '') data['description'] = config.description;
  const raw = [...config.values].filter(([key]) => key.startsWith('lxc.'));
  if (raw.length > 0) data['lxc'] = raw.map(([key, value]) => [key, value]);
  for (const [key, value] of config.values)
    if (!key.startsWith('lxc.'))
      data[key] = INTEGERS.has(key) && /^-?\d+$/.test(value) ? Number(value) : value;
  return data;
}

/** `config` with some keys set (or removed, by null) and, if given, another description. */
export function changedConfig(
  config: CtConfig,
  changes: ReadonlyMap<string, string | null>,
  description?: string,
): CtConfig {
  const values = new Map(config.values);
  for (const [key, value] of changes) {
    if (value === null) values.delete(key);
    else values.set(key, value);
  }
  if (description === undefined) return { description: config.description, values };
  return {
    description: description === '' || description.endsWith('\n') ? description : `${description}\n`,
    values,
  };
}

/** A property string such as net0's: `name=eth0,bridge=vmbr0`. A part without a key is `key`'s. */
export function parseProperties(value: string, key = ''): Map<string, string> {
  const parts = new Map<string, string>();
  for (const part of value.split(',')) {
    const at = part.indexOf('=');
    if (at < 0) parts.set(key, part);
    else parts.set(part.slice(0, at), part.slice(at + 1));
  }
  return parts;
}

/** net0 in Proxmox's own order: the name first, the rest sorted. */
export function formatNet(parts: ReadonlyMap<string, string>): string {
  const rest = [...parts.keys()].filter((key) => key !== 'name').toSorted();
  const name = parts.get('name');
  return [...(name === undefined ? [] : ['name']), ...rest]
    .map((key) => `${key}=${parts.get(key) ?? ''}`)
    .join(',');
}

/** The keys net0, net1, … of a config. */
export function netKeys(config: CtConfig): string[] {
  return [...config.values.keys()].filter((key) => /^net\d+$/.test(key)).toSorted();
}

/** `256M`, `8G` in MiB. */
export function sizeMiB(text: string | undefined): number {
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)$/.exec(text ?? '');
  if (match?.[1] === undefined) return 0;
  const factor = { K: 1 / 1024, M: 1, G: 1024, T: 1024 * 1024 }[match[2] ?? ''] ?? 1 / (1024 * 1024);
  return Number(match[1]) * factor;
}

export function formatSize(mib: number): string {
  return mib >= 1024 && mib % 1024 === 0 ? `${mib / 1024}G` : `${Math.floor(mib)}M`;
}

function encodeText(line: string): string {
  return [...Buffer.from(line, 'utf8')]
    .map((byte) =>
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25 && byte !== 0x3a
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('');
}

function decodeText(line: string): string {
  const bytes: Buffer[] = [];
  for (const part of line.split(/(%[0-9A-Fa-f]{2})/))
    bytes.push(
      /^%[0-9A-Fa-f]{2}$/.test(part) ? Buffer.from(part.slice(1), 'hex') : Buffer.from(part, 'utf8'),
    );
  return Buffer.concat(bytes).toString('utf8');
}
