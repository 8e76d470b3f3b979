/** `pct restore` as root on a node of the lab: the same checks and the same worker as through the API, as root@pam. */
import { Caller } from './auth.ts';
import { checkCreate } from './create.ts';
import { ApiError } from './http.ts';
import { verify } from './params.ts';
import { runRestore } from './restore.ts';
import { majorOf } from './routes-cluster.ts';
import type { World } from './world.ts';

/** How it ended, and what it printed. */
export interface PctEnd {
  readonly exitCode: number;
  readonly output: string;
}

const ROOT = new Caller({ id: 'root@pam', privileges: { '/': ['*'] } });
/** Perl's `exit(-1)`. */
const FAILED = 255;

/** Runs it to its end; a refusal comes before there is a task. Unmeasured: the texts are those of the API. */
export async function pct(world: World, node: string, args: readonly string[]): Promise<PctEnd> {
  try {
    const params = verify('POST /nodes/{node}/lxc', parsed(node, args), majorOf(world));
    const request = checkCreate(world, ROOT, node, params);
    const task = world.tasks.spawn(node, 'vzrestore', String(request.vmid), ROOT.id, (worker) =>
      runRestore(world, worker, ROOT, request),
    );
    await task.ended;
    const good = /^(OK|WARNINGS: \d+)$/.test(task.exitstatus ?? '');
    const output = task.log.filter((line) => !line.startsWith('TASK ')).join('\n');
    return good
      ? { exitCode: 0, output }
      : { exitCode: FAILED, output: `${output}\n${task.exitstatus ?? ''}` };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const errors = Object.entries(error.errors ?? {}).map(([name, text]) => `\n${name}: ${text}`);
    const status = error.status === 500 ? '' : `${error.status} `;
    return { exitCode: FAILED, output: `${status}${error.message}${errors.join('')}` };
  }
}

/** `restore 101 nas:backup/… --storage local --onboot 0 …` as the parameters of the call. */
function parsed(node: string, [command, vmid, archive, ...options]: readonly string[]): Map<string, string> {
  if (command !== 'restore') throw new ApiError(400, `the lab's pct knows restore, not '${command ?? ''}'`);
  if (vmid === undefined || archive === undefined) throw new ApiError(400, 'not enough arguments');
  const params = new Map([
    ['node', node],
    ['vmid', vmid],
    ['ostemplate', archive],
    ['restore', '1'],
  ]);
  for (let index = 0; index < options.length; index += 2) {
    const name = options[index] ?? '';
    const value = options[index + 1];
    if (!name.startsWith('--') || value === undefined)
      throw new ApiError(400, `unable to parse option '${name}'`);
    params.set(name.slice(2), value);
  }
  return params;
}
