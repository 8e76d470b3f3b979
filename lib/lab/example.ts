/** The example: a world of three small nodes, and the inventory that goes with it. */
import { InputError } from '../errors.ts';
import type { ContainerSpec, ServiceSpec, StorageSpec, WorldSpec } from './types.ts';

/** Ports that the example uses on loopback; all follow from one base. */
export interface ExamplePorts {
  readonly api: { readonly pve1: number; readonly pve2: number; readonly pve3: number };
  /** Something that always answers, as a NAS would: a canary. */
  readonly nas: number;
  readonly plugs: number;
  /** Both tcp and udp. */
  readonly dns: number;
  readonly web: number;
  readonly wiki: number;
  readonly db: number;
}

/** The token's id; its secret is made when the lab is started. */
export const EXAMPLE_TOKEN_ID = 'proxwarden@pve!lab';

const HOST = '127.0.0.1';
const MIB_PER_SECOND = 50;
const HOUR_SECONDS = 3600;

/** The ports for one base. Throws InputError when the base leaves no room for them. */
export function examplePorts(portBase: number): ExamplePorts {
  if (!Number.isInteger(portBase) || portBase < 1024 || portBase > 65_400) {
    throw new InputError(`the lab's port base must be a whole number from 1024 to 65400, not ${portBase}`);
  }
  return {
    api: { pve1: portBase + 6, pve2: portBase + 16, pve3: portBase + 26 },
    nas: portBase + 49,
    plugs: portBase + 71,
    dns: portBase + 53,
    web: portBase + 80,
    wiki: portBase + 81,
    db: portBase + 32,
  };
}

/**
 * Cluster `home`: three nodes, local disks, a NAS for the backups, four containers with two backups each.
 * `secret` is the API token's. The token has exactly what ProxWarden needs, and no more.
 */
export function exampleWorld(options: { readonly portBase: number; readonly secret: string }): WorldSpec {
  const ports = examplePorts(options.portBase);
  const containers = [
    container(101, 'dns', 'pve1', 96, [
      { kind: 'dns', host: HOST, port: ports.dns },
      { kind: 'tcp', host: HOST, port: ports.dns },
    ]),
    container(102, 'web', 'pve1', 128, [{ kind: 'http', host: HOST, port: ports.web }]),
    container(103, 'db', 'pve2', 192, [{ kind: 'tcp', host: HOST, port: ports.db }]),
    container(104, 'wiki', 'pve3', 128, [{ kind: 'http', host: HOST, port: ports.wiki }]),
  ];
  const storages: readonly StorageSpec[] = [
    {
      id: 'local',
      type: 'dir',
      path: '/var/lib/vz',
      content: ['rootdir', 'images', 'vztmpl'],
      sizeMiB: 20_480,
    },
    { id: 'nas', type: 'dir', path: '/mnt/pve/nas', content: ['backup'], shared: true, sizeMiB: 102_400 },
  ];
  return {
    cluster: 'home',
    nodes: [
      { name: 'pve1', ip: '192.0.2.11', memoryMiB: 8192 },
      { name: 'pve2', ip: '192.0.2.12', memoryMiB: 8192 },
      { name: 'pve3', ip: '192.0.2.13', memoryMiB: 8192 },
    ],
    storages,
    containers,
    backups: containers.flatMap(({ vmid }) =>
      [28, 4].map((hours) => ({ vmid, storage: 'nas', ageSeconds: hours * HOUR_SECONDS })),
    ),
    jobs: [{ id: 'nightly', storage: 'nas', schedule: '21:00', prune: { 'keep-last': 7 } }],
    tokens: [{ id: EXAMPLE_TOKEN_ID, secret: options.secret, privileges: leastPrivileges(storages) }],
    throughputMiB: MIB_PER_SECOND,
  };
}

/** Addresses are of the range that documentation reserves (RFC 5737): nothing real ever answers there. */
function container(
  vmid: number,
  hostname: string,
  node: string,
  diskMiB: number,
  services: readonly ServiceSpec[],
): ContainerSpec {
  return {
    vmid,
    node,
    hostname,
    onboot: true,
    running: true,
    memoryMiB: 512,
    diskMiB,
    storage: 'local',
    mac: `BC:24:11:00:01:${(vmid - 100).toString(16).padStart(2, '0').toUpperCase()}`,
    ip: `192.0.2.${vmid}/24`,
    services,
  };
}

function leastPrivileges(storages: readonly StorageSpec[]): Record<string, readonly string[]> {
  return {
    // Sys.Console is for the HA guard, which keeps a dead node's original from starting when it returns.
    '/': ['Sys.Audit', 'Sys.Console'],
    '/vms': ['VM.Audit', 'VM.Backup', 'VM.PowerMgmt', 'VM.Config.Options', 'VM.Allocate'],
    ...Object.fromEntries(
      storages.map(({ id }) => [`/storage/${id}`, ['Datastore.Audit', 'Datastore.AllocateSpace']]),
    ),
    '/sdn/zones/localnetwork': ['SDN.Use'],
  };
}

/** The YAML of inventory/example/home.yaml, for a port base. The committed file is the one for 18000. */
export function exampleInventory(portBase: number): string {
  const ports = examplePorts(portBase);
  const nodes = Object.entries(ports.api);
  const plug = (node: string): string => `http://${HOST}:${ports.plugs}/plug/${node}/relay`;
  return `# yaml-language-server: $schema=../schema.json
#
# The inventory of the simulated cluster: three nodes, four containers, one NAS for the backups.
# Start the cluster with \`proxwarden lab up\`, then use this folder with \`--inventory\`. It is a real
# inventory: yours looks the same, with your own addresses. A change to it is made by pull request.

# One file describes one cluster (or one node that isn't in a cluster).
cluster: home

# How the Proxmox VE API is reached. Name several nodes: when one is dead, the next one is asked.
api:
  endpoints:
${nodes.map(([, port]) => `    - https://${HOST}:${port}`).join('\n')}
  # Where the API token is to be found, never the token itself: env:NAME or file:PATH (one line, USER@REALM!NAME=SECRET).
  token: file:.lab/token
  # The certificate that signed those of the nodes. Also possible: { fingerprint: "AB:CD:…" }.
  tls: { ca: .lab/ca.pem }

# Things that answer as long as the network of the machine that runs ProxWarden works: a gateway, a NAS, a backup
# server. When fewer than half of them answer, the trouble is on our side, and nothing is done.
canaries:
  - tcp:${HOST}:${ports.nas} # the NAS
  - tcp:${HOST}:${ports.plugs} # the smart plugs

# How a node is made provably off before its containers are started elsewhere. Here: a smart plug per node, which
# is switched by \`off\` and then read back by \`status\`; it is off when the answer's field \`ison\` is false.
nodes:
${nodes
  .map(
    ([node]) => `  ${node}:
    fence:
      - http:
          off: { url: '${plug(node)}?turn=off' }
          status: { url: '${plug(node)}', field: ison, off: false }
      - manual${node === 'pve1' ? ' # your own word counts, too: `proxwarden fence confirm pve1`, while it is silent' : ''}`,
  )
  .join('\n')}

# What holds for every container below, unless it says otherwise itself.
defaults:
  interval: 10s # how often \`check-and-failover\` is run; 60s with cron, short here for the fun of it
  failureThreshold: 3 # so many runs in a row must fail before anything is done
  recoveryThreshold: 2 # and so many must succeed before it counts as healthy again
  backup:
    storage: nas
    maxAge: 24h # the most data, in time, that may be lost without a person's consent
    beforeFailover: when-source-alive # a service that fails on a living node is backed up afresh and moved with that
  failover:
    auto: true # false: only observe and tell
    proof: stopped # what is demanded before a copy is started: the original is proven stopped, or its node off
    cooldown: 1h # after a failover, the same container isn't moved again for so long
    restoreStorage: local # where the copy's disk goes

# Brakes for a bad day.
limits: { failoversPerRun: 3, failoversPerHour: 6 }

containers:
  # The name server. First in line when several containers have to be moved.
  dns:
    vmid: 101
    priority: 1
    nodes: [pve2, pve3] # where it may go, in this order
    checks: # all of them must pass
      - tcp: ${HOST}:${ports.dns}
      - dns: { server: '${HOST}:${ports.dns}', name: example.org, type: A }
    hooks:
      after: [hooks/log-failover.sh] # run when the copy answers; this one writes a line to .lab/hooks.log

  # The database: a port that accepts connections. Give such checks some time.
  db:
    vmid: 103
    priority: 2
    nodes: [pve1, pve3]
    checks:
      - tcp: ${HOST}:${ports.db}
        timeout: 5s
        attempts: 3

  # A web site: status and content.
  web:
    vmid: 102
    priority: 3
    nodes: [pve3, pve2]
    checks:
      - http: { url: 'http://${HOST}:${ports.web}/', status: 200-399, body: web }

  # Only watched: its state is shown and told, but it is never touched. A good way to begin.
  wiki:
    vmid: 104
    mode: observe # protect is the default, off ignores it
    nodes: [pve1]
    checks:
      - http: http://${HOST}:${ports.wiki}/
`;
}
