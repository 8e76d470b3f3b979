/** What earlier copies have left on the nodes' storages, in lines, with how to look into it. */
import type { OldDisk } from '../decide/old-disks.ts';
import { formatDuration, formatSize } from '../units.ts';

export function diskLines(disks: readonly OldDisk[], now: number): string[] {
  if (disks.length === 0) return ['no disks of earlier copies are left'];
  return disks.flatMap(({ container, volume: { node, volid, size, at }, whose, look }) => [
    `${container}: ${volid} on ${node}, ${formatSize(size)}${at === null ? '' : `, made ${formatDuration(Math.max(now - at, 0))} ago`}, ${whose}`,
    `  to look into it, on ${node}: ${look}`,
  ]);
}
