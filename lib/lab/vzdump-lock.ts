import type { Core } from './core.ts';
import { TaskFailure } from './tasks.ts';
import type { Worker } from './tasks.ts';

/** A node's global lock for backups, and who waits for it, in order. */
export class VzdumpLock {
  readonly #core: Core;
  readonly #busy = new Map<string, { worker: Worker; waiting: (() => void)[] }>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** Power loss: nobody holds or waits for the lock any more. */
  nodeLost(node: string): void {
    this.#busy.delete(node);
  }

  /** Waits up to `minutes`; then, or at once for 0, the job vanishes without a word of its own. */
  async take(worker: Worker, node: string, minutes: number): Promise<void> {
    const busy = this.#busy.get(node);
    if (busy === undefined) {
      this.#busy.set(node, { worker, waiting: [] });
      return;
    }
    if (minutes === 0) {
      worker.log("ERROR: can't acquire lock '/var/run/vzdump.lock' (wait = 0)");
      throw new TaskFailure('unexpected status', false);
    }
    worker.log('INFO: trying to get global lock - waiting...');
    let inTime = false;
    await worker.wait((resume) => {
      const got = (): void => {
        inTime = true;
        this.#busy.set(node, { worker, waiting: busy.waiting });
        cancel();
        resume();
      };
      const cancel = this.#core.after(minutes * 60_000, () => {
        busy.waiting.splice(busy.waiting.indexOf(got), 1);
        resume();
      });
      busy.waiting.push(got);
      return () => {
        cancel();
        busy.waiting.splice(busy.waiting.indexOf(got), 1);
      };
    });
    if (!inTime) {
      worker.log(`ERROR: can't acquire lock '/var/run/vzdump.lock' (wait = ${minutes})`);
      throw new TaskFailure('unexpected status', false);
    }
    worker.log('INFO: got global lock');
  }

  release(node: string, worker: Worker): void {
    const busy = this.#busy.get(node);
    if (busy?.worker !== worker) return;
    const next = busy.waiting.shift();
    if (next === undefined) this.#busy.delete(node);
    else next();
  }
}
