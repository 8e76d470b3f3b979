/**
 * Scenarios in worker threads: two at a time if not said otherwise, and outside of node:test's own bookkeeping of every promise, which would
 * take more time than the scenarios do. A test file serves tasks when it is loaded as a worker.
 */
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import * as z from 'zod';

export const inWorker = !isMainThread;

const Reply = z.object({ number: z.number(), result: z.string().nullable(), error: z.string().nullable() });
const Task = z.object({ number: z.number(), task: z.string() });

/** In a worker: answers tasks with what `work` makes of them. */
export function serve(work: (task: string) => Promise<string>): void {
  parentPort?.on('message', (message: unknown) => {
    const { number, task } = Task.parse(message);
    const reply = (result: string | null, error: string | null): void =>
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      parentPort?.postMessage({ number, result, error });
    work(task).then(
      (result) => reply(result, null),
      (error: unknown) => reply(null, error instanceof Error ? error.message : String(error)),
    );
  });
}

/** In the test: hands tasks to workers of the same file, in order of their asking. */
export class Workers {
  readonly #file: URL;
  readonly #most: number;
  readonly #idle: Worker[] = [];
  readonly #queue: (() => void)[] = [];
  #made = 0;
  #number = 0;

  /** A worker more is a second more until it is warm. */
  constructor(file: string, most = 2) {
    this.#file = new URL(file);
    this.#most = most;
  }

  /** Rejects with the worker's error. */
  async run(task: string): Promise<string> {
    const worker = await this.#take();
    const number = (this.#number += 1);
    try {
      return await new Promise((resolve, reject) => {
        worker.once('error', reject);
        worker.once('message', (message: unknown) => {
          worker.off('error', reject);
          const { result, error } = Reply.parse(message);
          if (result === null) reject(new Error(error ?? 'failed'));
          else resolve(result);
        });
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
        worker.postMessage({ number, task });
      });
    } finally {
      this.#idle.push(worker);
      this.#queue.shift()?.();
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map((worker) => worker.terminate()));
  }

  async #take(): Promise<Worker> {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle !== undefined) return idle;
      if (this.#made < this.#most) {
        this.#made += 1;
        return new Worker(this.#file);
      }
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    }
  }
}
