/** The command line: finds the command, loads only that one, turns errors into one line and an exit code. */
import yargs from 'yargs';
import { EXIT, messageOf, ProxwardenError, type ExitCode } from '../errors.ts';
import { redact } from '../redact.ts';
import type { Invocation, Registered } from './command.ts';

declare const PROXWARDEN_VERSION: string;

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
  invocation: Invocation,
): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const { io } = invocation;
  const wanted = argv.find((word) => Object.hasOwn(commands, word));
  try {
    let cli = yargs([...argv])
      .scriptName('proxwarden')
      .usage('$0 <command>\n\nSafe automatic failover of Proxmox VE containers by backup and restore.')
      .version(PROXWARDEN_VERSION)
      .help()
      .strict()
      .exitProcess(false)
      .locale('en')
      .wrap(Math.min(110, io.columns))
      .parserConfiguration({
        'boolean-negation': false,
        'dot-notation': false,
        'duplicate-arguments-array': false,
      })
      .demandCommand(1, 'a command is needed')
      .epilogue(EPILOGUE)
      .fail((message, error) => {
        throw error ?? new UsageError(message);
      });
    for (const [name, entry] of Object.entries(commands)) {
      if (name === wanted) cli = (await entry.load()).register(cli, invocation, (c) => (code = c));
      else cli = cli.command(entry.usage, entry.describe);
    }
    let printed = '';
    await cli.parseAsync([...argv], {}, (_error, _args, output) => {
      printed = output;
    });
    if (printed !== '') io.out(printed);
    return code;
  } catch (error) {
    return report(error, argv, invocation);
  }
}

class UsageError extends Error {}

function report(error: unknown, argv: readonly string[], { io, runtime, signal }: Invocation): ExitCode {
  const debug =
    argv.some(
      (word, i) => word === '--log-level=debug' || (word === '--log-level' && argv[i + 1] === 'debug'),
    ) || runtime.env['PROXWARDEN_DEBUG'] !== undefined;
  const say = (text: string): void => io.err(redact(text));
  if (error instanceof UsageError) {
    say(`proxwarden: ${error.message} (see \`proxwarden --help\`)`);
    return EXIT.usage;
  }
  if (error instanceof ProxwardenError) {
    say(`proxwarden: ${error.message}`);
    if (error.hint !== undefined) say(`  → ${error.hint}`);
    if (debug && error.cause !== undefined)
      say(error.cause instanceof Error ? (error.cause.stack ?? error.cause.message) : String(error.cause));
    return error.exitCode;
  }
  if (signal.aborted) {
    say('proxwarden: interrupted; nothing was begun that is not in the journal');
    return EXIT.failed;
  }
  say(`proxwarden: unexpected: ${messageOf(error)} (a bug; --log-level debug shows where)`);
  if (debug && error instanceof Error) say(error.stack ?? '');
  return EXIT.failed;
}

const EPILOGUE = `Exit codes: 0 fine or done, 1 failed, 2 usage or invalid inventory, 3 unhealthy containers or changes planned,
4 blocked or stale plan (a person is needed), 5 inconclusive, 75 another run holds the lock. Treat others as failure.

Try it without Proxmox: proxwarden demo, or proxwarden lab up`;
