/** Making sure that an original cannot start again by itself: onboot=0 on a living node, the inert HA guard for a dead one. */
import { composeDescription, TAG } from '../decide/lineage.ts';
import type { Incarnation } from '../decide/model.ts';
import { guardGroup } from '../decide/retire.ts';
import { FailedError, PveError } from '../errors.ts';
import type { PveApi } from '../pve/api.ts';
import type { ActContext } from './context.ts';

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
  const description = composeDescription({ sentence, line: null, previous: detail.description });
  await api.setConfig(node, vmid, { onboot: false, tags, description }, { signal: context.signal });
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
  const groups = await api.haGroups({ signal });
  const existing = groups.find((g) => g.group === group);
  if (existing === undefined) await api.createHaGroup(group, [node], { signal });
  else if (!existing.restricted || existing.nodes.length !== 1 || existing.nodes[0] !== node)
    throw new FailedError(
      `HA group ${group} is not restricted to ${node} alone: the guard would not be inert`,
    );
  const entry = (await api.haResources({ signal })).find((e) => e.sid === sid);
  if (entry === undefined)
    await api.createHaResource(
      sid,
      {
        state: 'disabled',
        group,
        comment: `ProxWarden guard, ${operation}: keeps a superseded original down`,
      },
      { signal },
    );
  const after = (await api.haResources({ signal })).find((e) => e.sid === sid);
  if (after === undefined || after.state !== 'disabled' || after.group !== group)
    throw new FailedError(
      `the guard of ${sid} on ${node} reads back as ${after === undefined ? 'absent' : `${after.state} in ${after.group ?? 'no group'}`}`,
    );
  return `guard ${sid} in group ${group} is in place: CT ${vmid} will not start when ${node} returns`;
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
  const ours = entries.some((e) => e.sid === sid && e.group === group && (setBy === undefined || e.comment.includes(setBy)));
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
