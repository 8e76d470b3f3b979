/** The first gate of a failover: what is the state of the source? Pure. */
import type { Container } from '../inventory/types.ts';
import { fail, pass } from './gates.ts';
import type { ClusterView, FailoverAction, Gate, Incarnation, Request, Verdict } from './model.ts';

export interface SourceInput {
  readonly container: Container;
  readonly verdict: Verdict;
  readonly request: Request | undefined;
}

/** Whether the node's own API answers, by a proxied call or by an endpoint that it is. */
export function isAlive(view: ClusterView, node: string): boolean {
  return (
    view.nodes.find((n) => n.name === node)?.apiAnswers === true ||
    view.endpoints.some((e) => e.ok && e.node === node && e.quorate)
  );
}

/** Is the source alive (stop it, back it up), dead (prove it, take a backup), or in between (hands off)? */
export function sourceGate(
  input: SourceInput,
  view: ClusterView,
  current: Incarnation,
): { readonly gate: Gate; readonly alive: boolean } {
  const alive = isAlive(view, current.node);
  return { alive, gate: alive ? livingSource(input, view, current) : silentSource(input, view, current) };
}

function livingSource(
  { container, request, verdict }: SourceInput,
  view: ClusterView,
  current: Incarnation,
): Gate {
  const { name } = container;
  const where = `CT ${current.vmid} on ${current.node}`;
  if (stoppedSource({ request, verdict }, view, current) !== undefined)
    return pass('source', `${where} is stopped: it is backed up, and its copy is not started`);
  if (request?.mode === 'by-hand' && verdict.kind === 'healthy')
    return fail(
      'source',
      `${where} is healthy (${verdict.reason})`,
      `move it with \`proxwarden failover ${name} --planned\``,
    );
  if (request === undefined && container.backup.beforeFailover === 'never')
    return fail(
      'source',
      `${where} is on a living node, and beforeFailover: never rules out a fresh backup; an older one is a person's decision`,
      `set backup.beforeFailover: when-source-alive, or name a backup: \`proxwarden failover ${name} --backup VOLID --accept-data-loss AGE\``,
    );
  return pass('source', `${where} is on a living node: it is stopped and backed up first`);
}

/** A planned move of a container that is stopped leaves it stopped. Who stopped it; undefined: it is to run. */
export function stoppedSource(
  { request, verdict }: Pick<SourceInput, 'request' | 'verdict'>,
  view: ClusterView,
  current: Incarnation,
): FailoverAction['stopped'] {
  const detail = view.details.find((d) => d.node === current.node && d.vmid === current.vmid);
  if (request?.mode !== 'planned' || detail?.status !== 'stopped') return undefined;
  return verdict.kind === 'stopped-by-hand' ? 'by-hand' : 'by-itself';
}

function silentSource({ container, request }: SourceInput, view: ClusterView, current: Incarnation): Gate {
  const { node } = current;
  if (request?.mode === 'planned')
    return fail(
      'source',
      `--planned needs the source alive, and ${node} does not answer`,
      `run \`proxwarden failover ${container.name}\` without --planned`,
    );
  if (!view.standalone && view.nodes.find((n) => n.name === node)?.online === true)
    return fail(
      'source',
      `node ${node} is in the cluster, but its API does not answer`,
      `restart pveproxy on ${node}, or power it off and say \`proxwarden fence confirm ${view.cluster}/${node}\``,
    );
  return pass('source', `node ${node} is silent`);
}
