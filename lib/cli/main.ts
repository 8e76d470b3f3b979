/** The command line: finds the command, loads only that one, turns errors into one line and an exit code. */
import yargs from 'yargs';
import { EXIT, messageOf, ProxwardenError, PveError, type ExitCode } from '../errors.ts';
import { redact } from '../redact.ts';
import { annotated, withoutCommands } from '../tell/actions.ts';
import { oneLine, printable } from '../text.ts';
import type { Invocation, Io, Registered } from './command.ts';
import { formatHelp } from './help.ts';
import { say, sayFailure } from './say.ts';
import { rephrase, UsageError } from './usage.ts';
import { plainText } from '../text.ts';

/** Put in by the bundler; the sources that Node runs directly have none. */
declare const PROXWARDEN_VERSION: string | undefined;
const VERSION = typeof PROXWARDEN_VERSION === 'string' ? PROXWARDEN_VERSION : 'from source';

/** A command by name: shown in the list of commands, loaded when it runs. */
export interface CommandEntry {
  readonly usage: string;
  readonly describe: string;
  readonly load: () => Promise<Registered>;
}

/** Runs one command line. Never rejects; the result is the exit code. */
export async function main(
  argv: readonly string[],
  commands: Readonly<Record<string, CommandEntry>>,
  outer: Invocation,
): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const io = harmless(outer.io, outer.runtime.env);
  const invocation = { ...outer, io };
  const wanted = argv.find((word) => Object.hasOwn(commands, word));
  const first = argv.find((word) => !word.startsWith('-'));
  const usage = wanted === undefined ? '<command>' : (commands[wanted]?.usage ?? wanted);
  try {
    if (wanted === undefined && first !== undefined) throw new UsageError(`there is no command ${first}`);
    let cli = yargs([...argv])
      .scriptName('proxwarden')
      .usage(
        '$0 <command> [flags]\n\nSafe automatic failover of Proxmox VE containers by backup and restore.',
      )
      .version('version', 'print the version', VERSION)
      .help('help', 'print this help')
      .strict()
      .exitProcess(false)
      .locale('en')
      .wrap(null)
      .parserConfiguration({
        'boolean-negation': false,
        'dot-notation': false,
      })
      .middleware(lastOnly, true)
      .demandCommand(1, 'a command is needed')
      .epilogue(EPILOGUE)
      .fail((message, error) => {
        // YError: yargs itself, of a flag; anything else comes from the command.
        if (error instanceof Error && error.name !== 'YError') throw error;
        throw new UsageError(rephrase(message, argv, usage));
      });
    for (const [name, entry] of Object.entries(commands)) {
      if (name === wanted) cli = (await entry.load()).register(cli, invocation, (c) => (code = c));
      else
        cli = cli.command(entry.usage, entry.describe, {}, () => {
          throw new UsageError(`${wanted ?? ''} and ${name}: one command at a time, and before its flags`);
        });
    }
    let printed = '';
    await cli.parseAsync([...argv], {}, (_error, _args, output) => {
      printed = output;
    });
    if (printed !== '') io.out(formatHelp(printed, Math.min(110, io.columns)));
    return code;
  } catch (error) {
    return report(error, argv, invocation, wanted);
  }
}

/**
 * Whatever is printed may hold words of strangers (of a server, a guest, a plugin, a file's name): none of them can move
 * the cursor, write over a line or turn it around. And no secret is printed, whoever has repeated it.
 */
function harmless(io: Io, env: Readonly<Record<string, string | undefined>>): Io {
  const inActions = env['GITHUB_ACTIONS'] === 'true';
  // JSON is for programs: what it says stays what it is, and no line of it begins with a command.
  const theirs = (text: string): string => (inActions && !/^[{[]/.test(text) ? withoutCommands(text) : text);
  const clean = (text: string): string => printable(redact(text), '\n\t');
  return {
    out: (text) => io.out(theirs(clean(text))),
    err: (text) => io.err(theirs(clean(text))),
    workflow: inActions ? (line) => io.err(clean(line)) : undefined,
    tty: io.tty,
    ascii: io.ascii,
    get columns() {
      return io.columns;
    },
  };
}

/** Of a word that is repeated, so much is enough to recognise it. */
const USAGE_MAX = 400;

/** What may come several times: `check dns web`. */
const LISTS = new Set(['_', '--', 'names', 'endpoint']);

/**
 * Of a flag that is given twice the last one counts. (yargs' own setting for that, duplicate-arguments-array, would also
 * leave only the last of several names.)
 */
function lastOnly(args: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(args))
    if (Array.isArray(value) && !LISTS.has(key)) args[key] = value.at(-1);
}

function report(
  error: unknown,
  argv: readonly string[],
  { io, runtime, signal }: Invocation,
  command: string | undefined,
): ExitCode {
  const debug =
    argv.some(
      (word, i) => word === '--log-level=debug' || (word === '--log-level' && argv[i + 1] === 'debug'),
    ) || runtime.env['PROXWARDEN_DEBUG'] !== undefined;
  if (error instanceof UsageError) {
    say(
      io,
      `proxwarden: ${plainText(error.message, USAGE_MAX)} (see \`proxwarden ${command === undefined ? '' : `${command} `}--help\`)`,
    );
    return EXIT.usage;
  }
  // A request that was given up says nothing; an operation says itself how far it came.
  const interrupted = signal.aborted && (error instanceof PveError || !(error instanceof ProxwardenError));
  if (error instanceof ProxwardenError && !interrupted) {
    sayFailure(io, error);
    io.workflow?.(annotated('error', `proxwarden ${command ?? ''}`.trim(), oneLine(error.message)));
    if (debug && error.cause !== undefined)
      say(
        io,
        error.cause instanceof Error ? (error.cause.stack ?? error.cause.message) : messageOf(error.cause),
      );
    return error.exitCode;
  }
  if (interrupted) {
    say(io, 'proxwarden: interrupted; nothing was begun that is not in the journal');
    return EXIT.failed;
  }
  say(io, `proxwarden: unexpected: ${oneLine(messageOf(error))} (a bug; --log-level debug shows where)`);
  if (debug && error instanceof Error) say(io, error.stack ?? '');
  return EXIT.failed;
}

const EPILOGUE = `Exit codes (treat others as failure):
  0   fine, nothing to do, or done
  1   failed
  2   usage, or an invalid inventory
  3   unhealthy containers, or changes planned
  4   blocked, or a stale plan: a person is needed
  5   inconclusive
  75  another run holds the lock or the operation

Try it without Proxmox: proxwarden demo, or proxwarden lab up`;
