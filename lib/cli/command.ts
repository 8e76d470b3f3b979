/** What a command is: a yargs description of its flags, and a run function that returns the exit code. */
import type { ArgumentsCamelCase, Argv } from 'yargs';
import type { ExitCode } from '../errors.ts';
import type { Runtime } from '../runtime.ts';

/** Where results and progress go. Injected, so that scenarios can run commands in one process. */
export interface Io {
  /** The result: tables, JSON. */
  out(text: string): void;
  /** Progress, warnings, errors: one line. */
  err(text: string): void;
  /** A command to the runner of GitHub Actions, as it is; undefined elsewhere. */
  readonly workflow?: ((line: string) => void) | undefined;
  readonly tty: boolean;
  /** Of the terminal, now: it may be resized. */
  readonly columns: number;
  /** It is a terminal that doesn't know UTF-8. */
  readonly ascii?: boolean | undefined;
}

export interface Invocation {
  readonly runtime: Runtime;
  readonly io: Io;
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  readonly cwd: string;
}

export interface Command<T> {
  /** As yargs wants it: `failover <name>`. */
  readonly usage: string;
  readonly describe: string;
  readonly flags: (yargs: Argv) => Argv<T>;
  readonly run: (args: ArgumentsCamelCase<T>, invocation: Invocation) => Promise<ExitCode>;
}

/** Loosens the argument type for the table of commands; yargs has checked the flags against the builder by then. */
export function defineCommand<T>(command: Command<T>): Registered {
  return {
    usage: command.usage,
    describe: command.describe,
    register(yargs, invocation, done) {
      return yargs.command<T>(
        command.usage,
        command.describe,
        (y) => command.flags(y),
        async (args) => {
          done(await command.run(args, invocation));
        },
      );
    },
  };
}

export interface Registered {
  readonly usage: string;
  readonly describe: string;
  readonly register: (yargs: Argv, invocation: Invocation, done: (code: ExitCode) => void) => Argv;
}
