/** Which process is meant, and whether it still lives: for the lock and for the leases of operations. */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, uptime } from 'node:os';
import type * as z from 'zod';
import { errnoOf } from './durable.ts';
import { Lease } from './model.ts';

/**
 * A process. A pid alone says little: it is used again, after a reboot even by the same program, and it means something
 * else in a container. So `started` is `ticks@pid-namespace@boot@machine` (start time in clock ticks since boot); null
 * where there is no /proc.
 */
export const Owner = Lease.omit({ heartbeatAt: true });
export type Owner = z.infer<typeof Owner>;

/**
 * unknown: on another host (or in another container), where it cannot be seen from here. offline: on a node that the
 * cluster, which is the arbiter of what is written to this state, has lost: it may live, but can renew no lease.
 */
export type Liveness = 'alive' | 'dead' | 'unknown' | 'offline';

/**
 * A lease whose owner cannot be seen is good for this long after its last heartbeat. Heartbeats come every half minute
 * while an operation runs, so 15 minutes are a machine that is gone, or one that slept: it re-reads its lease before
 * each request and stops. A lease whose owner is seen alive is never taken over, however old its heartbeat.
 */
export const UNSEEN_LEASE_MS = 15 * 60_000;

/**
 * An owner whose node is offline can neither renew its lease nor ask for anything, since on pmxcfs it renews it right
 * before each request. What it has asked for just before is on its way for no longer than this.
 */
const OFFLINE_LEASE_MS = 60_000;

let self: Owner | undefined;

/** This process. */
export function thisProcess(): Owner {
  self ??= { host: hostname(), pid: process.pid, started: startedNow() };
  return self;
}

/** Whether both are the same process. */
export function sameOwner(a: Owner, b: Owner): boolean {
  return a.host === b.host && a.pid === b.pid && a.started === b.started;
}

/** `process 4711 on runner1`, for messages. */
export function describeOwner(owner: Owner): string {
  return `process ${owner.pid} on ${owner.host}`;
}

/**
 * Whether the process is running. Dead only when that is certain. `heartbeatAt`: when it was last known to live, epoch ms.
 */
export function isAlive(owner: Lease): Liveness {
  const here = thisProcess();
  if (owner.host !== here.host || owner.pid < 1) return 'unknown';
  const [ticks, space, boot, machine] = owner.started?.split('@') ?? [];
  const [, ourSpace, ourBoot, ourMachine] = here.started?.split('@') ?? [];
  // Another machine of the same name, another boot of this one, another container that shares our kernel.
  if (differs(machine, ourMachine)) return 'unknown';
  // A clone of this machine has its name and its machine id, too; but it has lived since we have.
  if (differs(boot, ourBoot)) return owner.heartbeatAt < bootedAt() ? 'dead' : 'unknown';
  if (differs(space, ourSpace)) return 'unknown';
  if (!pidExists(owner.pid)) return 'dead';
  const seen = statOf(String(owner.pid));
  if (seen === null) return 'alive';
  // A zombie holds nothing any more; its parent just hasn't asked for its exit code.
  if (seen.state === 'Z' || seen.state === 'X') return 'dead';
  return differs(ticks, seen.ticks) ? 'dead' : 'alive';
}

/** Whether a lease still counts. `now` in epoch ms; a heartbeat in the future (a clock was set back) counts as fresh. */
export function leaseIsGood(
  lease: Lease,
  now: number,
  liveness: (owner: Lease) => Liveness = isAlive,
): boolean {
  const state = liveness(lease);
  if (state === 'unknown') return now - lease.heartbeatAt <= UNSEEN_LEASE_MS;
  if (state === 'offline') return now - lease.heartbeatAt <= OFFLINE_LEASE_MS;
  return state === 'alive';
}

/** When this machine has booted, in epoch ms, by its present clock. */
function bootedAt(): number {
  return Date.now() - uptime() * 1000;
}

function differs(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && a !== '' && b !== undefined && b !== '' && a !== b;
}

function startedNow(): string | null {
  const own = statOf('self');
  if (own === null) return null;
  const space = /\d+/.exec(readIfThere(() => readlinkSync('/proc/self/ns/pid')))?.[0] ?? '';
  const boot = readIfThere(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')).slice(0, 8);
  const machine = readIfThere(() => readFileSync('/etc/machine-id', 'utf8')).slice(0, 8);
  return [own.ticks, space, boot, machine].map((part) => part.trim()).join('@');
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Any other answer (EPERM: somebody else's) means that there is one.
    return errnoOf(error) !== 'ESRCH';
  }
}

/** Fields 3 and 22 of /proc/PID/stat; null when it can't be read. */
function statOf(pid: string): { state: string; ticks: string } | null {
  const text = readIfThere(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  // The name in field 2 is in parentheses and may itself hold blanks and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, ticks] = [fields[0], fields[19]];
  return state === undefined || ticks === undefined ? null : { state, ticks };
}

/** Identity is pieced together from what this kernel offers: what is missing is left out. */
function readIfThere(read: () => string): string {
  try {
    return read();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return '';
  }
}
