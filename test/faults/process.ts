/**
 * The process that a test kills: the real commands, with a runtime whose clock, network, hooks and shells are those of the
 * world on the other end of two pipes. What it writes, it writes itself: inventory, state, journals and lock are files.
 */
import { setMaxListeners } from 'node:events';
import { writeSync } from 'node:fs';
import { config } from 'zod';
import { Socket } from 'node:net';
import { abortReason, type Clock } from '../../lib/clock.ts';
import { main } from '../../lib/cli/main.ts';
import { labDispatcher } from '../../lib/lab/dispatcher.ts';
import { LabUnreachable, type LabRequest, type LabResponse } from '../../lib/lab/types.ts';
import type { Runtime } from '../../lib/runtime.ts';
import { COMMANDS } from '../../scripts/commands.ts';
import { countingHex } from '../scenarios/harness/hex.ts';
import { Points, watchFiles } from './points.ts';
import {
  Executed,
  FROM_WORLD,
  lines,
  ProbeResult,
  Response,
  ShellAnswer,
  TO_WORLD,
  ToProcess,
  type Ask,
  type Begin,
  type FromProcess,
} from './wire.ts';

/** As in VirtualClock: so many turns of the event loop after which nothing happens by itself any more. */
const QUIET_TURNS = 20;
const POOL_WORK = /^(FSReq|CloseReq|GetAddrInfoReq|GetNameInfoReq|QueryReq|Zlib)/i;

// The points watch what is written; what is said to the world is not theirs.
const write = writeSync;
let unsaid = '';

/** What is said in one turn is sent together. */
function say(message: FromProcess): void {
  if (unsaid === '') setImmediate(flush);
  unsaid += `${JSON.stringify(message)}\n`;
}

function flush(): void {
  const bytes = Buffer.from(unsaid);
  unsaid = '';
  for (let done = 0; done < bytes.length;) done += write(TO_WORLD, bytes, done);
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

class World {
  readonly #points: Points;
  readonly #waiting = new Map<number, Waiting>();
  now: number;
  #asked = 0;
  #heard = 0;
  #isReporting = false;

  constructor(points: Points, now: number) {
    this.#points = points;
    this.now = now;
  }

  ask(ask: Ask, signal?: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(abortReason(signal));
      const id = (this.#asked += 1);
      const end = (): void => {
        this.#waiting.delete(id);
        signal?.removeEventListener('abort', aborted);
      };
      const aborted = (): void => {
        end();
        say({ kind: 'abort', id });
        reject(abortReason(signal));
      };
      this.#waiting.set(id, {
        resolve: (value) => {
          end();
          resolve(value);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      });
      signal?.addEventListener('abort', aborted, { once: true });
      const dies = this.#pointsOf(ask);
      say({ kind: 'ask', id, ask, ...(dies === undefined ? {} : { dies }) });
    });
  }

  hear(message: ToProcess): void {
    if (message.kind === 'begin') throw new Error('bug: begun twice');
    this.#heard += 1;
    this.now = message.now;
    const waiting = this.#waiting.get(message.id);
    if (message.kind === 'answer') waiting?.resolve(message.value);
    else waiting?.reject(new LabUnreachable('it', message.how));
    this.report();
  }

  /** Tells the world when nothing more happens by itself. */
  report(): void {
    if (this.#isReporting) return;
    this.#isReporting = true;
    void this.#reportQuiet();
  }

  async #reportQuiet(): Promise<void> {
    const heard = await this.#quiet();
    this.#isReporting = false;
    say({ kind: 'quiet', heard });
  }

  async #quiet(): Promise<number> {
    let heard = this.#heard;
    for (let turns = 0; turns < QUIET_TURNS; turns += 1) {
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
      const busy = process.getActiveResourcesInfo().some((name) => POOL_WORK.test(name));
      if (busy || heard !== this.#heard) turns = -1;
      heard = this.#heard;
    }
    return heard;
  }

  /** Comes to the points of a question; those that lie with the world it has to take care of. */
  #pointsOf(ask: Ask): 'during' | 'after' | undefined {
    const points = this.#points;
    const after = (dies: boolean) => (dies ? 'after' : undefined);
    switch (ask.what) {
      case 'sleep':
        return undefined;
      case 'probe':
        return after(points.reserve('read', `${ask.spec.label} is probed`));
      case 'request': {
        const name = `${ask.method} ${ask.path.replace(/^\/api2\/json/, '').replace(/\?.*/, '')}`;
        // A plug is switched by a GET.
        const writes = ask.method !== 'GET' || /turn=/.test(ask.path);
        if (!writes) return after(points.reserve('read', `${name} is answered`));
        points.at('sent', `${name} is about to leave`);
        return after(points.reserve('done', `${name} is carried out`));
      }
      case 'shell': {
        const { order, node } = ask.request;
        const name = `${order.kind} on ${node}`;
        if (order.kind === 'greet' || order.kind === 'read-config')
          return after(points.reserve('read', `${name} is answered`));
        points.at('sent', `${name} is about to leave`);
        return after(points.reserve('done', `${name} is carried out`));
      }
      case 'mail':
        points.at('sent', 'a mail is about to leave');
        return after(points.reserve('done', 'a mail is taken'));
      case 'exec': {
        const name = ask.request.file.slice(ask.request.file.lastIndexOf('/') + 1);
        points.at('hook', `${name} is about to begin`);
        const during = points.reserve('hook', `${name} is running`);
        const ended = points.reserve('hook', `${name} has ended`);
        return during ? 'during' : after(ended);
      }
    }
  }
}

function runtimeOf(world: World, { env, seed }: Begin): Runtime {
  const clock: Clock = {
    now: () => world.now,
    sleep: async (ms, signal) => void (await world.ask({ what: 'sleep', ms }, signal)),
  };
  // What a way takes is taken in the world.
  const here: Clock = { now: () => world.now, sleep: () => Promise.resolve() };
  const to = (kind: 'api' | 'http') =>
    labDispatcher(
      {
        handle: async (origin: string, request: LabRequest): Promise<LabResponse> =>
          Response.parse(await world.ask({ what: 'request', to: kind, origin, ...request })),
      },
      here,
      (origin) => origin,
    );
  const api = to('api');
  return {
    clock,
    env,
    randomHex: countingHex(seed),
    dispatcher: () => Promise.resolve(api),
    httpDispatcher: () => Promise.resolve(to('http')),
    probe: async (spec, signal) => ProbeResult.parse(await world.ask({ what: 'probe', spec }, signal)),
    exec: async ({ signal, ...request }) =>
      Executed.parse(await world.ask({ what: 'exec', request }, signal)),
    mail: async (request, limitMs, signal) =>
      void (await world.ask({ what: 'mail', request, limitMs }, signal)),
    detach: () => Promise.reject(new Error('no story detaches')),
    shell: async ({ signal, ...request }) =>
      ShellAnswer.parse(await world.ask({ what: 'shell', request }, signal)),
  };
}

async function begin(begun: Begin): Promise<void> {
  // Compiled parsers are for those who parse more often.
  config({ jitless: true });
  const points = new Points(begun.dieAt, (point) => say({ kind: 'point', point }), flush);
  watchFiles(points);
  const world = new World(points, begun.now);
  hear = (message) => world.hear(message);
  world.report();
  const { signal } = new AbortController();
  // Every request in flight listens to it.
  setMaxListeners(0, signal);
  const code = await main(begun.argv, COMMANDS, {
    runtime: runtimeOf(world, begun),
    io: {
      out: (text) => say({ kind: 'said', to: 'out', text }),
      err: (text) => say({ kind: 'said', to: 'err', text }),
      tty: false,
      columns: 160,
    },
    signal,
    cwd: begun.cwd,
  });
  say({ kind: 'exit', code });
  flush();
  process.exit();
}

let hear = (message: ToProcess): void => {
  if (message.kind !== 'begin') throw new Error('bug: not begun');
  void begin(message);
};

const heard = lines((line) => hear(ToProcess.parse(JSON.parse(line))));
new Socket({ fd: FROM_WORLD, readable: true, writable: false }).setEncoding('utf8').on('data', heard);
