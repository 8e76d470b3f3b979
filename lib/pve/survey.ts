/** What only `init` reads: how a cluster that is not in an inventory yet looks. All reads. */
import * as z from 'zod';
import type { CallOptions } from './api.ts';
import { get, path } from './calls.ts';
import { configFacts, configFromReply, networksOf, type ConfigFacts, type Network } from './parse.ts';
import type { Rotation } from './rotation.ts';
import { ClusterStatusReply, ConfigReply } from './schemas.ts';
import { text } from './scalars.ts';

export interface ClusterNames {
  /** null: a stand-alone node. */
  readonly cluster: string | null;
  readonly quorate: boolean;
  readonly nodes: readonly { readonly name: string; readonly ip: string | null; readonly online: boolean }[];
}

export interface StorageServer {
  readonly storage: string;
  readonly type: string;
  readonly server: string;
}

export interface SurveyedConfig {
  readonly facts: ConfigFacts;
  readonly networks: readonly Network[];
}

/** All methods throw PveError. */
export interface Survey {
  names(options?: CallOptions): Promise<ClusterNames>;
  /** SHA-256 of each node's certificate, upper case with colons, by node; those that the cluster doesn't know are missing. */
  certificates(options?: CallOptions): Promise<Map<string, string>>;
  config(node: string, vmid: number, options?: CallOptions): Promise<SurveyedConfig>;
  /** Addresses that a running container has, without prefix length; not its loopback's, not link-local ones. */
  addresses(node: string, vmid: number, options?: CallOptions): Promise<string[]>;
  /** The hosts of network storages. */
  storageServers(options?: CallOptions): Promise<StorageServer[]>;
}

/** `ssl_fingerprint` needs no privilege (recordings 00, 03 and 06: with a token that has nothing, too). */
export const NodesReply = z.array(z.looseObject({ node: text, ssl_fingerprint: z.string().optional() }));

/**
 * null for a container that is not running (unmeasured: from PVE's source). Older 8.x versions have only `inet` and
 * `inet6`, one of each (unmeasured).
 */
export const InterfacesReply = z
  .array(
    z.looseObject({
      name: z.string(),
      inet: z.string().optional(),
      inet6: z.string().optional(),
      'ip-addresses': z.array(z.looseObject({ 'ip-address': z.string().optional() })).optional(),
    }),
  )
  .nullish();

/** The schema names only `storage`; the others come from PVE's source (`server` unmeasured). */
const StorageServersReply = z.array(
  z.looseObject({ storage: text, type: z.string().default(''), server: z.string().optional() }),
);

export function createSurvey({ read }: Pick<Rotation, 'read'>): Survey {
  return {
    async names(options) {
      const reply = await read(
        get('reading the cluster status', null, '/cluster/status'),
        ClusterStatusReply,
        options,
      );
      const cluster = reply.find((entry) => entry.type === 'cluster');
      return {
        cluster: cluster?.name ?? null,
        quorate: cluster?.quorate ?? true,
        nodes: reply
          .filter((entry) => entry.type === 'node')
          .map(({ name, ip, online }) => ({ name, ip: ip ?? null, online })),
      };
    },

    async certificates(options) {
      const reply = await read(get('reading the list of nodes', null, '/nodes'), NodesReply, options);
      return new Map(
        reply.flatMap(({ node, ssl_fingerprint: sha256 }) =>
          sha256 === undefined ? [] : [[node, sha256.toUpperCase()] as const],
        ),
      );
    },

    async config(node, vmid, options) {
      const call = get(
        `reading the configuration of CT ${vmid} on ${node}`,
        node,
        path('nodes', node, 'lxc', vmid, 'config'),
      );
      const config = configFromReply(await read(call, ConfigReply, options));
      return { facts: configFacts(config), networks: networksOf(config) };
    },

    async addresses(node, vmid, options) {
      const call = get(
        `reading the addresses of CT ${vmid} on ${node}`,
        node,
        path('nodes', node, 'lxc', vmid, 'interfaces'),
      );
      const reply = (await read(call, InterfacesReply, options)) ?? [];
      const all = reply
        .filter(({ name }) => name !== 'lo')
        .flatMap(({ inet, inet6, 'ip-addresses': listed }) =>
          listed === undefined ? [inet, inet6] : listed.map((each) => each['ip-address']),
        );
      const bare = all.flatMap((address) => address?.split('/')[0] ?? []);
      return [...new Set(bare)].filter((address) => !/^(?:fe80:|169\.254\.)/i.test(address));
    },

    async storageServers(options) {
      const call = get('reading the definitions of the storages', null, '/storage');
      const reply = await read(call, StorageServersReply, options);
      return reply.flatMap(({ storage, type, server }) =>
        server === undefined ? [] : [{ storage, type, server }],
      );
    },
  };
}
