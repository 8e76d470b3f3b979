/** What a restore of each container would trip over, on each node that it may go to. Pure. */
import type { ArchivedConfig } from '../guest-config.ts';
import { containerIssues, restoreTarget } from '../restorable.ts';
import { targetIssues } from '../restorable-there.ts';
import type { RestoreIssue } from '../restore-issue.ts';
import type { Finding, Subject } from './facts.ts';
import { finding, listed, type ClusterLook, type ContainerLook, type Look } from './look.ts';
import { usable } from './places.ts';

export function checkRestores(look: Look): Finding[] {
  return look.clusters.flatMap((cluster) =>
    cluster.containers
      // A template has been told of.
      .filter((one) => one.isProtected && one.at !== null && one.detail?.template !== true)
      .flatMap((one) => {
        const about: Subject = { cluster: cluster.name, kind: 'container', name: one.container.name };
        return [...ofItsOwn(cluster, one, about), ...ofItsNodes(cluster, one, about)];
      }),
  );
}

/** The backup that would be used, and the container as it is now: the next backup is of that. */
function configsOf({ choice, backups, detail }: ContainerLook): ArchivedConfig[] {
  const backup = (choice?.chosen ?? backups[0])?.archived?.config;
  return [...(backup === undefined ? [] : [backup]), ...(detail === null ? [] : [detail.config])];
}

/** What both say is said once. */
function once(issues: readonly RestoreIssue[]): RestoreIssue[] {
  return [...new Map(issues.map((issue) => [issue.what, issue])).values()];
}

function ofItsOwn({ view }: ClusterLook, one: ContainerLook, about: Subject): Finding[] {
  if (view === null) return [];
  const issues = configsOf(one).flatMap((config) => containerIssues(one.container, config, view));
  return once(issues).map((issue) => said(issue, issue.what, issue.severity === 'blocks', about));
}

/** Where some of its nodes can take it, the others are a warning. */
function ofItsNodes(cluster: ClusterLook, one: ContainerLook, about: Subject): Finding[] {
  const { view } = cluster;
  const places = usable(one, cluster).filter(
    ({ node }) => view?.nodes.find((n) => n.name === node)?.online === true,
  );
  if (view === null || places.length === 0) return [];
  const [config = null] = configsOf(one);
  const memory = config?.memory ?? one.detail?.memMax ?? null;
  const byIssue = new Map<string, { issue: RestoreIssue; nodes: string[] }>();
  let free = places.length;
  for (const { node } of places) {
    const issues = once(targetIssues(one.container, config, restoreTarget(view, node), memory));
    if (issues.some((issue) => issue.severity === 'blocks')) free -= 1;
    for (const issue of issues) {
      const known = byIssue.get(issue.what) ?? { issue, nodes: [] };
      known.nodes.push(node);
      byIssue.set(issue.what, known);
    }
  }
  return [...byIssue.values()].map(({ issue, nodes }) =>
    said(issue, `on ${listed(nodes)}: ${issue.what}`, issue.severity === 'blocks' && free === 0, about),
  );
}

/** A loss without a remedy is one that the inventory has accepted, or that nobody can help. */
function said(issue: RestoreIssue, text: string, fatal: boolean, about: Subject): Finding {
  if (issue.severity === 'loses')
    return finding('restore-loses', issue.fix === null ? 'note' : 'warn', about, text, issue.fix);
  return finding('restore-blocked', fatal ? 'fail' : 'warn', about, text, issue.fix);
}
