/**
 * The commands in the test's own process, with the real runtime: sockets, files, children and time as they are, without
 * the third of a second that each process costs. What a process itself does (signals, pipes, its end) is tested with
 * real ones, in cli, story, interrupt and kill.
 */
import { setMaxListeners } from 'node:events';
import { tmpdir } from 'node:os';
import { main } from '../../lib/cli/main.ts';
import { systemRuntime } from '../../lib/system-runtime.ts';
import { COMMANDS } from '../../scripts/commands.ts';
import { assertClean, openStage, type Ends, type Options, type Ran, type StageOptions } from './stage.ts';

/** Told of what has been printed so far after each line, and given what SIGTERM does. */
type Watch = (said: string, stop: () => void) => void;

/** Runs a command line to its end, as `proxwarden` of stage.ts does with a process of its own. */
export async function inProcess(
  words: readonly string[],
  options: Options & { readonly watch?: Watch } = {},
): Promise<Ran> {
  const controller = new AbortController();
  const { signal } = controller;
  setMaxListeners(0, signal);
  const begun = performance.now();
  let [stdout, stderr] = ['', ''];
  const look = (): void =>
    options.watch?.(stdout + stderr, () => controller.abort(new Error('stopped by SIGTERM')));
  look();
  const code = await main(words, COMMANDS, {
    runtime: systemRuntime({ PATH: process.env['PATH'], HOME: process.env['HOME'], ...options.env }),
    io: {
      out: (text) => {
        stdout += `${text}\n`;
        look();
      },
      err: (text) => {
        stderr += `${text}\n`;
        look();
      },
      tty: false,
      columns: 1000,
    },
    signal,
    cwd: options.cwd ?? tmpdir(),
  });
  const ran = { code, signal: null, stdout, stderr, ms: performance.now() - begun };
  assertClean(words, ran);
  return ran;
}

/** A stage whose commands run in this process. */
export function openInside(t: Ends, options: StageOptions = {}) {
  return openStage(t, { ...options, command: inProcess });
}
