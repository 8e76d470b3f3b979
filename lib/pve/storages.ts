/** The calls of the client that are about storages: their definitions, what writes to them now, removing from them. */
import type * as z from 'zod';
import type { PveApi, StorageDefinition } from './api.ts';
import { deleteBackupCall, get, path } from './calls.ts';
import { taskEntries } from './guest.ts';
import type { Rotation } from './rotation.ts';
import { DeletedReply, StorageDefinitionsReply, TasksReply } from './schemas.ts';

const RUNNING_MAX = 200;

type Methods = Pick<PveApi, 'deleteBackup' | 'storageDefinitions' | 'runningTasks'>;

/** `self`: who reads, as UPIDs name it. */
export function storageMethods({ read, write }: Pick<Rotation, 'read' | 'write'>, self: string): Methods {
  return {
    deleteBackup: async (node, volid, callOptions) =>
      (await write(deleteBackupCall(node, volid), DeletedReply, callOptions)) ?? null,
    async storageDefinitions(callOptions) {
      const call = get('reading the storages’ definitions', null, '/storage');
      return definitionsFrom(await read(call, StorageDefinitionsReply, callOptions));
    },
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

export function definitionsFrom(reply: z.infer<typeof StorageDefinitionsReply>): StorageDefinition[] {
  return reply.map((entry) => ({
    storage: entry.storage,
    type: entry.type,
    content: listed(entry.content),
    nodes: entry.nodes === undefined ? null : listed(entry.nodes),
    disabled: entry.disable,
    namespace: entry.namespace ?? null,
    encryptionKey: entry['encryption-key'] ?? null,
    keeps: keptBy(entry['prune-backups']),
  }));
}

/** PVE counts what a retention keeps by summing its numbers up, whatever they are of. */
function keptBy(retention: string | undefined): number | null {
  const parts = listed(retention ?? '').map((part) => part.split('='));
  if (parts.some(([key, value]) => key === 'keep-all' && value === '1')) return null;
  const sum = parts.reduce((total, [, value]) => total + (Number(value) || 0), 0);
  return sum === 0 ? null : sum;
}

function listed(text: string): string[] {
  return text.split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim()]));
}
