import { findings, reconcile } from '../lib/act/reconcile.ts';
import { busyContainers } from '../lib/act/tick.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags, dryRunFlag } from '../lib/cli/options.ts';
import { openSession } from '../lib/cli/session.ts';
import { EXIT } from '../lib/errors.ts';
import { observe } from '../lib/observe/observe.ts';

export const reconcileCommand = defineCommand({
  usage: 'reconcile',
  describe: 'keep returned originals down, clear leftovers, report drift',
  flags: (y) => dryRunFlag(commonFlags(y)).example('$0 reconcile --dry-run', 'say what is out of place'),
  async run(args, invocation) {
    const session = await openSession(args, invocation, { steps: true });
    try {
      const { inventory, state, apis, runtime, signal } = session;
      const observation = await observe({ inventory, state: state.read(), apis, runtime, signal });
      const found = findings(session, observation, busyContainers(session).busy);
      const left = args.dryRun ? found : await reconcile(session, found);
      await session.teller.end();
      if (args.json)
        invocation.io.out(
          JSON.stringify(
            found.map(({ container, text, act }) => ({ container, text, needsPerson: act === null })),
            null,
            2,
          ),
        );
      else
        invocation.io.out(
          found.length === 0
            ? 'nothing is out of place'
            : found.map((f) => `${f.container}: ${f.text}`).join('\n'),
        );
      if (args.dryRun) return found.length === 0 ? EXIT.ok : EXIT.unhealthy;
      return left.length === 0 ? EXIT.ok : EXIT.blocked;
    } finally {
      await session.close();
    }
  },
});
