/** What a volid tells by its form. Pure. */
import { hasUnprintable } from '../text.ts';

/** Whether a storage can have a volume or an archive of that name, and it leads to no other place. */
export function isVolid(text: string): boolean {
  return (
    text.length <= 1024 &&
    /^[a-zA-Z][\w.-]*:[^\s]+$/.test(text) &&
    !hasUnprintable(text) &&
    !/[:/]\.{0,2}(?:\/|$)/.test(text)
  );
}

/** Whether it names a snapshot on a Proxmox Backup Server: `pbs:backup/ct/101/2026-11-22T20:16:47Z`. */
export function isSnapshot(volid: string): boolean {
  return /^[^:]+:backup\/ct\/\d+\/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(volid);
}

/** `shared` of `shared:backup/vzdump-lxc-101-….tar.zst`. */
export function storageOf(volid: string): string {
  return volid.slice(0, volid.indexOf(':'));
}

/** What is the same of it in every cluster that sees its storage: `backup/vzdump-lxc-101-….tar.zst`. */
export function archiveOf(volid: string): string {
  return volid.slice(volid.indexOf(':') + 1);
}

/** The volid of the same archive on a storage that another cluster calls `storage`. */
export function volidOn(storage: string, volid: string): string {
  return `${storage}:${archiveOf(volid)}`;
}
