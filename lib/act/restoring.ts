/** One restore: the last look at what would be lost, and the call itself. */
import type { ArchivedConfig } from '../decide/guest-config.ts';
import { containerIssues } from '../decide/restorable.ts';
import { mountsToName } from '../decide/restore-mounts.ts';
import { BlockedError, FailedError } from '../errors.ts';
import type { RestoreRequest } from '../pve/api.ts';
import type { OperationContext } from './journal.ts';
import type { TaskRequest } from './run-task.ts';

/**
 * How a restore of this archive is asked for, for `runTask`. The archive may be a fresh one that nobody has looked into
 * before. Throws BlockedError when it can't be restored whole, or with a loss that the inventory doesn't accept.
 */
export function restoring(
  { container, op, signal }: OperationContext,
  { node }: { readonly node: string },
  config: ArchivedConfig,
  request: Omit<RestoreRequest, 'storage' | 'mounts'>,
): Pick<TaskRequest, 'issue'> {
  const bars = containerIssues(container, config, null).filter((issue) => issue.severity === 'blocks');
  if (bars.length > 0)
    throw new BlockedError(`${op.container}: ${bars.map((issue) => issue.what).join('; ')}`, {
      hint: bars.flatMap(({ fix }) => (fix === null ? [] : [fix])).join('; '),
    });
  if (container.failover.restoreVia === 'shell')
    throw new FailedError(`${op.container}: restoreVia: shell is not available yet`);
  const whole: RestoreRequest = {
    ...request,
    storage: container.failover.restoreStorage,
    mounts: mountsToName(container.failover, config),
  };
  return { issue: (api) => api.restore(node, whole, { signal }) };
}
