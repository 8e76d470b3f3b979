/** An operation that stands right before a step, for the tests of the rules. */
import assert from 'node:assert/strict';
import { type TestContext } from 'node:test';
import { destroyCopy, type Copy } from '../../lib/act/copy.ts';
import { startCopy } from '../../lib/act/start-copy.ts';
import { runStep, type OperationContext, type Step } from '../../lib/act/journal.ts';
import { formatLineage, TAG } from '../../lib/decide/lineage.ts';
import type { FailoverAction, Lineage } from '../../lib/decide/model.ts';
import { ActBench } from '../act/bench.ts';
import { lineOf } from '../decide/parts.ts';
import { dueWorld } from '../decide/world.ts';

export const COPY: Copy = { cluster: 'home', node: 'pve2', vmid: 1_000_101, epoch: 1 };
export const PLANNED = { mode: 'planned' } as const;

export function actionOf(): FailoverAction {
  const { action } = dueWorld().decides();
  assert.ok(action !== null);
  return action;
}

/** An operation that has restored its copy on pve2; `line` is what its description says. */
export function restored(bench: ActBench, line: Partial<Lineage> = {}): OperationContext {
  const context = bench.operation({ volid: 'nas:backup/ct101-60min', restored: true });
  const full = lineOf({ phase: 'restored', operation: context.op.id, ...line });
  const config = { tags: [TAG], description: formatLineage(full), onboot: false };
  bench.pve.add('pve2', 1_000_101, { running: false, config });
  return context;
}

export function step(bench: ActBench, context: OperationContext, run: Step['run']): Promise<void> {
  return bench.run(runStep(context, { name: 'a step', run }));
}

export const start: Step['run'] = (c, record) => startCopy(c, record, COPY, actionOf());
export const destroy: Step['run'] = (c, record) => destroyCopy(c, record, COPY);

/** The original is stopped on its living node, with onboot=0: nothing forbids the start. */
export function stoppedOriginal(t: TestContext, entry?: ConstructorParameters<typeof ActBench>[1]): ActBench {
  const bench = new ActBench(t, entry);
  Object.assign(bench.pve.guest(101), { running: false });
  bench.pve.guest(101).config.onboot = false;
  return bench;
}
