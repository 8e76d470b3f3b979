/**
 * The schema of ONE inventory file. It says what may be written; load.ts puts the files together, applies the
 * defaults and turns them into the types of types.ts. The descriptions are what editors show.
 */
import * as z from 'zod';
import { parseEndpoint } from './addresses.ts';
import { canary, check, hook } from './checks.ts';
import { fence } from './fence.ts';
import * as f from './fields.ts';
import { restoreShape, shell } from './restoring.ts';
import { tls } from './tls.ts';
import { heartbeat, notify } from './notify.ts';
import type { KeepPolicy } from './types.ts';

const endpoint = z
  .string()
  .meta({ pattern: '^https://[^/@?#]+/?$' })
  .transform((value, context): string => {
    const parsed = parseEndpoint(value);
    return (
      parsed ??
      f.refuse(context, 'is not an API endpoint', 'write https://host or https://host:8006, nothing after it')
    );
  });

const hooks = f.strict({
  before: z
    .array(hook)
    .max(20)
    .optional()
    .describe('Programs that are run before anything is changed; one that fails stops the failover.'),
  after: z
    .array(hook)
    .max(20)
    .optional()
    .describe('Programs that are run once the copy has been verified: DNS, a load balancer, a message.'),
});

const kept = f.count(0, 10_000).optional();

/** `keep: 3`, or numbers as in PVE's prune-backups. */
const keep = z.union(
  [
    f.count(1, 10_000).transform((last) => keepPolicy({ last })),
    f
      .strict({
        last: kept.describe('The newest.'),
        hourly: kept.describe('The newest of each of so many hours with backups.'),
        daily: kept.describe('The newest of each of so many days.'),
        weekly: kept.describe('The newest of each of so many weeks.'),
        monthly: kept.describe('The newest of each of so many months.'),
        yearly: kept.describe('The newest of each of so many years.'),
      })
      .transform((given, context): KeepPolicy => {
        const policy = keepPolicy(given);
        return Object.values(policy).some((count) => count > 0)
          ? policy
          : f.refuse(context, 'keeps nothing', 'write keep: 3, or leave it out: then nothing is pruned');
      }),
  ],
  {
    error: f.said('is no number and no mapping', 'write keep: 3, or keep: { last: 3, daily: 7, weekly: 4 }'),
  },
);

function keepPolicy(given: { readonly [K in keyof KeepPolicy]?: number | undefined }): KeepPolicy {
  const { last = 0, hourly = 0, daily = 0, weekly = 0, monthly = 0, yearly = 0 } = given;
  return { last, hourly, daily, weekly, monthly, yearly };
}

const backup = f.strict({
  storage: f.storageName
    .optional()
    .describe(
      'Name of the Proxmox storage that holds its backups (a NAS, a Proxmox Backup Server). Required for modes protect and observe.',
    )
    .meta({ written: ['nas'] }),
  storageIn: z
    .record(f.clusterName, f.storageName)
    .optional()
    .describe('What that very storage is called in other clusters. Default: the same.')
    .meta({ written: [{ office: 'nas2' }] }),
  maxAge: f
    .duration()
    .optional()
    .describe(
      'Its RPO: the oldest backup that may be used, and so the data loss that is accepted in advance. Older ones block a failover. Default 24h.',
    )
    .meta({ written: ['24h'] }),
  beforeFailover: z
    .enum(['when-source-alive', 'never'])
    .optional()
    .describe(
      'when-source-alive: while its node lives it is stopped, backed up, and exactly that backup is used, so that nothing is lost. never: the newest sound one is used. Default when-source-alive.',
    ),
  requireVerified: z
    .boolean()
    .optional()
    .describe('true: only backups that a Proxmox Backup Server has verified are used. Default false.'),
  mode: z
    .enum(['auto', 'snapshot', 'suspend', 'stop'])
    .optional()
    .describe(
      'How `backup NAME` makes backups. auto: snapshot where all its volumes can, else suspend. Default auto.',
    ),
  keep: keep
    .optional()
    .describe(
      'What `backup prune` keeps of the backups that ProxWarden made: a number, or a mapping as in Proxmox\u2019s prune-backups. Default: all; nothing is pruned.',
    )
    .meta({ written: [3, { last: 3, daily: 7, weekly: 4 }] }),
});

const ABOUT_FAILOVER = 'When and how it may be moved.';
const failoverShape = {
  auto: z
    .boolean()
    .optional()
    .describe(
      'true: it is failed over without asking. false: what would be done is told, and a person does it. Default false.',
    ),
  identity: z
    .enum(['new-vmid', 'same-vmid'])
    .optional()
    .describe(
      'new-vmid: the copy gets a vmid of failover.vmids. same-vmid: it keeps its vmid, the original\u2019s config is moved aside (needs shell:). Default new-vmid.',
    ),
  proof: z
    .enum(['fenced', 'stopped', 'offline-accepted'])
    .optional()
    .describe(
      'How sure it must be that the original is not running. fenced: P3, stopped: P2 or P3, offline-accepted: also P1, which risks two copies when a node is only cut off (README, \u201cWhat it promises\u201d). Default stopped.',
    ),
  returnRisk: z
    .enum(['refused', 'accepted'])
    .optional()
    .describe('accepted: the original may start by itself when its node returns. Default refused.'),
  autostart: z
    .enum(['pve', 'proxwarden'])
    .optional()
    .describe(
      'Who starts it after a boot of its node. proxwarden: onboot is kept 0, and without ProxWarden running nothing starts it. Default pve.',
    ),
  unseenRisk: z
    .enum(['refused', 'accepted'])
    .optional()
    .describe(
      "accepted: another cluster of its list that can't be seen is taken to hold no later copy. Default refused.",
    ),
  cooldown: f
    .duration({ minMs: 0 })
    .optional()
    .describe('After a failover there is no other automatic one for so long. Default 1h.')
    .meta({ written: ['1h'] }),
  maxPerDay: f
    .count(1, 100)
    .optional()
    .describe('Automatic failovers within 24 h; before one more, somebody has to say `ack`. Default 2.'),
  ...restoreShape,
  placement: z
    .enum(['order', 'spread'])
    .optional()
    .describe(
      'Of the nodes that can take it: the first of the list, or the one with most memory free. Default order.',
    ),
  maxAttempts: f
    .count(1, 9)
    .optional()
    .describe('How many nodes are tried, one after the other, until hands are taken off. Default 2.'),
  verify: f
    .duration({ maxMs: 3_600_000 })
    .optional()
    .describe('How long a copy that was started has until its checks pass. Default 2m.')
    .meta({ written: ['2m'] }),
  restart: f
    .count(0, 1)
    .optional()
    .describe(
      'How often a service that hangs on a living node is restarted in place before it is moved: 0 or 1. Default 1.',
    ),
};

/** What `defaults` and a container have in common. */
const commonShape = {
  mode: z
    .enum(['protect', 'observe', 'off'])
    .optional()
    .describe(
      'protect: it is failed over. observe: it is checked and told of, and nothing is ever done. off: it is ignored (what was failed over is still not run twice). Default protect.',
    ),
  priority: f
    .count(1, 10_000)
    .optional()
    .describe('Who comes first when there is not room for all: 1 before 2. Default 100.'),
  nodes: z
    .array(f.targetName)
    .max(50)
    .optional()
    .describe(
      'Nodes that it may go to, in order; `attic/pve9` is a node of another cluster, or a stand-alone one. Required for mode protect.',
    )
    .meta({ written: [['pve2', 'pve3']] }),
  require: z
    .enum(['all', 'any'])
    .optional()
    .describe('Whether all of its checks must pass, or any of them is enough. Default all.'),
  interval: f
    .duration({ minMs: 1000, maxMs: 86_400_000 })
    .optional()
    .describe(
      'How often check-and-failover is expected to run; a count moves at most once in half of it. Default 60s.',
    )
    .meta({ written: ['60s'] }),
  failureThreshold: f
    .count(1, 100)
    .optional()
    .describe('How many runs in a row must find it unhealthy before it counts as failed. Default 3.'),
  recoveryThreshold: f
    .count(1, 100)
    .optional()
    .describe('How many runs in a row must find it healthy before it counts as recovered. Default 2.'),
  rebootGrace: f
    .duration({ minMs: 0, maxMs: 86_400_000 })
    .optional()
    .describe(
      'For so long after a person has shut down or rebooted its node its failures are not counted. Default 15m.',
    )
    .meta({ written: ['15m'] }),
  backup: backup.optional().describe('Which backups are used, made and kept.'),
  hooks: hooks.optional().describe('Its own programs; a list that is given here replaces the inherited one.'),
};

const mac = f
  .text(/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/, 'a MAC address', 'BC:24:11:00:00:01')
  .transform((value) => value.toUpperCase());

const defaults = f.strict({
  ...commonShape,
  failover: f.strict(failoverShape).optional().describe(ABOUT_FAILOVER),
});

/** One container as it is written. */
const container = f.strict({
  vmid: f.vmid
    .describe('The vmid of the original; unique in its cluster. Required.')
    .meta({ written: [101] }),
  ...commonShape,
  checks: z
    .array(check)
    .max(50)
    .optional()
    .describe(
      'What must answer, from this machine and at the container\u2019s own address. Required for modes protect and observe.',
    ),
  home: f.nodeName
    .optional()
    .describe('The node that `failback` moves it to. Default: that of its original.')
    .meta({ written: ['pve1'] }),
  macs: z
    .array(mac)
    .max(32)
    .optional()
    .describe(
      'MAC addresses by which its backups are known, whatever their vmid. Default: as last seen in its config.',
    )
    .meta({ written: [['BC:24:11:00:00:01']] }),
  failover: f
    .strict({
      ...failoverShape,
      vmids: z
        .array(f.vmid)
        .min(1)
        .max(100)
        .optional()
        .describe('vmids that its copies get, in this order. Default 1000000 + vmid … 9000000 + vmid.')
        .meta({ written: [[1101, 2101]] }),
    })
    .optional()
    .describe(ABOUT_FAILOVER),
});
export type ContainerInput = z.output<typeof container>;
/** Settings that are inherited: container over file over cluster. */
export type Settings = z.output<typeof defaults>;

const api = f.strict({
  endpoints: z
    .array(endpoint)
    .min(1)
    .max(32)
    .describe(
      'https URLs of the nodes\u2019 API; list all of them, so that one that is down is not missed. Required.',
    )
    .meta({ written: [['https://10.0.0.11:8006', 'https://10.0.0.12:8006']] }),
  token: f.secretRef
    .optional()
    .describe('API token (user@realm!name=uuid) as env:NAME or file:PATH, never the token itself.')
    .meta({ written: ['env:PROXWARDEN_HOME_TOKEN'] }),
  user: f
    .text(
      /^[^\s:/!]{1,60}@[A-Za-z][A-Za-z0-9._-]*$/,
      'a user with its realm, without the name of a token',
      'proxwarden@pve',
    )
    .max(64)
    .optional()
    .describe('Instead of a token: logs in as this user (user@realm), with password.')
    .meta({ written: ['proxwarden@pve'] }),
  password: f.secretRef
    .optional()
    .describe('Password of user: env:NAME or file:PATH, never the password itself.')
    .meta({ written: ['file:/etc/proxwarden/password'] }),
  tls: tls.optional().describe("How certificates are checked. Default: the system's roots."),
  timeout: f
    .duration({ maxMs: 300_000 })
    .optional()
    .describe('How long one API request may take. Default 10s.')
    .meta({ written: ['10s'] }),
});

/** One inventory file. */
export const InventoryFile = f.strict({
  cluster: f.clusterName
    .optional()
    .describe('The cluster (or stand-alone node) that this file is about.')
    .meta({ written: ['home'] }),
  api: api.optional().describe('How to reach it. In exactly one file per cluster.'),
  shell: shell
    .optional()
    .describe(
      'How a root shell on its nodes is reached, for restoreVia: shell. local: the runner is one of its nodes.',
    ),
  orphans: z
    .enum(['tell', 'stop'], {
      error: (issue) =>
        issue.input === 'reboot'
          ? f.said('reboot is said of a single node', 'write it under nodes: { pve1: { orphans: reboot } }')
          : undefined,
    })
    .optional()
    .describe(
      'How copies are ended that run on a node without a config there. stop: lxc-stop by a root shell (needs shell:). Default tell.',
    ),
  canaries: z
    .array(canary)
    .max(50)
    .optional()
    .describe(
      "Must answer if the runner's own network works: gateway, backup server. ping:host, tcp:host:port, http:URL, dns:server/name.",
    )
    .meta({ written: [['ping:10.0.0.1', 'tcp:10.0.0.20:8007']] }),
  nodes: z
    .record(
      f.nodeName,
      f
        .strict({
          fence: z
            .array(fence)
            .max(10)
            .optional()
            .describe(
              'Ways to make the node provably off, in order: one that reads back \u201coff\u201d counts, unless another one says \u201con\u201d.',
            ),
          orphans: z
            .enum(['tell', 'stop', 'reboot'])
            .optional()
            .describe(
              'How copies are ended that run on this node without a config. reboot: by the API, if no other guest runs there. Default: as the cluster says.',
            ),
        })
        .nullable(),
    )
    .optional()
    .describe('What is to be known about nodes.'),
  defaults: defaults
    .optional()
    .describe("For all containers of the cluster; in a file without api: for that file's."),
  limits: f
    .strict({
      failoversPerRun: f
        .count(0, 100)
        .optional()
        .describe('How many automatic failovers one run may begin. Default 3.'),
      failoversPerHour: f
        .count(0, 100)
        .optional()
        .describe('How many automatic failovers may begin within an hour. Default 6.'),
      restoresPerNode: f
        .count(1, 100)
        .optional()
        .describe(
          'How many failovers to one node may be at their restore at the same time; as many more are made ready meanwhile. Default 1.',
        ),
      restoresPerStorage: f
        .count(1, 100)
        .optional()
        .describe(
          'How many failovers from one storage of backups may be at their restore at the same time. Default 2.',
        ),
    })
    .optional()
    .describe('How much may be done by itself, over all clusters.'),
  keepApart: z
    .record(f.containerName, z.array(f.containerName).min(2).max(100))
    .optional()
    .describe('Groups by name; no two containers of a group are put on the same node.')
    .meta({ written: [{ dns: ['dns1', 'dns2'] }] }),
  hooks: hooks.optional().describe('For all containers of all clusters, unless they have their own.'),
  notify: notify
    .optional()
    .describe(
      'Who is told of transitions, and of what needs a person. The lists of all files hold together.',
    ),
  heartbeat: heartbeat
    .optional()
    .describe('A dead man\u2019s switch (healthchecks.io and the like): called by every check-and-failover.'),
  containers: z
    .record(f.containerName, container)
    .optional()
    .describe('By name; unique in the whole inventory.'),
});
export type InventoryFileInput = z.output<typeof InventoryFile>;

/**
 * The JSON Schema of one file, for editors (`validate --schema`, inventory/schema.json). Examples stand in the metadata as
 * `written`: zod leaves `examples` out where a value is transformed, as they would be of what it becomes.
 */
export function inventoryJsonSchema(): object {
  return {
    title: 'ProxWarden inventory file',
    ...z.toJSONSchema(InventoryFile, {
      io: 'input',
      target: 'draft-7',
      override({ jsonSchema }) {
        const { written } = jsonSchema;
        if (!Array.isArray(written)) return;
        jsonSchema.examples = written;
        delete jsonSchema['written'];
      },
    }),
  };
}
