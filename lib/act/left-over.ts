/** What ended operations have left behind: copies that were never started, guards of a copy that is current. */
import { incarnationKey, type Incarnations } from '../decide/incarnations.ts';
import { parseLineage } from '../decide/lineage.ts';
import type { Incarnation, Observation } from '../decide/model.ts';
import { ourGuard } from '../decide/guard.ts';
import type { Container } from '../inventory/types.ts';
import type { Operation } from '../state/model.ts';
import type { ActContext } from './context.ts';
import { destroyCopy } from './copy.ts';
import { quorateApi, type Step } from './journal.ts';
import { setConfig } from './look.ts';
import { journalled } from './journalled.ts';
import { removeGuard } from './guard.ts';
import { moveConfigBack } from './move-config.ts';
import { RETIRED_TAG, unretire } from './retire.ts';
import type { Finding } from './reconcile.ts';

/** A restored, never started copy: of an operation that has ended here it is taken away, of any other it is told. */
export function unfinished(
  context: ActContext,
  container: Container,
  pending: Incarnation,
  observation: Observation,
): Finding {
  const key = incarnationKey(pending, container.cluster);
  const tell = (text: string): Finding => ({ container: container.name, text: `${key} ${text}`, act: null });
  const op = context.operations.list().operations.find((o) => o.id === pending.operation);
  if (op === undefined || op.status === 'running')
    return tell(`is an unfinished copy of ${pending.operation ?? '?'}, which is not known here`);
  const detail = observation.clusters[pending.cluster]?.details.find(
    (d) => d.node === pending.node && d.vmid === pending.vmid,
  );
  const { node, vmid } = pending;
  if (observation.clusters[pending.cluster]?.nodes.find((n) => n.name === node)?.apiAnswers !== true)
    return tell(
      `is left over from ${op.id}, and ${node} does not answer: it is seen to when that node is back`,
    );
  const byHand = 'keep it or destroy it by hand';
  // Its line would be written at the end of its restore: without one nothing says that it is still ours.
  if (detail !== undefined && parseLineage(detail.description) === null)
    return tell(
      `is what the restore of ${op.id} has left, which was cut short: when no restore of it runs any more, on ${node}: ${detail.lock === null ? '' : `\`pct unlock ${vmid}\`, `}\`pct destroy ${vmid}\``,
    );
  // Lines can be changed in the GUI, and a person's start leaves them as they are.
  if (op.steps.some(({ task }) => task?.type === 'vzstart' && task.vmid === pending.vmid))
    return tell(`was started by ${op.id}, but its line says that it never was: ${byHand}`);
  if (detail?.status === 'running')
    return tell(`is left over from ${op.id}, and somebody has started it: ${byHand}`);
  if (detail?.lastTask != null && detail.lastTask.endedAt >= pending.since)
    return tell(
      `is left over from ${op.id}, and ${detail.lastTask.user} has used it since (${detail.lastTask.type}): ${byHand}`,
    );
  const { moved } = op.data;
  const remove: Step = { name: 'remove copy', run: (o, r) => destroyCopy(o, r, pending, op.id) };
  return {
    container: container.name,
    text: `${key} is left over from ${op.id}, which ${op.status}: it is removed`,
    act: (c) =>
      journalled(
        c,
        container,
        `remove the unfinished ${key}`,
        () => [remove, ...(moved === null ? [] : [moveBack(op)])],
        { moved },
      ),
  };
}

/** The config that an operation has moved aside and could not move back when it was undone. */
export function configLeft(
  context: ActContext,
  container: Container,
  { current, pending }: Incarnations,
  observation: Observation,
): Finding | null {
  if (current !== null || pending.length > 0) return null;
  const op = context.operations
    .list()
    .operations.findLast((o) => o.container === container.name && o.kind === 'failover');
  const from = op?.action?.from;
  if (op === undefined || from === undefined || op.data.moved === null) return null;
  const view = observation.clusters[from.cluster];
  if (op.status === 'running' || op.status === 'done' || view === undefined || view.via === null) return null;
  if (view.guests.some((g) => g.vmid === from.vmid)) return null;
  const { moved } = op.data;
  return {
    container: container.name,
    text: `the config of ${incarnationKey(from)} is in /etc/pve/${moved.to}, where ${op.id}, which ${op.status}, has left it: it is moved back`,
    act: (c) =>
      journalled(c, container, `move the config of ${incarnationKey(from)} back`, () => [moveBack(op)], {
        moved,
      }),
  };
}

function moveBack(op: Operation): Step {
  return {
    name: 'move config back',
    run(c) {
      const from = op.action?.from;
      if (from === undefined) throw new Error(`bug: ${op.id} has moved a config without an action`);
      return moveConfigBack(c, from);
    },
  };
}

/**
 * A current copy that is still marked as superseded, by a failover that has come to nothing: with onboot=0 it would stay
 * down when its node boots. Put back only where the journal says what was, and that no copy was ever asked to start.
 */
export function markedInVain(
  context: ActContext,
  container: Container,
  { current, pending, problems }: Incarnations,
  observation: Observation,
): Finding | null {
  if (current === null || pending.length > 0 || problems.length > 0) return null;
  const { cluster, node, vmid } = current;
  const view = observation.clusters[cluster];
  const listed = view?.guests.find((g) => g.node === node && g.vmid === vmid);
  if (listed === undefined || listed.lock !== null || !listed.tags.includes(RETIRED_TAG)) return null;
  if (view?.nodes.find((n) => n.name === node)?.apiAnswers !== true) return null;
  const key = incarnationKey(current, container.cluster);
  const text = `${key} is the current copy, and it is marked as superseded (${RETIRED_TAG}), so its onboot may be off`;
  const op = context.operations
    .list()
    .operations.findLast((o) => o.container === container.name && o.kind === 'failover');
  const from = op?.action?.from;
  const inVain =
    op !== undefined &&
    from !== undefined &&
    from.cluster === cluster &&
    incarnationKey(from) === incarnationKey(current) &&
    (op.status === 'error' || op.status === 'failed' || op.status === 'cancelled') &&
    !op.data.startAsked &&
    op.data.started.length === 0;
  // One that is stopped may be in the middle of another runner's move.
  if (!inVain && listed.status !== 'running') return null;
  if (!inVain)
    return {
      container: container.name,
      text: `${text}: if no later copy of it is in use, on ${node}, \`pct set ${vmid} --onboot 1\` and take the tag ${RETIRED_TAG} away`,
      act: null,
    };
  const onboot = container.failover.autostart === 'proxwarden' ? null : op.data.onboot;
  return {
    container: container.name,
    text: `${text}, by ${op.id}, which came to nothing: it is put back as it was`,
    act: (c) =>
      journalled(c, container, `put ${key} back as it was before ${op.id}`, () => [
        {
          name: 'put back',
          run: async (o) => {
            const api = await quorateApi(o, cluster);
            o.operations.assertLease(o.op);
            const sentence = `the failover ${op.id} of ${container.name} came to nothing; this is the current copy.`;
            await unretire(o, api, current, { onboot, sentence });
            return `CT ${vmid} on ${node} is marked as superseded no more`;
          },
        },
      ]),
  };
}

/**
 * A current copy with onboot=1 that the inventory leaves to ProxWarden to start: its node could start it beside a later
 * copy. Kept off ahead of time, also when a person has turned it on.
 */
export function startsByItself(
  container: Container,
  { current, problems }: Incarnations,
  observation: Observation,
): Finding | null {
  if (container.failover.autostart !== 'proxwarden' || current === null || problems.length > 0) return null;
  const { cluster, node, vmid } = current;
  const detail = observation.clusters[cluster]?.details.find((d) => d.node === node && d.vmid === vmid);
  if (detail === undefined || !detail.onboot || detail.lock !== null) return null;
  const key = incarnationKey(current, container.cluster);
  return {
    container: container.name,
    text: `${key} has onboot=1, and it is ProxWarden that starts it after a boot (autostart: proxwarden): onboot goes off`,
    act: (context) =>
      journalled(context, container, `keep the onboot of ${key} off`, () => [
        {
          name: 'onboot off',
          run: async (c) => {
            const api = await quorateApi(c, cluster);
            c.operations.assertLease(c.op);
            await setConfig(c, api, current, { onboot: false });
            return `CT ${vmid} on ${node} has onboot=0`;
          },
        },
      ]),
  };
}

/**
 * A guard of the current copy, whose node is back: an operation could not take it away when it ended. A start of a guarded
 * container would put it under the HA manager (facts, section 9), and without a start it would stay down.
 */
export function guardLeft(
  container: Container,
  { current, pending, problems }: Incarnations,
  observation: Observation,
): Finding | null {
  // With a copy on its way another runner may rely on it.
  if (current === null || pending.length > 0 || problems.length > 0) return null;
  const view = observation.clusters[current.cluster];
  const guard = view === undefined ? null : ourGuard(view, current);
  const answers = view?.nodes.find((n) => n.name === current.node)?.apiAnswers === true;
  if (guard === null || !answers) return null;
  const key = incarnationKey(current, container.cluster);
  return {
    container: container.name,
    text: `${key} is current and guarded (${guard.entry === null ? `rule ${guard.rule?.rule ?? ''}` : `${guard.entry.sid}, ${guard.entry.state}`}), which an earlier operation has left: the guard is removed`,
    act: (context) =>
      journalled(context, container, `remove the guard of ${key}`, () => [
        {
          name: 'remove guard',
          run: async (c) => {
            const api = await quorateApi(c, current.cluster);
            c.operations.assertLease(c.op);
            return (await removeGuard(c, api, current)) ? 'removed' : 'there is none';
          },
        },
      ]),
  };
}
