/** Do all endpoints that answer see the same cluster? Several views that disagree prove nothing. Pure. */
import type { ClusterView } from './model.ts';

/**
 * Why the views can't be trusted, as one clause; null: they agree. Two quorate views with different members are a
 * change under way, or a cluster whose votes somebody has tampered with: nothing at all may rest on them. With `node`
 * also when the quorate view calls that node offline while its own API answers: only its corosync link is cut.
 */
export function disagreement(view: ClusterView, node?: string): string | null {
  if (view.standalone) return null;
  const quorate = view.endpoints.filter((e) => e.ok && e.quorate);
  const [first, ...others] = quorate;
  const differing = others.find((e) => !sameNames(e.online, first?.online ?? []));
  if (first !== undefined && differing !== undefined)
    return `the views of cluster ${view.cluster} disagree: ${sees(first)}, ${sees(differing)}`;
  const seen = view.nodes.find((n) => n.name === node);
  if (node === undefined || !view.quorate || seen?.online !== false) return null;
  return seen.apiAnswers === true || view.endpoints.some((e) => e.ok && e.node === node)
    ? `the views of cluster ${view.cluster} disagree: the others say that ${node} is offline, and its own API answers`
    : null;
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name));
}

function sees({ endpoint, online }: ClusterView['endpoints'][number]): string {
  return `${endpoint} sees ${online.toSorted().join(', ')}`;
}
