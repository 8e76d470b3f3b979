/** What a change of the inventory means for the protection of each container, in words: for whoever reviews it. Pure. */
import { formatDuration } from '../units.ts';
import type { Container, Inventory } from './types.ts';

export type ChangeKind = 'loses' | 'gains' | 'changes' | 'everything';

export interface Change {
  /** `everything`: not of one container. */
  readonly kind: ChangeKind;
  /** The container, or what else it is about: `cluster home`, `limits`. */
  readonly subject: string;
  /** One sentence: what it was and what it will be. */
  readonly text: string;
  /** Every setting that differs, `failover.proof: stopped → offline-accepted`. */
  readonly details: readonly string[];
  /** Why a reviewer should look twice; empty: nothing special. */
  readonly risks: readonly string[];
}

/** An inventory, and a fingerprint of each program of it, by its path relative to the folder. */
export interface Side {
  readonly inventory: Inventory;
  readonly programs: Readonly<Record<string, string>>;
}

const LEVELS = [
  'not in the inventory',
  'off',
  'watched only',
  'protected by hand',
  'protected automatically',
];

function levelOf(container: Container | undefined): number {
  if (container === undefined) return 0;
  if (container.mode === 'off') return 1;
  if (container.mode === 'observe') return 2;
  return container.failover.auto ? 4 : 3;
}

/** All differences, what loses protection first. */
export function protectionChanges(before: Side, after: Side): Change[] {
  const names = new Set([
    ...Object.keys(before.inventory.containers),
    ...Object.keys(after.inventory.containers),
  ]);
  const changes = [...names].toSorted().flatMap((name) => {
    const [old, now] = [own(before.inventory.containers, name), own(after.inventory.containers, name)];
    const details = differences(placeless(old, before), placeless(now, after));
    const [from, to] = [levelOf(old), levelOf(now)];
    if (from === to && details.length === 0) return [];
    const kind = to < from ? 'loses' : to > from ? 'gains' : 'changes';
    const text =
      from === to ? `stays ${LEVELS[to]}, with other settings` : `was ${LEVELS[from]}, will be ${LEVELS[to]}`;
    const shown = old === undefined || now === undefined ? [] : details;
    return [{ kind, subject: name, text, details: shown, risks: risksOf(old, now) } as const];
  });
  const order: readonly ChangeKind[] = ['loses', 'everything', 'changes', 'gains'];
  return [...changes, ...rest(before, after)].toSorted(
    (a, b) => order.indexOf(a.kind) - order.indexOf(b.kind),
  );
}

function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** What a container, a node or a target gives up by name. */
function risksOf(old: Container | undefined, now: Container | undefined): string[] {
  if (now === undefined) return old === undefined ? [] : ['nothing looks after it any more'];
  const risks: string[] = [];
  const newly = (is: boolean, was: boolean | undefined, why: string): void => {
    if (is && was !== true) risks.push(why);
  };
  const { failover } = now;
  newly(
    failover.proof === 'offline-accepted',
    old && old.failover.proof === 'offline-accepted',
    'proof: offline-accepted: a node that is only cut off may go on running it beside its copy',
  );
  newly(
    failover.returnRisk === 'accepted',
    old && old.failover.returnRisk === 'accepted',
    'returnRisk: accepted: the original may start beside its copy when its node returns',
  );
  newly(
    failover.unseenRisk === 'accepted',
    old && old.failover.unseenRisk === 'accepted',
    'unseenRisk: accepted: a later copy in a cluster that is out of sight is not looked for',
  );
  newly(
    failover.acceptLoss.length > (old?.failover.acceptLoss.length ?? 0),
    false,
    `acceptLoss: ${failover.acceptLoss.join(', ')}: data that no backup holds`,
  );
  newly(
    now.backup.maxAgeMs > (old?.backup.maxAgeMs ?? Number.POSITIVE_INFINITY),
    false,
    `backup.maxAge: more data may be lost than before (${formatDuration(now.backup.maxAgeMs)})`,
  );
  newly(
    now.vmid !== (old?.vmid ?? now.vmid),
    false,
    'another vmid: another container of the cluster is meant',
  );
  return risks;
}

/** Clusters, limits, groups, who is told, and programs. */
function rest(before: Side, after: Side): Change[] {
  const [a, b] = [before.inventory, after.inventory];
  const changes: Change[] = [];
  const add = (subject: string, old: unknown, now: unknown, risks: readonly string[] = []): void => {
    const details = differences(old, now);
    if (details.length === 0) return;
    const text = old === undefined ? 'is new' : now === undefined ? 'is gone' : 'is changed';
    changes.push({ kind: 'everything', subject, text, details: text === 'is changed' ? details : [], risks });
  };
  for (const name of new Set([...Object.keys(a.clusters), ...Object.keys(b.clusters)])) {
    const [old, now] = [own(a.clusters, name), own(b.clusters, name)];
    const hosts = (now?.endpoints ?? []).filter((endpoint) => old?.endpoints.includes(endpoint) !== true);
    add(`cluster ${name}`, placeless(old, before), placeless(now, after), [
      ...(hosts.length === 0 ? [] : [`the token will be sent to ${hosts.join(', ')}`]),
      ...(now?.tls.kind === 'insecure' && old?.tls.kind !== 'insecure'
        ? ['tls.insecure: whoever is in between can take the token']
        : []),
    ]);
  }
  add('limits', a.limits, b.limits);
  add('keepApart', a.keepApart, b.keepApart);
  add('notify', placeless(a.notify, before), placeless(b.notify, after));
  add('heartbeat', a.heartbeat, b.heartbeat);
  for (const path of new Set([...Object.keys(before.programs), ...Object.keys(after.programs)])) {
    const [old, now] = [own(before.programs, path), own(after.programs, path)];
    if (old === now) continue;
    const text = old === undefined ? 'is new' : now === undefined ? 'is gone' : 'has another content';
    const risks = now === undefined ? [] : ['it will run on the runner, with its rights: read it'];
    changes.push({ kind: 'everything', subject: `program ${path}`, text, details: [], risks });
  }
  return changes;
}

/** Without where it is written, and with paths of the folder made relative: checkouts lie in different places. */
function placeless(value: object | undefined, { inventory }: Side): unknown {
  if (value === undefined) return undefined;
  const json = JSON.stringify({ ...value, file: undefined, line: undefined }, (_, item: unknown) =>
    typeof item === 'string' && item.startsWith(`${inventory.dir}/`)
      ? item.slice(inventory.dir.length + 1)
      : item,
  );
  const copy: unknown = JSON.parse(json);
  return copy;
}

/** `a.b: old → new` for every leaf that differs. */
function differences(old: unknown, now: unknown): string[] {
  const [before, after] = [leaves(old), leaves(now)];
  const keys = new Set([...before.keys(), ...after.keys()]);
  return [...keys]
    .toSorted()
    .filter((key) => before.get(key) !== after.get(key))
    .map((key) => `${key}: ${before.get(key) ?? 'none'} → ${after.get(key) ?? 'none'}`);
}

function leaves(value: unknown, path = '', found = new Map<string, string>()): Map<string, string> {
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) {
    if (value.length > 0) found.set(path, value.join(', '));
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value))
      leaves(item, path === '' ? key : `${path}.${key}`, found);
  } else if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    const ms = /^(.*)Ms$/.exec(path)?.[1];
    if (ms !== undefined && typeof value === 'number') found.set(ms, formatDuration(value));
    else found.set(path === '' ? 'it' : path, String(value));
  }
  return found;
}
