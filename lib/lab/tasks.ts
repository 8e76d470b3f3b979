import type { Core } from './core.ts';

/** A worker ends its task with this; the message is the exit status. */
export class TaskFailure extends Error {
  /** Whether the log ends with `TASK ERROR: …`; a worker that never got its lock just vanishes. */
  readonly logged: boolean;
  constructor(message: string, logged = true) {
    super(message);
    this.logged = logged;
  }
}

/** A worker's sleep rejects with this when a person stops the task. */
export class TaskAborted extends Error {}

export interface Task {
  readonly upid: string;
  readonly node: string;
  readonly pid: number;
  readonly pstart: number;
  /** Seconds since the epoch. */
  readonly starttime: number;
  readonly type: string;
  readonly id: string;
  /** `root@pam` or `proxwarden@pve!cli`. */
  readonly owner: string;
  readonly log: string[];
  warnings: number;
  exitstatus: string | null;
  endtime: number | null;
  /** Seconds; the same as endtime, except for what died with its node: others see it running on. */
  readonly ended: Promise<void>;
}

/** What a worker may do. */
export interface Worker {
  readonly task: Task;
  log(line: string): void;
  warn(line: string): void;
  /** Simulated milliseconds. Never resolves once the node is dead; rejects with TaskAborted when it is stopped. */
  sleep(ms: number): Promise<void>;
  /** Waits for something else under the same rules. `undo` takes back the request when the wait ends otherwise. */
  wait(start: (resume: () => void) => () => void): Promise<void>;
}

interface Running {
  readonly task: Task;
  /** Called once, when the task is stopped by a person or dies with its node. */
  interrupt: ((how: 'abort' | 'kill') => void) | null;
  aborted: boolean;
  dead: boolean;
}

/** All tasks of all nodes: UPIDs, logs, exit states. */
export class Tasks {
  readonly #core: Core;
  readonly #running = new Map<string, Running>();
  readonly #all: Task[] = [];
  readonly #pids = new Map<string, number>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** Starts a worker and returns its task. */
  spawn(
    node: string,
    type: string,
    id: string,
    owner: string,
    work: (worker: Worker) => Promise<void>,
  ): Task {
    const pid = this.newPid(node);
    const starttime = this.#core.seconds();
    const pstart = Number.parseInt(this.#core.randomHex(3), 16);
    const upid = `UPID:${node}:${hex8(pid)}:${hex8(pstart)}:${hex8(starttime)}:${type}:${id}:${owner}:`;
    const { promise: ended, resolve: end } = deferred();
    const task: Task = {
      upid,
      node,
      pid,
      pstart,
      starttime,
      type,
      id,
      owner,
      log: [],
      warnings: 0,
      exitstatus: null,
      endtime: null,
      ended,
    };
    const running: Running = { task, interrupt: null, aborted: false, dead: false };
    this.#running.set(upid, running);
    this.#all.push(task);
    this.#run(running, work, end).catch((error: unknown) => {
      // A bug of the lab: it must not stay hidden in a task's log.
      this.#finish(task, 'lab bug');
      end();
      throw error;
    });
    return task;
  }

  find(node: string, upid: string): Task | undefined {
    return this.#all.find((task) => task.upid === upid && task.node === node);
  }

  /** Newest first. */
  list(): readonly Task[] {
    return this.#all.toReversed();
  }

  isRunning(task: Task): boolean {
    return this.#running.has(task.upid);
  }

  /** DELETE tasks/UPID: the worker gets a chance to clean up. */
  abort(task: Task): void {
    const running = this.#running.get(task.upid);
    if (running === undefined) return;
    running.aborted = true;
    running.interrupt?.('abort');
  }

  /** Power loss: every worker of the node is gone, its log ends in the middle. */
  killNode(node: string): void {
    for (const running of this.#running.values()) {
      if (running.task.node !== node) continue;
      running.dead = true;
      running.interrupt?.('kill');
      this.#finish(running.task, 'unexpected status');
    }
  }

  newPid(node: string): number {
    const pid = (this.#pids.get(node) ?? 1000) + 1 + (Number.parseInt(this.#core.randomHex(1), 16) % 16);
    this.#pids.set(node, pid);
    return pid;
  }

  async #run(running: Running, work: (worker: Worker) => Promise<void>, end: () => void): Promise<void> {
    const { task } = running;
    try {
      await work(this.#worker(running));
      if (task.warnings > 0) {
        task.log.push(`TASK WARNINGS: ${task.warnings}`);
        this.#finish(task, `WARNINGS: ${task.warnings}`);
      } else {
        task.log.push('TASK OK');
        this.#finish(task, 'OK');
      }
    } catch (error) {
      if (!(error instanceof TaskFailure) && !(error instanceof TaskAborted)) throw error;
      const message =
        error instanceof TaskAborted ? 'received interrupt' : error.message.replaceAll('\n', ' ');
      if (!(error instanceof TaskFailure) || error.logged) task.log.push(`TASK ERROR: ${message}`);
      this.#finish(task, message);
    }
    end();
  }

  #worker(running: Running): Worker {
    const { task } = running;
    const wait: Worker['wait'] = (start) =>
      new Promise<void>((resolve, reject) => {
        if (running.dead) return;
        if (running.aborted) {
          reject(new TaskAborted());
          return;
        }
        const undo = start(() => {
          running.interrupt = null;
          resolve();
        });
        running.interrupt = (how) => {
          running.interrupt = null;
          undo();
          if (how === 'abort') reject(new TaskAborted());
        };
      });
    return {
      task,
      log: (line) => task.log.push(line),
      warn: (line) => {
        task.warnings += 1;
        task.log.push(`WARN: ${line}`);
      },
      sleep: (ms) => wait((resume) => this.#core.after(ms, resume)),
      wait,
    };
  }

  #finish(task: Task, exitstatus: string): void {
    if (!this.#running.delete(task.upid)) return;
    task.exitstatus = exitstatus;
    task.endtime = this.#core.seconds();
  }
}

function hex8(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
