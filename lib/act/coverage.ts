/** Looks, in the runs that need it, whether a backup job covers what has been moved under another vmid. Reads only. */
import { uncovered } from '../decide/coverage.ts';
import type { Incarnation } from '../decide/model.ts';
import { messageOf, PveError } from '../errors.ts';
import type { Container } from '../inventory/types.ts';
import type { ContainerState } from '../state/model.ts';
import type { ActContext } from './context.ts';

/** What isn't covered is looked at again after so long: somebody may have seen to it. */
const AGAIN_MS = 15 * 60_000;

/**
 * Asks each cluster once for its jobs, if a copy there has not been looked at or was not covered; else nothing. What is
 * not covered is told once, and kept in the state until it is. `seen`: only those clusters; undefined: all.
 */
export async function checkCoverage(context: ActContext, seen?: ReadonlySet<string>): Promise<void> {
  const due = dueOf(context).filter(({ current }) => seen?.has(current.cluster) ?? true);
  const clusters = new Set(due.map(({ current }) => current.cluster));
  await Promise.all(
    [...clusters].map((name) =>
      checkCluster(
        context,
        name,
        due.filter(({ current }) => current.cluster === name),
      ),
    ),
  );
}

interface Due {
  readonly container: Container;
  readonly current: Incarnation;
}

function dueOf({ inventory, state, runtime }: ActContext): Due[] {
  const { containers } = state.read();
  const now = runtime.clock.now();
  return Object.values(inventory.containers).flatMap((container) => {
    const record = containers[container.name];
    const current = record?.current ?? null;
    if (container.mode !== 'protect' || current === null || current.epoch === 0) return [];
    const { coverage } = record ?? {};
    const known = coverage != null && coverage.vmid === current.vmid;
    const due = !known || (coverage.problem !== null && Math.abs(now - coverage.at) >= AGAIN_MS);
    return due ? [{ container, current }] : [];
  });
}

async function checkCluster(context: ActContext, cluster: string, due: readonly Due[]): Promise<void> {
  const { apis, runtime, signal, state, teller } = context;
  const found = new Map<string, NonNullable<ContainerState['coverage']>>();
  try {
    const jobs = (await apis.get(cluster)?.inspect.backupJobs({ signal })) ?? [];
    for (const { container, current } of due) {
      const problem = uncovered(container, current, jobs);
      const at = runtime.clock.now();
      found.set(container.name, {
        vmid: current.vmid,
        at,
        problem: problem === null ? null : `${problem.what}: \`${problem.command}\``,
      });
    }
  } catch (error) {
    if (!(error instanceof PveError) || signal?.aborted === true) throw error;
    teller.tell({
      kind: 'note',
      level: 'debug',
      container: null,
      text: `cluster ${cluster}: which copies its backup jobs cover can't be read: ${messageOf(error)}`,
    });
    return;
  }
  const before = state.read().containers;
  for (const [name, { problem }] of found)
    if (problem !== null && problem !== before[name]?.coverage?.problem)
      teller.tell({ kind: 'note', level: 'warn', container: name, text: problem });
  await state.update((s) => {
    for (const [name, coverage] of found) {
      const record = s.containers[name];
      if (record !== undefined) s.containers[name] = { ...record, coverage };
    }
  });
}
