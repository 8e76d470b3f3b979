/** Disks that originals and earlier copies have left. They are never deleted here, only listed. Pure. */
import type { Container } from '../inventory/types.ts';
import { incarnationKey, type Incarnations } from './incarnations.ts';
import type { ClusterView } from './model.ts';

/** A volume as a storage lists it. */
export interface Volume {
  readonly node: string;
  readonly storage: string;
  readonly volid: string;
  readonly vmid: number;
  /** Bytes. */
  readonly size: number;
  /** When it was made, epoch ms; null: not said. */
  readonly at: number | null;
}

export interface OldDisk {
  readonly container: string;
  readonly volume: Volume;
  /** `of the superseded pve1/101@0`, or `which no config names`. */
  readonly whose: string;
  /** How a person looks into it, on its node, reading only. */
  readonly look: string;
}

/** Those of the container's volumes that are not the current copy's, nor of one that is being made. */
export function oldDisks(
  container: Container,
  view: ClusterView,
  { current, superseded, pending }: Incarnations,
  volumes: readonly Volume[],
): OldDisk[] {
  const all = [...(current === null ? [] : [current]), ...pending, ...superseded].filter(
    (i) => i.cluster === view.cluster,
  );
  return volumes.flatMap((volume): OldDisk[] => {
    const storage = view.storages.find((s) => s.storage === volume.storage && s.node === volume.node);
    const guest = view.guests.find(
      (g) => g.vmid === volume.vmid && (g.node === volume.node || storage?.shared === true),
    );
    const detail = view.details.find((d) => d.vmid === guest?.vmid && d.node === guest.node);
    // A config that can't be read may name it.
    if (guest !== undefined && detail === undefined) return [];
    const named = detail?.config.mounts.some(({ source }) => source === volume.volid) ?? false;
    const owner = all.find((i) => i.vmid === guest?.vmid && i.node === guest.node);
    // Somebody else's, or a copy's that serves or is about to.
    if (named && (owner === undefined || !superseded.includes(owner))) return [];
    return [
      {
        container: container.name,
        volume,
        whose:
          named && owner !== undefined
            ? `of the superseded ${incarnationKey(owner, container.cluster)}`
            : 'which no config names',
        look: named ? `pct mount ${volume.vmid}` : lookInto(volume.volid, storage?.type ?? 'unknown'),
      },
    ];
  });
}

/** By kind of storage (pvesm knows where a volume is; unmeasured for all but directories). */
function lookInto(volid: string, type: string): string {
  const path = `"$(pvesm path ${volid})"`;
  switch (type) {
    case 'lvm':
    case 'lvmthin':
      return `lvchange -ay ${path} && mount -o ro ${path} /mnt`;
    case 'zfspool':
      return `ls ${path}`;
    case 'dir':
    case 'nfs':
    case 'cifs':
    case 'btrfs':
      return `mount -o ro,loop ${path} /mnt`;
    default:
      return `pvesm path ${volid}`;
  }
}
