/** What is in hand already, here or in other processes, by the journals. */
import { underWayOf, type UnderWay } from '../decide/under-way.ts';
import type { Operation } from '../state/model.ts';
import type { ActContext } from './context.ts';

/** Containers with an operation under way, or with a journal that can't be read; the copies that are being made. */
export function busyContainers(context: Pick<ActContext, 'operations' | 'inventory'>): {
  busy: Map<string, string>;
  underWay: UnderWay[];
  cut: Operation[];
  problems: string[];
} {
  const { operations, problems } = context.operations.list();
  const running = operations.filter((op) => op.status === 'running');
  const busy = new Map(running.map((op) => [op.container, op.id]));
  for (const problem of problems)
    for (const name of problem.container === null
      ? Object.keys(context.inventory.containers)
      : [problem.container])
      busy.set(name, `in ${problem.path} (which can't be read)`);
  const underWay = running.map(underWayOf).filter((one) => one !== null);
  return { busy, underWay, cut: running, problems: problems.map((p) => p.message) };
}
