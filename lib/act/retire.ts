/** Making sure that an original cannot start again by itself: onboot=0 on a living node, the inert HA guard (guard.ts) for a dead one. */
import { composeDescription, parseLineage, TAG } from '../decide/lineage.ts';
import { incarnationsOf } from '../decide/incarnations.ts';
import type { Incarnation } from '../decide/model.ts';
import { retirement } from '../decide/retire.ts';
import { BlockedError, FailedError } from '../errors.ts';
import type { PveApi } from '../pve/api.ts';
import type { ActContext } from './context.ts';
import { setGuard } from './guard.ts';
import { quorateApi, type OperationContext } from './journal.ts';
import { setConfig } from './look.ts';
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
    const { retire, gate, settled } = retirement(container, old, view, false, state.read());
    if (settled) continue;
    if (retire !== 'ha-guard') throw new BlockedError(gate.evidence, { hint: gate.flip ?? undefined });
    const api = await quorateApi(context, old.cluster);
    operations.assertLease(op);
    said.push(await setGuard(context, api, old, { operation: op.id, way: 'group' }));
  }
  return said.join('; ') || 'none has to be guarded';
}
