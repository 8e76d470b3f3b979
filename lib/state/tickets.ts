/**
 * The files of the lock: a folder of numbered tickets, of which the highest is the lock. See lock.ts for the protocol.
 *
 * A ticket is a symbolic link whose target is its content (`{"host":…,"pid":…,"started":…}` or `released`): made in one
 * atomic call that fails when the name is taken, it has its content from the first instant, and needs no fsync to keep a
 * power loss from leaving an empty ticket that nobody could judge (links are journalled with the folder). On the usual
 * file systems it needs no data block either, so a full disk does not keep a lock from being released.
 */
import { randomBytes } from 'node:crypto';
import { lstatSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from './durable.ts';
import type { Lease } from './model.ts';
import { Owner } from './owner.ts';

/** Tickets this far below the highest are deleted. */
const KEPT = 50;
const RELEASED = 'released';
const TICKET = /^\d{9,15}$/;
const RELEASE_TEMP = /^\.released-(\d+)-/;

/** Who has made it, and when. `gone`: deleted since it was listed. `unreadable`: not made by us; only a person can judge it. */
export type Holder = Lease | 'released' | 'gone' | 'unreadable';

export function ticketPath(folder: string, number: number): string {
  return join(folder, String(number).padStart(9, '0'));
}

/** The highest ticket's number, 0 when there is none. */
export function highestTicket(folder: string): number {
  return readdirSync(folder)
    .filter((name) => TICKET.test(name))
    .reduce((highest, name) => Math.max(highest, Number(name)), 0);
}

export function readTicket(folder: string, number: number): Holder {
  let target: string;
  let madeAt: number;
  try {
    target = readlinkSync(ticketPath(folder, number));
    madeAt = lstatSync(ticketPath(folder, number)).mtimeMs;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 'gone';
    if (errnoOf(error) === 'EINVAL') return 'unreadable';
    throw error;
  }
  if (target === RELEASED) return 'released';
  try {
    const owner = Owner.safeParse(JSON.parse(target));
    return owner.success ? { ...owner.data, heartbeatAt: madeAt } : 'unreadable';
  } catch (error) {
    if (error instanceof SyntaxError) return 'unreadable';
    throw error;
  }
}

/**
 * Makes this ticket; false when somebody else has it, or has gone further already.
 *
 * The second look is for a contender that was suspended after it had seen `number - 1` released: meanwhile `number` may
 * have been made, released and, fifty tickets later, deleted, and so be free again. But whoever deleted it has made a
 * higher one, and the highest is never deleted: so it is seen now, and ours, which nobody has looked at, is withdrawn.
 */
export function makeTicket(folder: string, number: number, owner: Owner): boolean {
  const path = ticketPath(folder, number);
  try {
    symlinkSync(JSON.stringify(owner), path);
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
  if (highestTicket(folder) === number) return true;
  rmSync(path, { force: true });
  return false;
}

/** Marks a ticket as released, in one step: a ticket that vanished would make room for a second one of its number. */
export function releaseTicket(folder: string, number: number): void {
  const temp = join(folder, `.released-${number}-${process.pid}-${randomBytes(4).toString('hex')}`);
  symlinkSync(RELEASED, temp);
  renameSync(temp, ticketPath(folder, number));
}

/** Deletes tickets, and what killed processes left while releasing them, far below one's own. Only for the holder. */
export function pruneTickets(folder: string, own: number): void {
  for (const name of readdirSync(folder)) {
    const number = TICKET.test(name) ? Number(name) : Number(RELEASE_TEMP.exec(name)?.[1] ?? Number.NaN);
    if (number < own - KEPT) rmSync(join(folder, name), { force: true });
  }
}
