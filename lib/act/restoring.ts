/** One restore: the last look at what would be lost, and the call itself. */
import type { ArchivedConfig } from '../decide/guest-config.ts';
import { containerIssues, UNREAD } from '../decide/restorable.ts';
import { containerIn } from '../decide/reach.ts';
import { mountsToName } from '../decide/restore-mounts.ts';
import { BlockedError } from '../errors.ts';
import type { RestoreRequest } from '../pve/api.ts';
import type { OperationContext } from './journal.ts';
import { restoreByPct, ROOT } from './pct.ts';
import type { StepRecord } from '../state/model.ts';
import type { TaskRequest } from './run-task.ts';

/**
 * How a restore of this archive is asked for, for `runTask` with the same record. The archive may be a fresh one that nobody has looked into
 * before. Throws BlockedError when it can't be restored whole, or with a loss that the inventory doesn't accept.
 */
export function restoring(
  context: OperationContext,
  record: StepRecord,
  { cluster, node }: { readonly cluster: string; readonly node: string },
  config: ArchivedConfig,
  request: Omit<RestoreRequest, 'storage' | 'mounts'>,
): Pick<TaskRequest, 'issue' | 'owner'> {
  const { op, signal } = context;
  const container = containerIn(context.container, cluster);
  const bars = containerIssues(container, config, UNREAD).filter((issue) => issue.severity === 'blocks');
  if (bars.length > 0)
    throw new BlockedError(`${op.container}: ${bars.map((issue) => issue.what).join('; ')}`, {
      hint: bars.flatMap(({ fix }) => (fix === null ? [] : [fix])).join('; '),
    });
  const whole: RestoreRequest = {
    ...request,
    storage: container.failover.restoreStorage,
    mounts: mountsToName(container.failover, config),
  };
  if (container.failover.restoreVia === 'api')
    return { issue: (api) => api.restore(node, whole, { signal }) };
  return {
    owner: ROOT,
    issue: (api) =>
      restoreByPct(context, { cluster, node, request: whole, config }, api, record.task?.before ?? []),
  };
}
