/** world.yaml: the lab's WorldSpec, with everything that is the same in most scenarios left out. */
import * as z from 'zod';
import { macOf } from '../../../lib/lab/build.ts';
import type { StorageSpec, TokenSpec, WorldSpec } from '../../../lib/lab/types.ts';
import { parseDuration } from '../../../lib/units.ts';
import { tokenSecret } from '../../secrets.ts';

/** No scenario may ever show it, nor leave it in a file. */
export const SECRET = tokenSecret();
const TOKEN_ID = 'proxwarden@pve!ha';
export const TOKEN = `${TOKEN_ID}=${SECRET}`;
/** A person's: may do everything. */
const ADMIN = { id: 'admin@pve!gui', secret: tokenSecret(1) };
export const ADMIN_TOKEN = `${ADMIN.id}=${ADMIN.secret}`;

const ALL_MEMORY_MIB = 8192;

/** `http 10.0.0.101:80` */
const Service = z
  .string()
  .regex(/^(tcp|http|dns) [\d.]+:\d+$/)
  .transform((text) => {
    const [kind = '', host = '', port = ''] = text.split(/[ :]/);
    return { kind: z.enum(['tcp', 'http', 'dns']).parse(kind), host, port: Number(port) };
  });

const Node = z.union([
  z.string().transform((name) => ({ name, memoryMiB: ALL_MEMORY_MIB })),
  z.strictObject({
    name: z.string(),
    memoryMiB: z.number().default(ALL_MEMORY_MIB),
    version: z.string().optional(),
  }),
]);

const Container = z.strictObject({
  vmid: z.number(),
  name: z.string(),
  node: z.string(),
  running: z.boolean().default(true),
  onboot: z.boolean().default(true),
  memoryMiB: z.number().default(512),
  diskMiB: z.number().default(100),
  storage: z.string().default('local'),
  tags: z.array(z.string()).default([]),
  description: z.string().default(''),
  template: z.boolean().default(false),
  serves: z.array(Service).default([]),
  config: z.record(z.string(), z.string()).default({}),
});

const Backup = z.strictObject({
  vmid: z.number(),
  storage: z.string().default('nas'),
  age: z.string().transform(parseDuration),
  notes: z.string().default(''),
  truncated: z.boolean().default(false),
  protected: z.boolean().default(false),
  unfinished: z.boolean().default(false),
  verification: z.enum(['ok', 'failed']).optional(),
  encrypted: z.string().optional(),
  foreign: z.strictObject({ hostname: z.string(), mac: z.string() }).optional(),
});

const Job = z.strictObject({
  id: z.string(),
  storage: z.string().default('nas'),
  schedule: z.string().default('21:00'),
  vmids: z.array(z.number()),
});

const Storage = z.strictObject({
  id: z.string(),
  type: z.string().default('dir'),
  pruneBackups: z.string().default('keep-all=1'),
  maxProtected: z.number().optional(),
  encryptionKey: z.string().optional(),
  content: z.array(z.string()),
  shared: z.boolean().default(false),
  nodes: z.array(z.string()).optional(),
  export: z.string().optional(),
  sizeMiB: z.number().default(102_400),
});

const STORAGE = { type: 'dir', pruneBackups: 'keep-all=1', sizeMiB: 102_400 };

/** What the token may do on `/`; the rest is what the README tells people to grant. */
const RootRights = z.array(z.string()).default(['Sys.Audit', 'Sys.Console']);

const Cluster = z.strictObject({
  cluster: z.string().nullable().default('home'),
  version: z.string().optional(),
  nodes: z.array(Node).default([1, 2, 3].map((n) => ({ name: `pve${n}`, memoryMiB: ALL_MEMORY_MIB }))),
  storages: z.array(Storage).default([
    { ...STORAGE, id: 'local', content: ['rootdir', 'images'], shared: false },
    { ...STORAGE, id: 'nas', content: ['backup'], shared: true },
  ]),
  containers: z.array(Container).default([]),
  /** So many containers like the first: `name-1` …, vmids and addresses count on. For fleets. */
  clones: z.number().default(0),
  backups: z.array(Backup).default([]),
  /** Proxmox's own, which name their guests. */
  jobs: z.array(Job).default([]),
  rights: RootRights,
  /** Further ones on `/vms`. */
  guestRights: z.array(z.string()).default([]),
  throughputMiB: z.number().default(50),
});
export type ClusterFile = z.infer<typeof Cluster>;

export const WorldFile = Cluster.extend({
  /** What answers outside of the cluster: canaries. */
  outside: z.array(z.string()).default(['10.0.0.1:53', '10.0.0.9:8007']),
  /** A runner that is called as a node runs on it, and has its state in /etc/pve/proxwarden. */
  onNodes: z.boolean().default(false),
  /** The file system of the runners' other state folders, and its options: `nfs4 rw,nocto`. */
  stateFs: z.string().default('ext4 rw'),
  /** Nodes with a second power supply, behind a plug of its own: `pve1-b`. */
  twoSupplies: z.array(z.string()).default([]),
  /** Further clusters and stand-alone nodes, by what the log calls them. Their nodes have names of their own. */
  others: z.record(z.string(), Cluster).default({}),
});
export type WorldFile = z.infer<typeof WorldFile>;

/** pve1 is 10.0.0.11, pve2 is 10.0.0.12 … in the order of the file; those of the n-th other cluster 10.0.n.11 … */
export function ipOfNode(index: number, net = 0): string {
  return `10.0.${net}.${11 + index}`;
}

/** `net`: 0 is the first cluster, the others count from 1. */
export function worldOf(file: ClusterFile, net = 0): WorldSpec {
  const storages: StorageSpec[] = file.storages.map(
    ({ nodes, maxProtected, encryptionKey, export: name, ...one }) => ({
      ...one,
      ...(name === undefined ? {} : { export: name }),
      path: one.shared ? `/mnt/pve/${one.id}` : `/var/lib/${one.id}`,
      ...(nodes === undefined ? {} : { nodes }),
      ...(maxProtected === undefined ? {} : { maxProtected }),
      ...(encryptionKey === undefined ? {} : { encryptionKey }),
    }),
  );
  return {
    cluster: file.cluster,
    ...(file.version === undefined ? {} : { version: file.version }),
    nodes: file.nodes.map((node, index) => {
      const version = 'version' in node ? node.version : undefined;
      const { name, memoryMiB } = node;
      return { name, memoryMiB, ip: ipOfNode(index, net), ...(version === undefined ? {} : { version }) };
    }),
    storages,
    containers: fleet(file).map(({ name, serves, ...one }) => ({
      ...one,
      hostname: name,
      // No two clusters have the same addresses.
      ...(net === 0 ? {} : { mac: macOf(net * 1_000_000 + one.vmid) }),
      ip: `${serves[0]?.host ?? `10.0.1.${one.vmid % 250}`}/24`,
      services: serves,
    })),
    backups: file.backups.map(({ age, verification, encrypted, foreign, ...one }) => ({
      ...one,
      ageSeconds: age / 1000,
      ...(verification === undefined ? {} : { verification }),
      ...(encrypted === undefined ? {} : { encrypted }),
      ...(foreign === undefined ? {} : { foreign }),
    })),
    // The very objects: a step changes them.
    jobs: file.jobs,
    tokens: [
      { id: TOKEN_ID, secret: SECRET, privileges: privileges(file, storages) },
      { ...ADMIN, privileges: { '/': ['*'] } },
    ],
    throughputMiB: file.throughputMiB,
  };
}

function fleet(file: ClusterFile): ClusterFile['containers'] {
  const [first] = file.containers;
  if (first === undefined || file.clones === 0) return file.containers;
  const clones = Array.from({ length: file.clones }, (_, n) => ({
    ...first,
    vmid: first.vmid + n + 1,
    name: `${first.name}-${n + 1}`,
    serves: first.serves.map((s) => ({
      ...s,
      host: s.host.replace(/\d+$/, (d) => String(Number(d) + n + 1)),
    })),
  }));
  return [...file.containers, ...clones];
}

function privileges(
  { rights, guestRights }: ClusterFile,
  storages: readonly StorageSpec[],
): TokenSpec['privileges'] {
  return {
    '/': rights,
    '/vms': ['VM.Audit', 'VM.Backup', 'VM.PowerMgmt', 'VM.Config.Options', 'VM.Allocate', ...guestRights],
    ...Object.fromEntries(
      storages.map(({ id }) => [`/storage/${id}`, ['Datastore.Audit', 'Datastore.AllocateSpace']]),
    ),
    '/sdn/zones/localnetwork': ['SDN.Use'],
  };
}
