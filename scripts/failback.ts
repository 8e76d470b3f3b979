import { decideFailback } from '../lib/act/by-request.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { move, refuseBusy } from '../lib/cli/move.ts';
import { commonFlags, dryRunFlag } from '../lib/cli/options.ts';
import { containerNamed, openSession } from '../lib/cli/session.ts';
import { EXIT } from '../lib/errors.ts';
import { vmidNote } from '../lib/tell/failback.ts';

export const failback = defineCommand({
  usage: 'failback <name>',
  describe: 'move a container back to its home node: stopped, backed up, restored; nothing is lost',
  flags: (y) =>
    dryRunFlag(commonFlags(y))
      .positional('name', { type: 'string', demandOption: true, describe: 'the container' })
      .example('$0 failback dns --dry-run', 'which node is its home, and every gate; does nothing')
      .example('$0 failback dns', 'like `failover dns --planned --to HOME`')
      .epilogue(
        'Home is the node that `home:` names in the inventory, else that of its original. The copy that it leaves is kept down as any other; if anything fails before the new one is started, it is started again.',
      ),
  async run(args, invocation) {
    const session = await openSession(args, invocation, { steps: true });
    try {
      const container = containerNamed(session.inventory, args.name);
      refuseBusy(session, container);
      const { decision, home, current, original } = await decideFailback(session, container);
      if (decision !== null)
        return await move(
          session,
          { container, decision, notes: vmidNote(container, decision, original) },
          args,
        );
      await session.teller.end();
      invocation.io.out(
        args.json
          ? JSON.stringify({ container: container.name, home: home.node, current, moved: false }, null, 2)
          : `${container.name} is at home: ${current}`,
      );
      return EXIT.ok;
    } finally {
      await session.close();
    }
  },
});
