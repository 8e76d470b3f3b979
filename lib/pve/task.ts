/** Waiting for a task, and what its log says. */
import { abortReason, type Clock } from '../clock.ts';
import { PveError } from '../errors.ts';
import type { PveApi, TaskStatus } from './api.ts';
import { succeeded } from './guest.ts';
import { lackedRight } from './messages.ts';
import { parseUpid } from './upid.ts';
import { inWords } from './words.ts';

/** Its end is noticed late by at most this share of its length: a two-second restore isn't waited for ten, and a long one isn't asked about all the time. */
const POLL_SHARE = 0.03;
const POLL_MIN_MS = 100;
const POLL_MAX_MS = 5000;
/** While it goes on its log is for people. */
const LOG_MS = 1000;
/**
 * A node that loses its API for a moment (membership changes block it for 8 s, a restart of its daemons a little more)
 * hasn't lost its task. Given up only after this long without any answer about the task, and three questions.
 */
const SILENCE_MS = 60_000;
const SILENT_POLLS_MIN = 3;
/** Lines kept for messages and reports. */
const LOG_TAIL = 100;

export interface TaskWait {
  readonly clock: Clock;
  /** Give up waiting after so many milliseconds; the task itself goes on. */
  readonly limitMs: number;
  readonly signal?: AbortSignal | undefined;
  /** New lines of its log, in order, each once. */
  readonly onLog?: ((lines: readonly string[]) => void) | undefined;
  /** After each question. `line` is the newest of the log; `silent` says why there was no answer. */
  readonly onProgress?:
    | ((progress: { elapsedMs: number; line: string | null; silent: string | null }) => void)
    | undefined;
}

export interface TaskResult {
  /** `OK` or `WARNINGS: n`. */
  readonly exitstatus: string;
  /** The last lines of its log. */
  readonly log: readonly string[];
}

/**
 * Waits until a task has ended well.
 * @throws PveError `refused` when it ended badly, with the line of its log that says why; `unknown` when its end could
 * not be learnt (the worker died, the node fell silent, the limit was reached) or `signal` aborted
 */
export async function waitForTask(
  api: Pick<PveApi, 'taskStatus' | 'taskLog'>,
  upid: string,
  wait: TaskWait,
): Promise<TaskResult> {
  const { clock, signal, limitMs, onLog, onProgress } = wait;
  const name = taskName(upid);
  const startedAt = clock.now();
  const log: string[] = [];
  let read = 0;
  let answeredAt = startedAt;
  let silentPolls = 0;
  let logAt = -Infinity;
  let mute: string | null = null;

  async function fetchLog(): Promise<void> {
    const lines = await api.taskLog(upid, { start: read, ...(signal === undefined ? {} : { signal }) });
    if (lines.length === 0) return;
    read += lines.length;
    log.push(...lines);
    log.splice(0, log.length - LOG_TAIL);
    onLog?.(lines);
  }

  for (;;) {
    let silent: string | null = null;
    let end: string | null = null;
    try {
      const status: TaskStatus = await api.taskStatus(upid, signal === undefined ? {} : { signal });
      answeredAt = clock.now();
      silentPolls = 0;
      // The log comes after the status: a task that has ended has written all of it.
      if (!status.running || clock.now() - logAt >= LOG_MS) {
        logAt = clock.now();
        mute = null;
        await fetchLog().catch((error: unknown) => {
          if (!(error instanceof PveError) || signal?.aborted === true) throw error;
          mute = error.message;
        });
      }
      silent = mute;
      if (!status.running) end = status.exitstatus ?? '';
    } catch (error) {
      if (signal?.aborted === true) throw interrupted(name, signal);
      if (!isTransient(error)) throw lost(name, error);
      silent = error.message;
      silentPolls++;
      const silentMs = clock.now() - answeredAt;
      if (silentMs >= SILENCE_MS && silentPolls >= SILENT_POLLS_MIN)
        throw unknownEnd(
          `${name}: nothing was heard of it for ${Math.round(silentMs / 1000)} s (${error.message})`,
          error,
        );
    }
    if (end !== null) return ended(name, parseUpid(upid)?.user ?? '', end, log);
    const elapsedMs = clock.now() - startedAt;
    onProgress?.({ elapsedMs, line: log.at(-1) ?? null, silent });
    if (elapsedMs >= limitMs)
      throw unknownEnd(`${name} has not ended within ${Math.round(limitMs / 1000)} s; it may still go on`);
    const pauseMs = Math.min(Math.max(elapsedMs * POLL_SHARE, POLL_MIN_MS), POLL_MAX_MS, limitMs - elapsedMs);
    try {
      await clock.sleep(pauseMs, signal);
    } catch (error) {
      throw signal?.aborted === true ? interrupted(name, signal) : error;
    }
  }
}

/** Nothing was learnt of the task this time; a later question may get an answer. */
function isTransient(error: unknown): error is PveError {
  return error instanceof PveError && error.outcome !== 'refused';
}

function ended(name: string, user: string, exitstatus: string, log: readonly string[]): TaskResult {
  if (succeeded(exitstatus)) return { exitstatus, log };
  const line = decisiveLine(log);
  if (exitstatus === 'unexpected status' || exitstatus === '')
    throw unknownEnd(
      `${name} ended without a result (unexpected status): ${
        line === null ? `its worker died or was killed${lastOf(log)}` : explained(name, line, log, user)
      }`,
    );
  throw new PveError(`${name} failed: ${explained(name, line ?? exitstatus, log, user)}`, {
    outcome: 'refused',
  });
}

function lastOf(log: readonly string[]): string {
  const last = log.at(-1);
  return last === undefined ? '' : ` — ${last}`;
}

/**
 * The decisive line in a person's words. The commonest reasons are told by a tool in the middle of the log, and not in
 * the line that says that it failed.
 */
function explained(name: string, line: string, log: readonly string[], user: string): string {
  const lacking = lackedRight(line, user);
  if (lacking !== null) return `${line}: ${lacking}`;
  const short = shortened(line);
  if (log.some((each) => each.includes('No space left on device')))
    return `${short} (no space left on device)`;
  if (log.some((each) => /premature end|Unexpected EOF in archive/.test(each)))
    return `the archive is cut short or damaged (${short}) — choose another backup`;
  return inWords(short, name);
}

/** PVE quotes whole pipelines; what they begin with is enough for a person. */
function shortened(line: string): string {
  return line.replace(/command '(.{40})[^]{40,}?' failed:/, "command '$1…' failed:");
}

/**
 * The line that says why a task failed, without its prefix: the last `ERROR:` of a job (`TASK ERROR: job errors` says
 * nothing), else the `TASK ERROR:`. Null when there is none.
 */
export function decisiveLine(log: readonly string[]): string | null {
  const task = log
    .findLast((line) => line.startsWith('TASK ERROR:'))
    ?.slice('TASK ERROR:'.length)
    .trim();
  if (task !== undefined && task !== 'job errors') return task;
  const error = log
    .findLast((line) => line.startsWith('ERROR:'))
    ?.slice('ERROR:'.length)
    .trim();
  return error ?? task ?? null;
}

/**
 * The volid of the archive that a vzdump wrote, from its log; null when the log names none. A file storage names the
 * file, a Proxmox Backup Server the snapshot. From the beginning of a line only: the log also holds names of the guest's files.
 */
export function createdArchive(log: readonly string[], storage: string): string | null {
  for (const line of log.toReversed()) {
    const [, server, archive] =
      /^(?:INFO: )?creating (?:(Proxmox Backup Server)|vzdump) archive '([^']+)'/.exec(line) ?? [];
    if (archive === undefined) continue;
    return `${storage}:backup/${server === undefined ? archive.slice(archive.lastIndexOf('/') + 1) : archive}`;
  }
  return null;
}

/** `vzdump of CT 101 on pve1`. */
function taskName(upid: string): string {
  const parsed = parseUpid(upid);
  if (parsed === null) return `task ${upid}`;
  return `${parsed.type}${/^\d+$/.test(parsed.id) ? ` of CT ${parsed.id}` : ''} on ${parsed.node}`;
}

/** Refused to say: the node has forgotten the task, or the token may not see it. How it ended stays open. */
function lost(name: string, error: unknown): unknown {
  return error instanceof PveError
    ? unknownEnd(`${name}: its state cannot be read — ${error.message}`, error)
    : error;
}

function interrupted(name: string, signal: AbortSignal | undefined): PveError {
  return unknownEnd(`${name} is no longer waited for (${abortReason(signal).message}); it may still go on`);
}

function unknownEnd(message: string, cause?: unknown): PveError {
  return new PveError(message, { outcome: 'unknown', cause });
}
