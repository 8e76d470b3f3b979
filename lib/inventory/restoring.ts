/** The inventory's words about restores: where disks go, over which way, and the root shell that the way `shell` needs. */
import * as z from 'zod';
import * as f from './fields.ts';
import type { ShellConfig } from './types.ts';

const mountName = f.text(/^mp(0|[1-9]\d{0,2})$/, 'a mount point', 'mp0');

/** Storages of a copy's disks; `mounts` holds those that differ from the root disk's. */
export interface RestoreStorages {
  readonly rootfs: string;
  readonly mounts: Readonly<Record<string, string>>;
}

const storages = z
  .record(z.union([z.literal('rootfs'), mountName]), f.storageName)
  .transform(({ rootfs, ...mounts }, context): RestoreStorages =>
    rootfs === undefined
      ? f.refuse(
          context,
          'names no storage for the root disk',
          'add rootfs: NAME; mount points that are not named go there, too',
        )
      : { rootfs, mounts },
  );

const restoreStorage = z.union([
  f.storageName.transform((rootfs): RestoreStorages => ({ rootfs, mounts: {} })),
  storages,
]);

export const restoreShape = {
  restoreStorage: restoreStorage
    .optional()
    .describe(
      'Storage for the disks of the copy, or { rootfs: NAME, mp0: NAME, … }. Required for mode protect.',
    )
    .meta({ written: ['local-lvm', { rootfs: 'local-lvm', mp0: 'big' }] }),
  restoreStorageIn: z
    .record(f.clusterName, restoreStorage)
    .optional()
    .describe('The same for copies in other clusters: { office: local-zfs }. Default: the same storage.')
    .meta({ written: [{ office: 'local-zfs' }] }),
  restoreVia: z
    .enum(['api', 'shell'])
    .optional()
    .describe(
      'shell: pct restore as root on the target, for what a token cannot restore (needs shell:). Default api.',
    ),
  acceptLoss: z
    .array(f.text(/^(mp(0|[1-9]\d{0,2})|lxc\.mount\.entry)$/, 'a mount point, or lxc.mount.entry', 'mp0'))
    .max(256)
    .optional()
    .describe('Mount points whose data no backup holds, and that a copy may do without. Default none.')
    .meta({ written: [['mp1']] }),
};

const absolute = (what: string, example: string): z.ZodString =>
  f.text(/^\/[^\n\0]+$/, `the absolute path of ${what}`, example);

const ssh = f
  .strict({
    user: f
      .text(/^[a-z_][a-z0-9_-]{0,31}$/, 'a user', 'root')
      .optional()
      .describe('User on the nodes, who must be able to run pct. Default root.'),
    port: f.count(1, 65_535).optional().describe('Port of sshd. Default 22.'),
    key: z
      .string()
      .regex(/^file:\/[^\n\0]+$/, {
        error: f.said('must be file: and an absolute path', 'for example file:/etc/proxwarden/id_ed25519'),
      })
      .optional()
      .describe('Private key as file:PATH, without a passphrase. Default: what ssh takes by itself.')
      .meta({ written: ['file:/etc/proxwarden/id_ed25519'] }),
    knownHosts: absolute('a file on the runner', '/etc/proxwarden/known_hosts')
      .optional()
      .describe("The nodes' host keys; an unknown or another key is refused. Default: ssh's own files.")
      .meta({ written: ['/etc/proxwarden/known_hosts'] }),
  })
  .transform(({ user, port, key, knownHosts }): ShellConfig => ({
    kind: 'ssh',
    user: user ?? 'root',
    port: port ?? 22,
    key: key === undefined ? null : key.slice('file:'.length),
    knownHosts: knownHosts ?? null,
  }));

/** `shell: local`, or `shell: { ssh: { … } }`. */
export const shell = z.union([
  // Text and not a literal: then a mapping is known to be the other form, and its problems are told.
  f
    .text(/^local$/, 'local, or { ssh: { … } }', 'shell: local')
    .transform((): ShellConfig => ({ kind: 'local' })),
  f
    .strict({ ssh: ssh.describe('How ssh reaches them; it never asks for anything.') })
    .transform(({ ssh: config }): ShellConfig => config),
]);
