/** A person powers a node off or on. Nothing automatic comes here, and nothing else ever powers a node on (rule 5). */
import { BlockedError, FailedError, InputError, messageOf } from '../../errors.ts';
import { fenceName, switchesPower } from '../../decide/power.ts';
import { quorateWithout } from '../../decide/doctor/suppose.ts';
import type { ClusterView } from '../../decide/model.ts';
import type { ActContext } from '../context.ts';
import { powerSwitches, readPower, type PowerRead, type PowerSwitch } from './driver.ts';
import { fencesOf, viewOf } from './overview.ts';
import { createPveFence } from './pve.ts';
import { createSshFence } from './ssh.ts';
import type { Place } from './word.ts';

/** A plug's relay, or a BMC that waits a little. */
const SWITCHED_WITHIN_MS = 30_000;
/** A shutdown in order waits up to three minutes for the guests (facts, section 11). */
const SHUT_DOWN_WITHIN_MS = 240_000;
const POLL_MS = 1_000;

interface Wanted {
  readonly place: Place;
  /** What was typed after --yes. */
  readonly yes: string | undefined;
  /** Only this driver. */
  readonly driver: string | undefined;
}

interface Candidate extends PowerSwitch {
  /** Its "off" is read from a device. */
  readonly proves: boolean;
}

/**
 * Powers it off by the first driver that does it. Throws InputError until the node's name has been typed once more, with
 * what would go down; FailedError when no driver does it.
 */
export async function powerOffByHand(context: ActContext, wanted: Wanted): Promise<string> {
  const { place } = wanted;
  const { cluster, node } = place;
  const view = await viewOf(context, cluster);
  mustBeTyped(wanted, 'off', consequencesOf(view, node));
  const candidates = chosen(context, wanted, view);
  if (candidates.some((driver) => driver.proves)) await remember(context, place, view);
  const failures: string[] = [];
  for (const driver of candidates) {
    const trouble = await order(() => driver.off(context.signal), context);
    const read = await waitUntil(context, driver, trouble === null, (power) =>
      driver.proves ? power === 'off' : power !== 'on',
    );
    if (driver.proves && read.power === 'off')
      return `${node} is off: ${driver.name} has read back ${read.detail}`;
    if (!driver.proves && trouble === null && read.power !== 'on')
      return `${node} was told to shut down and is silent now (${driver.name}); that is no proof that it is off: see that it is, then \`proxwarden fence confirm ${cluster}/${node}\``;
    failures.push(`${driver.name}: ${trouble ?? 'ordered off'}, and it says ${read.power} (${read.detail})`);
  }
  throw new FailedError(`${node} could not be powered off: ${failures.join('; ')}`);
}

/** Powers it on. Throws as `powerOffByHand` does, and BlockedError while an operation rests on its being off. */
export async function powerOnByHand(context: ActContext, wanted: Wanted): Promise<string> {
  const { cluster, node } = wanted.place;
  mustBeTyped(wanted, 'on', []);
  const resting = context.operations
    .list()
    .operations.find(
      ({ status, action }) =>
        status === 'running' &&
        action !== null &&
        !action.sourceAlive &&
        action.from.cluster === cluster &&
        action.from.node === node,
    );
  if (resting !== undefined)
    throw new BlockedError(`${node} stays off: ${resting.id} of ${resting.container} rests on it`, {
      hint: 'power it on when that has ended: `proxwarden status`',
    });
  const failures: string[] = [];
  const able = chosen(context, wanted, null).filter(({ on }) => on !== null);
  for (const driver of able) {
    const trouble = await order(async () => driver.on?.(context.signal), context);
    const read = await waitUntil(context, driver, trouble === null, (power) => power === 'on');
    if (read.power === 'on')
      return `${node} has power: ${driver.name} has read back ${read.detail}; it starts what its configs say, and the next run keeps superseded originals down`;
    failures.push(`${driver.name}: ${trouble ?? 'ordered on'}, and it says ${read.power} (${read.detail})`);
  }
  throw new FailedError(
    `${node} could not be powered on: ${failures.join('; ') || 'no driver of it can switch on'}`,
  );
}

function mustBeTyped({ place, yes }: Wanted, turn: 'off' | 'on', consequences: readonly string[]): void {
  const { cluster, node } = place;
  if (yes === node || yes === `${cluster}/${node}`) return;
  throw new InputError(
    [`this powers ${node} ${turn}`, ...consequences].join('; ') +
      (yes === undefined ? '' : `; --yes names ${yes}, not ${node}`),
    { hint: `type its name once more: \`proxwarden fence ${turn} ${node} --yes ${node}\`` },
  );
}

/** What goes down with it. */
function consequencesOf(view: ClusterView | null, name: string): string[] {
  if (view === null || view.via === null) return ['what runs on it can not be seen now'];
  const node = view.nodes.find((n) => n.name === name);
  if (node === undefined) return [`${view.cluster} has no node ${name}`];
  const guests = view.guests.filter((g) => g.node === name && g.status === 'running');
  const running = guests.map((g) => `${g.type === 'lxc' ? 'CT' : 'VM'} ${g.vmid} (${g.name})`);
  return [
    `it is ${node.online ? 'online' : 'offline'}, with ${running.join(', ') || 'nothing that runs'}`,
    ...(view.standalone || quorateWithout(view.nodes, name, undefined)
      ? []
      : ['without it the rest has no quorum, unless a QDevice votes']),
    ...(node.online ? ['what is protected there is failed over once it counts as down'] : []),
  ];
}

function chosen(
  context: ActContext,
  { place, driver: named }: Wanted,
  view: ClusterView | null,
): Candidate[] {
  const { inventory, apis, runtime } = context;
  const { cluster, node } = place;
  const configs = fencesOf(context, place).filter((c) => named === undefined || fenceName(c) === named);
  const api = apis.get(cluster);
  const shell = inventory.clusters[cluster]?.shell ?? null;
  const found = configs.flatMap((config): Candidate[] => {
    if (switchesPower(config))
      return powerSwitches([config], runtime).map((one) => ({ ...one, proves: true }));
    if (api === undefined) return [];
    if (config.driver === 'pve') {
      // The node itself would take its own answer down.
      const other = view?.endpoints.find((e) => e.ok && e.quorate && e.node !== node) ?? null;
      if (other !== null) api.useEndpoint(other.endpoint);
      return [{ ...createPveFence(api, node), proves: false }];
    }
    if (config.driver === 'ssh' && shell !== null)
      return [{ ...createSshFence({ api, shell, node }, runtime), proves: false }];
    return [];
  });
  if (found.length > 0) return found;
  throw new InputError(
    named === undefined
      ? `the inventory names nothing that could switch ${node}: give it a fence`
      : `${node} has no fence ${named} (${fencesOf(context, place).map(fenceName).join(', ') || 'none'})`,
  );
}

/** On disk before it is ordered: if another node vanishes now, it was the wrong plug. */
async function remember(
  { state, runtime }: ActContext,
  place: Place,
  view: ClusterView | null,
): Promise<void> {
  const { cluster, node } = place;
  const othersOnline = (view?.nodes ?? []).filter((n) => n.online && n.name !== node).map((n) => n.name);
  const at = runtime.clock.now();
  await state.update((s) => void (s.fenced[`${cluster}/${node}`] = { at, othersOnline }));
}

/** Why it was not taken; null: it was. */
async function order(work: () => Promise<void>, { signal }: ActContext): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (error) {
    if (signal?.aborted === true) throw error;
    return messageOf(error);
  }
}

async function waitUntil(
  { runtime, signal }: ActContext,
  driver: Candidate,
  taken: boolean,
  enough: (power: PowerRead['power']) => boolean,
): Promise<PowerRead> {
  const { clock } = runtime;
  // An order whose answer was lost may have been carried out: it is read once.
  const patience = driver.proves ? SWITCHED_WITHIN_MS : SHUT_DOWN_WITHIN_MS;
  const until = clock.now() + (taken ? patience : 0);
  let read = await readPower(driver, clock, signal);
  while (!enough(read.power) && clock.now() < until) {
    await clock.sleep(POLL_MS, signal);
    read = await readPower(driver, clock, signal);
  }
  return read;
}
