/**
 * Runs one executable (hook, exec probe, fence agent): an argument array, never a shell, an environment of its own.
 * These are real processes, so the timers here are the machine's; everything else takes the injected clock.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { abortReason } from './clock.ts';
import { messageOf } from './errors.ts';
import type { ExecRequest, ExecResult } from './runtime.ts';
import { plainText } from './text.ts';
import { formatDuration } from './units.ts';

const OUTPUT_LIMIT_BYTES = 4096;
/** Between SIGTERM and SIGKILL. */
const KILL_GRACE_MS = 2000;
/** After SIGKILL: a process in uninterruptible sleep (a dead NFS mount) may never go, and must not hold the run. */
const REAP_GRACE_MS = 500;
/** After the exit: output that is still in the pipes is read; a grandchild that keeps them open is not waited for. */
const DRAIN_GRACE_MS = 100;

/**
 * Whoever stops us (systemd) often stops our children in the same breath, and theirs may end first: one that was told to
 * stop has not failed if we are told so within this time.
 */
const STOPPED_TOGETHER_MS = 200;
/** As a shell says it of a program that SIGINT or SIGTERM has ended. */
const STOPPED_CODES: readonly (number | null)[] = [130, 143];

/** Process groups that were started and may still live. */
const groups = new Set<number>();
let watchesExit = false;

/**
 * Sends `signal` to the process group `pid` leads. Returns false when there is no such group any more.
 * Throws nothing: a group that may not be signalled (it changed its user) counts as alive.
 */
export function killGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

/**
 * Runs an executable to its end. Exit code, output and the reason for a missing exit code are in the result; on
 * timeout the whole process group gets SIGTERM and, two seconds later, SIGKILL. A background process that outlives
 * its parent after an ordinary exit is left alone.
 * Rejects only when `request.signal` aborts, with its reason, after the group was killed.
 */
export async function execFile(request: ExecRequest): Promise<ExecResult> {
  if (request.signal?.aborted === true) throw abortReason(request.signal);
  let child: ChildProcess;
  try {
    child = spawn(request.file, [...request.args], {
      env: { ...request.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      shell: false,
      // A process group of its own, so that what it started can be killed with it.
      detached: true,
    });
  } catch (error) {
    // Node throws at once for some errors (argument list too long, a null byte) and emits the others.
    return { exitCode: null, stdout: '', stderr: '', failure: startFailure(error) };
  }
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  feed(child, request.stdin);
  track(child.pid);
  const end = await ended(child, request);
  if (end.exited) await drained(child);
  // Whoever still holds the other ends has no reader any more; without this they would keep our process alive.
  child.stdin?.destroy();
  child.stdout?.destroy();
  child.stderr?.destroy();
  if (end.aborted) throw abortReason(request.signal);
  return { exitCode: end.exitCode, stdout: stdout(), stderr: stderr(), failure: end.failure };
}

interface End {
  /** false: it could not be started, or not even SIGKILL ended it. */
  readonly exited: boolean;
  readonly exitCode: number | null;
  readonly failure: string | undefined;
  readonly aborted: boolean;
}

/** Resolves when the child is gone or given up. */
function ended(child: ChildProcess, request: ExecRequest): Promise<End> {
  return new Promise((resolve) => {
    let why: 'timeout' | 'abort' | undefined;
    let killTimer: NodeJS.Timeout | undefined;
    let reapTimer: NodeJS.Timeout | undefined;
    /** It has ended, and it is waited whether we are to stop, too. */
    let endNow: (() => void) | undefined;
    const finish = (exited: boolean, exitCode: number | null, failure: string | undefined): void => {
      clearTimeout(deadline);
      clearTimeout(reapTimer);
      request.signal?.removeEventListener('abort', onAbort);
      // The rest of the group had its SIGTERM and keeps its two seconds; if it is empty there is nobody to kill.
      if (child.pid === undefined || why === undefined || !killGroup(child.pid, 0)) {
        clearTimeout(killTimer);
        untrack(child.pid);
      }
      const timedOut = `timed out after ${formatDuration(request.timeoutMs)}`;
      resolve(
        why === undefined
          ? { exited, exitCode, failure, aborted: false }
          : { exited, exitCode: null, failure: timedOut, aborted: why === 'abort' },
      );
    };
    const stop = (reason: 'timeout' | 'abort'): void => {
      const { pid } = child;
      if (why !== undefined || pid === undefined) return;
      why = reason;
      killGroup(pid, 'SIGTERM');
      killTimer = setTimeout(() => {
        killGroup(pid, 'SIGKILL');
        untrack(pid);
        reapTimer = setTimeout(() => finish(false, null, undefined), REAP_GRACE_MS);
      }, KILL_GRACE_MS);
      // If our process ends earlier, its exit listener sends SIGKILL; there is no need to stay for that.
      killTimer.unref();
      endNow?.();
    };
    const onAbort = (): void => stop('abort');
    const deadline = setTimeout(() => stop('timeout'), request.timeoutMs);
    request.signal?.addEventListener('abort', onAbort, { once: true });
    child.once('error', (error) => {
      if (child.pid === undefined) finish(false, null, startFailure(error));
    });
    // Not `close`: that waits for the pipes, which a grandchild may hold for ever.
    child.once('exit', (code, signal) => {
      const end = (): void =>
        finish(true, code, code === null ? `killed by ${signal ?? 'a signal'}` : undefined);
      const stopped = signal === 'SIGTERM' || signal === 'SIGINT' || STOPPED_CODES.includes(code);
      if (why !== undefined || !stopped || request.signal === undefined) return end();
      const timer = setTimeout(end, STOPPED_TOGETHER_MS);
      endNow = () => {
        clearTimeout(timer);
        end();
      };
    });
  });
}

/**
 * For a child of zx, which waits for its pipes: a program that outlives it and keeps them open (a connection that ssh
 * shares) is not waited for. A second, since what it wrote may be long.
 */
export function releasePipes(child: ChildProcess | undefined): void {
  child?.once('exit', () => {
    const timer = setTimeout(() => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    }, 1_000);
    child.once('close', () => clearTimeout(timer));
  });
}

/** Waits until what the child wrote before its exit has been read, at most DRAIN_GRACE_MS. */
async function drained(child: ChildProcess): Promise<void> {
  const open = [child.stdout, child.stderr].filter((stream) => stream !== null && !stream.readableEnded);
  if (open.length === 0) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, DRAIN_GRACE_MS);
    let left = open.length;
    for (const stream of open)
      stream?.once('close', () => {
        left -= 1;
        if (left > 0) return;
        clearTimeout(timer);
        resolve();
      });
  });
}

/** Keeps the first OUTPUT_LIMIT_BYTES of a stream; the rest is read and dropped, so that the writer never blocks. */
function collect(stream: Readable | null): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream?.on('data', (chunk: Buffer) => {
    if (size >= OUTPUT_LIMIT_BYTES) return;
    const kept = chunk.subarray(0, OUTPUT_LIMIT_BYTES - size);
    size += kept.length;
    chunks.push(kept);
  });
  // A pipe that breaks has simply ended; what was read until then counts.
  stream?.on('error', () => stream.destroy());
  // `stream: true` leaves out a character that the limit has cut in two.
  return () => new TextDecoder().decode(Buffer.concat(chunks), { stream: true });
}

function feed(child: ChildProcess, stdin: string): void {
  // A child need not read its input: it may exit first, which breaks the pipe (EPIPE). Its exit code is what counts.
  child.stdin?.on('error', () => child.stdin?.destroy());
  child.stdin?.end(stdin);
}

function startFailure(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'not found, or the interpreter in its first line is not';
  if (code === 'EACCES' || code === 'EPERM') return 'not executable';
  if (code === 'E2BIG') return 'its arguments are too long';
  return `could not be started: ${plainText(messageOf(error))}`;
}

function track(pid: number | undefined): void {
  if (pid === undefined) return;
  groups.add(pid);
  if (watchesExit) return;
  watchesExit = true;
  // Being in groups of their own, the children would not notice that we are gone.
  process.once('exit', () => {
    for (const group of groups) killGroup(group, 'SIGKILL');
  });
}

function untrack(pid: number | undefined): void {
  if (pid !== undefined) groups.delete(pid);
}
