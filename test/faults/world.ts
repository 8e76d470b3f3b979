/** A command line in a process of its own, which lives in the stage's world and can be killed at any of its points. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { LabUnreachable } from '../../lib/lab/types.ts';
import type { Program, Start } from '../scenarios/harness/stage.ts';
import { FromProcess, lines, type Ask, type Begin, type Point, type ToProcess } from './wire.ts';

/** Where `node` finds the program (bundle.ts). */
export interface Bundle {
  readonly loader: string;
  readonly bundle: string;
  readonly cache: string;
}

/** It lives for less than a second: what makes code fast would only take time. */
const FLAGS = ['--no-opt', '--single-threaded'];
/** One way through the network, as labDispatcher has it. */
const TRIP_MS = 2;
/** A hook takes 100 ms. */
const MID_HOOK_MS = 50;

export interface Told {
  /** All of them of a process that lived; of one that was killed the one where it was. */
  readonly points: Point[];
}

/** Runs command lines in real processes. `dieAt`: the number of the point where it is killed; null: it lives. */
export function inProcess(bundle: Bundle, dieAt: number | null, told: Told): Program {
  return (start) => new RealRun(bundle, start, told).run(dieAt);
}

class RealRun {
  readonly #start: Start;
  readonly #told: Told;
  readonly #child: ChildProcess;
  readonly #aborts = new Map<number, AbortController>();
  readonly #toProcess: Writable;
  #sent = 0;
  #unsaid: string[] = [];
  #release: (() => void) | null;
  #code: number | null = null;
  #stderr = '';

  constructor({ loader, bundle, cache }: Bundle, start: Start, told: Told) {
    this.#start = start;
    this.#told = told;
    // Time stands still while the process is at work.
    this.#release = start.clock.hold();
    this.#child = spawn(process.execPath, [...FLAGS, loader, bundle, cache], {
      env: {},
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    });
    start.runner.pid = this.#child.pid ?? 0;
    const [, , stderr, fromProcess, toProcess] = this.#child.stdio;
    if (
      !(stderr instanceof Readable) ||
      !(fromProcess instanceof Readable) ||
      !(toProcess instanceof Writable)
    )
      throw new Error('no pipes');
    this.#toProcess = toProcess;
    // It may be killed at any time.
    toProcess.on('error', () => undefined);
    stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    fromProcess.setEncoding('utf8').on(
      'data',
      lines((line) => this.#hear(FromProcess.parse(JSON.parse(line)))),
    );
  }

  async run(dieAt: number | null): Promise<number | null> {
    const { argv, cwd, runtime, clock, runner } = this.#start;
    const env = Object.fromEntries(Object.entries(runtime.env).map(([name, value]) => [name, value ?? '']));
    const begin: Begin = {
      kind: 'begin',
      now: runtime.clock.now(),
      argv: [...argv],
      cwd,
      env,
      seed: runner.pid,
      dieAt,
    };
    this.#toProcess.write(`${JSON.stringify(begin)}\n`);
    await once(this.#child, 'close');
    for (const abort of this.#aborts.values()) abort.abort();
    (this.#release ?? clock.hold())();
    const { exitCode, signalCode } = this.#child;
    if (signalCode === 'SIGKILL') return null;
    if (exitCode !== 0 || this.#code === null || this.#stderr !== '')
      throw new Error(`the process has failed (${String(exitCode ?? signalCode)}): ${this.#stderr}`);
    return this.#code;
  }

  #hear(message: FromProcess): void {
    switch (message.kind) {
      case 'ask':
        void this.#serve(message);
        return;
      case 'abort':
        this.#aborts.get(message.id)?.abort();
        return;
      case 'said':
        this.#start.io[message.to](message.text);
        return;
      case 'point':
        this.#told.points.push(message.point);
        return;
      case 'quiet':
        if (message.heard !== this.#sent) return;
        this.#release?.();
        this.#release = null;
        return;
      case 'exit':
        this.#code = message.code;
    }
  }

  async #serve({ id, ask, dies }: Extract<FromProcess, { kind: 'ask' }>): Promise<void> {
    const { clock } = this.#start;
    const abort = new AbortController();
    this.#aborts.set(id, abort);
    const { signal } = abort;
    if (dies === 'during') void clock.sleep(MID_HOOK_MS).then(() => this.#kill());
    try {
      const value = await this.#do(ask, signal);
      if (dies === 'after') this.#kill();
      else this.#say({ kind: 'answer', id, now: this.#now, value });
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof LabUnreachable)) throw error;
      if (dies === 'after') this.#kill();
      else this.#say({ kind: 'unreachable', id, now: this.#now, how: error.how });
    } finally {
      this.#aborts.delete(id);
    }
  }

  async #do(ask: Ask, signal: AbortSignal): Promise<unknown> {
    const { runtime, clock, serve } = this.#start;
    switch (ask.what) {
      case 'sleep':
        await clock.sleep(Math.ceil(ask.ms), signal);
        return null;
      case 'request': {
        const { to, origin, method, path, headers, body } = ask;
        await clock.sleep(TRIP_MS);
        const response = await serve(to, origin, { method, path, headers, body });
        await clock.sleep(TRIP_MS);
        return response;
      }
      case 'probe':
        return runtime.probe(ask.spec, signal);
      case 'exec':
        return runtime.exec({ ...ask.request, signal });
      case 'mail':
        await runtime.mail(ask.request, ask.limitMs, signal);
        return null;
      case 'shell':
        return runtime.shell({ ...ask.request, signal });
    }
  }

  get #now(): number {
    return this.#start.runtime.clock.now();
  }

  /** What comes at the same instant comes together: a timer of now is fired after all others of now. */
  #say(message: ToProcess): void {
    this.#unsaid.push(`${JSON.stringify(message)}\n`);
    if (this.#unsaid.length === 1) void this.#start.clock.sleep(0).then(() => this.#send());
  }

  #send(): void {
    this.#sent += this.#unsaid.length;
    this.#release ??= this.#start.clock.hold();
    this.#toProcess.write(this.#unsaid.splice(0).join(''));
  }

  #kill(): void {
    this.#release ??= this.#start.clock.hold();
    this.#child.kill('SIGKILL');
  }
}
