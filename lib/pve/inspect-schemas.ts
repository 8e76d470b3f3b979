/** The replies that only `doctor` reads: how a cluster is set up. Loose, as those in schemas.ts. */
import * as z from 'zod';
import { flag, number, seconds, text, whole } from './scalars.ts';

/** `time` is UTC; `localtime` is the same moment on the node's wall clock. */
export const NodeTimeReply = z.looseObject({ time: seconds });

/** Retention as a property string (`keep-last=3`, as in GET /storage) or taken apart (as the schema has it for jobs). */
const Retention = z.union([z.string(), z.record(z.string(), z.union([number, flag]))]);

/** unmeasured: from the schema. */
export const BackupJobsReply = z.array(
  z.looseObject({
    id: z.string(),
    enabled: flag.default(true),
    storage: z.string().optional(),
    schedule: z.string().optional(),
    vmid: text.optional(),
    pool: z.string().optional(),
    'prune-backups': Retention.optional(),
  }),
);

/** unmeasured: from the schema. The guests are the children of the root. */
export const IncludedVolumesReply = z.looseObject({
  children: z.array(z.looseObject({ id: whole, type: z.string().default('lxc') })).default([]),
});

export const StorageDefinitionsReply = z.array(
  z.looseObject({
    storage: text,
    type: z.string(),
    shared: flag.default(false),
    disable: flag.default(false),
    'prune-backups': Retention.optional(),
    'encryption-key': text.optional(),
  }),
);

/** Measured on a stand-alone node only (empty); a cluster's entries are those of `nodelist` in config/join. */
export const ConfigNodesReply = z.array(
  z.looseObject({ node: text.optional(), name: text.optional(), quorum_votes: number.default(1) }),
);

/** unmeasured: from Proxmox's source. Empty without a QDevice. */
export const QdeviceReply = z
  .looseObject({
    Model: z.string().optional(),
    State: z.string().optional(),
    'QNetd host': z.string().optional(),
  })
  .nullable();

/** unmeasured: from Proxmox's source. */
export const ReplicationReply = z.array(z.looseObject({ guest: whole, disable: flag.default(false) }));

export const TokenReply = z.looseObject({ expire: seconds.default(0), privsep: flag.default(true) });
