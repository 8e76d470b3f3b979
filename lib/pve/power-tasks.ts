/** The calls of the client that say when containers, and whole nodes of them, were started and stopped. */
import { PowerTask } from '../decide/model.ts';
import type { PveApi, TaskListEntry } from './api.ts';
import { get, path } from './calls.ts';
import { succeeded, taskEntries } from './guest.ts';
import type { Rotation } from './rotation.ts';
import { TasksReply } from './schemas.ts';

const NODE_TASKS_MAX = 10;

type Methods = Pick<PveApi, 'powerTasks' | 'nodePowerTasks'>;

/** `self`: who reads, as UPIDs name it. `alone`: nobody else acts under that name. */
export function powerTaskMethods(
  { read }: Pick<Rotation, 'read'>,
  { self, alone }: { readonly self: string; readonly alone: boolean },
): Methods {
  return {
    async powerTasks(callOptions) {
      const call = get('reading the cluster’s list of tasks', null, '/cluster/tasks');
      return powerTasksFrom(taskEntries(await read(call, TasksReply, callOptions), self), alone);
    },
    async nodePowerTasks(node, callOptions) {
      const lists = await Promise.all(
        ['stopall', 'startall'].map(async (typefilter) => {
          const query = { typefilter, source: 'all', limit: NODE_TASKS_MAX };
          const call = get(
            `reading when ${node} was shut down and started`,
            node,
            path('nodes', node, 'tasks'),
            query,
          );
          return taskEntries(await read(call, TasksReply, callOptions), self);
        }),
      );
      return powerTasksFrom(lists.flat(), alone);
    },
  };
}

function powerTasksFrom(entries: readonly TaskListEntry[], alone: boolean): PowerTask[] {
  return entries.flatMap((entry): PowerTask[] => {
    const type = PowerTask.shape.type.safeParse(entry.type);
    if (!type.success) return [];
    const { node, id, user, startedAt, endedAt, exitstatus, ours } = entry;
    return [
      {
        node,
        type: type.data,
        vmid: /^\d{1,9}$/.test(id) ? Number(id) : null,
        user,
        startedAt,
        endedAt,
        ok: succeeded(exitstatus),
        ...(ours && alone ? { ours } : {}),
      },
    ];
  });
}
