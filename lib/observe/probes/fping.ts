/**
 * Pings by fping, where it is installed: attempts that begin together share a process, which sends to all of their
 * addresses and says of each at once what has become of it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { killGroup, releasePipes } from '../../exec.ts';
import { plainText } from '../../text.ts';
import { ProbeError, type Attempt, type Outcome } from './attempt.ts';
import { noAnswer, routeFailure } from './reasons.ts';

/** For so long attempts are collected before they are sent. */
const GATHER_MS = 5;
/** Between two packets of a process: the least that fping lets ordinary users have. */
const INTERVAL_MS = 1;
/** No address of a process is asked later than after this part of its timeout; more processes would cost more. */
const SENDING_PART = 0.1;
/** Characters of an unfinished line that are kept. */
const LINE_MAX = 4096;

/** Pings under way at the same time; without fping it is much less, because each is a process. */
export const FPING_SLOTS = 1_024;

const found = new Map<string, string | undefined>();

/** The fping of a search path, if there is one; looked for once. */
export function fpingOn(path: string): string | undefined {
  if (!found.has(path)) {
    const files = path.split(':').flatMap((folder) => (folder === '' ? [] : [join(folder, 'fping')]));
    found.set(path, files.find(isExecutable));
  }
  return found.get(path);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // Whatever the reason, it can't be used.
    return false;
  }
}

/**
 * Sends one echo request to a numeric address. Rejects with ProbeError when there is no reply. Null: fping has ended
 * without a word on it (it may not open sockets, it is too old), so it has to be asked in another way.
 */
export function askFping(program: string, address: string, attempt: Attempt): Promise<Outcome | null> {
  return new Promise((resolve, reject) => {
    const { timeoutMs, deps, signal } = attempt;
    // The name may have taken too long.
    if (signal.aborted) return reject(noAnswer(timeoutMs));
    const key = JSON.stringify([program, deps.path, timeoutMs, address.includes(':')]);
    let round = gathering.get(key);
    if (round === undefined) {
      round = new Round(program, deps.path, timeoutMs);
      gathering.set(key, round);
      const due = round;
      setTimeout(() => send(key, due), GATHER_MS);
    }
    round.add(address, { attempt, resolve, reject });
    if (round.isFull) send(key, round);
  });
}

/** Those that have not been sent, by what their attempts have in common. */
const gathering = new Map<string, Round>();

function send(key: string, round: Round): void {
  if (gathering.get(key) !== round) return;
  gathering.delete(key);
  round.start();
}

interface Asker {
  readonly attempt: Attempt;
  readonly resolve: (outcome: Outcome | null) => void;
  readonly reject: (error: ProbeError) => void;
}

/** One process, and who waits for it. */
class Round {
  readonly #program: string;
  readonly #path: string;
  readonly #timeoutMs: number;
  /** By address, which is asked once, however many want to know. */
  readonly #askers = new Map<string, Set<Asker>>();
  #child: ChildProcess | undefined;

  constructor(program: string, path: string, timeoutMs: number) {
    this.#program = program;
    this.#path = path;
    this.#timeoutMs = timeoutMs;
  }

  get isFull(): boolean {
    return this.#askers.size >= Math.floor((this.#timeoutMs * SENDING_PART) / INTERVAL_MS);
  }

  add(address: string, asker: Asker): void {
    const { signal } = asker.attempt;
    const all = this.#askers.get(address);
    if (all === undefined) this.#askers.set(address, new Set([asker]));
    else all.add(asker);
    // Never taken away: the signal is the attempt's own, and goes with it.
    signal.addEventListener('abort', () => this.#forget(address, asker), { once: true });
  }

  start(): void {
    // All may have been aborted meanwhile.
    if (this.#askers.size === 0) return;
    const times = ['-r', '0', '-i', String(INTERVAL_MS), '-t', String(Math.ceil(this.#timeoutMs))];
    const started = performance.now();
    let child: ChildProcess;
    try {
      child = spawn(this.#program, ['-e', ...times, '--', ...this.#askers.keys()], {
        env: { PATH: this.#path, LC_ALL: 'C' },
        stdio: ['ignore', 'pipe', 'pipe'],
        // A process group of its own, so that what it started can be killed with it.
        detached: true,
      });
    } catch {
      // Node throws at once for some errors and emits the others; what fping can't do, ping is asked to do.
      return this.#end(started);
    }
    this.#child = child;
    readLines(child.stdout, (line) => this.#reply(line));
    readLines(child.stderr, (line) => this.#trouble(line));
    releasePipes(child);
    child.once('error', () => this.#end(started));
    child.once('close', () => this.#end(started));
  }

  /** `10.0.0.1 is alive (0.087 ms)` */
  #reply(line: string): void {
    const [, address = '', time] = /^(\S+) is alive(?:.* \(([\d.e+-]+) ms\))?/.exec(line) ?? [];
    for (const { attempt, resolve } of this.#settle(address)) {
      attempt.alive();
      resolve({ ok: true, latencyMs: time === undefined ? undefined : Number(time) });
    }
  }

  /**
   * From a router: `ICMP Host Unreachable from 10.0.0.9 for ICMP Echo sent to 10.0.0.1`; of others (a redirect) a reply may
   * still follow. From our own kernel: `10.0.0.1: error while sending ping: Network is unreachable`.
   */
  #trouble(line: string): void {
    const [, icmp, sentTo = ''] = /(ICMP .*) from \S+ for ICMP Echo sent to (\S+)/.exec(line) ?? [];
    if (icmp !== undefined) {
      const failure = routeFailure(icmp);
      if (failure !== undefined) for (const { reject } of this.#settle(sentTo)) reject(failure);
      return;
    }
    // Before it there may be the address of one who has answered for another.
    const [, address = '', why = ''] = /([^\s\]]+): (?:error while sending ping: )?(.*)$/.exec(line) ?? [];
    const failure = routeFailure(why) ?? new ProbeError(`ping failed: ${plainText(why)}`, false, true);
    for (const { reject } of this.#settle(address)) reject(failure);
  }

  /** Silence says something of a host only when it has lasted for the whole timeout. */
  #end(started: number): void {
    const silent = performance.now() - started >= this.#timeoutMs;
    for (const address of this.#askers.keys())
      for (const { resolve, reject } of this.#settle(address))
        if (silent) reject(noAnswer(this.#timeoutMs));
        else resolve(null);
  }

  /** Those who have asked for `address`; they wait no longer. */
  #settle(address: string): Iterable<Asker> {
    const askers = this.#askers.get(address) ?? [];
    this.#askers.delete(address);
    this.#killIfDone();
    return askers;
  }

  #forget(address: string, asker: Asker): void {
    const all = this.#askers.get(address);
    if (all?.delete(asker) !== true) return;
    asker.reject(noAnswer(this.#timeoutMs));
    if (all.size === 0) this.#settle(address);
  }

  #killIfDone(): void {
    const child = this.#child;
    if (this.#askers.size > 0 || child?.pid === undefined) return;
    if (child.exitCode === null && child.signalCode === null) killGroup(child.pid, 'SIGKILL');
  }
}

/** Calls `each` with every whole line, as soon as it is there. */
function readLines(stream: Readable | null, each: (line: string) => void): void {
  let rest = '';
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = (lines.pop() ?? '').slice(-LINE_MAX);
    lines.forEach(each);
  });
  // A pipe that breaks has simply ended; what was read until then counts.
  stream?.on('error', () => stream.destroy());
}
