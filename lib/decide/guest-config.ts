/**
 * What a container's config says that a restore can trip over, in plain data: of a backup (the config inside it), or of
 * the container as it is. Sizes are bytes.
 */
import * as z from 'zod';

/** The root disk or a mount point. */
export const Mount = z.object({
  /** `rootfs`, `mp0`, … */
  key: z.string(),
  /** `volume`: PVE's own; `bind` and `device`: a path of the node, which no backup holds. */
  kind: z.enum(['volume', 'bind', 'device']),
  /** `local:101/vm-101-disk-0.raw`, or the node's path. */
  source: z.string(),
  /** Where it is inside the container. */
  path: z.string(),
  /** Null: the config names no size. */
  bytes: z.number().nullable(),
  /** Whether vzdump takes its content in: the root disk always, a volume with `backup=1`. */
  backup: z.boolean(),
  /** Its other options as they are written: `acl`, `mountoptions`, `quota`, `replicate`, `ro`, `shared`, … */
  options: z.record(z.string(), z.string()),
});
export type Mount = z.infer<typeof Mount>;

export const Net = z.object({
  /** `net0`, … */
  key: z.string(),
  bridge: z.string().nullable(),
  /** VLAN tag; null: none. */
  tag: z.number().int().nullable(),
  /** VLANs let through, as written (`2;4;10`); null: none. */
  trunks: z.string().nullable(),
});
export type Net = z.infer<typeof Net>;

export const ArchivedConfig = z.object({
  /** `unprivileged: 1` is missing. */
  privileged: z.boolean(),
  protection: z.boolean(),
  template: z.boolean(),
  /** `amd64`, `arm64`, …; null: not said. */
  arch: z.string().nullable(),
  /** Of its memory limit; null: what is written there is no number. */
  memory: z.number().nullable(),
  /** Names of the features that are on: `nesting`, `keyctl`, … */
  features: z.array(z.string()),
  hookscript: z.string().nullable(),
  /** Devices that are passed through (`dev0`, …). */
  devices: z.array(z.object({ key: z.string(), path: z.string() })),
  /** Raw `lxc.*` lines. */
  raw: z.array(z.object({ key: z.string(), value: z.string() })),
  mounts: z.array(Mount),
  nets: z.array(Net),
});
export type ArchivedConfig = z.infer<typeof ArchivedConfig>;

/** A bridge of a node, or a vnet that it has of the cluster's SDN. */
export const Bridge = z.object({
  name: z.string(),
  /** Of a Linux bridge: whether it knows VLANs itself. Open vSwitch always does, a vnet is a VLAN or the like of its own. */
  vlanAware: z.boolean(),
  /** Whether it has a port to the outside; null: not said. */
  hasPort: z.boolean().nullable(),
  /** VLANs that a VLAN-aware bridge lets through (`2-4094`, `2 4 100-200`); null: not said. */
  vids: z.string().nullable(),
});
export type Bridge = z.infer<typeof Bridge>;

/** Bytes of all volumes together; null when none has a size. */
export function volumeBytes(config: Pick<ArchivedConfig, 'mounts'>): number | null {
  const sizes = config.mounts.flatMap(({ kind, bytes }) =>
    kind === 'volume' && bytes !== null ? [bytes] : [],
  );
  return sizes.length === 0 ? null : sizes.reduce((sum, size) => sum + size, 0);
}
