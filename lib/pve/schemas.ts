/**
 * The replies that the client reads. Loose objects: a newer Proxmox VE adds keys, and we don't break on them. Perl
 * doesn't keep numbers and strings apart, so both are accepted where either may come.
 */
import * as z from 'zod';
import { isVolid } from '../decide/volid.ts';
import { flag, line, nodeName, number, seconds, storageId, taskId, text, whole } from './scalars.ts';

/** Every JSON answer of PVE is an object with `data`. */
export const Envelope = z.looseObject({ data: z.unknown() }).refine((value) => 'data' in value);

/** The body of an error; `errors` comes with `Parameter verification failed.` */
export const ErrorBody = z.looseObject({
  message: z.string().optional(),
  errors: z.record(z.string(), z.string()).optional(),
});

export const VersionReply = z.looseObject({ version: text });

const ClusterEntry = z.looseObject({ type: z.literal('cluster'), name: text, quorate: flag.default(false) });
const ClusterNodeEntry = z.looseObject({
  type: z.literal('node'),
  name: nodeName,
  online: flag.default(false),
  local: flag.default(false),
  ip: z.string().nullish(),
});
export const ClusterStatusReply = z.array(z.union([ClusterEntry, ClusterNodeEntry]));

const ResourceNode = z.looseObject({
  type: z.literal('node'),
  node: nodeName,
  status: z.string().default('unknown'),
  maxmem: number.optional(),
  mem: number.optional(),
  uptime: number.optional(),
});
const ResourceGuest = z.looseObject({
  type: z.enum(['lxc', 'qemu']),
  node: nodeName,
  vmid: whole,
  name: text.optional(),
  status: z.string().default('unknown'),
  tags: text.optional(),
  lock: z.string().optional(),
  template: flag.optional(),
  maxmem: number.optional(),
  mem: number.optional(),
  disk: number.optional(),
});
const ResourceStorage = z.looseObject({
  type: z.literal('storage'),
  node: nodeName,
  storage: storageId,
  status: z.string().default('unknown'),
  shared: flag.optional(),
  content: z.string().optional(),
  maxdisk: number.optional(),
  disk: number.optional(),
  plugintype: z.string().optional(),
});
/** sdn zones, pools and whatever comes next. */
const KNOWN_RESOURCES: readonly unknown[] = ['node', 'lxc', 'qemu', 'storage'];
const ResourceOther = z
  .looseObject({ type: z.string() })
  .refine((entry) => !KNOWN_RESOURCES.includes(entry.type))
  .transform(() => ({ type: 'other' as const }));
export const ResourcesReply = z.array(z.union([ResourceNode, ResourceGuest, ResourceStorage, ResourceOther]));

/** `/nodes/N/status`: only that it comes matters. */
export const NodeStatusReply = z.looseObject({ uptime: number.optional() });

/** Of the same call: its processor, from 8.x on. */
export const NodeMachineReply = z.looseObject({
  'current-kernel': z.looseObject({ machine: z.string().optional() }).optional(),
});

/** `/nodes/N/network`. PVE's own answers hold no `bridge_vlan_aware` where it is off. */
export const NetworkReply = z.array(
  z.looseObject({
    iface: text,
    type: z.string().default('unknown'),
    bridge_ports: z.string().optional(),
    bridge_vlan_aware: flag.default(false),
    bridge_vids: text.optional(),
  }),
);

export const NetstatReply = z.array(z.looseObject({ vmid: whole }));

/** A container's config. All keys but `lxc` are single values. */
export const ConfigReply = z.looseObject({ lxc: z.array(z.array(z.string())).optional() });

export const GuestStatusReply = z.looseObject({
  status: z.string(),
  vmid: whole.optional(),
  lock: z.string().optional(),
});

export const PermissionsReply = z.record(z.string(), z.record(z.string(), number));

export const HaResourcesReply = z.array(
  z.looseObject({
    sid: z.string(),
    state: z.string().default('started'),
    group: z.string().optional(),
    comment: z.string().default(''),
  }),
);
export const HaGroupsReply = z.array(
  z.looseObject({ group: z.string(), nodes: z.string().default(''), restricted: flag.default(false) }),
);
/** Of 9.1's schema only the name and the type are certain; the rest is from PVE's source (unmeasured). */
export const HaRulesReply = z.array(
  z.looseObject({
    rule: z.string(),
    type: z.string().default(''),
    nodes: z.string().default(''),
    resources: z.string().default(''),
    strict: flag.default(false),
    disable: flag.default(false),
  }),
);

/**
 * `lrm_status` has an entry for each node that the manager knows; one without a state could not be read. Its shape is
 * recorded; that a request for maintenance is in `node_request`, and that the state of a node which honours it is
 * `maintenance`, is from PVE's source (unmeasured).
 */
export const HaManagerReply = z.looseObject({
  manager_status: z
    .looseObject({
      timestamp: seconds.optional(),
      node_status: z.record(z.string(), z.string()).default({}),
      node_request: z.record(z.string(), z.looseObject({ maintenance: flag.default(false) })).default({}),
    })
    .optional(),
  lrm_status: z
    .record(
      z.string(),
      z.looseObject({
        state: z.string().optional(),
        mode: z.string().optional(),
        timestamp: seconds.optional(),
      }),
    )
    .optional(),
});

/** Whoever writes to a shared storage can put a file of any name there: what no volid can be is passed over. */
const ContentEntries = z
  .array(z.looseObject({ volid: z.string() }))
  .transform((entries) => entries.filter((entry) => isVolid(entry.volid)));
const Content = z.array(
  z.looseObject({
    volid: z.string(),
    content: z.string().optional(),
    subtype: z.string().optional(),
    vmid: whole.optional(),
    ctime: seconds.optional(),
    size: number.default(0),
    notes: text.optional(),
    protected: flag.default(false),
    // Proxmox Backup Server only, from the schema and PVE's source (unmeasured).
    verification: z.looseObject({ state: z.string() }).nullish(),
    encrypted: text.nullish(),
  }),
);
export const ContentReply = ContentEntries.pipe(Content);

/** The config file inside an archive, as text. Proxmox VE's own are a few KiB; an archive is anybody's who can write there. */
export const ExtractedConfigReply = z.string().max(256 * 1024);

/** Any other state is none that could be acted on. */
export const TaskStatusReply = z.looseObject({
  status: z.enum(['running', 'stopped']),
  exitstatus: line.optional(),
});

/** An object instead of lines: the node has no log of that task. */
const NoLog = z.looseObject({ t: z.string() });
export const TaskLogReply = z.union([z.array(z.looseObject({ n: number, t: line.nullable() })), NoLog]);

export const TasksReply = z.array(
  z.looseObject({
    upid: taskId,
    node: nodeName,
    type: z.string(),
    id: text.default(''),
    user: z.string(),
    tokenid: z.string().optional(),
    starttime: seconds,
    endtime: seconds.optional(),
    status: z.string().optional(),
  }),
);

/** Deleting a volume: null when it was over before the answer. */
export const DeletedReply = taskId.nullish();

/** What an asynchronous call returns. */
export const UpidReply = taskId;

/** Of `POST /access/ticket`. `NeedTFA`: the ticket is only half of one. (unmeasured: from the schema) */
export const TicketReply = z.object({
  ticket: z.string().optional(),
  CSRFPreventionToken: z.string().optional(),
  NeedTFA: z.unknown().optional(),
});
