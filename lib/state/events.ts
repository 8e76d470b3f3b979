/** events.ndjson: transitions only, one JSON object per line, for people. Bounded by rotation. */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../clock.ts';
import { syncFolder } from '../folder.ts';
import { errnoOf, fileFailure, readText } from './durable.ts';
import { withLockSync } from './lock.ts';
import { EventRecord } from './model.ts';

/** From this size on, the file is put aside and a new one begun. Two old ones are kept. */
export const EVENTS_MAX_BYTES = 5 * 1024 * 1024;
const NEWLINE = 0x0a;

/** Newest first: the file itself and the two that were put aside. */
function eventFiles(dir: string): [string, string, string] {
  return [join(dir, 'events.ndjson'), join(dir, 'events.1.ndjson'), join(dir, 'events.2.ndjson')];
}

/**
 * Appends the events; they are on the disk when this returns. Needs the lock only to rotate: lines are appended by one
 * write each, which the kernel does not mix. Throws StateError; a line may then be half there, which readers skip.
 */
export function appendEvents(dir: string, events: readonly EventRecord[]): void {
  if (events.length === 0) return;
  const text = events.map((event) => `${JSON.stringify(EventRecord.parse(event))}\n`).join('');
  const [path] = eventFiles(dir);
  rotate(dir);
  try {
    const file = openSync(path, 'a+', 0o600);
    try {
      const isNew = fstatSync(file).size === 0;
      const bytes = Buffer.from(endsInLine(file) ? text : `\n${text}`);
      for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
      fsyncSync(file);
      if (isNew) syncFolder(dir);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw fileFailure(`write ${path}`, error, 'the event is not recorded');
  }
}

export interface ReadEvents {
  /** Oldest first. */
  readonly events: readonly EventRecord[];
  /** Lines that were cut by a crash, that a newer version has written, or that can't be read for another reason. */
  readonly skipped: number;
}

/** The last `limit` events of those that are kept (default: all). Throws StateError when a file can't be read. */
export function readEvents(dir: string, limit = Number.POSITIVE_INFINITY): ReadEvents {
  const events: EventRecord[] = [];
  let skipped = 0;
  for (const path of eventFiles(dir)) {
    if (events.length >= limit) break;
    const older: EventRecord[] = [];
    for (const line of (readText(path) ?? '').split('\n')) {
      if (line.trim() === '') continue;
      const event = parseLine(line);
      if (event === null) skipped += 1;
      else older.push(event);
    }
    events.unshift(...older);
  }
  return {
    events: limit === Number.POSITIVE_INFINITY ? events : events.slice(Math.max(0, events.length - limit)),
    skipped,
  };
}

function parseLine(line: string): EventRecord | null {
  try {
    const event = EventRecord.safeParse(JSON.parse(line));
    return event.success ? event.data : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** False after a crash in the middle of a line: the next one must not be glued to it. */
function endsInLine(file: number): boolean {
  const { size } = fstatSync(file);
  if (size === 0) return true;
  const last = Buffer.alloc(1);
  readSync(file, last, 0, 1, size - 1);
  return last[0] === NEWLINE;
}

function rotate(dir: string): void {
  const [current, first, second] = eventFiles(dir);
  if (sizeOf(current) < EVENTS_MAX_BYTES) return;
  withLockSync(dir, { clock: systemClock }, () => {
    // Another process may have done it while we waited; doing it again would push the newest events out.
    // The new file that comes next makes these names durable, too.
    if (sizeOf(current) < EVENTS_MAX_BYTES) return;
    moveIfThere(first, second);
    moveIfThere(current, first);
  });
}

function sizeOf(path: string): number {
  try {
    return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  } catch (error) {
    throw fileFailure(`read ${path}`, error, 'the event is not recorded');
  }
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw fileFailure(`rename ${from}`, error, 'the event is not recorded');
  }
}
