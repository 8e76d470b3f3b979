/** What one process knows of the turns of its own operations: whoever waits need not find it in the journals. */
import type { Clock } from '../clock.ts';

const WOKEN = new Error('a restore is over');

export class Turns {
  readonly #waiting = new Set<AbortController>();
  readonly #carried = new Set<string>();

  /** Does `work`, which carries out that operation. */
  async carrying<T>(operation: string, work: () => Promise<T>): Promise<T> {
    this.#carried.add(operation);
    try {
      return await work();
    } finally {
      this.#carried.delete(operation);
      this.over();
    }
  }

  /** Whether this process carries it out; one that has stopped with its journal still running is another run's to go on with. */
  isCarried(operation: string): boolean {
    return this.#carried.has(operation);
  }

  /** A place may have become free. */
  over(): void {
    for (const one of this.#waiting) one.abort(WOKEN);
  }

  /** Resolves at the next `over`, or after `ms` on `clock`. Rejects with the signal's reason when that aborts. */
  async next(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
    const woken = new AbortController();
    this.#waiting.add(woken);
    try {
      await clock.sleep(ms, signal === undefined ? woken.signal : AbortSignal.any([signal, woken.signal]));
    } catch (error) {
      if (signal?.aborted === true || !woken.signal.aborted) throw error;
    } finally {
      this.#waiting.delete(woken);
    }
  }
}
