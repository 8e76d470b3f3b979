/** Orders to root shells on the nodes: which node, where it is reached, and what a failure means. */
import { FailedError, messageOf, PveError } from '../errors.ts';
import type { ShellConfig } from '../inventory/types.ts';
import type { PveApi } from '../pve/api.ts';
import type { ShellOrder } from '../runtime.ts';
import { plainText } from '../text.ts';
import type { ActContext } from './context.ts';

/** How the nodes of a cluster give a root shell. Throws FailedError when the inventory doesn't say. */
export function shellOf({ inventory }: ActContext, cluster: string, purpose: string): ShellConfig {
  const shell = inventory.clusters[cluster]?.shell ?? null;
  if (shell === null)
    throw new FailedError(`the inventory names no shell for the nodes of ${cluster}`, {
      hint: `add shell: { ssh: { … } } beside api, or take ${purpose} away`,
    });
  return shell;
}

interface Ordered {
  readonly shell: ShellConfig;
  /** Tried in this order: what certainly was not done on one may be done on the next. */
  readonly nodes: readonly string[];
  /** `move of the configuration of CT 101`. */
  readonly what: string;
  readonly order: ShellOrder;
}

/**
 * Has something done that is over at once, and returns what it printed. Throws PveError: `not-sent` when it certainly was
 * not done, `refused` when it was tried and failed, `unknown` when it may have been done.
 */
export async function orderShell(
  { runtime, signal }: ActContext,
  api: PveApi,
  { shell, nodes, what, order }: Ordered,
): Promise<string> {
  const reasons: string[] = [];
  let hint: string | undefined;
  for (const node of nodes) {
    let host: string;
    try {
      host = await addressOf(api, node, signal);
    } catch (error) {
      if (signal?.aborted === true || !(error instanceof PveError)) throw error;
      reasons.push(messageOf(error));
      continue;
    }
    const result = await runtime.shell({ shell, node, host, order, signal });
    if (result.kind === 'ended' && result.exitCode === 0) return result.output;
    if (result.kind === 'not-sent') {
      reasons.push(`${node}: ${result.why}`);
      hint ??= result.hint;
      continue;
    }
    if (result.kind === 'ended')
      throw new PveError(`${what}: ${plainText(result.output, 300) || `exit ${result.exitCode}`}`, {
        outcome: 'refused',
      });
    throw new PveError(`${what}: ${result.kind === 'unknown' ? result.why : 'it goes on'}`, {
      outcome: 'unknown',
    });
  }
  throw new PveError(`${what}: ${reasons.join('; ') || 'no node to do it on'}`, {
    outcome: 'not-sent',
    hint,
  });
}

/** Its address in the cluster; of a stand-alone node, that of its endpoint. Throws PveError. */
export async function addressOf(api: PveApi, node: string, signal?: AbortSignal): Promise<string> {
  for (const endpoint of api.endpoints) {
    const view = await api.endpointView(endpoint, { signal });
    const ip = view.nodes.find(({ name }) => name === node)?.ip ?? null;
    if (ip !== null) return ip;
    if (view.node === node) return new URL(endpoint).hostname.replace(/^\[|\]$/g, '');
  }
  throw new PveError(`the address of ${node} is not known`, { outcome: 'not-sent' });
}
