/**
 * A node that a person has shut down or rebooted. Its containers stop with it, each by a task of its own (facts, section
 * 11; recording 18): that is no stop of theirs by hand, and gives only the rebootGrace. Pure.
 */
import type { Container } from '../inventory/types.ts';
import type { NodeStop, State } from '../state/model.ts';
import type { ClusterView, GuestDetail, PowerTask } from './model.ts';

/**
 * From the end of a `stopall` until its node must be gone; one that is still seen later has only had its containers
 * stopped (the GUI's bulk action, which is the same task). Measured: 12 s with one container.
 */
const GONE_WITHIN_MS = 180_000;
/** A stopall so close to a fence is the fence's own: a fence may shut the node down. */
const FENCE_MS = 120_000;

type Kept = Pick<State, 'nodeStops' | 'lastSeenOnline' | 'fenced'>;

/** The newest `stopall` of a node and what became of it: what was remembered, with what this view adds at `now`. */
export function nodeStop(kept: Kept, view: ClusterView, node: string, now: number): NodeStop | null {
  const place = `${view.cluster}/${node}`;
  const tasks = (view.powerTasks ?? []).filter((t) => t.node === node);
  const newest = tasks
    .filter((t) => t.type === 'stopall')
    .toSorted(byStart)
    .at(-1);
  const known = kept.nodeStops[place] ?? null;
  const stop =
    newest === undefined || (known !== null && known.startedAt > newest.startedAt)
      ? known
      : known?.startedAt === newest.startedAt
        ? { ...known, endedAt: newest.endedAt ?? known.endedAt }
        : {
            startedAt: newest.startedAt,
            endedAt: newest.endedAt,
            seenAt: now,
            downAt: null,
            backAt: null,
          };
  if (stop === null) return null;
  const seen = view.nodes.find((n) => n.name === node);
  const alive = seen?.apiAnswers === true;
  const down = seen?.online === false && !alive && wentWith(stop, kept.lastSeenOnline[place]);
  const downAt = stop.downAt ?? (down ? now : null);
  const started = tasks.some((t) => t.type === 'startall' && t.startedAt > stop.startedAt);
  const backAt = stop.backAt ?? (started || (downAt !== null && alive) ? now : null);
  return { ...stop, downAt, backAt };
}

/** Notes in the state what a view says of the stops of its nodes. */
export function noteStops(kept: Kept, view: ClusterView, now: number): void {
  for (const { name } of view.nodes) {
    const stop = nodeStop(kept, view, name, now);
    if (stop !== null) kept.nodeStops[`${view.cluster}/${name}`] = stop;
  }
}

/** When the node was last seen going down, by the runner's clock; a node's own clock may be ahead of it. */
function stoppedAt({ endedAt, seenAt }: NodeStop): number {
  return Math.min(endedAt ?? seenAt, seenAt);
}

/** Whether a silent node has gone with that stop: it was not seen for long after it. */
function wentWith(stop: NodeStop, lastSeen: number | undefined): boolean {
  return lastSeen === undefined || lastSeen <= stoppedAt(stop) + GONE_WITHIN_MS;
}

export interface StopInput {
  readonly container: Pick<Container, 'rebootGraceMs'>;
  readonly kept: Kept;
  readonly view: ClusterView;
  readonly node: string;
  /** Of the current copy, read from its node; undefined: not read. */
  readonly detail: GuestDetail | undefined;
  readonly lastHealthyAt: number | null;
  readonly now: number;
}

/**
 * Until when (epoch ms) a failing container on this node is not counted, because a person has shut the node down or
 * rebooted it; null: that explains nothing. A node that has died since it came back, a container that has been well
 * since, and one that was started and stopped again, are new troubles.
 */
export function graceUntil(input: StopInput): number | null {
  const { container, kept, view, node, detail, lastHealthyAt, now } = input;
  const stop = nodeStop(kept, view, node, now);
  if (stop === null) return null;
  const place = `${view.cluster}/${node}`;
  const fencedAt = kept.fenced[place]?.at;
  if (fencedAt !== undefined && Math.abs(fencedAt - stop.startedAt) <= FENCE_MS) return null;
  const at = stoppedAt(stop);
  const until = at + container.rebootGraceMs;
  // A clock that was set back must not make it longer.
  if (now < at || now >= until) return null;
  if (lastHealthyAt !== null && lastHealthyAt > at) return null;
  const seen = view.nodes.find((n) => n.name === node);
  const holds =
    seen?.apiAnswers === true
      ? explainsLiving(stop, detail, now)
      : stop.backAt === null && wentWith(stop, kept.lastSeenOnline[place]);
  return holds ? until : null;
}

/** On its way down, or back and not through with starting its containers. */
function explainsLiving(stop: NodeStop, detail: GuestDetail | undefined, now: number): boolean {
  const at = stoppedAt(stop);
  const back = stop.backAt !== null;
  if (detail?.status !== 'stopped') return back || stop.endedAt === null;
  const { lastTask } = detail;
  const startedSince = lastTask !== null && !isStop(lastTask) && lastTask.endedAt > at;
  if (startedSince) return false;
  return back || (lastTask !== null && within(lastTask, stop) && now - at <= GONE_WITHIN_MS);
}

/**
 * Whether a task that stopped a container was part of a shutdown of its whole node: of the last one, or of an earlier
 * one, after which the node's containers were started before the next.
 */
export function stoppedWithNode(
  task: NonNullable<GuestDetail['lastTask']>,
  { kept, view, node, now }: Pick<StopInput, 'kept' | 'view' | 'node' | 'now'>,
): boolean {
  const last = nodeStop(kept, view, node, now);
  if (last !== null && within(task, last)) return last.downAt !== null || last.backAt !== null;
  const tasks = (view.powerTasks ?? []).filter((t) => t.node === node).toSorted(byStart);
  const index = tasks.findIndex((t) => t.type === 'stopall' && within(task, t));
  const next = tasks.slice(index + 1).find((t) => t.type === 'stopall' || t.type === 'startall');
  return index !== -1 && next?.type === 'startall';
}

function within(
  task: NonNullable<GuestDetail['lastTask']>,
  stop: Pick<PowerTask, 'startedAt' | 'endedAt'>,
): boolean {
  const began = task.startedAt ?? task.endedAt;
  return began >= stop.startedAt && began <= (stop.endedAt ?? Number.POSITIVE_INFINITY);
}

/** Tasks that end with the container stopped. */
export function isStop({ type }: { readonly type: string }): boolean {
  return type === 'vzstop' || type === 'vzshutdown';
}

function byStart(a: PowerTask, b: PowerTask): number {
  return a.startedAt - b.startedAt;
}

/** The cluster lists 25 tasks of a node (recording 09): with so many of containers a `stopall` may have dropped out. */
const CROWDED = 20;

/** The newest start or stop of a container, as the cluster's list says, which outlives its node; null: none, or unsure. */
export function lastListedTask(view: ClusterView, node: string, vmid: number): GuestDetail['lastTask'] {
  const tasks = (view.powerTasks ?? []).filter((t) => t.node === node);
  if (tasks.filter((t) => t.vmid !== null).length >= CROWDED && !tasks.some((t) => t.type === 'stopall'))
    return null;
  const ended = tasks.flatMap((t) =>
    t.vmid === vmid && t.endedAt !== null ? [{ ...t, endedAt: t.endedAt }] : [],
  );
  const newest = ended.toSorted(byStart).at(-1);
  if (newest === undefined) return null;
  const { type, user, startedAt, endedAt, ok, ours } = newest;
  return { type, user, startedAt, endedAt, ok, ...(ours === undefined ? {} : { ours }) };
}
