import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags, narrowFlags } from '../lib/cli/options.ts';
import { show, warn } from '../lib/cli/say.ts';
import { stateDir } from '../lib/cli/session.ts';
import { EXIT, InputError } from '../lib/errors.ts';
import { openOperations } from '../lib/state/operations.ts';
import { openState } from '../lib/state/store.ts';
import { historyDetail, historyOf, historyTable } from '../lib/tell/history.ts';

const SHOWN = 20;

export const history = defineCommand({
  usage: 'history [names..]',
  describe: 'what has been done, step by step, from the journals',
  flags: (y) =>
    narrowFlags(commonFlags(y))
      .option('operation', { type: 'string', requiresArg: true, describe: 'every step of this operation' })
      .option('limit', { type: 'number', requiresArg: true, default: SHOWN, describe: 'so many, the newest' })
      .example('$0 history web', 'the last operations of a container')
      .example('$0 history --operation op-20261122T201647-a1b2c3', 'each step with its time and its result'),
  run(args, invocation) {
    const { runtime, io } = invocation;
    if (!Number.isInteger(args.limit) || args.limit < 1)
      throw new InputError('--limit must be a whole number from 1 on');
    const { dir } = openState(stateDir(args, invocation), { clock: runtime.clock });
    const operations = openOperations(dir, { clock: runtime.clock });
    if (args.operation !== undefined) {
      const [row] = historyOf([operations.load(args.operation)]);
      if (row !== undefined && args.json) io.out(JSON.stringify(row, null, 2));
      else if (row !== undefined) for (const line of historyDetail(row)) show(io, line);
      return Promise.resolve(EXIT.ok);
    }
    const found = operations.list();
    // Not narrowed by the inventory: what has left it has a history, too.
    const rows = historyOf(found.operations)
      .filter((row) => args.names.length === 0 || args.names.includes(row.container))
      .filter((row) => args.cluster === undefined || row.cluster === args.cluster)
      .slice(0, args.limit);
    if (args.json) io.out(JSON.stringify(rows, null, 2));
    else if (rows.length === 0) show(io, 'nothing has been done yet');
    else io.out(historyTable(rows, io.columns));
    warn(
      io,
      found.problems.map((problem) => problem.message),
    );
    return Promise.resolve(found.problems.length > 0 ? EXIT.failed : EXIT.ok);
  },
});
