/**
 * The inert guard: an HA entry that keeps a dead node's container from starting when the node returns (facts, section
 * 9). What it is called, how it is made on this Proxmox VE, whether it is there, whether it counts. Pure.
 */
import type { ClusterView, HaEntry, HaRule, Incarnation } from './model.ts';

/** Name of the restricted HA group that holds only the dead node: 8.x. */
export function guardGroup(node: string): string {
  return `pw-guard-${node}`;
}

/** Name of the strict node-affinity rule of one guarded container: 9.x. */
export function guardRule({ node, vmid }: Pick<Incarnation, 'node' | 'vmid'>): string {
  return `pw-guard-${node}-${vmid}`;
}

/** How the comments of our entries begin. */
const MARK = 'ProxWarden guard';

export function guardComment(operation: string): string {
  return `${MARK}, ${operation}: keeps a superseded original down`;
}

/** By its comment; on 9.x nothing else tells one that is half-made, or that was a group's before an upgrade. */
export function isMarked({ comment }: Pick<HaEntry, 'comment'>): boolean {
  return comment.startsWith(MARK);
}

/** The guard has been measured on 8.x only; in 9.x groups became rules, so there it counts as absent. */
export function guardMeasured(version: string | null): boolean {
  return version !== null && version.startsWith('8.');
}

/** From 9.0 on there are rules, and no groups. */
export function hasRules(version: string): boolean {
  return Number.parseInt(version, 10) >= 9;
}

/** What a guard is made with: a group on 8.x, a rule on 9.x. */
export type GuardWay = 'group' | 'rule';

/** Null: nodes of 8.x and of 9.x side by side, in the middle of an upgrade, or not known. Neither is tried there. */
export function guardWay(view: Pick<ClusterView, 'version' | 'nodes'>): GuardWay | null {
  const versions = versionsOf(view);
  if (versions.length === 0) return null;
  if (versions.every(guardMeasured)) return 'group';
  return versions.every(hasRules) ? 'rule' : null;
}

function versionsOf({ version, nodes }: Pick<ClusterView, 'version' | 'nodes'>): string[] {
  const all = [version, ...nodes.map((node) => node.version?.text)];
  return [...new Set(all.filter((one) => one !== null && one !== undefined))].toSorted();
}

/** What there is of a guard of ours, half-made ones included. */
export interface OurGuard {
  readonly entry: HaEntry | null;
  readonly rule: HaRule | null;
}

/** Null: nothing. An entry that is somebody else's is nothing of ours. */
export function ourGuard(
  { ha, haRules }: Pick<ClusterView, 'ha' | 'haRules'>,
  original: Pick<Incarnation, 'node' | 'vmid'>,
): OurGuard | null {
  const rule = haRules.find((one) => one.rule === guardRule(original)) ?? null;
  const entry = ha.find((one) => one.sid === `ct:${original.vmid}`);
  const ours =
    entry !== undefined &&
    (entry.group === guardGroup(original.node) ||
      (entry.group === null && (rule !== null || isMarked(entry))));
  return ours || rule !== null ? { entry: ours ? entry : null, rule } : null;
}

/** Only this one binds its container to the dead node alone. */
export function isStrictRule(rule: HaRule, { node, vmid }: Pick<Incarnation, 'node' | 'vmid'>): boolean {
  return (
    rule.type === 'node-affinity' &&
    rule.strict &&
    !rule.disabled &&
    rule.nodes.join() === node &&
    rule.resources.join() === `ct:${vmid}`
  );
}

/** The guard is there, inert (state disabled, in a restricted group that holds only its node), and counts. */
export function guardInPlace(view: ClusterView, node: string, vmid: number): boolean {
  if (guardWay(view) !== 'group') return false;
  const entry = view.ha.find((e) => e.sid === `ct:${vmid}`);
  if (entry === undefined || entry.state !== 'disabled' || entry.group === null) return false;
  const group = view.haGroups.find((g) => g.group === entry.group);
  return group !== undefined && group.restricted && group.nodes.length === 1 && group.nodes[0] === node;
}

/** Why no guard counts for an original whose node is dead; null: one can be set, and then it does. */
export function guardObstacle(view: ClusterView, original: Incarnation): string | null {
  if (view.standalone) return 'a stand-alone node has no HA manager elsewhere';
  if (view.via === null) return `cluster ${view.cluster} can't be reached`;
  const way = guardWay(view);
  if (way === 'rule')
    return `the HA guard has not been measured on Proxmox VE ${versionsOf(view).join(' and ')}`;
  if (way === null)
    return `the HA guard has not been measured on ${versionsOf(view).length === 0 ? 'an unknown Proxmox VE' : `a cluster that runs Proxmox VE ${versionsOf(view).join(' and ')} side by side`}`;
  return settingObstacle(view, original);
}

/** Whether a guard that doesn't count is worth setting all the same: 9.x, where everything else is there for it. */
export function guardAsBelt(view: ClusterView, original: Incarnation): boolean {
  return !view.standalone && guardWay(view) === 'rule' && settingObstacle(view, original) === null;
}

function settingObstacle(view: ClusterView, original: Incarnation): string | null {
  if (view.haProblem !== undefined) return view.haProblem;
  const entry = view.ha.find((e) => e.sid === `ct:${original.vmid}`);
  const half = entry?.group === null && entry.state === 'ignored' && isMarked(entry);
  if (entry !== undefined && !half)
    return `there is an HA entry ct:${original.vmid} (${entry.state}) that isn't ours`;
  if (view.mayGuard === false) return 'the token may not write HA entries';
  if (view.mayGuard === null) return 'it is not known whether the token may write HA entries';
  return null;
}
