/** Making sure that an original cannot start again by itself: onboot=0 on a living node, the inert HA guard for a dead one. */
import { composeDescription, parseLineage, TAG } from '../decide/lineage.ts';
import { incarnationsOf } from '../decide/incarnations.ts';
import type { Incarnation } from '../decide/model.ts';
import { guardGroup, retirement } from '../decide/retire.ts';
import { BlockedError, FailedError, PveError } from '../errors.ts';
import type { PveApi } from '../pve/api.ts';
import { isAlreadyExists } from '../pve/failure.ts';
import type { ActContext } from './context.ts';
import { quorateApi, type OperationContext } from './journal.ts';
import { setConfig, settle } from './look.ts';
import { observeClosely } from './start-gate.ts';

/** The tag of an original that has been taken over from: for people; nothing depends on it. */
export const RETIRED_TAG = `${TAG}-retired`;

/** Sets onboot=0, a tag and a sentence that tell a person in the GUI what happened. Idempotent. */
export async function retireAlive(
  context: ActContext,
  api: PveApi,
  original: Pick<Incarnation, 'node' | 'vmid'>,
  sentence: string,
): Promise<void> {
  const { node, vmid } = original;
  const detail = await api.guestDetail(node, vmid, { signal: context.signal });
  const tags = [...new Set([...detail.tags, RETIRED_TAG])];
  // A copy keeps its line: without it nothing would know it as an incarnation that has to stay down.
  const line = parseLineage(detail.description);
  const description = composeDescription({ sentence, line, previous: detail.description });
  await setConfig(context, api, original, { onboot: false, tags, description });
}

/** Takes back what `retireAlive` has set, when the failover is undone. `onboot`: as it was before. Idempotent. */
export async function unretire(
  context: ActContext,
  api: PveApi,
  original: Pick<Incarnation, 'node' | 'vmid'>,
  { onboot, sentence }: { onboot: boolean | null; sentence: string },
): Promise<void> {
  const { node, vmid } = original;
  const detail = await api.guestDetail(node, vmid, { signal: context.signal });
  const turnOn = onboot === true && !detail.onboot ? { onboot: true } : {};
  const marked = detail.tags.includes(RETIRED_TAG);
  const words = {
    tags: detail.tags.filter((tag) => tag !== RETIRED_TAG),
    description: composeDescription({
      sentence,
      line: parseLineage(detail.description),
      previous: detail.description,
    }),
  };
  if (!marked && Object.keys(turnOn).length === 0) return;
  await setConfig(context, api, original, { ...turnOn, ...(marked ? words : {}) });
}

/** Another runner may have been faster, or the answer been lost: what counts is what is read back. */
async function unlessThere(
  context: ActContext,
  api: PveApi,
  what: string,
  { write, holds }: { write: () => Promise<void>; holds: () => Promise<boolean> },
): Promise<void> {
  try {
    await settle(context, { api, what: `creation of ${what}`, write, holds });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

/** Sets the inert guard (facts, section 9) and reads it back. Idempotent. Throws FailedError when it isn't there after. */
export async function setGuard(
  context: ActContext,
  api: PveApi,
  original: Pick<Incarnation, 'node' | 'vmid'>,
  operation: string,
): Promise<string> {
  const { signal } = context;
  const { node, vmid } = original;
  const group = guardGroup(node);
  const sid = `ct:${vmid}`;
  const findGroup = async () => (await api.haGroups({ signal })).find((g) => g.group === group);
  if ((await findGroup()) === undefined)
    await unlessThere(context, api, `HA group ${group}`, {
      write: () => api.createHaGroup(group, [node], { signal }),
      holds: async () => (await findGroup()) !== undefined,
    });
  const existing = await findGroup();
  if (existing === undefined) throw new FailedError(`HA group ${group} has gone again`);
  if (!existing.restricted || existing.nodes.length !== 1 || existing.nodes[0] !== node)
    throw new FailedError(
      `HA group ${group} is not restricted to ${node} alone: the guard would not be inert`,
    );
  const findEntry = async () => (await api.haResources({ signal })).find((e) => e.sid === sid);
  const comment = `ProxWarden guard, ${operation}: keeps a superseded original down`;
  if ((await findEntry()) === undefined)
    await unlessThere(context, api, `the HA entry ${sid}`, {
      write: () => api.createHaResource(sid, { state: 'disabled', group, comment }, { signal }),
      holds: async () => (await findEntry()) !== undefined,
    });
  const after = await findEntry();
  if (after === undefined || after.state !== 'disabled' || after.group !== group)
    throw new FailedError(
      `the guard of ${sid} on ${node} reads back as ${after === undefined ? 'absent' : `${after.state} in ${after.group ?? 'no group'}`}`,
    );
  return `guard ${sid} in group ${group} is in place: CT ${vmid} will not start when ${node} returns`;
}

/**
 * Guards the superseded incarnations whose nodes are silent: their onboot=0 can't be read there, so it doesn't count.
 * Throws FailedError when one can't be guarded. Theirs stay when the operation is undone; `reconcile` lifts them when
 * the node is back.
 */
export async function guardSuperseded(context: OperationContext): Promise<string> {
  const { container, op, operations, state } = context;
  const observation = await observeClosely(context, container);
  const seen = incarnationsOf(container, observation, state.read().containers[container.name]);
  const said: string[] = [];
  for (const old of seen.superseded) {
    const view = observation.clusters[old.cluster];
    if (view === undefined) throw new FailedError(`cluster ${old.cluster} can't be seen`);
    if (view.nodes.find((n) => n.name === old.node)?.apiAnswers === true) continue;
    const { retire, gate, settled } = retirement(container, old, view, false);
    if (settled) continue;
    if (retire !== 'ha-guard') throw new BlockedError(gate.evidence, { hint: gate.flip ?? undefined });
    const api = await quorateApi(context, old.cluster);
    operations.assertLease(op);
    said.push(await setGuard(context, api, old, op.id));
  }
  return said.join('; ') || 'none has to be guarded';
}

/**
 * Removes our guard; the group too when nothing else is in it. Entries in other groups are not ours and stay; with
 * `setBy` only what that very operation has set (another runner may have been first, and rely on its own).
 */
export async function removeGuard(
  context: ActContext,
  api: PveApi,
  original: Pick<Incarnation, 'node' | 'vmid'>,
  setBy?: string,
): Promise<boolean> {
  const { signal } = context;
  const group = guardGroup(original.node);
  const entries = await api.haResources({ signal });
  const sid = `ct:${original.vmid}`;
  const ours = entries.some(
    (e) => e.sid === sid && e.group === group && (setBy === undefined || e.comment.includes(setBy)),
  );
  if (ours)
    await settle(context, {
      api,
      what: `removal of the HA entry ${sid}`,
      write: () => api.deleteHaResource(sid, { signal }),
      holds: async () => !(await api.haResources({ signal })).some((e) => e.sid === sid),
    });
  if (ours && !entries.some((e) => e.sid !== sid && e.group === group)) {
    try {
      await settle(context, {
        api,
        what: `removal of HA group ${group}`,
        write: () => api.deleteHaGroup(group, { signal }),
        holds: async () => !(await api.haGroups({ signal })).some((g) => g.group === group),
      });
    } catch (error) {
      // Somebody has put another entry into it meanwhile; an empty group that stays does no harm.
      if (!(error instanceof PveError) || error.outcome !== 'refused') throw error;
      context.teller.tell({
        kind: 'note',
        level: 'debug',
        container: null,
        text: `HA group ${group} stays: ${error.message}`,
      });
    }
  }
  return ours;
}
