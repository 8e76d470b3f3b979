import type { Task } from './tasks.ts';
import type { World } from './world.ts';

const TASK_MS = 300;

/**
 * A start that somebody asks for, by the API or the GUI: where the HA manager has an entry, it only changes what that
 * wants, and is over long before anything runs.
 */
export function startAsked(world: World, node: string, vmid: number, owner: string, who = owner): Task {
  return asked(world, { node, vmid, owner, verb: 'start', state: 'started' }, () =>
    world.guests.spawnStart(node, vmid, owner, who),
  );
}

/** The same for a stop: an inert entry answers with OK, and the container runs on (facts, section 9). */
export function stopAsked(world: World, node: string, vmid: number, owner: string, who = owner): Task {
  return asked(world, { node, vmid, owner, verb: 'stop', state: 'stopped' }, () =>
    world.guests.spawnStop(node, vmid, owner, who),
  );
}

function asked(
  { ha, cfs, tasks }: World,
  how: { node: string; vmid: number; owner: string; verb: 'start' | 'stop'; state: string },
  plainly: () => Task,
): Task {
  const { node, vmid, owner, verb, state } = how;
  const managed = ha.managing(vmid);
  if (managed === undefined || cfs.find(vmid) !== node) return plainly();
  return tasks.spawn(node, `ha${verb}`, String(vmid), owner, async (worker) => {
    worker.log(`Requesting HA ${verb} for CT ${vmid}`);
    await worker.sleep(TASK_MS);
    ha.setState(managed, state);
  });
}
