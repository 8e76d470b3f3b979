/** Runs what cron and people run most, in one process, so that what it compiles goes into the code cache (code-cache.mjs). */
import { main } from '../../lib/cli/main.ts';
import type { Invocation } from '../../lib/cli/command.ts';
import { systemRuntime } from '../../lib/system-runtime.ts';
import { COMMANDS } from '../commands.ts';

/** Runs one command line without printing anything; returns its exit code. */
export async function warm(argv: readonly string[]): Promise<number> {
  const invocation: Invocation = {
    runtime: systemRuntime({}),
    io: { out: () => undefined, err: () => undefined, tty: false, columns: 100 },
    signal: new AbortController().signal,
    cwd: process.cwd(),
  };
  return main(argv, COMMANDS, invocation);
}
