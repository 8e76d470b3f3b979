/** Whether a root shell can be had on the nodes: it is greeted, and does nothing. */
import type { ClusterFacts } from '../../decide/doctor/facts.ts';
import { shellUses } from '../../decide/doctor/shells.ts';
import type { Cluster, Inventory } from '../../inventory/types.ts';
import type { Runtime } from '../../runtime.ts';

interface Greeting {
  readonly inventory: Pick<Inventory, 'containers'>;
  readonly cluster: Cluster;
  /** Nodes that are online, with where ssh reaches them. */
  readonly nodes: readonly { readonly name: string; readonly host: string }[];
  readonly runtime: Pick<Runtime, 'shell'>;
  readonly signal?: AbortSignal | undefined;
}

/** Null: nothing in the inventory needs one. */
export async function greetShells({
  inventory,
  cluster,
  nodes,
  runtime,
  signal,
}: Greeting): Promise<ClusterFacts['shells']> {
  const { shell } = cluster;
  if (shell === null || shellUses(cluster, Object.values(inventory.containers)).length === 0) return null;
  return Promise.all(
    nodes.map(async ({ name: node, host }) => {
      const result = await runtime.shell({ shell, node, host, order: { kind: 'greet' }, signal });
      switch (result.kind) {
        case 'begun':
          return { node, why: null, hint: null };
        case 'ended':
          return { node, why: result.exitCode === 0 ? null : result.output, hint: null };
        case 'not-sent':
        case 'unknown':
          return { node, why: result.why, hint: result.hint ?? null };
      }
    }),
  );
}
