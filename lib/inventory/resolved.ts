/** Reads a resolved container back from JSON: operation journals keep the entry that they started with. */
import * as z from 'zod';
import type { Container } from './types.ts';

const common = { label: z.string(), timeoutMs: z.number(), attempts: z.int() };
const optionalText = z.string().optional();

const Probe = z.discriminatedUnion('kind', [
  z.object({ ...common, kind: z.literal('tcp'), host: z.string(), port: z.int() }),
  z.object({
    ...common,
    kind: z.literal('http'),
    url: z.string(),
    method: z.enum(['GET', 'HEAD']),
    status: z.array(z.tuple([z.int(), z.int()])),
    body: optionalText,
    insecure: z.boolean(),
  }),
  z.object({ ...common, kind: z.literal('ping'), host: z.string() }),
  z.object({
    ...common,
    kind: z.literal('dns'),
    server: z.string(),
    port: z.int(),
    name: z.string(),
    type: z.enum(['A', 'AAAA', 'TXT', 'MX', 'NS', 'SOA', 'CNAME', 'PTR']),
  }),
  z.object({ ...common, kind: z.literal('exec'), path: z.string(), args: z.array(z.string()) }),
]);

const KEPT = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;

const Hook = z.object({ path: z.string(), args: z.array(z.string()), timeoutMs: z.number() });

/** Parses what `JSON.stringify` made of a Container. Keys of a newer version are dropped. */
export const ResolvedContainer: z.ZodType<Container> = z.object({
  name: z.string(),
  file: z.string(),
  line: z.int(),
  cluster: z.string(),
  vmid: z.int(),
  mode: z.enum(['protect', 'observe', 'off']),
  priority: z.int(),
  nodes: z.array(z.object({ cluster: z.string(), node: z.string() })),
  require: z.enum(['all', 'any']),
  checks: z.array(Probe),
  intervalMs: z.number(),
  failureThreshold: z.int(),
  recoveryThreshold: z.int(),
  rebootGraceMs: z.number().default(900_000),
  home: z.string().nullable().default(null),
  macs: z.array(z.string()),
  backup: z.object({
    storage: z.string(),
    maxAgeMs: z.number(),
    beforeFailover: z.enum(['when-source-alive', 'never']),
    requireVerified: z.boolean(),
    mode: z.enum(['auto', 'snapshot', 'suspend', 'stop']),
    // Journals of an earlier version lack it.
    keep: z.record(z.enum(KEPT), z.int()).nullable().default(null),
  }),
  failover: z.object({
    auto: z.boolean(),
    identity: z.enum(['new-vmid', 'same-vmid']),
    proof: z.enum(['fenced', 'stopped', 'offline-accepted']),
    returnRisk: z.enum(['refused', 'accepted']),
    autostart: z.enum(['pve', 'proxwarden']).default('pve'),
    unseenRisk: z.enum(['refused', 'accepted']).default('refused'),
    cooldownMs: z.number(),
    // Journals of an earlier version lack it.
    maxPerDay: z.int().default(2),
    restoreStorage: z.string(),
    // Journals of an earlier version haven't these.
    mountStorage: z.record(z.string(), z.string()).default({}),
    restoreVia: z.enum(['api', 'shell']).default('api'),
    acceptLoss: z.array(z.string()).default([]),
    vmids: z.array(z.int()),
    placement: z.enum(['order', 'spread']).default('order'),
    maxAttempts: z.int(),
    verifyMs: z.number(),
    restart: z.int(),
  }),
  // Journals of an earlier version know no other clusters.
  elsewhere: z
    .record(
      z.string(),
      z.object({
        vmids: z.array(z.int()),
        backupStorage: z.string(),
        restoreStorage: z.string(),
        mountStorage: z.record(z.string(), z.string()),
      }),
    )
    .default({}),
  hooks: z.object({ before: z.array(Hook), after: z.array(Hook) }),
});
