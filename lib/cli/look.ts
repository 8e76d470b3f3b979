/** A full look at everything that a failover needs, for `doctor` and `report`. Reads only. */
import { diagnose, type Diagnosis } from '../decide/doctor/diagnose.ts';
import type { Facts } from '../decide/doctor/facts.ts';
import { messageOf, ProxwardenError } from '../errors.ts';
import type { Cluster, Inventory } from '../inventory/types.ts';
import { readCertificate } from '../observe/doctor/certificate.ts';
import { examine, type Access } from '../observe/doctor/examine.ts';
import { runnerFacts } from '../observe/doctor/runner.ts';
import { emptyState } from '../state/model.ts';
import { openState } from '../state/store.ts';
import type { Invocation } from './command.ts';
import { connectTo } from './session.ts';

export interface LookInput {
  readonly inventory: Inventory;
  /** Where the state is; one that can't be read is a finding, and taken to be empty. */
  readonly stateDir: string;
  /** `--cluster`. */
  readonly cluster: string | undefined;
  /** Only these containers; undefined: all. */
  readonly only: ReadonlySet<string> | undefined;
}

/** What was read, and what is to be said of it. A cluster whose credentials can't be had is a finding. */
export async function lookClosely(
  { inventory, stateDir, cluster, only }: LookInput,
  invocation: Invocation,
): Promise<{ readonly facts: Facts; readonly diagnosis: Diagnosis }> {
  const { runtime, signal } = invocation;
  const wanted = new Set(
    only === undefined
      ? Object.keys(inventory.clusters)
      : [
          ...(cluster === undefined ? [] : [cluster]),
          ...[...only].flatMap((name) => inventory.containers[name]?.cluster ?? []),
        ],
  );
  const access = new Map<string, Access>();
  for (const one of Object.values(inventory.clusters))
    if (wanted.has(one.name)) access.set(one.name, await open(one, invocation));
  let runner = runnerFacts(stateDir);
  let state = emptyState();
  try {
    const store = openState(stateDir, { clock: runtime.clock });
    state = store.read();
    if (runner.stateFs.kind !== 'refused') store.assertWritable();
  } catch (error) {
    if (!(error instanceof ProxwardenError)) throw error;
    runner = { ...runner, stateProblem: messageOf(error) };
  }
  try {
    const facts = await examine({
      inventory,
      state,
      access,
      runner,
      certificate: readCertificate,
      runtime,
      signal,
      only,
    });
    return { facts, diagnosis: diagnose(inventory, facts, only) };
  } finally {
    await Promise.all([...access.values()].flatMap((one) => ('api' in one ? [one.api.close()] : [])));
  }
}

async function open(cluster: Cluster, invocation: Invocation): Promise<Access> {
  try {
    return await connectTo(cluster, invocation);
  } catch (error) {
    if (!(error instanceof ProxwardenError)) throw error;
    return { problem: { text: messageOf(error), fix: error.hint ?? null } };
  }
}
