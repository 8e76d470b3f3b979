import type { Clock } from '../clock.ts';
import type { LabEvent } from './types.ts';

/**
 * What every part of the lab needs: time, random digits, the event log. All that takes time goes through here, so
 * that `speed` divides every duration and `close` stops every timer.
 */
export class Core {
  readonly clock: Clock;
  readonly randomHex: (bytes: number) => string;
  readonly events: LabEvent[] = [];
  readonly #speed: number;
  readonly #timers = new Set<AbortController>();
  readonly #listeners: (() => void)[] = [];
  #closed = false;

  constructor(options: { clock: Clock; speed: number; randomHex: (bytes: number) => string }) {
    this.clock = options.clock;
    this.#speed = options.speed;
    this.randomHex = options.randomHex;
  }

  now(): number {
    return this.clock.now();
  }

  /** Seconds since the epoch, as Proxmox counts. */
  seconds(): number {
    return Math.floor(this.now() / 1000);
  }

  /** How many simulated milliseconds have passed since `at`. */
  since(at: number): number {
    return (this.now() - at) * this.#speed;
  }

  /** Calls `work` after `ms` simulated milliseconds. The returned function cancels it. */
  after(ms: number, work: () => void): () => void {
    if (this.#closed) return () => undefined;
    const timer = new AbortController();
    this.#timers.add(timer);
    this.clock.sleep(ms / this.#speed, timer.signal).then(
      () => (this.#timers.delete(timer) ? work() : undefined),
      () => undefined, // cancelled
    );
    return () => {
      if (this.#timers.delete(timer)) timer.abort();
    };
  }

  /** Resolves after `ms` simulated milliseconds; never, once the lab is closed. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, resolve);
    });
  }

  event(text: string): void {
    this.events.push({ at: this.now(), text });
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  /** A MAC address in Proxmox's own range. */
  newMac(): string {
    const digits = this.randomHex(3).toUpperCase();
    return `BC:24:11:${digits.slice(0, 2)}:${digits.slice(2, 4)}:${digits.slice(4, 6)}`;
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) timer.abort();
    this.#timers.clear();
  }
}
