/** Looking once more, right before anything is done: is it still wanted, and is it still true? */
import { takenByGroup } from '../decide/apart.ts';
import { pastSafeStep } from '../decide/brakes.ts';
import { decide } from '../decide/decide.ts';
import { withoutOwnCount, wrongPlug } from '../decide/gates.ts';
import { incarnationKey, incarnationsOf } from '../decide/incarnations.ts';
import type { FailoverAction, Observation, Request } from '../decide/model.ts';
import { proofOf, requiredLevel } from '../decide/proof.ts';
import { place } from '../decide/placement.ts';
import { placeOf, samePlace, volidIn } from '../decide/reach.ts';
import { promised } from '../decide/reservations.ts';
import { isAlive } from '../decide/source.ts';
import { archiveOf } from '../decide/volid.ts';
import { BlockedError, FailedError } from '../errors.ts';
import { clusterView } from '../observe/view.ts';
import { busyContainers } from './busy.ts';
import type { Copy } from './copy.ts';
import { quorateApi, type OperationContext } from './journal.ts';
import { Cancelled } from './outcome.ts';
import { observeClosely } from './start-gate.ts';

/**
 * Decides again from fresh reads. Throws Cancelled when nothing needs to be done any more, BlockedError when a gate
 * fails now or the world is no longer the one that was decided on.
 */
export async function preflight(context: OperationContext, action: FailoverAction): Promise<string> {
  const { op, container, runtime, state } = context;
  const observation = await observeClosely(context, container);
  const inventory = {
    ...context.inventory,
    containers: { ...context.inventory.containers, [container.name]: container },
  };
  const now = runtime.clock.now();
  const { underWay } = busyContainers(context);
  const [decision] = decide({
    inventory: { ...inventory, containers: { [container.name]: container } },
    neighbours: inventory.containers,
    observation,
    state: withoutOwnCount(state.read(), container.name, op.createdAt),
    now,
    busy: new Map(),
    underWay: underWay.filter((one) => one.operation !== op.id),
    request: requestOf(action, now),
    // It was chosen with the others of its run in view, of which some may not have begun yet.
    target: action.target,
    brakesOff: pastSafeStep(op),
  });
  if (decision?.kind === 'wait') throw new Cancelled(`not to be done now: ${decision.why}`);
  if (decision === undefined || decision.kind === 'none')
    throw new Cancelled(`not needed any more: ${decision?.why ?? 'it is not in the inventory'}`);
  if (decision.kind === 'blocked') throw new BlockedError(decision.why);
  if (decision.kind !== 'failover' || decision.action === null)
    throw new Cancelled(`now a ${decision.kind} in place would do: ${decision.why}`);
  const changed = difference(decision.action, action, container.cluster);
  if (changed !== null) throw new BlockedError(`the world has changed since it was decided: ${changed}`);
  op.data.onboot ??= state.read().containers[container.name]?.identity?.onboot ?? null;
  return `still wanted: ${decision.verdict.reason}`;
}

/** The request that leads to an action again; undefined for one that nobody asked for. */
function requestOf(action: FailoverAction, now: number): Request | undefined {
  if (action.mode === 'automatic') return undefined;
  const backup =
    action.volid === null || action.backupAt === null
      ? undefined
      : { volid: action.volid, acceptAgeMs: now - action.backupAt + 60_000 };
  return { container: action.container, mode: action.mode, to: action.target, backup };
}

function difference(now: FailoverAction, then: FailoverAction, home: string): string | null {
  const [is, was] = [incarnationKey(now.from, home), incarnationKey(then.from, home)];
  if (is !== was) return `it is ${is} now, not ${was}`;
  if (now.vmid !== then.vmid) return `the copy would be CT ${now.vmid}, not ${then.vmid}`;
  if (now.sourceAlive !== then.sourceAlive)
    return now.sourceAlive ? `${now.from.node} answers again` : `${now.from.node} has fallen silent`;
  if ((now.stopped === undefined) !== (then.stopped === undefined))
    return now.stopped === undefined ? `CT ${now.from.vmid} runs now` : `CT ${now.from.vmid} is stopped now`;
  if (archiveOf(now.volid ?? '') !== archiveOf(then.volid ?? ''))
    return `the backup would be ${now.volid ?? 'a fresh one'}, not ${then.volid ?? 'a fresh one'}`;
  const [to, before] = [placeOf(now.target, home), placeOf(then.target, home)];
  if (to !== before) return `the target would be ${to}, not ${before}`;
  // A node that was to be fenced may be off by now: the failover before this one has seen to it.
  const more = now.fence.filter((node) => !then.fence.includes(node));
  if (more.length > 0) return `it would fence ${more.join(', ')}, too`;
  return null;
}

/** Whether another target than the first can take the copy, as things are now. Throws FailedError with the reason. */
export async function stillTakes(
  context: OperationContext,
  action: FailoverAction,
  copy: Copy,
): Promise<string> {
  const { op, container, inventory } = context;
  const { volid } = op.data;
  if (volid === null) throw new FailedError(`${op.container}: no backup has been chosen`);
  const observation = await listsOf(context, copy.cluster);
  const api = await quorateApi(context, copy.cluster);
  const there = volidIn(container, copy.cluster, volid);
  const { config } = await api.archivedConfig(copy.node, there, { signal: context.signal });
  const underWay = busyContainers(context).underWay.filter((one) => one.operation !== op.id);
  const { rejected } = place({
    container,
    current: action.from,
    observation,
    backup: null,
    memory: config.memory,
    config,
    vmidIn: () => copy.vmid,
    reserved: promised(observation, underWay),
    apart: takenByGroup({
      container,
      keepApart: inventory.keepApart,
      containers: inventory.containers,
      observation,
      state: context.state.read(),
      underWay,
      chosen: new Map(),
    }),
    only: { cluster: copy.cluster, node: copy.node },
  });
  if (rejected[0] !== undefined)
    throw new FailedError(`${copy.node} can't take it any more: ${rejected[0].why}`);
  return `${copy.node} can take it`;
}

/** What is needed to count room by: the lists of one cluster. Services are not asked again. */
async function listsOf(
  { apis, inventory, runtime, signal }: OperationContext,
  name: string,
): Promise<Observation> {
  const api = apis.get(name);
  const cluster = inventory.clusters[name];
  if (api === undefined || cluster === undefined)
    throw new FailedError(`cluster ${name} is not in the inventory any more`);
  const view = await clusterView({ api, cluster, runtime, signal });
  return {
    version: 2,
    at: view.at,
    inventory: inventory.digest,
    canaries: [],
    probes: {},
    clusters: { [name]: view },
    backups: [],
  };
}

/** Proves, by fresh reads, that no other copy runs. Throws BlockedError with what is missing. */
export async function proveSource(context: OperationContext, action: FailoverAction): Promise<string> {
  return (await proofOfSource(context, action)).said;
}

/** The same, with the time of the oldest read (epoch ms), and whether the source's node answers now. */
export async function proofOfSource(
  context: OperationContext,
  action: FailoverAction,
): Promise<{ readonly said: string; readonly at: number; readonly answers: boolean }> {
  const { container, inventory, runtime, state } = context;
  const observation = await observeClosely(context, container, { neighbours: true, backups: false });
  const now = runtime.clock.now();
  const wrong = wrongPlug({ state: state.read(), observation, now });
  if (wrong !== null) throw new BlockedError(wrong);
  const seen = incarnationsOf(container, observation, state.read().containers[container.name]);
  const others = [action.from, ...seen.superseded.filter((i) => !samePlace(i, action.from))];
  const required = requiredLevel(container.failover);
  const said: string[] = [];
  for (const other of others) {
    const proof = proofOf({
      incarnation: other,
      observation,
      probes: observation.probes[container.name] ?? [],
      inventory,
      state: state.read(),
      now,
    });
    const alive =
      observation.clusters[other.cluster]?.nodes.find((n) => n.name === other.node)?.apiAnswers === true;
    const enough = proof.level >= (alive ? Math.min(required, 2) : required);
    const text = `P${proof.level} that ${incarnationKey(other, container.cluster)} is not running: ${proof.rests.join('; ')}`;
    if (!enough)
      throw new BlockedError(`${text}; P${required} is demanded`, { hint: proof.raise.join('; ') });
    said.push(text);
  }
  const view = observation.clusters[action.from.cluster];
  return {
    said: said.join('; '),
    at: view?.at ?? 0,
    answers: view !== undefined && isAlive(view, action.from.node),
  };
}
