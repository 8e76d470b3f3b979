import { abortReason } from '../clock.ts';
import type { Clock } from '../clock.ts';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly fire: () => void;
}

/** Quiet turns of the event loop after which nothing more is expected to happen by itself. */
const QUIET_TURNS = 20;

/** What Node calls an operation that its thread pool works on: such work counts as in flight without a `hold`. */
const POOL_WORK = /^(FSReq|CloseReq|GetAddrInfoReq|GetNameInfoReq|QueryReq|Zlib)/i;

const DAY_MS = 86_400_000;

/**
 * A clock that stands still while anything happens and jumps to the next timer when nothing does. Work that Node
 * does in its thread pool (files) is seen; other real work, such as a child process, must be announced by `hold`.
 */
export class VirtualClock implements Clock {
  #now: number;
  #order = 0;
  #timers: Timer[] = [];
  #activity = 0;
  #held = 0;
  #wake: (() => void)[] = [];

  /** `start`: epoch milliseconds. */
  constructor(start = Date.UTC(2026, 10, 22, 12, 0, 0)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(abortReason(signal));
        return;
      }
      this.#activity += 1;
      const aborted = (): void => {
        this.#activity += 1;
        this.#timers = this.#timers.filter((one) => one !== timer);
        reject(abortReason(signal));
      };
      const timer: Timer = {
        at: this.#now + Math.max(0, ms),
        order: this.#order++,
        fire: () => {
          signal?.removeEventListener('abort', aborted);
          resolve();
        },
      };
      this.#insert(timer);
      signal?.addEventListener('abort', aborted, { once: true });
    });
  }

  /** Announces real work: time stands still until the returned function is called (once). */
  hold(): () => void {
    this.#held += 1;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#held -= 1;
      this.#activity += 1;
      for (const wake of this.#wake.splice(0)) wake();
    };
  }

  /** Lets `ms` pass, firing every timer on the way. */
  advance(ms: number): Promise<void> {
    return this.advanceTo(this.#now + ms);
  }

  async advanceTo(at: number): Promise<void> {
    await this.#quiet(() => false);
    while (this.#timers[0] !== undefined && this.#timers[0].at <= at) {
      this.#fireNext();
      await this.#quiet(() => false);
    }
    this.#now = Math.max(this.#now, at);
  }

  /**
   * Drives time until `promise` settles, and returns its outcome. Throws when nothing is left that could settle it,
   * and when it takes more than `limitMs` of virtual time (a day by default).
   */
  async run<T>(promise: Promise<T>, limitMs = DAY_MS): Promise<T> {
    const deadline = this.#now + limitMs;
    let settled = false;
    const noted = (): void => {
      settled = true;
      for (const wake of this.#wake.splice(0)) wake();
    };
    promise.then(noted, noted);
    for (;;) {
      await this.#quiet(() => settled);
      if (settled) return promise;
      const next = this.#timers[0];
      if (next === undefined) throw new Error('deadlock: no timer is pending and nothing is in flight');
      if (next.at > deadline) throw new Error(`not done after ${limitMs / 1000} s of virtual time`);
      this.#fireNext();
    }
  }

  /** Resolves when nothing has happened for a while, or as soon as `enough` says so. */
  async #quiet(enough: () => boolean): Promise<void> {
    let turns = 0;
    let seen = this.#activity;
    while (turns < QUIET_TURNS && !enough()) {
      if (this.#held > 0) await new Promise<void>((resolve) => this.#wake.push(resolve));
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
      const busy = this.#held > 0 || process.getActiveResourcesInfo().some((name) => POOL_WORK.test(name));
      turns = busy || seen !== this.#activity ? 0 : turns + 1;
      seen = this.#activity;
    }
  }

  #fireNext(): void {
    const timer = this.#timers.shift();
    if (timer === undefined) return;
    this.#now = Math.max(this.#now, timer.at);
    this.#activity += 1;
    timer.fire();
  }

  /** Keeps them sorted: by time, then by when they were asked for. */
  #insert(timer: Timer): void {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#timers[middle]?.at ?? Infinity) <= timer.at) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, timer);
  }
}
