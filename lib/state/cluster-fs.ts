/** Where Proxmox VE mounts pmxcfs, the file system that all nodes of a cluster share. */
export const CLUSTER_FS = '/etc/pve';

/** `path`: absolute, without symbolic links. */
export function isOnClusterFs(path: string): boolean {
  return path === CLUSTER_FS || path.startsWith(`${CLUSTER_FS}/`);
}
