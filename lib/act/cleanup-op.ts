/** Deleting superseded copies, journalled one by one. What may be deleted is decided in decide/cleanup.ts. */
import { chooseBackup } from '../decide/backups.ts';
import { cleanupPlan, removable, type CleanupEntry, type CleanupPlan } from '../decide/cleanup.ts';
import { assess } from '../decide/decide.ts';
import { incarnationKey } from '../decide/incarnations.ts';
import { knownMacs } from '../decide/whose.ts';
import { BlockedError, InputError, messageOf, ProxwardenError } from '../errors.ts';
import type { Container } from '../inventory/types.ts';
import type { StepRecord } from '../state/model.ts';
import { endByHand } from './by-hand.ts';
import type { ActContext } from './context.ts';
import { runStep, type OperationContext } from './journal.ts';
import { newOperation } from './new-operation.ts';
import { staysInHand } from './outcome.ts';
import { runTask } from './run-task.ts';
import { observeClosely } from './start-gate.ts';

export interface CleanupResult {
  /** Keys, in the order of their removal. */
  readonly removed: readonly string[];
  /** Sentences, one for each that could not be removed. */
  readonly failures: readonly string[];
}

/** What could be deleted now, by a fresh look. Throws InputError for a container that is `mode: off`. */
export async function planCleanup(context: ActContext, container: Container): Promise<CleanupPlan> {
  const observation = await observeClosely(context, container);
  const state = context.state.read();
  const now = context.runtime.clock.now();
  const inventory = {
    ...context.inventory,
    containers: { ...context.inventory.containers, [container.name]: container },
  };
  const found = assess(inventory, observation, state).find((a) => a.container.name === container.name);
  if (found === undefined) throw new InputError(`${container.name} is mode: off`);
  const { incarnations, verdict } = found;
  const { current } = incarnations;
  const macs =
    current === null ? [] : knownMacs(container, current, observation, state.containers[container.name]);
  const backup =
    current === null
      ? { chosen: null, rejected: [], tooOld: null }
      : chooseBackup(observation.backups, { container, current, macs, now });
  return cleanupPlan({ container, incarnations, verdict, observation, inventory, state, backup, macs, now });
}

/** Deletes these, oldest first, each after one more look. Throws what keeps the operation from beginning at all. */
export async function cleanUp(
  context: ActContext,
  container: Container,
  entries: readonly CleanupEntry[],
): Promise<CleanupResult> {
  const { operations, teller } = context;
  const removed: string[] = [];
  const failures: string[] = [];
  const op = newOperation(context, container, {
    kind: 'cleanup',
    reason: 'asked for by hand',
    action: null,
  });
  const keys = entries.map((e) => incarnationKey(e.old));
  teller.tell({
    kind: 'operation-started',
    operation: op.id,
    of: op.kind,
    container: container.name,
    what: `delete ${keys.join(', ')}`,
    steps: keys.map((key) => `delete ${key}`),
  });
  const own: OperationContext = { ...context, op, container };
  const said = (): string => [`${removed.length} of ${keys.length} deleted`, ...failures].join('; ');
  try {
    for (const entry of entries.toSorted((a, b) => a.old.epoch - b.old.epoch)) {
      const key = incarnationKey(entry.old);
      op.data.target = { cluster: entry.old.cluster, node: entry.old.node };
      operations.save(op);
      try {
        await runStep(own, { name: `delete ${key}`, run: (c, record) => deleteOne(c, record, entry) });
        removed.push(key);
      } catch (error) {
        if (staysInHand(error, context) || !(error instanceof ProxwardenError)) throw error;
        failures.push(`${key}: ${messageOf(error)}`);
      }
    }
  } catch (error) {
    if (context.signal?.aborted === true) endByHand(own, 'cancelled', said());
    throw error;
  }
  endByHand(own, failures.length > 0 ? 'failed' : 'done', said());
  return { removed, failures };
}

async function deleteOne(
  context: OperationContext,
  record: StepRecord,
  { old }: CleanupEntry,
): Promise<string> {
  const { container, signal } = context;
  const key = incarnationKey(old);
  await runTask(context, record, {
    cluster: old.cluster,
    node: old.node,
    type: 'vzdestroy',
    vmid: old.vmid,
    prepare: async () => {
      const plan = await planCleanup(context, container);
      if (removable(plan).some((e) => incarnationKey(e.old) === key)) return;
      const entry = plan.entries.find((e) => incarnationKey(e.old) === key);
      const gate = plan.gates.find((g) => !g.ok);
      throw new BlockedError(gate?.evidence ?? entry?.stays ?? 'it is not there any more');
    },
    // Neither `force` nor `purge`: it must be stopped, and jobs that name its vmid are a person's.
    issue: (api) => api.destroy(old.node, old.vmid, { signal }),
  });
  return `${key} is deleted`;
}
