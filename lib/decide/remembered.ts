/**
 * A cluster that is silent as a whole: what is known of it is what the state remembers. Pure.
 *
 * Of a stand-alone node nobody but the runner says that it is down, so its silence proves nothing; it only makes its
 * containers unhealthy while everything else answers. Of a cluster with several nodes it says less: a site whose line is
 * cut goes on without us.
 */
import type { State } from '../state/model.ts';
import type { ClusterView, GuestView, NodeView } from './model.ts';

/** The view with the nodes and guests that were known of it, when nothing at all is heard of it; else as it is. */
export function recalled(
  view: ClusterView,
  { clusters, containers }: Pick<State, 'clusters' | 'containers'>,
): ClusterView {
  const known = clusters[view.cluster];
  if (known === undefined || view.via !== null || !isSilent(view)) return view;
  const guests = Object.entries(containers).flatMap(([name, { current, attempt }]) =>
    [current, attempt].flatMap((at) => (at?.cluster === view.cluster ? [rememberedGuest(name, at)] : [])),
  );
  return {
    ...view,
    remembered: known.at,
    standalone: known.standalone,
    nodes: known.nodes.map(silentNode),
    guests,
  };
}

/** Every endpoint was asked, and none of them gave a sign of life. */
function isSilent({ endpoints }: ClusterView): boolean {
  return endpoints.length > 0 && endpoints.every((e) => !e.ok && e.silent === true);
}

/** Whether it is a stand-alone node, known from an earlier run, of which nothing is heard now. */
export function isSilentNode(view: ClusterView | undefined): boolean {
  return view?.remembered !== undefined && view.standalone;
}

function silentNode({ name, ip }: { name: string; ip: string | null }): NodeView {
  return {
    name,
    ip,
    online: false,
    apiAnswers: false,
    memTotal: null,
    memUsed: null,
    uptimeSeconds: null,
    netstat: null,
    bridges: null,
    machine: null,
  };
}

function rememberedGuest(name: string, { node, vmid }: { node: string; vmid: number }): GuestView {
  const unknown = { status: 'unknown', tags: [], lock: null, template: false, memMax: null } as const;
  return { ...unknown, tags: [], vmid, type: 'lxc', node, name };
}
