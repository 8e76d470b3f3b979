/**
 * The process that runs a command, as far as it can die, or be held up. A dead runner never gets another answer, sleeps
 * for ever, and can write nothing; so a scenario can kill it between any two things that it does. One that a system call
 * holds up sees what has happened meanwhile when that is over.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from '../../../lib/clock.ts';
import type { Machine } from './cluster-fs.ts';

/** Of the state: no more files whose path matches; null: there is room. */
export interface Disk {
  full: RegExp | null;
}

/** One run of one command line. */
export class Runner {
  readonly name: string;
  /** Of the operations that it owns; a new one for every run, as pids are. */
  pid: number;
  /** The command line. */
  readonly command: string;
  /** The node that it runs on; null: a machine that is none. */
  readonly machine: Machine | null;
  /** The file with its machine's mounts; null: those of this one. */
  readonly mounts: string | null;
  readonly died: Promise<void>;
  dead = false;
  /** Dies right after so many more durable writes of state or journal; null: it doesn't. */
  writesLeft: number | null;
  writes = 0;
  /** Called after each of them. */
  onWrite: () => void = () => undefined;
  /** Dies when so many more writing API calls have been carried out, before it gets their answer. */
  callsLeft: number | null = null;
  calls = 0;
  /** What befalls it then, instead of death. */
  readonly #fate: (() => void) | null;
  /** A system call holds it up until then. */
  #blockedUntil = 0;
  readonly #clock: Clock;
  readonly #disk: Disk;
  #bury: () => void = () => undefined;

  constructor(options: {
    name: string;
    pid: number;
    command?: string;
    clock: Clock;
    machine?: Machine | null;
    mounts?: string;
    writesLeft?: number | undefined;
    callsLeft?: number | undefined;
    fate?: (() => void) | undefined;
    disk?: Disk;
  }) {
    this.name = options.name;
    this.pid = options.pid;
    this.command = options.command ?? '';
    this.machine = options.machine ?? null;
    this.mounts = options.mounts ?? null;
    this.#clock = options.clock;
    this.writesLeft = options.writesLeft ?? null;
    this.callsLeft = options.callsLeft ?? null;
    this.#fate = options.fate ?? null;
    this.#disk = options.disk ?? { full: null };
    this.died = new Promise((resolve) => {
      this.#bury = resolve;
    });
  }

  die(): void {
    this.dead = true;
    this.#bury();
  }

  /** Its own time, when it is held up in the middle of something. */
  now(): number {
    return Math.max(this.#clock.now(), this.#blockedUntil);
  }

  block(until: number): void {
    this.#blockedUntil = Math.max(this.#blockedUntil, until);
  }

  get heldUp(): boolean {
    return this.#clock.now() < this.#blockedUntil;
  }

  /** Resolves when nothing holds it up. */
  async free(): Promise<void> {
    while (this.heldUp) await this.#clock.sleep(this.#blockedUntil - this.#clock.now());
  }

  /** Resolves as `promise` does, when nothing holds it up, and never once the runner is dead. */
  alive<T>(promise: Promise<T>): Promise<T> {
    // It rejects when what the dead one was waiting for is called off, and nobody listens any more.
    if (this.dead) promise.catch(() => undefined);
    if (this.dead) return new Promise(() => undefined);
    return new Promise((resolve, reject) => {
      const then = (settle: () => void): void => {
        if (this.dead) return;
        if (!this.heldUp) settle();
        else this.free().then(() => (this.dead ? undefined : settle()), reject);
      };
      promise.then(
        (value) => then(() => resolve(value)),
        (error: unknown) => then(() => reject(error instanceof Error ? error : new Error(String(error)))),
      );
    });
  }

  /** Throws as a full disk does when it is asked for a file there. */
  allot(path: string): void {
    if (this.#disk.full?.test(path) === true)
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  }

  /** One more durable file is on the disk. */
  wrote(): void {
    this.writes += 1;
    this.onWrite();
    if (this.writesLeft !== null && this.writes === this.writesLeft) this.#meetFate();
  }

  /** One more writing call has been carried out. */
  called(): void {
    this.calls += 1;
    if (this.callsLeft !== null && this.calls === this.callsLeft) this.#meetFate();
  }

  #meetFate(): void {
    if (this.#fate === null) this.die();
    else this.#fate();
  }
}

export const runners = new AsyncLocalStorage<Runner>();
