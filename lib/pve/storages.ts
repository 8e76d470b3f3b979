/** The calls of the client that are about what is on storages, what writes to them now, and about removing from them. */
import * as z from 'zod';
import type { PveApi } from './api.ts';
import { deleteBackupCall, get, path, protectCall } from './calls.ts';
import { backupViews, taskEntries } from './guest.ts';
import type { Rotation } from './rotation.ts';
import { ContentReply, DeletedReply, TasksReply } from './schemas.ts';

const RUNNING_MAX = 200;

type Methods = Pick<PveApi, 'volumes' | 'backups' | 'protectBackup' | 'deleteBackup' | 'runningTasks'>;

/** `self`: who reads, as UPIDs name it. */
export function storageMethods(
  cluster: string,
  { read, write }: Pick<Rotation, 'read' | 'write'>,
  self: string,
): Methods {
  return {
    /** Without `content`: an orphan is `images`, or `rootdir` while a config of its vmid names it elsewhere (recordings 10, 13). */
    async volumes(node, storage, vmid, callOptions) {
      const url = path('nodes', node, 'storage', storage, 'content');
      const call = get(`listing the disks of CT ${vmid} on ${storage}`, node, url, { vmid });
      const reply = await read(call, ContentReply, callOptions);
      return reply
        .filter((entry) => entry.vmid === vmid && ['images', 'rootdir'].includes(entry.content ?? ''))
        .map(({ volid, size, ctime }) => ({
          node,
          storage,
          volid,
          vmid,
          size,
          at: ctime === undefined ? null : ctime * 1000,
        }));
    },
    async backups(node, storage, callOptions) {
      const url = path('nodes', node, 'storage', storage, 'content');
      const query = { content: 'backup', vmid: callOptions?.vmid };
      const call = get(`listing the backups on ${storage}`, node, url, query);
      return backupViews({ cluster, storage }, await read(call, ContentReply, callOptions));
    },
    async protectBackup(node, volid, on, callOptions) {
      await write(protectCall(node, volid, on), z.unknown(), callOptions);
    },
    deleteBackup: async (node, volid, callOptions) =>
      (await write(deleteBackupCall(node, volid), DeletedReply, callOptions)) ?? null,
    async runningTasks(node, type, callOptions) {
      const url = path('nodes', node, 'tasks');
      const query = { typefilter: type, source: 'active', limit: RUNNING_MAX };
      const call = get(`reading the running tasks of ${node}`, node, url, query);
      // The list holds what has just ended, too.
      const tasks = taskEntries(await read(call, TasksReply, callOptions), self);
      return tasks.filter((task) => task.endedAt === null);
    },
  };
}
