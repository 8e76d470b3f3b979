/** Hooks: a person's own executables around a failover. An argument array, no shell, nothing inherited. */
import { FailedError } from '../errors.ts';
import { hindrance } from '../inventory/programs.ts';
import type { Hook } from '../inventory/types.ts';
import { plainText } from '../text.ts';
import type { OperationContext } from './journal.ts';

/**
 * Runs the hooks of one kind in order, with what is being done in the environment and as JSON on stdin.
 * Throws FailedError at the first one that does not end with 0. A cut step's hooks run again: the operation id in
 * PROXWARDEN_OPERATION lets a hook recognise that.
 */
export async function runHooks(
  context: OperationContext,
  when: 'before' | 'after',
  hooks: readonly Hook[],
): Promise<string> {
  const { op, runtime, container, signal } = context;
  const facts = {
    PROXWARDEN_HOOK: when,
    PROXWARDEN_OPERATION: op.id,
    PROXWARDEN_CONTAINER: op.container,
    PROXWARDEN_CLUSTER: container.cluster,
    PROXWARDEN_FROM_CLUSTER: op.action?.from.cluster ?? '',
    PROXWARDEN_FROM_NODE: op.action?.from.node ?? '',
    PROXWARDEN_FROM_VMID: String(op.action?.from.vmid ?? ''),
    PROXWARDEN_TO_CLUSTER: op.data.target?.cluster ?? op.action?.target.cluster ?? '',
    PROXWARDEN_TO_NODE: op.data.target?.node ?? op.action?.target.node ?? '',
    // A later attempt may have taken the next vmid.
    PROXWARDEN_TO_VMID: String(op.data.live?.vmid ?? op.action?.vmid ?? ''),
    PROXWARDEN_BACKUP: op.data.volid ?? op.action?.volid ?? '',
    PROXWARDEN_REASON: op.reason,
  };
  for (const hook of hooks) {
    const why = hindrance(hook.path, runtime.env);
    if (why !== null) throw new FailedError(`hook ${hook.path} ${why}`);
    const result = await runtime.exec({
      file: hook.path,
      args: hook.args,
      env: {
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        LC_ALL: 'C.UTF-8',
        ...facts,
      },
      stdin: `${JSON.stringify(facts)}\n`,
      timeoutMs: hook.timeoutMs,
      signal,
    });
    if (result.exitCode === 0) continue;
    const said = plainText((result.stderr.trim() || result.stdout.trim()).split('\n')[0] ?? '', 200);
    throw new FailedError(
      `hook ${hook.path} ${result.failure ?? `ended with ${result.exitCode ?? 'a signal'}`}${said === '' ? '' : `: ${said}`}`,
    );
  }
  return hooks.length === 0 ? 'none' : `${hooks.length} ended well`;
}
