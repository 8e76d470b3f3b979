import type { HaResource } from './ha.ts';
import type { World } from './world.ts';

/** Measured (facts, section 9, and its recordings' timelines), in milliseconds. */
const TIMES = {
  /** The CRM looks once in ten seconds. */
  round: 10_000,
  /** From an entry for a dead node's container until the CRM gives its LRM up. */
  stopWait: 60_000,
  /** From the death of a node with an active LRM until the CRM fences what is on it. */
  fence: 69_000,
} as const;

/** How the CRM has an entry; null: it has not looked at it yet, or is not to. */
export function crmState({ core, cfs, nodes, guests }: World, one: HaResource): string | null {
  const owner = cfs.find(one.vmid);
  const node = owner === null ? undefined : nodes.find(owner);
  if (one.state === 'ignored' || owner === null || node === undefined) return null;
  const age = core.since(one.since);
  const dead = !node.member;
  if (dead && one.enrolledAlive && core.since(node.silentSince ?? core.now()) >= TIMES.fence) return 'fence';
  if (age < TIMES.round) return null;
  if (one.state === 'started') return 'started';
  const stopping = dead ? !one.enrolledAlive && age < TIMES.stopWait : !one.inert;
  return stopping && (dead || guests.copy(owner, one.vmid) !== undefined) ? 'request_stop' : 'stopped';
}

/** The same in a person's words, as `ha-manager status` says it. */
export function serviceState(world: World, one: HaResource): string {
  if (one.state === 'ignored') return 'ignored';
  const crm = crmState(world, one);
  const owner = world.cfs.find(one.vmid);
  const running = owner !== null && world.guests.copy(owner, one.vmid) !== undefined;
  switch (crm) {
    case null:
      return 'queued';
    case 'started':
      return running ? 'started' : 'starting';
    case 'stopped':
      return one.state;
    default:
      return crm;
  }
}
