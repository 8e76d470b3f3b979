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
  await api.setConfig(node, vmid, { onboot: false, tags, description }, { signal: context.signal });
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
  await api.setConfig(node, vmid, { ...turnOn, ...(marked ? words : {}) }, { signal: context.signal });
}

/** Another runner may have been faster: what counts is what is read back. */
async function unlessThere(creation: Promise<void>): Promise<void> {
  try {
    await creation;
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
  if ((await findGroup()) === undefined) await unlessThere(api.createHaGroup(group, [node], { signal }));
  const existing = await findGroup();
  if (existing === undefined) throw new FailedError(`HA group ${group} has gone again`);
  if (!existing.restricted || existing.nodes.length !== 1 || existing.nodes[0] !== node)
    throw new FailedError(
      `HA group ${group} is not restricted to ${node} alone: the guard would not be inert`,
    );
  const entry = (await api.haResources({ signal })).find((e) => e.sid === sid);
  if (entry === undefined)
    await unlessThere(
      api.createHaResource(
        sid,
        {
          state: 'disabled',
          group,
          comment: `ProxWarden guard, ${operation}: keeps a superseded original down`,
        },
        { signal },
      ),
    );
  const after = (await api.haResources({ signal })).find((e) => e.sid === sid);
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
export async function guardSuperseded(
  context: OperationContext,
  from: Pick<Incarnation, 'cluster' | 'node' | 'vmid'>,
): Promise<string> {
  const { container, op, operations, state } = context;
  const observation = await observeClosely(context, container);
  const view = observation.clusters[from.cluster];
  if (view === undefined) throw new FailedError(`cluster ${from.cluster} can't be seen`);
  const seen = incarnationsOf(container, observation, state.read().containers[container.name]);
  const said: string[] = [];
  for (const old of seen.superseded) {
    if (view.nodes.find((n) => n.name === old.node)?.apiAnswers === true) continue;
    const { retire, gate, settled } = retirement(container, old, view, false);
    if (settled) continue;
    if (retire !== 'ha-guard') throw new BlockedError(gate.evidence, { hint: gate.flip ?? undefined });
    const api = await quorateApi(context, from.cluster);
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
  if (ours) await api.deleteHaResource(sid, { signal });
  if (ours && !entries.some((e) => e.sid !== sid && e.group === group)) {
    try {
      await api.deleteHaGroup(group, { signal });
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
