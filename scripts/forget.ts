import { forget } from '../lib/act/forget.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags, dryRunFlag } from '../lib/cli/options.ts';
import { openSession } from '../lib/cli/session.ts';
import { show } from '../lib/cli/say.ts';
import { EXIT } from '../lib/errors.ts';
import { forgottenText } from '../lib/tell/forget.ts';

export const forgetCommand = defineCommand({
  usage: 'forget <name>',
  describe: 'no longer follow a container that has left the inventory after a failover',
  flags: (y) =>
    dryRunFlag(commonFlags(y))
      .positional('name', { type: 'string', demandOption: true, describe: 'the container' })
      .example('$0 forget dns --dry-run', 'which copies there are, and what would still keep them down')
      .epilogue(
        'Changes nothing in the cluster. Until then the copies that it was moved away from are kept down, as if it were still in the inventory.',
      ),
  async run(args, invocation) {
    const session = await openSession(args, invocation);
    try {
      const forgotten = await forget(session, args.name, args);
      await session.teller.end();
      if (args.json) invocation.io.out(JSON.stringify(forgotten, null, 2));
      else show(invocation.io, forgottenText(forgotten, args.dryRun));
      return args.dryRun ? EXIT.unhealthy : EXIT.ok;
    } finally {
      await session.close();
    }
  },
});
