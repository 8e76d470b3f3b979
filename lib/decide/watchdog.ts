/**
 * Whether a node has reset itself. A node whose LRM is active has armed its watchdog, and is reset by it some 66 s after
 * it has lost quorum (facts, section 9), as Proxmox's own HA manager relies on. Pure.
 *
 * It is proven only when the LRM was seen active, with a resource that kept it so, while the node was online; when that
 * was its last word; and when it has written none for long enough, by two clocks. Whether the node was cut off or lost its
 * power makes no difference: nothing runs on it in the end. What it does when it is back is the guard's business.
 */
import type { State } from '../state/model.ts';
import { formatDuration } from '../units.ts';
import { guardWay } from './guard.ts';
import type { ClusterView, FenceStatus, LrmWord, Observation } from './model.ts';

/**
 * From the first look that showed it offline. The reset comes after 66 s at most, the manager itself waits for 120 s (the
 * agent lock); the rest is for what falls between two looks.
 */
const RESET_MS = 180_000;
/** An LRM goes idle, and closes its watchdog, ten minutes after its last resource is gone: within nine it can't have. */
const ARMED_MS = 540_000;

export type WatchdogState = State['watchdogs'][string];

export interface WatchdogRead {
  readonly power: 'on' | 'off' | 'unknown';
  readonly detail: string;
  /** When it will have had its time, if nothing is heard of the node until then. */
  readonly dueAt?: number;
}

/** What this look adds to what is remembered of the watchdogs of these nodes. */
export function foldWatchdogs(known: State['watchdogs'], view: ClusterView, nodes: readonly string[]): void {
  // As old as the look, on both sides.
  const { lrms, at: now } = view;
  if (lrms === null || view.standalone || !view.quorate) return;
  for (const name of nodes) {
    const node = view.nodes.find((n) => n.name === name);
    if (node === undefined) continue;
    const place = `${view.cluster}/${name}`;
    const word = lrms.words.find((w) => w.node === name);
    const before = known[place];
    if (node.online) {
      if (word !== undefined && saysArmed(word) && hasResource(view, name))
        known[place] = { armedAt: now, offline: null };
      // One that is online without an active LRM has closed its watchdog; one that has lost its last resource has not yet.
      else if (word === undefined || !saysArmed(word)) delete known[place];
      else if (before !== undefined) before.offline = null;
    } else if (before !== undefined && lrms.masterAt !== null && word !== undefined) {
      // A word that is newer: it was back for a moment, and its time begins anew.
      if (before.offline === null || before.offline.word !== word.timestamp)
        before.offline = { since: now, masterAt: lrms.masterAt, word: word.timestamp };
    }
  }
}

/** What the watchdog of `name` says now. */
export function readWatchdog(
  known: WatchdogState | undefined,
  view: ClusterView,
  name: string,
): WatchdogRead {
  const { lrms, at: now } = view;
  if (!isMeasured(view))
    return unknown(`it has not been measured on Proxmox VE ${view.version ?? '(unknown version)'}`);
  if (lrms === null) return unknown('the state of the HA manager could not be read');
  const word = lrms.words.find((w) => w.node === name);
  const said = word === undefined ? 'nothing' : word.mode === 'active' ? word.state : `${word.mode} mode`;
  if (view.nodes.find((n) => n.name === name)?.online === true)
    return isArmed(view, name)
      ? { power: 'on', detail: 'armed: its LRM is active' }
      : {
          power: 'on',
          detail: `not armed: its LRM says ${said}, or no HA resource keeps it active`,
        };
  if (known === undefined)
    return unknown('no armed watchdog: its LRM was not seen active, with a resource, before it fell silent');
  if (word === undefined || !saysArmed(word))
    return unknown(`no armed watchdog: the last word of its LRM is ${said}`);
  const { offline, armedAt } = known;
  // The next run remembers it; this one has seen it first.
  const since = offline !== null && offline.word === word.timestamp ? offline : null;
  const begun = since?.since ?? now;
  if (begun - armedAt > ARMED_MS || begun < armedAt)
    return unknown(
      `its LRM was last seen active ${formatDuration(Math.abs(begun - armedAt))} before it was seen offline: it may have gone idle between`,
    );
  if (lrms.masterAt === null) return unknown('there is no active HA manager');
  const passed = since === null ? 0 : Math.min(now - since.since, lrms.masterAt - since.masterAt);
  if (passed >= RESET_MS)
    return {
      power: 'off',
      detail: `its LRM was active, and its armed watchdog has had ${formatDuration(passed)} without quorum`,
    };
  const leftMs = RESET_MS - Math.max(passed, 0);
  return {
    power: 'unknown',
    detail: `its watchdog was armed, and has had its time in ${formatDuration(leftMs)}`,
    dueAt: now + leftMs,
  };
}

/** Whether the LRM of a node that is online is active, and stays so: measured on 8.x only. */
export function isArmed(view: ClusterView, node: string): boolean {
  const word = view.lrms?.words.find((w) => w.node === node);
  return isMeasured(view) && word !== undefined && saysArmed(word) && hasResource(view, node);
}

/** On 8.x alone, of whatever node is known: a cluster in the middle of an upgrade is none of them. */
function isMeasured(view: ClusterView): boolean {
  return guardWay(view) === 'group';
}

/** The read of a watchdog that has not had its time yet; null: there is none. */
export function watchdogDue(view: ClusterView, node: string): FenceStatus | null {
  return view.fences.find((f) => f.node === node && f.dueAt !== undefined) ?? null;
}

/** Why a watchdog that is somebody's fence proves nothing, to follow another reason; empty: there is none. */
export function watchdogText(view: ClusterView, node: string): string {
  const read = view.fences.find((f) => f.node === node && f.driver === 'ha-watchdog');
  return read === undefined || read.power === 'off' ? '' : `; ha-watchdog: ${read.detail}`;
}

/** The same observation, once that time has passed: does nothing else stand in the way? */
export function withWatchdogOff(observation: Observation, view: ClusterView, node: string): Observation {
  const fences = view.fences.map((f) =>
    f.node === node && f.dueAt !== undefined ? { ...f, power: 'off' as const } : f,
  );
  return { ...observation, clusters: { ...observation.clusters, [view.cluster]: { ...view, fences } } };
}

function unknown(detail: string): WatchdogRead {
  return { power: 'unknown', detail };
}

/** The modes `shutdown`, `restart` and `maintenance` are ways to close it in order. */
function saysArmed({ state, mode }: LrmWord): boolean {
  return state === 'active' && mode === 'active';
}

/** As the HA manager counts: what is to run keeps the LRM of its node active. */
function hasResource(view: ClusterView, node: string): boolean {
  return view.ha.some(({ sid, state }) => {
    const [, type, vmid] = /^(ct|vm):(\d+)$/.exec(sid) ?? [];
    return (
      (state === 'started' || state === 'enabled') &&
      view.guests.some(
        (g) => g.node === node && g.vmid === Number(vmid) && g.type === (type === 'ct' ? 'lxc' : 'qemu'),
      )
    );
  });
}
