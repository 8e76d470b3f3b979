/**
 * `same-vmid`: the original's config is moved aside inside the cluster's file system by a root shell on a node with quorum
 * (facts, sections 1, 8 and 10), so that nothing can start it and the copy can have its vmid. Its disks stay. Undo moves it
 * back. The file's name says what it is, so that a person understands it, and a cut operation knows its own.
 */
import { incarnationKey } from '../decide/incarnations.ts';
import { isAtHome, parseLineage } from '../decide/lineage.ts';
import type { FailoverAction, Incarnation } from '../decide/model.ts';
import { isFresh } from '../decide/proof.ts';
import { movingObstacles, RETIRED_FOLDER } from '../decide/same-vmid.ts';
import { knownMacs, NO_MACS, otherMacs } from '../decide/whose.ts';
import { BlockedError, FailedError, messageOf, PveError } from '../errors.ts';
import type { PveApi } from '../pve/api.ts';
import { configFacts, configFromText, type ConfigFacts } from '../pve/parse.ts';
import type { Operation } from '../state/model.ts';
import { addDetails, clusterView } from '../observe/view.ts';
import { quorateApi, type OperationContext } from './journal.ts';
import { lookUntil } from './look.ts';
import { proofOfSource } from './preflight.ts';
import { orderShell, shellOf } from './shell.ts';

/** Where a config is, below /etc/pve, and where it is moved to: `CT101-of-web-epoch0-from-home-pve1-by-op-….conf`. */
function places(op: Operation, { cluster, node, vmid, epoch }: Incarnation): { from: string; to: string } {
  return {
    from: `nodes/${node}/lxc/${vmid}.conf`,
    to: `${RETIRED_FOLDER}/CT${vmid}-of-${op.container}-epoch${epoch}-from-${cluster}-${node}-by-${op.id}.conf`,
  };
}

/** For a person: where the config is that was moved aside. */
export function asideAt({ op }: Pick<OperationContext, 'op'>): string {
  return `/etc/pve/${op.data.moved?.to ?? ''}`;
}

/**
 * Before anything is stopped, fenced or moved: a root shell can be had, and the config is the one that the container is
 * known by. Throws BlockedError.
 */
export async function checkConfig(context: OperationContext, action: FailoverAction): Promise<string> {
  const { key } = await lookInto(context, action);
  return `${key} is where it is believed to be, and can be moved aside`;
}

/** Moves it, by a proof (P2 or P3) that is fresh at that moment. Idempotent. Throws BlockedError. */
export async function moveConfig(context: OperationContext, action: FailoverAction): Promise<string> {
  const { op, operations, runtime } = context;
  const { from } = action;
  const api = await quorateApi(context, from.cluster);
  const at = await nodeOf(api, from.vmid, context);
  let proof = 'it had been moved before this run was cut';
  if (at !== null || op.data.moved === null) {
    if (at !== from.node)
      throw new BlockedError(
        `CT ${from.vmid} is ${at === null ? 'in no list' : `on ${at}`} and not on ${from.node}: nothing is moved`,
      );
    const { sha1 } = await lookInto(context, action);
    const proven = await proofOfSource(context, action);
    proof = proven.said;
    if (!action.sourceAlive && proven.answers)
      throw new BlockedError(
        `${from.node} is back, with data that is newer than the backup: nothing is moved`,
      );
    if (!isFresh(proven.at, runtime.clock.now()))
      throw new BlockedError('the proof has grown old before the config could be moved');
    op.data.moved = { ...places(op, from), sha1, askedAt: runtime.clock.now() };
    operations.save(op);
    operations.assertLease(op);
  }
  await settleMove(context, action, api);
  return `${proof}; the config of CT ${from.vmid} is in ${asideAt(context)} now, its disks are untouched on ${from.node}`;
}

/** Asks for the move that the journal names, and reads back that the vmid is in no list any more. */
async function settleMove(context: OperationContext, action: FailoverAction, api: PveApi): Promise<void> {
  const { op, operations } = context;
  const { moved } = op.data;
  if (moved === null) throw new Error(`bug: ${op.id} has no move in its journal`);
  const { vmid, node } = action.from;
  const what = `move of the config of CT ${vmid}`;
  const forget = (): void => {
    op.data.moved = null;
    operations.save(op);
  };
  let cause: unknown;
  try {
    await orderShell(context, api, {
      shell: shellOf(context, action.from.cluster, 'failover.identity: same-vmid'),
      nodes: await shellNodes(context, api, action.from),
      what,
      order: { kind: 'move-config', from: moved.from, to: moved.to, sha1: moved.sha1 },
    });
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    if (error.outcome === 'not-sent') {
      // Of an earlier run's it is known by the list alone: then it stays in the journal, and is moved back.
      if ((await nodeOf(api, vmid, context)) === node) forget();
      throw new BlockedError(messageOf(error), { hint: error.hint, cause: error });
    }
    cause = error;
  }
  const gone = await lookUntil(context, {
    sentAt: moved.askedAt,
    what,
    cause,
    look: async () => ((await nodeOf(api, vmid, context)) === node ? null : true),
  });
  if (gone === true) return;
  forget();
  throw new BlockedError(
    `CT ${vmid} is still on ${node}${cause === undefined ? '' : `: ${messageOf(cause)}`}`,
    { cause },
  );
}

/**
 * Moves it back, if the vmid is free. Idempotent, also for a move of which nobody knows whether it has been carried out.
 * Throws BlockedError when it has to stay where it is.
 */
export async function moveConfigBack(
  context: OperationContext,
  from: Pick<Incarnation, 'cluster' | 'node' | 'vmid'>,
): Promise<string> {
  const { op, operations } = context;
  const { moved } = op.data;
  if (moved === null) return 'nothing was moved';
  const { cluster, node, vmid } = from;
  const api = await quorateApi(context, cluster);
  const what = `move of the config of CT ${vmid} back to ${node}`;
  const isBack = async (): Promise<true | null> =>
    (await nodeOf(api, vmid, context)) === node ? true : null;
  const done = (text: string): string => {
    op.data.moved = null;
    operations.save(op);
    return text;
  };
  if ((await isBack()) === true) {
    // It may still be under way.
    const gone = await lookUntil(context, {
      sentAt: moved.askedAt,
      what: `move of the config of CT ${vmid}`,
      look: async () => ((await isBack()) === true ? null : true),
    });
    if (gone === null) return done(`the config of CT ${vmid} is on ${node}`);
  }
  const at = await nodeOf(api, vmid, context);
  if (at !== null)
    throw new BlockedError(
      `vmid ${vmid} is taken on ${at}: the config of ${op.container} stays in ${asideAt(context)}`,
      { hint: `when that vmid is free again, on a node: \`mv ${asideAt(context)} /etc/pve/${moved.from}\`` },
    );
  operations.assertLease(op);
  const sentAt = context.runtime.clock.now();
  let cause: unknown;
  try {
    await orderShell(context, api, {
      shell: shellOf(context, cluster, 'failover.identity: same-vmid'),
      nodes: await shellNodes(context, api, from),
      what,
      order: { kind: 'move-config', from: moved.to, to: moved.from, sha1: moved.sha1 },
    });
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
    if (error.outcome === 'not-sent')
      throw new BlockedError(
        `${messageOf(error)}; the config of ${op.container} stays in ${asideAt(context)}`,
        { hint: `on a node: \`mv ${asideAt(context)} /etc/pve/${moved.from}\``, cause: error },
      );
    cause = error;
  }
  if ((await lookUntil(context, { sentAt, what, cause, look: isBack })) === true)
    return done(`the config of CT ${vmid} is on ${node} again`);
  throw new FailedError(
    `CT ${vmid} is not on ${node} again${cause === undefined ? '' : ` (${messageOf(cause)})`}: its config is in ${asideAt(context)}`,
    { cause },
  );
}

/** Its config as it is now, by a root shell: of a dead node the API can't say it. Throws BlockedError. */
async function lookInto(
  context: OperationContext,
  action: FailoverAction,
): Promise<{ readonly key: string; readonly sha1: string }> {
  const { op, container, inventory, runtime, signal } = context;
  const { from } = action;
  const api = await quorateApi(context, from.cluster);
  const cluster = inventory.clusters[from.cluster];
  if (cluster === undefined)
    throw new BlockedError(`cluster ${from.cluster} is not in the inventory any more`);
  const view = await clusterView({ api, cluster, runtime, signal });
  await addDetails(view, [from], { api, cluster, runtime, signal });
  let text: string;
  try {
    text = await orderShell(context, api, {
      shell: shellOf(context, from.cluster, 'failover.identity: same-vmid'),
      nodes: await shellNodes(context, api, from),
      what: `reading the config of CT ${from.vmid}`,
      order: { kind: 'read-config', path: places(op, from).from },
    });
  } catch (error) {
    if (signal?.aborted === true || !(error instanceof PveError)) throw error;
    throw new BlockedError(messageOf(error), { hint: error.hint, cause: error });
  }
  const [, sha1] = /^([0-9a-f]{40})\b/.exec(text) ?? [];
  const facts = configFacts(configFromText(text.slice(text.indexOf('\n') + 1)));
  const record = context.state.read().containers[container.name];
  const macs = knownMacs(container, from, { clusters: { [view.cluster]: view } }, record);
  const replicated = await replicatedVmids(api, context);
  const obstacles = [
    ...(sha1 === undefined ? ['its checksum could not be read'] : []),
    ...whatIsWrong(facts, { from, name: container.name, macs }),
    ...movingObstacles({ container, current: from, view, cluster, config: facts.config }).map((o) => o.what),
    ...(replicated.includes(from.vmid)
      ? ['it has a storage replication job, which would work on the disks of both']
      : []),
  ];
  if (sha1 === undefined || obstacles.length > 0)
    throw new BlockedError(
      `the config of CT ${from.vmid} on ${from.node} is not moved aside: ${obstacles.join('; ')}`,
      { hint: `set failover.identity: new-vmid for ${container.name}, or put that right` },
    );
  return { key: incarnationKey(from), sha1 };
}

/** Whether the file is that of the copy that was decided on. Without an interface netstat could never show it running. */
function whatIsWrong(
  facts: ConfigFacts,
  { from, name, macs }: { from: Incarnation; name: string; macs: readonly string[] },
): string[] {
  const other = macs.length === 0 ? NO_MACS : otherMacs(facts.macs, macs);
  const line = parseLineage(facts.description);
  // A line that was written for another place is an archive's, restored by hand: it says nothing of this one.
  const own = line !== null && isAtHome(line, from) ? line : null;
  const fits = from.epoch === 0 ? own === null : own?.container === name && own.epoch === from.epoch;
  return [
    ...(other === null ? [] : [other]),
    ...(fits ? [] : [`its notes don't say that it is epoch ${from.epoch} of ${name}`]),
  ];
}

async function replicatedVmids(api: PveApi, { signal }: OperationContext): Promise<number[]> {
  try {
    return await api.inspect.replicated({ signal });
  } catch (error) {
    if (signal?.aborted === true || !(error instanceof PveError)) throw error;
    throw new BlockedError(`whether it is replicated can't be read: ${messageOf(error)}`, { cause: error });
  }
}

/** Where the cluster's list has a vmid; null: nowhere. */
async function nodeOf(api: PveApi, vmid: number, { signal }: OperationContext): Promise<string | null> {
  const { guests } = await api.resources({ signal });
  return guests.find((g) => g.vmid === vmid)?.node ?? null;
}

/** Any node with quorum can do it: the runner itself first, if it is one, and the original's own last. */
async function shellNodes(
  { op, inventory, signal }: OperationContext,
  api: PveApi,
  { cluster, node }: Pick<Incarnation, 'cluster' | 'node'>,
): Promise<string[]> {
  const views = await Promise.all(api.endpoints.map((e) => api.endpointView(e, { signal })));
  const online = views.find((v) => v.ok && v.quorate)?.online ?? [];
  const local = inventory.clusters[cluster]?.shell?.kind === 'local';
  const self = op.lease.host.split('.')[0] ?? '';
  const rank = (name: string): number => (name === node ? 2 : local && name === self ? 0 : 1);
  return [...online].toSorted((x, y) => rank(x) - rank(y));
}
