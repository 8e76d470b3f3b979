/**
 * The process that runs a command, as far as it can die. A dead runner never gets another answer, sleeps for ever, and
 * can write nothing; so a scenario can kill it between any two things that it does.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** One run of one command line. */
export class Runner {
  readonly name: string;
  /** Of the operations that it owns; a new one for every run, as pids are. */
  readonly pid: number;
  /** The command line. */
  readonly command: string;
  readonly died: Promise<void>;
  dead = false;
  /** Dies right after so many more durable writes of state or journal; null: it doesn't. */
  writesLeft: number | null;
  writes = 0;
  /** Dies when so many more writing API calls have been carried out, before it gets their answer. */
  callsLeft: number | null = null;
  calls = 0;
  #bury: () => void = () => undefined;

  constructor(options: {
    name: string;
    pid: number;
    command?: string;
    writesLeft?: number | undefined;
    callsLeft?: number | undefined;
  }) {
    this.name = options.name;
    this.pid = options.pid;
    this.command = options.command ?? '';
    this.writesLeft = options.writesLeft ?? null;
    this.callsLeft = options.callsLeft ?? null;
    this.died = new Promise((resolve) => {
      this.#bury = resolve;
    });
  }

  die(): void {
    this.dead = true;
    this.#bury();
  }

  /** Resolves as `promise` does, and never once the runner is dead. */
  alive<T>(promise: Promise<T>): Promise<T> {
    if (this.dead) return new Promise(() => undefined);
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => (this.dead ? undefined : resolve(value)),
        (error: unknown) =>
          this.dead ? undefined : reject(error instanceof Error ? error : new Error(String(error))),
      );
    });
  }

  /** One more durable file is on the disk. */
  wrote(): void {
    this.writes += 1;
    if (this.writesLeft !== null && this.writes === this.writesLeft) this.die();
  }

  /** One more writing call has been carried out. */
  called(): void {
    this.calls += 1;
    if (this.callsLeft !== null && this.calls === this.callsLeft) this.die();
  }
}

export const runners = new AsyncLocalStorage<Runner>();

/** Its lock is released by a dead runner, too: for the others it is as free as a dead process leaves it. */
function refuseDead(path: unknown): void {
  if (runners.getStore()?.dead === true && !String(path).includes('/lock/'))
    throw new Error('this runner is dead');
}

let patched = false;

/** From now on, what a runner writes to state and journal counts, and a dead one writes nothing. */
export function watchFiles(): void {
  if (patched) return;
  patched = true;
  const { openSync, renameSync, rmSync, symlinkSync } = fs;
  fs.renameSync = (from, to) => {
    refuseDead(to);
    renameSync(from, to);
    if (/\/(operations\/[^/]+|state)\.json$/.test(String(to))) runners.getStore()?.wrote();
  };
  fs.openSync = (path, flags, mode) => {
    if (flags !== 'r') refuseDead(path);
    return openSync(path, flags, mode);
  };
  fs.rmSync = (path, options) => {
    refuseDead(path);
    rmSync(path, options);
  };
  fs.symlinkSync = (target, path, type) => {
    refuseDead(path);
    symlinkSync(target, path, type);
  };
  syncBuiltinESMExports();
}
