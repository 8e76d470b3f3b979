import { findings, reconcile } from '../lib/act/reconcile.ts';
import { busyContainers } from '../lib/act/busy.ts';
import { viewProblems } from '../lib/act/tick.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags, dryRunFlag } from '../lib/cli/options.ts';
import { show, warn } from '../lib/cli/say.ts';
import { openSession } from '../lib/cli/session.ts';
import { EXIT } from '../lib/errors.ts';
import { pauseLines } from '../lib/tell/brakes.ts';
import { observe } from '../lib/observe/observe.ts';
import { readOldDisks } from '../lib/observe/old-disks.ts';
import { diskLines } from '../lib/tell/old-disks.ts';
import { oneLine } from '../lib/text.ts';

export const reconcileCommand = defineCommand({
  usage: 'reconcile',
  describe: 'keep returned originals down, clear leftovers, report drift',
  flags: (y) =>
    dryRunFlag(commonFlags(y))
      .option('disks', {
        type: 'boolean',
        default: false,
        describe: 'list the disks that originals and earlier copies have left (nothing deletes them)',
      })
      .example('$0 reconcile --dry-run', 'say what is out of place'),
  async run(args, invocation) {
    const session = await openSession(args, invocation, { steps: true });
    try {
      const { inventory, state, apis, runtime, signal } = session;
      const observation = await observe({ inventory, state: state.read(), apis, runtime, signal });
      const found = findings(session, observation, busyContainers(session).busy);
      const left = args.dryRun ? found : await reconcile(session, found);
      await session.teller.end();
      const old = args.disks ? await readOldDisks({ ...session, observation, state: state.read() }) : null;
      const unseen = viewProblems(observation);
      if (args.json) {
        const told = found.map(({ container, text, act }) => ({
          container,
          text,
          needsPerson: act === null,
        }));
        const all = old === null ? told : { findings: told, disks: old.disks };
        invocation.io.out(JSON.stringify(all, null, 2));
      } else {
        show(
          invocation.io,
          found.length === 0
            ? `nothing is out of place${unseen.length > 0 ? ' in what could be seen' : ''}`
            : found.map((f) => oneLine(`${f.container}: ${f.text}`)).join('\n'),
        );
        if (old !== null) show(invocation.io, diskLines(old.disks, runtime.clock.now()).join('\n'));
      }
      warn(invocation.io, [
        ...pauseLines(state.read(), runtime.clock.now()),
        ...unseen,
        ...(old?.problems ?? []),
      ]);
      if (left.length > 0) return args.dryRun ? EXIT.unhealthy : EXIT.blocked;
      return unseen.length > 0 ? EXIT.inconclusive : EXIT.ok;
    } finally {
      await session.close();
    }
  },
});
