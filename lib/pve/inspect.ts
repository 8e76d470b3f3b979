/** What `doctor` asks a cluster beside what every run reads: how it is set up. Reads only. */
import type { BackupJob, Retention, StorageDefinition } from '../decide/doctor/facts.ts';
import type { CallOptions } from './api.ts';
import { get, path } from './calls.ts';
import * as schemas from './inspect-schemas.ts';
import { PermissionsReply, VersionReply } from './schemas.ts';
import type { Rotation } from './rotation.ts';

/** Each throws PveError. */
export interface Inspection {
  /** The node's clock, epoch ms in whole seconds. Sys.Audit on the node. */
  nodeTime(node: string, options?: CallOptions): Promise<number>;
  nodeVersion(node: string, options?: CallOptions): Promise<string>;
  /** Privileges by path; true: they hold for the paths below it as well. */
  privileges(options?: CallOptions): Promise<Record<string, Record<string, boolean>>>;
  /** The token that asks. A token may not read itself unless it has User.Modify. `expires`: epoch ms, null: never. */
  token(
    user: string,
    token: string,
    options?: CallOptions,
  ): Promise<{ readonly expires: number | null; readonly separated: boolean }>;
  /** Scheduled backups with what they cover. Sys.Audit on `/`. */
  backupJobs(options?: CallOptions): Promise<BackupJob[]>;
  storages(options?: CallOptions): Promise<StorageDefinition[]>;
  /** Votes by node, as corosync's configuration has them. Sys.Audit on `/`. Empty for a stand-alone node. */
  votes(options?: CallOptions): Promise<Record<string, number>>;
  /** The QDevice as the asked node sees it; null: it has none. `state`: `Connected`. Sys.Audit on `/`. */
  qdevice(options?: CallOptions): Promise<{ readonly state: string; readonly host: string } | null>;
  /** vmids with an enabled replication job. */
  replicated(options?: CallOptions): Promise<number[]>;
}

export function createInspection({ read }: Pick<Rotation, 'read'>): Inspection {
  async function guestsOf(id: string, options?: CallOptions): Promise<BackupJob['guests']> {
    const call = get(
      `reading what backup job ${id} covers`,
      null,
      path('cluster', 'backup', id, 'included_volumes'),
    );
    const { children } = await read(call, schemas.IncludedVolumesReply, options);
    return children.filter((guest) => guest.type === 'lxc').map((guest) => guest.id);
  }

  return {
    async nodeTime(node, options) {
      const call = get(`reading the clock of ${node}`, node, path('nodes', node, 'time'));
      return (await read(call, schemas.NodeTimeReply, options)).time * 1000;
    },
    async nodeVersion(node, options) {
      const call = get(`reading the version of ${node}`, node, path('nodes', node, 'version'));
      return (await read(call, VersionReply, options)).version;
    },
    async privileges(options) {
      const call = get('reading the token’s privileges', null, '/access/permissions');
      const reply = await read(call, PermissionsReply, options);
      return Object.fromEntries(
        Object.entries(reply).map(([where, held]) => [
          where,
          Object.fromEntries(Object.entries(held).map(([name, propagates]) => [name, propagates === 1])),
        ]),
      );
    },
    async token(user, token, options) {
      const call = get('reading the token itself', null, path('access', 'users', user, 'token', token));
      const { expire, privsep } = await read(call, schemas.TokenReply, options);
      return { expires: expire === 0 ? null : expire * 1000, separated: privsep };
    },
    async backupJobs(options) {
      const call = get('reading the scheduled backups', null, '/cluster/backup');
      const jobs = await read(call, schemas.BackupJobsReply, options);
      return Promise.all(
        jobs.map(async (job) => ({
          id: job.id,
          enabled: job.enabled,
          storage: job.storage ?? null,
          schedule: job.schedule ?? null,
          byVmid: job.vmid !== undefined,
          vmids: (job.vmid ?? '').split(/[\s,;]+/).flatMap((id) => (/^\d+$/.test(id) ? [Number(id)] : [])),
          pool: job.pool ?? null,
          retention: job['prune-backups'] === undefined ? null : retention(job['prune-backups']),
          guests: await guestsOf(job.id, options),
        })),
      );
    },
    async storages(options) {
      const reply = await read(
        get('reading the storages', null, '/storage'),
        schemas.StorageDefinitionsReply,
        options,
      );
      return reply.map((one) => ({
        storage: one.storage,
        type: one.type,
        shared: one.shared,
        disabled: one.disable,
        retention: retention(one['prune-backups'] ?? ''),
        encryptionKey: one['encryption-key'] ?? null,
      }));
    },
    async votes(options) {
      const call = get('reading the cluster’s votes', null, '/cluster/config/nodes');
      const reply = await read(call, schemas.ConfigNodesReply, options);
      return Object.fromEntries(
        reply.flatMap(({ node, name, quorum_votes }) => {
          const who = node ?? name;
          return who === undefined ? [] : [[who, quorum_votes] as const];
        }),
      );
    },
    async qdevice(options) {
      const call = get('reading the state of the QDevice', null, '/cluster/config/qdevice');
      const reply = await read(call, schemas.QdeviceReply, options);
      return reply?.Model === undefined && reply?.State === undefined
        ? null
        : { state: reply.State ?? 'unknown', host: reply['QNetd host'] ?? '' };
    },
    async replicated(options) {
      const call = get('reading the replication jobs', null, '/cluster/replication');
      const reply = await read(call, schemas.ReplicationReply, options);
      return [...new Set(reply.filter((job) => !job.disable).map((job) => job.guest))];
    },
  };
}

/** `keep-last=3,keep-daily=7`, or the same as an object. */
function retention(given: string | Readonly<Record<string, number | boolean>>): Retention {
  const pairs =
    typeof given === 'string'
      ? given.split(',').map((part) => part.split('=').map((word) => word.trim()))
      : Object.entries(given).map(([name, value]) => [name, String(Number(value))]);
  return Object.fromEntries(
    pairs.flatMap(([name = '', value = '']) => (/^\d+$/.test(value) ? [[name, Number(value)] as const] : [])),
  );
}
