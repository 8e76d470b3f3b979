/** The calls of the client that are about what is on storages, what writes to them now, and about removing from them. */
import * as z from 'zod';
import type { PveApi } from './api.ts';
import { deleteBackupCall, get, path, protectCall } from './calls.ts';
import { backupViews, taskEntries } from './guest.ts';
import type { Rotation } from './rotation.ts';
import { ContentReply, DeletedReply, TasksReply } from './schemas.ts';

const RUNNING_MAX = 200;

type Methods = Pick<PveApi, 'backups' | 'protectBackup' | 'deleteBackup' | 'runningTasks'>;

/** `self`: who reads, as UPIDs name it. */
export function storageMethods(
  cluster: string,
  { read, write }: Pick<Rotation, 'read' | 'write'>,
  self: string,
): Methods {
  return {
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
