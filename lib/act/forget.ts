/** A person's word that a container that has left the inventory is no business of ours any more. */
import { followedOf } from '../decide/followed.ts';
import { incarnationKey } from '../decide/incarnations.ts';
import type { Incarnation, Observation } from '../decide/model.ts';
import { ourGuard } from '../decide/guard.ts';
import { InputError, LockedError } from '../errors.ts';
import { observe } from '../observe/observe.ts';
import type { ActContext } from './context.ts';
import { busyContainers } from './busy.ts';

export interface Forgotten {
  readonly container: string;
  /** Its current copy, `pve2/1000101@1`, which is left as it is; null: not seen. */
  readonly current: string | null;
  /** Those that nobody keeps down any more, each with what still does. */
  readonly superseded: readonly { readonly copy: string; readonly kept: string }[];
}

/**
 * Ends the following of a container that the inventory does not name. Writes the state only: nothing is changed in the
 * cluster. Throws InputError when the inventory names it or nothing is known of it, LockedError while an operation of it
 * is in hand.
 */
export async function forget(
  context: ActContext,
  name: string,
  { dryRun }: { readonly dryRun: boolean },
): Promise<Forgotten> {
  const { inventory, state, apis, runtime, signal } = context;
  const named = Object.hasOwn(inventory.containers, name) ? inventory.containers[name] : undefined;
  if (named !== undefined)
    throw new InputError(
      `${name} is in the inventory (${named.file}:${named.line}), so it is not forgotten`,
      {
        hint: 'remove it there first; `mode: off` leaves it alone meanwhile',
      },
    );
  const inHand = busyContainers(context).busy.get(name);
  if (inHand !== undefined)
    throw new LockedError(`${name}: operation ${inHand} is in hand`, {
      hint: 'the next `proxwarden check-and-failover` ends it',
    });
  const before = state.read();
  const observation = await observe({ inventory, state: before, apis, runtime, signal });
  const found = followedOf(inventory, observation, before).find((f) => f.container.name === name);
  if (found === undefined && before.followed[name] === undefined)
    throw new InputError(`nothing of ${name} is followed`, {
      hint: '`proxwarden status` lists what has left the inventory after a failover',
    });
  const cached = before.containers[name]?.current ?? null;
  const seen = found === undefined ? [] : [found.incarnations.current, ...found.incarnations.pending];
  const epoch = Math.max(cached?.epoch ?? 0, ...seen.map((i) => i?.epoch ?? 0));
  if (!dryRun)
    await state.update((s) => {
      s.forgotten[name] = { at: runtime.clock.now(), epoch };
      delete s.followed[name];
      delete s.containers[name];
      delete s.told[`decision ${name}`];
    });
  const current = found?.incarnations.current ?? cached;
  return {
    container: name,
    current: current === null ? null : incarnationKey(current),
    superseded: (found?.incarnations.superseded ?? []).map((old) => ({
      copy: incarnationKey(old),
      kept: keptBy(observation, old),
    })),
  };
}

/** What keeps a superseded copy down when nobody looks after it any more. */
function keptBy(observation: Observation, { cluster, node, vmid }: Incarnation): string {
  const view = observation.clusters[cluster];
  const sid = `ct:${vmid}`;
  if (view !== undefined && (ourGuard(view, { node, vmid })?.entry ?? null) !== null)
    return `the HA guard ${sid} stays: \`ha-manager remove ${sid}\` on a node lifts it`;
  const detail = view?.details.find((d) => d.node === node && d.vmid === vmid);
  if (detail === undefined) return `${node} does not answer: whether it starts there is not known`;
  return detail.onboot ? 'it has onboot=1 and starts with its node' : 'it has onboot=0';
}
