/** What the client makes of the cluster's own lists. */
import type * as z from 'zod';
import type { Bridge } from '../decide/guest-config.ts';
import type { EndpointView, GuestView, StorageView } from '../decide/model.ts';
import { messageOf } from '../errors.ts';
import type { NodeResource, PveApi } from './api.ts';
import { isSilence, RequestError, type FailureKind } from './failure.ts';
import { splitTags } from './parse.ts';
import type { ClusterStatusReply, NetworkReply, ResourcesReply } from './schemas.ts';

type FullEndpointView = Awaited<ReturnType<PveApi['endpointView']>>;

/** A stand-alone node has no `cluster` entry, and is always quorate: it is alone. */
export function endpointViewFrom(
  endpoint: string,
  reply: z.infer<typeof ClusterStatusReply>,
): FullEndpointView {
  const cluster = reply.find((entry) => entry.type === 'cluster');
  const nodes = reply
    .filter((entry) => entry.type === 'node')
    .map(({ name, online, ip, local }) => ({ name, online, ip: ip ?? null, local }));
  return {
    endpoint,
    ok: true,
    error: null,
    node: nodes.find((node) => node.local)?.name ?? null,
    quorate: cluster === undefined ? true : cluster.quorate,
    online: nodes.filter((node) => node.online).map((node) => node.name),
    standalone: cluster === undefined,
    nodes: nodes.map(({ name, online, ip }) => ({ name, online, ip })),
    failure: null,
  };
}

export function failedEndpointView(endpoint: string, error: unknown): FullEndpointView {
  const view: EndpointView = {
    endpoint,
    ok: false,
    error: messageOf(error),
    node: null,
    quorate: false,
    online: [],
  };
  return { ...view, silent: isSilence(error), standalone: false, nodes: [], failure: failureOf(error) };
}

const FAILURES = {
  auth: 'auth',
  tls: 'tls',
  network: 'network',
  timeout: 'network',
  answer: 'other',
  aborted: 'other',
} as const satisfies Record<FailureKind, FullEndpointView['failure']>;

function failureOf(error: unknown): FullEndpointView['failure'] {
  return error instanceof RequestError ? FAILURES[error.failure] : 'other';
}

export function resourcesFrom(reply: z.infer<typeof ResourcesReply>): {
  nodes: NodeResource[];
  guests: GuestView[];
  storages: StorageView[];
} {
  const nodes: NodeResource[] = [];
  const guests: GuestView[] = [];
  const storages: StorageView[] = [];
  for (const entry of reply) {
    if (entry.type === 'node')
      nodes.push({
        name: entry.node,
        status: entry.status,
        memTotal: entry.maxmem ?? null,
        memUsed: entry.mem ?? null,
        uptimeSeconds: entry.uptime ?? null,
      });
    else if (entry.type === 'storage')
      storages.push({
        storage: entry.storage,
        node: entry.node,
        active: entry.status === 'available',
        shared: entry.shared ?? false,
        content: (entry.content ?? '').split(',').filter((kind) => kind !== ''),
        total: entry.maxdisk ?? null,
        used: entry.disk ?? null,
        type: entry.plugintype ?? null,
      });
    else if (entry.type !== 'other')
      guests.push({
        vmid: entry.vmid,
        type: entry.type,
        node: entry.node,
        name: entry.name ?? '',
        status: entry.status,
        tags: splitTags(entry.tags),
        lock: entry.lock ?? null,
        template: entry.template ?? false,
        memMax: entry.maxmem ?? null,
        memUsed: entry.mem ?? null,
        diskUsed: entry.disk ?? null,
      });
  }
  return { nodes, guests, storages };
}

/** Open vSwitch takes any VLAN; what a vnet does with one is the SDN's affair (unmeasured), so nothing is said against it. */
export function bridgesFrom(reply: z.infer<typeof NetworkReply>): Bridge[] {
  return reply.map((entry) => ({
    name: entry.iface,
    vlanAware: entry.type !== 'bridge' || entry.bridge_vlan_aware,
    hasPort: entry.bridge_ports === undefined ? null : !/^(none)?$/.test(entry.bridge_ports.trim()),
    vids: entry.bridge_vids ?? null,
  }));
}
