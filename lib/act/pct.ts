/**
 * `pct restore` as root on the target, for what a token cannot restore. It is an ordinary task of root@pam there, found
 * by the node's own list and waited for through the API like any other; PVE's refusal of a taken vmid stays the mutex.
 */
import type { ArchivedConfig } from '../decide/guest-config.ts';
import { PveError } from '../errors.ts';
import type { PveApi, RestoreRequest } from '../pve/api.ts';
import { plainText } from '../text.ts';
import type { OperationContext } from './journal.ts';
import { addressOf, shellOf } from './shell.ts';

/** Whose tasks a root shell's are. */
export const ROOT = 'root@pam';
/** It forks its worker within a second or two. */
const LISTED_MS = 15_000;
const LOOK_EVERY_MS = 500;

export interface PctRestore {
  readonly cluster: string;
  readonly node: string;
  readonly request: RestoreRequest;
  readonly config: ArchivedConfig;
}

/** What is run. Without `--force`, `--unique` and `--start`, as through the API. */
export function pctArguments({ vmid, volid, storage, description, tags, mounts }: RestoreRequest): string[] {
  return [
    'restore',
    String(vmid),
    volid,
    '--storage',
    storage,
    '--onboot',
    '0',
    '--description',
    description,
    '--tags',
    tags.join(';'),
    ...Object.entries(mounts ?? {}).flatMap(([key, value]) => [`--${key}`, value]),
  ];
}

/**
 * Begins it and returns the UPID of its task; `before`: those that were there already. Throws PveError: `refused` with
 * pct's own words, `not-sent` when the node can't be reached or isn't trusted, `unknown` when it may be under way.
 */
export async function restoreByPct(
  context: OperationContext,
  { cluster, node, request, config }: PctRestore,
  api: PveApi,
  before: readonly string[],
): Promise<string> {
  const { runtime, signal } = context;
  const shell = shellOf(context, cluster, 'restoreVia: shell');
  const { vmid } = request;
  const paths = config.mounts.flatMap(({ kind, source }) => (kind === 'volume' ? [] : [source]));
  const result = await runtime.shell({
    shell,
    node,
    host: await addressOf(api, node, signal),
    order: { kind: 'pct', args: pctArguments(request), paths },
    signal,
  });
  if (result.kind === 'not-sent' || result.kind === 'unknown')
    throw new PveError(`pct restore of CT ${vmid} on ${node}: ${result.why}`, {
      outcome: result.kind,
      hint: result.hint,
    });
  const refused = result.kind === 'ended' && result.exitCode !== 0;
  const until = runtime.clock.now() + (refused ? 0 : LISTED_MS);
  for (;;) {
    const listed = await api.tasks(node, { vmid, since: 0, type: 'vzrestore' }, { signal });
    const [mine] = listed
      .filter((task) => task.user === ROOT && !before.includes(task.upid))
      .toSorted((a, b) => a.startedAt - b.startedAt);
    if (mine !== undefined) return mine.upid;
    if (runtime.clock.now() >= until) break;
    await runtime.clock.sleep(LOOK_EVERY_MS, signal);
  }
  if (refused)
    throw new PveError(`pct restore of CT ${vmid} on ${node}: ${wordsOf(result.output, result.exitCode)}`, {
      outcome: 'refused',
    });
  throw new PveError(`pct restore of CT ${vmid} on ${node} was begun, and no task of it is listed there`, {
    outcome: 'unknown',
    hint: 'the token needs Sys.Audit on / to see tasks of root@pam',
  });
}

/** What pct said, without the usage that it adds to a wrong call. */
function wordsOf(output: string, exitCode: number): string {
  const lines = output
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('pct restore <vmid>'));
  return plainText(lines.slice(-5).join(' '), 600) || `exit ${exitCode}`;
}
