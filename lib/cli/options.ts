/** The flags that (almost) every command takes. */
import type { Argv } from 'yargs';
import { COMMON_FLAGS } from './help.ts';

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** --inventory, --state, --json, --log-level. */
export function commonFlags<T>(yargs: Argv<T>) {
  return yargs
    .option('inventory', {
      type: 'string',
      requiresArg: true,
      describe: 'folder of the inventory [$PROXWARDEN_INVENTORY, else ./inventory]',
    })
    .option('state', {
      type: 'string',
      requiresArg: true,
      describe:
        "folder of the state [$PROXWARDEN_STATE, else ./state; the lab's: .lab/state in its inventory]",
    })
    .option('json', {
      type: 'boolean',
      default: false,
      describe: 'print one JSON document; progress on stderr is JSON, too, one event per line',
    })
    .option('log-level', {
      choices: LOG_LEVELS,
      default: 'info' as const,
      describe: 'how much is told on stderr',
    })
    .group(['inventory', 'state', 'json', 'log-level', 'help', 'version'], COMMON_FLAGS);
}

/** Container names and --cluster, to narrow. */
export function narrowFlags<T>(yargs: Argv<T>) {
  return yargs
    .positional('names', {
      type: 'string',
      array: true,
      default: [] as string[],
      describe: 'only these containers',
    })
    .option('cluster', { type: 'string', requiresArg: true, describe: 'only containers of this cluster' });
}

export function dryRunFlag<T>(yargs: Argv<T>) {
  return yargs.option('dry-run', {
    type: 'boolean',
    default: false,
    describe: 'say what would be done, and do nothing',
  });
}
