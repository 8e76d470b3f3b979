/**
 * What is different with a Proxmox Backup Server: its client's log, and what it can't read. From PVE's source and from
 * logs that people have published; unmeasured.
 */
import type { Archive } from './storage.ts';
import { isPbs } from './storage.ts';
import type { StorageSpec } from './types.ts';

export function isSnapshot(archive: Archive): boolean {
  return archive.volid.includes(':backup/ct/');
}

/** `ct/101/2026-11-22T20:16:47Z` */
export function snapshotName(volid: string): string {
  return volid.slice(volid.indexOf(':backup/') + ':backup/'.length);
}

/** Why the client can't read it, or null. */
export function pbsTrouble(storage: StorageSpec, archive: Archive): string | null {
  if (!isPbs(storage)) return null;
  const failed = (text: string): string => `proxmox-backup-client failed: Error: ${text}`;
  if (archive.unfinished)
    return failed(
      `unable to load blob '"${snapshotName(archive.volid)}/index.json.blob"' - No such file or directory (os error 2)`,
    );
  if (archive.encrypted === null) return null;
  if (storage.encryptionKey === undefined)
    return failed(`missing key - manifest was created with key ${archive.encrypted}`);
  return storage.encryptionKey === archive.encrypted
    ? null
    : failed(
        `wrong key - manifest's key ${archive.encrypted} does not match provided key ${storage.encryptionKey}`,
      );
}

export function restoreCommand(archive: Archive, vmid: number): string {
  return `lxc-usernsexec -m u:0:100000:65536 -m g:0:100000:65536 -- /usr/bin/proxmox-backup-client restore '--crypt-mode=none' ${snapshotName(archive.volid)} root.pxar /var/lib/lxc/${vmid}/rootfs --allow-existing-dirs --repository ${repository(archive.storage)}`;
}

export function backupCommand(storage: StorageSpec, vmid: number, from: string, at: number): string {
  const crypt = storage.encryptionKey === undefined ? 'none' : 'encrypt';
  const namespace = storage.namespace === undefined ? '' : ` --ns ${storage.namespace}`;
  return `/usr/bin/proxmox-backup-client backup --crypt-mode=${crypt} pct.conf:/var/tmp/vzdumptmp1_${vmid}/etc/vzdump/pct.conf root.pxar:${from} --include-dev ${from}/. --skip-lost-and-found --exclude=/tmp/?* --exclude=/var/tmp/?* --exclude=/var/run/?*.pid --backup-type ct --backup-id ${vmid} --backup-time ${Math.floor(at / 1000)} --entries-max 1048576 --repository ${repository(storage.id)}${namespace}`;
}

/** What the client says before it uploads. */
export function beginLines(
  storage: StorageSpec,
  what: { vmid: number; volid: string; node: string; from: string; at: number; previous: number | null },
): string[] {
  const { vmid, volid, node, from, at, previous } = what;
  const namespace = storage.namespace === undefined ? '' : `[${storage.namespace}]:`;
  return [
    'set max number of entries in memory for file-based backups to 1048576',
    `run: ${backupCommand(storage, vmid, from, at)}`,
    `Starting backup: ${namespace}${snapshotName(volid)}`,
    `Client name: ${node}`,
    `Starting backup protocol: ${cTime(at)}`,
    previous === null
      ? 'No previous manifest available.'
      : `Downloading previous manifest (${cTime(previous)})`,
    `Upload config file '/var/tmp/vzdumptmp1_${vmid}/etc/vzdump/pct.conf' to '${repository(storage.id)}' as pct.conf.blob`,
    `Upload directory '${from}' to '${repository(storage.id)}' as root.pxar.didx`,
  ].map((line) => `INFO: ${line}`);
}

/** What it says in the end. `seconds` of the upload; a repeated backup sends little. */
export function endLines(what: { mib: number; seconds: number; at: number; incremental: boolean }): string[] {
  const { mib, seconds, at, incremental } = what;
  const sent = incremental ? mib / 10 : mib;
  return [
    `root.pxar: had to backup ${sent.toFixed(3)} MiB of ${mib.toFixed(3)} MiB (compressed ${(sent / 2).toFixed(3)} MiB) in ${seconds.toFixed(2)} s (average ${(sent / seconds).toFixed(3)} MiB/s)`,
    ...(incremental
      ? [`root.pxar: backup was done incrementally, reused ${(mib - sent).toFixed(3)} MiB (90.0%)`]
      : []),
    'Uploaded backup catalog (476.523 KiB)',
    `Duration: ${seconds.toFixed(2)}s`,
    `End Time: ${cTime(at)}`,
  ].map((line) => `INFO: ${line}`);
}

function repository(storage: string): string {
  return `pve@pbs@${storage}.lab:${storage}`;
}

/** `Wed Aug 20 02:01:33 2025` */
function cTime(at: number): string {
  const [weekday = '', day = '', month = '', year = '', time = ''] = new Date(at)
    .toUTCString()
    .replace(',', '')
    .split(' ');
  return `${weekday} ${month} ${day.replace(/^0/, ' ')} ${time} ${year}`;
}
