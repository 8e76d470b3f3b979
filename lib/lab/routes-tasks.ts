import type { Caller } from './auth.ts';
import { Listing, denied, parameterError } from './http.ts';
import { splitList } from './params.ts';
import type { Call, Route } from './route.ts';
import type { Task } from './tasks.ts';
import type { World } from './world.ts';

export const taskRoutes: readonly Route[] = [
  { endpoint: 'GET /nodes/{node}/tasks', answer: list },
  { endpoint: 'GET /nodes/{node}/tasks/{upid}/status', answer: status },
  { endpoint: 'GET /nodes/{node}/tasks/{upid}/log', answer: log },
  { endpoint: 'DELETE /nodes/{node}/tasks/{upid}', answer: stop },
];

/** A task as lists show it. */
export function taskEntry(task: Task, running: boolean): Record<string, unknown> {
  const [user = '', tokenid] = task.owner.split('!');
  return {
    upid: task.upid,
    node: task.node,
    pid: task.pid,
    starttime: task.starttime,
    type: task.type,
    id: task.id,
    user,
    ...(tokenid === undefined ? {} : { tokenid }),
    ...(running ? {} : { endtime: task.endtime, status: task.exitstatus }),
  };
}

/** Newest first: the caller's own, and others' where it has Sys.Audit. */
export function visibleTasks(world: World, caller: Caller): Task[] {
  return world.tasks
    .list()
    .filter((task) => task.owner === caller.id || caller.may(`/nodes/${task.node}`, 'Sys.Audit'));
}

function list({ world, caller, node, params }: Call): unknown {
  const source = params.text('source') ?? 'archive';
  const vmid = params.text('vmid');
  const type = params.text('typefilter');
  const since = params.integer('since');
  const until = params.integer('until');
  const user = params.text('userfilter');
  const states = params.has('statusfilter') ? splitList(params.must('statusfilter')) : null;
  const matching = visibleTasks(world, caller).filter((task) => {
    const running = world.tasks.isRunning(task);
    return (
      task.node === node &&
      (source === 'all' || (source === 'active') === running) &&
      (vmid === undefined || task.id === vmid) &&
      (type === undefined || task.type === type) &&
      (since === undefined || task.starttime >= since) &&
      (until === undefined || task.starttime <= until) &&
      (user === undefined || task.owner.includes(user)) &&
      (!params.flag('errors') || (!running && task.exitstatus !== 'OK')) &&
      (states === null || states.includes(stateOf(task, running)))
    );
  });
  const start = params.integer('start') ?? 0;
  const limit = params.integer('limit') ?? 50;
  const shown = matching.slice(start, start + limit).map((task) => {
    const running = world.tasks.isRunning(task);
    const entry = { ...taskEntry(task, running), pstart: task.pstart };
    return running ? { ...entry, status: 'RUNNING', saved: '0' } : entry;
  });
  // An empty list comes without its total.
  return matching.length === 0 ? [] : new Listing(shown, matching.length);
}

function stateOf(task: Task, running: boolean): string {
  if (running) return 'unknown';
  if (task.exitstatus === 'OK') return 'ok';
  return task.exitstatus?.startsWith('WARNINGS') === true ? 'warning' : 'error';
}

/** The task of a UPID that was started on this node, or null. Throws for a malformed one. */
function taskOf({ world, node, params }: Call): Task | null {
  const upid = params.must('upid');
  if (!/^UPID:[^:\s]+:[0-9A-Fa-f]{8}:[0-9A-Fa-f]{8,9}:[0-9A-Fa-f]{8}:[^:\s]+:[^:\s]*:[^:\s]+:$/.test(upid))
    throw parameterError({ upid: 'unable to parse worker upid' });
  return world.tasks.find(node, upid) ?? null;
}

function demandOwn({ caller, node, params }: Call, privilege: string): void {
  const owner = params.must('upid').split(':')[7] ?? '';
  if (owner !== caller.id && !caller.may(`/nodes/${node}`, privilege))
    throw denied(`/nodes/${node}`, privilege);
}

function status(call: Call): unknown {
  const task = taskOf(call);
  demandOwn(call, 'Sys.Audit');
  if (task === null) throw parameterError({ upid: 'no such task' });
  const running = call.world.tasks.isRunning(task);
  const { endtime: _endtime, status: _status, ...entry } = taskEntry(task, running);
  return {
    ...entry,
    pstart: task.pstart,
    ...(running ? { status: 'running' } : { status: 'stopped', exitstatus: task.exitstatus }),
  };
}

function log(call: Call): unknown {
  const task = taskOf(call);
  demandOwn(call, 'Sys.Audit');
  if (task === null) return new Listing({ n: 1, t: 'unable to open file - No such file or directory' }, 1);
  const start = call.params.integer('start') ?? 0;
  const limit = call.params.integer('limit') ?? 50;
  const lines = task.log.map((text, index) => ({ n: index + 1, t: text }));
  // limit=0 means all.
  const shown = limit === 0 ? lines.slice(start) : lines.slice(start, start + limit);
  return new Listing(shown, lines.length);
}

function stop(call: Call): unknown {
  const task = taskOf(call);
  demandOwn(call, 'Sys.Modify');
  if (task !== null) call.world.tasks.abort(task);
  return null;
}
