/**
 * The formats of PVE's schema that our calls use, as PVE checks them (PVE::JSONSchema and the modules that register
 * them). A call with another format fails its test until the format is added here.
 */
import { isIP, isIPv4, isIPv6 } from 'node:net';

const NODE = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i;
const VMID = /^[1-9]\d{2,8}$/;
const CONFIG_ID = /^[a-z][a-z0-9_-]+$/i;
const TAG = /^[a-z0-9_][a-z0-9_\-+.]*$/i;
const STORAGE_ID = /^[a-z][a-z0-9\-_.]*[a-z0-9]$/i;
const VOLUME_ID = /^[a-z][a-z0-9\-_.]*[a-z0-9]:.+$/i;
const NAME = '[a-z0-9](?:[a-z0-9-]*[a-z0-9])?';
const DNS_NAME = new RegExp(`^(?:${NAME}\\.)*${NAME}$`, 'i');
const REALM = /^[a-z][a-z0-9.\-_]+$/i;
const CONTENT = ['images', 'rootdir', 'vztmpl', 'iso', 'backup', 'snippets', 'import', 'none'];

type Check = (value: string) => boolean;

const ITEMS: Readonly<Record<string, Check>> = {
  'pve-node': (value) => NODE.test(value),
  'pve-vmid': (value) => VMID.test(value),
  'pve-storage-id': (value) => STORAGE_ID.test(value),
  'pve-storage-content': (value) => CONTENT.includes(value),
  'pve-configid': (value) => CONFIG_ID.test(value),
  'pve-tag': (value) => TAG.test(value),
  'pve-volume-id': (value) => VOLUME_ID.test(value),
  'pve-poolid': (value) => /^[a-z0-9.\-_]+(?:\/[a-z0-9.\-_]+){0,2}$/i.test(value),
  'pve-ha-node': (value) => /^[^:]+(?::\d+)?$/.test(value) && NODE.test(value.split(':')[0] ?? ''),
  'pve-ha-resource-id': (value) => /^(?:vm|ct):[1-9]\d{2,8}$/.test(value),
  'pve-ha-resource-or-vm-id': (value) => /^(?:(?:vm|ct):)?[1-9]\d{2,8}$/.test(value),
  'pve-task-status-type': (value) => ['ok', 'error', 'warning', 'unknown'].includes(value),
  'pve-userid': (value) => {
    const at = value.lastIndexOf('@');
    return at > 0 && /^[^\s:/]+$/.test(value.slice(0, at)) && REALM.test(value.slice(at + 1));
  },
  'pve-realm': (value) => REALM.test(value),
  'pve-priv': (value) => /^[A-Z][A-Za-z]*(?:\.[A-Z][A-Za-z]*)+$/.test(value),
  'dns-name': (value) => DNS_NAME.test(value),
  'lxc-ip-with-ll-iface': (value) => isIP(value.split('%')[0] ?? '') !== 0,
  'mac-addr': (value) => /^[a-f0-9][02468ace](?::[a-f0-9]{2}){5}$/i.test(value),
  ipv4: isIPv4,
  ipv6: isIPv6,
  'pve-ipv4-config': (value) => ['dhcp', 'manual'].includes(value) || cidr(value, isIPv4, 32),
  'pve-ipv6-config': (value) => ['auto', 'dhcp', 'manual'].includes(value) || cidr(value, isIPv6, 128),
  'disk-size': (value) => /^\d+(?:\.\d+)?[KMGT]?$/.test(value),
  'pve-lxc-mp-string': (value) => value.startsWith('/') || VOLUME_ID.test(value),
  'prune-backups': pruneBackups,
};

function cidr(value: string, isAddress: Check, longest: number): boolean {
  const [, address = '', bits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(value) ?? [];
  return isAddress(address) && Number(bits) <= longest;
}

/** `keep-last=3,keep-weekly=2`, or `keep-all=1` alone: the extract has no sub-schema of it, only its form. */
function pruneBackups(value: string): boolean {
  const pairs = value.split(',').map((part) => part.split('='));
  const keys = pairs.map(([key]) => key ?? '');
  return (
    new Set(keys).size === keys.length &&
    (!keys.includes('keep-all') || keys.length === 1) &&
    pairs.every(
      ([key = '', count = '', more]) =>
        more === undefined &&
        (key === 'keep-all'
          ? /^[01]$/.test(count)
          : /^keep-(last|hourly|daily|weekly|monthly|yearly)$/.test(key) && /^\d+$/.test(count)),
    )
  );
}

/** Perl's split_list. */
function splitList(value: string): string[] {
  return value
    .trim()
    .split(/[\s,;]+/)
    .filter((part) => part !== '');
}

/** What is wrong with a value of that format, or null. A format that nobody has written down is wrong, too. */
export function formatComplaint(format: string, value: string): string | null {
  const exact = ITEMS[format];
  if (exact !== undefined) return exact(value) ? null : `${JSON.stringify(value)} is no ${format}`;
  const item = format.endsWith('-list') ? ITEMS[format.slice(0, -'-list'.length)] : undefined;
  if (item === undefined) return `no check for format ${format}: add it to test/contract/formats.ts`;
  return splitList(value).every(item) ? null : `${JSON.stringify(value)} is no ${format}`;
}
