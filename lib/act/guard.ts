/**
 * Setting and removing the inert guard (facts, section 9). A `disabled` entry that nothing binds to its dead node would
 * have its container moved to a living one within a minute or so. So there is none at any instant, whenever a run is
 * killed: with a group (8.x) the entry names it from its first moment on; with a rule (9.x), which can only be made for
 * an entry that is there, the entry begins as `ignored`, which guards nothing and harms nothing, and it ends like that.
 */
import {
  guardComment,
  guardGroup,
  guardRule,
  hasRules,
  isMarked,
  isStrictRule,
  ourGuard,
  type GuardWay,
} from '../decide/guard.ts';
import type { HaEntry, HaRule, Incarnation } from '../decide/model.ts';
import { FailedError, PveError } from '../errors.ts';
import type { PveApi } from '../pve/api.ts';
import { isAlreadyExists } from '../pve/failure.ts';
import type { ActContext } from './context.ts';
import { settle } from './look.ts';

type Original = Pick<Incarnation, 'node' | 'vmid'>;

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

/** Sets the guard and reads it back. Idempotent. Throws FailedError when it isn't there after. */
export async function setGuard(
  context: ActContext,
  api: PveApi,
  original: Original,
  { operation, way }: { operation: string; way: GuardWay },
): Promise<string> {
  const { node, vmid } = original;
  if (way === 'group') {
    const group = await groupGuard(context, api, original, operation);
    return `guard ct:${vmid} in group ${group} is in place: CT ${vmid} will not start when ${node} returns`;
  }
  const rule = await ruleGuard(context, api, original, operation);
  return `guard ct:${vmid} with rule ${rule} is in place, and should keep CT ${vmid} from starting when ${node} returns (nobody has measured that)`;
}

async function groupGuard(
  context: ActContext,
  api: PveApi,
  { node, vmid }: Original,
  operation: string,
): Promise<string> {
  const { signal } = context;
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
  const findEntry = () => entryOf(context, api, sid);
  if ((await findEntry()) === undefined)
    await unlessThere(context, api, `the HA entry ${sid}`, {
      write: () =>
        api.createHaResource(sid, { state: 'disabled', group, comment: guardComment(operation) }, { signal }),
      holds: async () => (await findEntry()) !== undefined,
    });
  const after = await findEntry();
  if (after === undefined || after.state !== 'disabled' || after.group !== group)
    throw new FailedError(`the guard of ${sid} on ${node} reads back as ${described(after)}`);
  return group;
}

async function ruleGuard(
  context: ActContext,
  api: PveApi,
  original: Original,
  operation: string,
): Promise<string> {
  const { signal } = context;
  const { node, vmid } = original;
  const sid = `ct:${vmid}`;
  const rule = guardRule(original);
  const comment = guardComment(operation);
  const findEntry = () => entryOf(context, api, sid);
  const findRule = async () => (await api.haRules({ signal })).find((r) => r.rule === rule);
  if ((await findEntry()) === undefined)
    await unlessThere(context, api, `the HA entry ${sid}`, {
      write: () => api.createHaResource(sid, { state: 'ignored', comment }, { signal }),
      holds: async () => (await findEntry()) !== undefined,
    });
  const entry = await findEntry();
  if (entry === undefined || !isMarked(entry) || !['ignored', 'disabled'].includes(entry.state))
    throw new FailedError(`the guard of ${sid} on ${node} reads back as ${described(entry)}`);
  if ((await findRule()) === undefined) {
    // Disabled already: somebody has taken its rule away.
    await setState(context, api, entry, 'ignored');
    await unlessThere(context, api, `HA rule ${rule}`, {
      write: () => api.createHaRule(rule, { nodes: [node], resources: [sid], comment }, { signal }),
      holds: async () => (await findRule()) !== undefined,
    });
  }
  assertStrict(await findRule(), original);
  const now = await findEntry();
  if (now !== undefined) await setState(context, api, now, 'disabled');
  const [after, bound] = [await findEntry(), await findRule()];
  if (after === undefined || after.state !== 'disabled')
    throw new FailedError(`the guard of ${sid} on ${node} reads back as ${described(after)}`);
  if (bound === undefined || !isStrictRule(bound, original)) await setState(context, api, after, 'ignored');
  assertStrict(bound, original);
  return rule;
}

function assertStrict(rule: HaRule | undefined, original: Original): void {
  if (rule === undefined) throw new FailedError(`HA rule ${guardRule(original)} has gone again`);
  if (!isStrictRule(rule, original))
    throw new FailedError(
      `HA rule ${rule.rule} does not bind ct:${original.vmid} strictly to ${original.node} alone: the guard would not be inert`,
    );
}

function described(entry: HaEntry | undefined): string {
  return entry === undefined ? 'absent' : `${entry.state} in ${entry.group ?? 'no group'}`;
}

async function entryOf({ signal }: ActContext, api: PveApi, sid: string): Promise<HaEntry | undefined> {
  return (await api.haResources({ signal })).find((e) => e.sid === sid);
}

async function setState(
  context: ActContext,
  api: PveApi,
  { sid, state: before }: HaEntry,
  state: 'ignored' | 'disabled',
): Promise<void> {
  if (before === state) return;
  await settle(context, {
    api,
    what: `change of the HA entry ${sid} to ${state}`,
    write: () => api.setHaState(sid, state, { signal: context.signal }),
    holds: async () => (await entryOf(context, api, sid))?.state === state,
  });
}

/**
 * Removes our guard, half-made or whole, in the opposite order; the group too when nothing else is in it. Entries that
 * aren't ours stay; with `setBy` only what that very operation has set (another runner may have been first, and rely on
 * its own). Idempotent.
 */
export async function removeGuard(
  context: ActContext,
  api: PveApi,
  original: Original,
  setBy?: string,
): Promise<boolean> {
  const { signal } = context;
  const ha = await api.haResources({ signal });
  const haRules = hasRules(await api.version({ signal })) ? await api.haRules({ signal }) : [];
  const found = ourGuard({ ha, haRules }, original);
  if (found === null) return false;
  const { entry, rule } = found;
  if (entry !== null && setBy !== undefined && !entry.comment.includes(setBy)) return false;
  const grouped = entry?.group === guardGroup(original.node);
  if (entry !== null && !grouped) await setState(context, api, entry, 'ignored');
  if (rule !== null)
    await settle(context, {
      api,
      what: `removal of HA rule ${rule.rule}`,
      write: () => api.deleteHaRule(rule.rule, { signal }),
      holds: async () => !(await api.haRules({ signal })).some((r) => r.rule === rule.rule),
    });
  if (entry !== null)
    await settle(context, {
      api,
      what: `removal of the HA entry ${entry.sid}`,
      write: () => api.deleteHaResource(entry.sid, { signal }),
      holds: async () => (await entryOf(context, api, entry.sid)) === undefined,
    });
  if (grouped && !ha.some((e) => e.sid !== entry?.sid && e.group === entry?.group))
    await removeGroup(context, api, guardGroup(original.node));
  return true;
}

async function removeGroup(context: ActContext, api: PveApi, group: string): Promise<void> {
  const { signal } = context;
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
