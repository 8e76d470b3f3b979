/** UPIDs: `UPID:pve1:0000022B:00043D51:6B034DAF:vzdump:101:root@pam:`. */

export interface Upid {
  /** The node that runs the task: its status and log can be asked for only there. */
  readonly node: string;
  /** `vzdump`, `vzrestore`, `vzstart`, … */
  readonly type: string;
  /** What it works on, usually a vmid; may be empty. */
  readonly id: string;
  /** `root@pam`, or `proxwarden@pve!cli` when a token asked for it. */
  readonly user: string;
  /** Epoch ms. */
  readonly startedAt: number;
}

const UPID =
  /^UPID:([a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?):[0-9A-Fa-f]{8}:[0-9A-Fa-f]{8,9}:([0-9A-Fa-f]{8}):([^:\s]+):([^:\s]*):([^:\s]+):$/;

/** The parts of a UPID, or null when it isn't one. */
export function parseUpid(upid: string): Upid | null {
  const [, node, start, type, id, user] = UPID.exec(upid) ?? [];
  if (
    node === undefined ||
    start === undefined ||
    type === undefined ||
    id === undefined ||
    user === undefined
  )
    return null;
  return { node, type, id, user, startedAt: Number.parseInt(start, 16) * 1000 };
}
