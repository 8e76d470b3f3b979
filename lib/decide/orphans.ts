/** Copies that run without a config: no list shows them, and no ordinary call can stop them (facts, section 10). Pure. */
import type { Container } from '../inventory/types.ts';
import type { ClusterView } from './model.ts';
import { ownVmids } from './reach.ts';

export interface Orphan {
  readonly node: string;
  readonly vmid: number;
}

/** vmids of a container in the netstat of nodes where no guest has them. */
export function orphansOf(container: Container, view: ClusterView): Orphan[] {
  const vmids = ownVmids(container, view.cluster);
  return view.nodes.flatMap(({ name: node, netstat }) =>
    (netstat ?? [])
      .filter((vmid) => vmids.includes(vmid))
      // A virtual machine that is being migrated has interfaces on both nodes.
      .filter((vmid) => !view.guests.some((g) => g.vmid === vmid && (g.node === node || g.type === 'qemu')))
      .map((vmid) => ({ node, vmid })),
  );
}
