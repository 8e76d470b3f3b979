/** Ending copies that run without a config, as the inventory allows: `lxc-stop` by a root shell, or a reboot by the API. */
import { nodeInMaintenance } from '../decide/brakes.ts';
import { incarnationsOf, type Incarnations } from '../decide/incarnations.ts';
import type { ClusterView, Observation } from '../decide/model.ts';
import {
  endingProblem,
  orphanByHand,
  orphansOf,
  orphanText,
  orphanWay,
  type Orphan,
} from '../decide/orphans.ts';
import { BlockedError, FailedError, messageOf, PveError } from '../errors.ts';
import type { Container, OrphanWay } from '../inventory/types.ts';
import type { PveApi } from '../pve/api.ts';
import { formatDuration } from '../units.ts';
import type { ActContext } from './context.ts';
import { quorateApi, type OperationContext, type Step } from './journal.ts';
import { journalled } from './journalled.ts';
import { lookUntil, settle } from './look.ts';
import type { Finding } from './reconcile.ts';
import { orderShell, shellOf } from './shell.ts';
import { observeClosely } from './start-gate.ts';

/** A reboot takes a node some 20 s down and as long up again (facts, sections 6 and 11): so long it is not asked for again. */
const REBOOT_MS = 180_000;

/** What there is to say about an orphan, and what is done about it. */
export function orphanFinding(
  context: ActContext,
  container: Container,
  orphan: Orphan,
  {
    observation,
    view,
    incarnations,
  }: {
    observation: Pick<Observation, 'clusters'>;
    view: ClusterView;
    incarnations: Incarnations;
  },
): Finding {
  const { node, vmid } = orphan;
  const text = orphanText(orphan, incarnations);
  const byHand = orphanByHand(orphan, incarnations);
  const way = orphanWay(context.inventory.clusters[view.cluster], node);
  if (way === 'tell') return { container: container.name, text: `${text}: ${byHand}`, act: null };
  const problem =
    endingProblem({ container, orphan, view, incarnations, way }) ??
    (way === 'reboot' ? rebootHeld(context, { observation, cluster: view.cluster, node }) : null) ??
    askedLately(context, container, orphan);
  if (problem !== null)
    return {
      container: container.name,
      text: `${text}; it is not ended (orphans: ${way}), because ${problem}: ${byHand}`,
      act: null,
    };
  const what = way === 'stop' ? 'it is ended by lxc-stop' : `${node} is rebooted`;
  return {
    container: container.name,
    text: `${text}: ${what}`,
    act: (c) =>
      journalled(
        c,
        container,
        `${way === 'stop' ? 'end' : `reboot ${node} to end`} the orphan CT ${vmid} on ${node}`,
        () => [endStep(container, orphan, view.cluster, way)],
      ),
    // A reboot takes more along than the orphan: it waits for the end of a pause.
    neverTwo: way === 'stop',
  };
}

function stepName({ node, vmid }: Orphan, way: OrphanWay): string {
  return way === 'stop' ? `lxc-stop ${vmid} on ${node}` : `reboot ${node}`;
}

/** A node that somebody works on, or that an operation of ours needs, is not rebooted now; null: nothing speaks against it. */
function rebootHeld(
  { operations, state, runtime }: ActContext,
  {
    observation,
    cluster,
    node,
  }: { observation: Pick<Observation, 'clusters'>; cluster: string; node: string },
): string | null {
  const now = runtime.clock.now();
  const held = nodeInMaintenance({ state: state.read(), observation, now }, { cluster, node });
  if (held !== null) return held.why;
  const needs = operations
    .list()
    .operations.find(
      ({ status, kind, action, data }) =>
        status === 'running' &&
        kind !== 'reconcile' &&
        [action?.from, action?.target, data.target, data.inPlace].some(
          (at) => at?.cluster === cluster && at.node === node,
        ),
    );
  return needs === undefined ? null : `${needs.id} (${needs.container}) is at work on ${node}`;
}

/** A node that has been asked to reboot goes down after a while, and the run that asked may have been cut. */
function askedLately(
  { operations, runtime }: ActContext,
  container: Container,
  orphan: Orphan,
): string | null {
  const now = runtime.clock.now();
  const asked = operations
    .list()
    .operations.filter((op) => op.container === container.name && op.kind === 'reconcile')
    .flatMap((op) => op.steps)
    .find((step) => step.name === stepName(orphan, 'reboot') && Math.abs(now - step.startedAt) < REBOOT_MS);
  return asked === undefined
    ? null
    : `${orphan.node} was asked to reboot ${formatDuration(Math.max(now - asked.startedAt, 0))} ago`;
}

function endStep(
  container: Container,
  orphan: Orphan,
  cluster: string,
  way: Exclude<OrphanWay, 'tell'>,
): Step {
  return {
    name: stepName(orphan, way),
    async run(c) {
      const { node, vmid } = orphan;
      const api = await quorateApi(c, cluster);
      // What was seen is looked at once more: it may have been a migration, or somebody was faster.
      const observation = await observeClosely(c, container, { backups: false });
      const view = observation.clusters[cluster];
      if (view === undefined) throw new BlockedError(`cluster ${cluster} can't be seen`);
      if (!orphansOf(container, view).some((o) => o.node === node && o.vmid === vmid))
        return `CT ${vmid} does not run without a config on ${node} any more`;
      const incarnations = incarnationsOf(container, observation, c.state.read().containers[container.name]);
      const problem =
        endingProblem({ container, orphan, view, incarnations, way }) ??
        (way === 'reboot' ? rebootHeld(c, { observation, cluster, node }) : null);
      if (problem !== null) throw new BlockedError(problem);
      c.operations.assertLease(c.op);
      if (way === 'reboot') {
        await reboot(c, api, orphan);
        return `${node} has been asked to reboot: whether CT ${vmid} is gone then, the next run sees in its netstat`;
      }
      await stop(c, api, orphan);
      return `CT ${vmid} on ${node} is ended: netstat there shows no interface of it`;
    },
  };
}

/** By the node's own lxc-stop. What counts is what its netstat says then. */
async function stop(context: OperationContext, api: PveApi, { node, vmid }: Orphan): Promise<void> {
  const sentAt = context.runtime.clock.now();
  const what = `lxc-stop of CT ${vmid} on ${node}`;
  let cause: unknown;
  try {
    await orderShell(context, api, {
      shell: shellOf(context, api.cluster, 'orphans: stop'),
      nodes: [node],
      what,
      order: { kind: 'stop-orphan', vmid },
    });
  } catch (error) {
    if (!(error instanceof PveError) || error.outcome === 'not-sent') throw error;
    cause = error;
  }
  const ended = await lookUntil(context, {
    sentAt,
    what,
    cause,
    look: () => silent(context, api, { node, vmid }),
  });
  if (ended === null)
    throw new FailedError(
      `CT ${vmid} still runs on ${node}${cause === undefined ? '' : `: ${messageOf(cause)}`}`,
      { cause },
    );
}

/** Asked for once. The node goes down some seconds later, and with it the container: the next run looks. */
async function reboot(context: OperationContext, api: PveApi, { node }: Orphan): Promise<void> {
  const { signal } = context;
  await settle(context, {
    api,
    what: `reboot of ${node}`,
    write: () => api.powerNode(node, 'reboot', { signal }),
    holds: async () => !(await api.nodeAnswers(node, { signal })),
  });
}

async function silent(
  { signal }: OperationContext,
  api: PveApi,
  { node, vmid }: Orphan,
): Promise<true | null> {
  return (await api.netstat(node, { signal })).includes(vmid) ? null : true;
}
