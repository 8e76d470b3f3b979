/** Powering a node off, and believing it only after a status read says so. Rule 5 is checked right before. */
import { nodeInMaintenance } from '../../decide/brakes.ts';
import { fenceable } from '../../decide/fenceable.ts';
import { wrongPlug } from '../../decide/gates.ts';
import { offAmong } from '../../decide/power.ts';
import { BlockedError, messageOf } from '../../errors.ts';
import type { ActContext } from '../context.ts';
import { observeClosely } from '../start-gate.ts';
import type { Container } from '../../inventory/types.ts';
import { fenceDrivers, readPower, type FenceDriver } from './driver.ts';
import { beginTry, endTry } from './one-try.ts';

/** After an order to switch off, the status must say so within this time. */
const OFF_WITHIN_MS = 30_000;
const POLL_MS = 1_000;

/**
 * Powers `node` off by the first of its drivers that ends with a status of "off" which no other one contradicts.
 * Idempotent: a node that reads off is left alone, and of several failovers from it one gives the order. Throws
 * BlockedError when rule 5 forbids it, or when no driver gets it off.
 */
export async function fenceNode(
  context: ActContext,
  container: Container,
  cluster: string,
  node: string,
): Promise<string> {
  const { inventory, runtime } = context;
  const drivers = fenceDrivers(inventory.clusters[cluster]?.nodes[node]?.fence ?? [], runtime);
  const place = `${cluster}/${node}`;
  const off = await beginTry({
    context,
    container,
    place,
    drivers: drivers.length,
    isOff: async () => {
      const already = offAmong(await readAll(drivers, context));
      return already === null ? null : `${node} is off already (${already.driver}: ${already.detail})`;
    },
    allowed: () => mayFence(context, container, cluster, node),
  });
  if (off !== null) return off;
  try {
    return await powerOff(context, container, { cluster, node, drivers });
  } finally {
    await endTry(context, container, place);
  }
}

async function powerOff(
  context: ActContext,
  container: Container,
  { cluster, node, drivers }: { cluster: string; node: string; drivers: readonly FenceDriver[] },
): Promise<string> {
  const { runtime, state, signal } = context;
  const place = `${cluster}/${node}`;
  const failures: string[] = [];
  for (const [index, driver] of drivers.entries()) {
    // While an earlier driver was waited for, the node may have come back, or another one vanished.
    if (index > 0) {
      await mayFence(context, container, cluster, node);
      await state.update((s) => {
        const record = s.fenced[place];
        if (record !== undefined) record.at = runtime.clock.now();
      });
    }
    let trouble: string | null = null;
    try {
      await driver.off(signal);
    } catch (error) {
      if (signal?.aborted === true) throw error;
      trouble = messageOf(error);
    }
    // The order may have been carried out all the same, its answer lost: what counts is what is read back.
    const until = runtime.clock.now() + (trouble === null ? OFF_WITHIN_MS : 0);
    let last = await driver.status(signal);
    while (last.power !== 'off' && runtime.clock.now() < until) {
      await runtime.clock.sleep(POLL_MS, signal);
      last = await driver.status(signal);
    }
    const against =
      last.power === 'off'
        ? (await readAll(drivers.toSpliced(index, 1), context)).find((read) => read.power === 'on')
        : undefined;
    if (last.power === 'off' && against === undefined) {
      await state.update((s) => {
        delete s.fenced[place]?.failed;
      });
      return `${node} is off: ${driver.name} has read back ${last.detail}`;
    }
    if (against !== undefined) {
      failures.push(
        `${driver.name}: off (${last.detail}), but ${against.driver} still says on (${against.detail})`,
      );
      continue;
    }
    const order = trouble ?? 'ordered off';
    failures.push(
      `${driver.name}: ${order}${trouble !== null && last.power === 'unknown' ? '' : `, and the status still says ${last.power} (${last.detail})`}`,
    );
  }
  throw new BlockedError(
    `${node} could not be powered off: ${failures.join('; ') || 'it has no fence driver'}`,
    {
      hint: `power it off by hand, then \`proxwarden fence confirm ${cluster}/${node}\``,
    },
  );
}

/** What all of them say, asked at the same time. */
function readAll(drivers: readonly FenceDriver[], { runtime, signal }: ActContext) {
  return Promise.all(
    drivers.map(async (driver) => ({
      driver: driver.name,
      ...(await readPower(driver, runtime.clock, signal)),
    })),
  );
}

/** Looks whether rule 5 allows it now, and whether somebody is at work on it; returns the other nodes that are online. Throws BlockedError. */
async function mayFence(
  context: ActContext,
  container: Container,
  cluster: string,
  node: string,
): Promise<string[]> {
  const { inventory, runtime, state } = context;
  const observation = await observeClosely(context, container, { neighbours: true, backups: false });
  const view = observation.clusters[cluster];
  const now = runtime.clock.now();
  const forbidden =
    view === undefined
      ? `cluster ${cluster} can't be seen`
      : (fenceable({ inventory, observation }, view, node) ??
        nodeInMaintenance({ state: state.read(), observation, now }, { cluster, node })?.why ??
        wrongPlug({ state: state.read(), observation, now }));
  if (forbidden !== null || view === undefined)
    throw new BlockedError(`${node} is not powered off: ${forbidden ?? ''}`);
  return view.nodes.filter((n) => n.online && n.name !== node).map((n) => n.name);
}
