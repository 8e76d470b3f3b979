/** Copies that run without a config: no list shows them, and no ordinary call can stop them (facts, section 10). Pure. */
import type { Cluster, Container, OrphanWay } from '../inventory/types.ts';
import { incarnationKey, type Incarnations } from './incarnations.ts';
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

/** How the inventory wants the orphans of a node ended. */
export function orphanWay(cluster: Pick<Cluster, 'nodes' | 'orphans'> | undefined, node: string): OrphanWay {
  return cluster?.nodes[node]?.orphans ?? cluster?.orphans ?? 'tell';
}

export interface EndingInput {
  readonly container: Container;
  readonly orphan: Orphan;
  readonly view: ClusterView;
  readonly incarnations: Incarnations;
  readonly way: Exclude<OrphanWay, 'tell'>;
}

/**
 * Why an orphan is not ended, or null when it may be. Its container's data must be known to be with a later copy: what runs
 * without a config could else be all there is.
 */
export function endingProblem({ container, orphan, view, incarnations, way }: EndingInput): string | null {
  const { node, vmid } = orphan;
  const { current, pending, problems } = incarnations;
  if (container.mode !== 'protect') return `${container.name} is mode: ${container.mode}, which never acts`;
  if (view.via === null || !view.quorate) return 'there is no quorate view';
  const at = view.nodes.find((n) => n.name === node);
  if (at?.online !== true || at.apiAnswers !== true) return `${node} is not in the cluster again`;
  if (problems.length > 0) return problems.join('; ');
  if (pending.length > 0) return 'a copy is being made';
  if (current === null || current.epoch === 0)
    return `no copy of ${container.name} has taken over from it, so it may be the only one with its data`;
  const holder = view.guests.find((g) => g.vmid === vmid);
  const ours = [current, ...incarnations.superseded].some(
    (i) => i.cluster === view.cluster && i.node === holder?.node && i.vmid === vmid,
  );
  if (!ours)
    return `no node has a config of CT ${vmid} that is ours, so it may be the only one with its data`;
  return way === 'reboot' ? rebootProblem(orphan, view) : null;
}

/** A reboot ends everything else on the node, and takes its vote away for a while. */
function rebootProblem({ node, vmid }: Orphan, { nodes, guests, standalone }: ClusterView): string | null {
  const beside = guests.filter((g) => g.node === node && g.status !== 'stopped' && !g.template);
  const more = (nodes.find((n) => n.name === node)?.netstat ?? []).filter(
    (id) => id !== vmid && !beside.some((g) => g.vmid === id),
  );
  if (beside.length > 0 || more.length > 0)
    return `other guests run on ${node}, and a reboot would end them: ${[...beside.map((g) => `${g.type === 'lxc' ? 'CT' : 'VM'} ${g.vmid}`), ...more.map(String)].join(', ')}`;
  // Stopped it may be, and yet be restored, backed up or moved right now.
  const locked = guests.find((g) => g.node === node && g.lock !== null);
  if (locked !== undefined)
    return `${locked.type === 'lxc' ? 'CT' : 'VM'} ${locked.vmid} on ${node} is locked (${locked.lock ?? ''}), and a reboot would end what is at work on it`;
  const left = nodes.filter((n) => n.online && n.name !== node).length;
  return standalone || left * 2 > nodes.length ? null : `without ${node} the others would have no quorum`;
}

/** `CT 101 runs on pve1 without a config there (netstat)`, and the copy that it runs beside. */
export function orphanText({ node, vmid }: Orphan, { current }: Pick<Incarnations, 'current'>): string {
  const beside = current === null ? '' : `, beside ${incarnationKey(current)}`;
  return `CT ${vmid} runs on ${node} without a config there (netstat)${beside}`;
}

/** What a person does about it. Lists are silently shorter for a token without VM.Audit: then it may be no orphan at all. */
export function orphanByHand({ node, vmid }: Orphan, { current }: Pick<Incarnations, 'current'>): string {
  return current === null
    ? `look with \`pct config ${vmid}\` on ${node}; if it has one, the token lacks VM.Audit on /vms`
    : `on ${node}, \`lxc-stop -k -n ${vmid}\``;
}
