/**
 * People who look before they act: what a random story may have them do at any time. They don't start what has been taken
 * over from, and give their word only for what is true; for what happens when they do, there are scenarios of its own.
 */
import type { Stage } from './stage.ts';

/** The copy of a container that runs on a node which can be reached, or undefined. */
function running({ lab }: Stage, name: string) {
  const at = lab.running().find((copy) => copy.hostname === name);
  return at !== undefined && reachable(lab, at.node) ? at : undefined;
}

function reachable(lab: Stage['lab'], node: string): boolean {
  const found = lab.status().nodes.find((one) => one.name === node);
  return found !== undefined && found.power === 'on' && found.network === 'up' && found.api && !found.hung;
}

/** It ends by itself. */
export function crashOf(stage: Stage, name = ''): void {
  const copy = stage.lab.running().find((one) => one.hostname === name);
  if (copy !== undefined && stage.lab.status().containers.some((c) => c.vmid === copy.vmid))
    stage.lab.crash(copy.vmid);
}

/** Stops the copy that runs, unless something else is at work on it. */
export async function stopOf(stage: Stage, name = ''): Promise<void> {
  const copy = running(stage, name);
  if (copy === undefined) return;
  const locked = stage.lab.status().containers.some((c) => c.vmid === copy.vmid && c.node === copy.node);
  if (locked) await tried(stage.lab.stopByHand(copy.vmid));
}

/** Starts a container that has one copy only, and that one on a node with quorum. */
export async function startOf(stage: Stage, name = ''): Promise<void> {
  const copies = stage.lab.status().containers.filter((one) => one.hostname === name);
  const [only, second] = copies;
  if (only === undefined || second !== undefined || only.state !== 'stopped') return;
  const node = stage.lab.status().nodes.find((one) => one.name === only.node);
  if (node?.quorate !== true || !reachable(stage.lab, only.node)) return;
  await tried(stage.lab.startByHand(only.vmid));
}

/** Says that a node is off, which somebody has looked at. */
export async function wordOf(stage: Stage, node = ''): Promise<void> {
  if (stage.lab.status().nodes.find((one) => one.name === node)?.power !== 'off') return;
  await stage.command(['fence', 'confirm', node]);
}

/** A task that fails (locked, node lost meanwhile) is nobody's mistake here. */
async function tried(task: Promise<void>): Promise<void> {
  try {
    await task;
  } catch (error) {
    if (!(error instanceof Error) || !/^vz(start|stop) /.test(error.message)) throw error;
  }
}
