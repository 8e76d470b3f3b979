import { cleanUp, planCleanup } from '../lib/act/cleanup-op.ts';
import { terminalAsker } from '../lib/cli/ask.ts';
import { defineCommand, type Invocation } from '../lib/cli/command.ts';
import { refuseBusy } from '../lib/cli/move.ts';
import { commonFlags, dryRunFlag } from '../lib/cli/options.ts';
import { show } from '../lib/cli/say.ts';
import { containerNamed, openSession } from '../lib/cli/session.ts';
import { removable } from '../lib/decide/cleanup.ts';
import { BlockedError, EXIT, FailedError, InputError } from '../lib/errors.ts';
import { cleanupRows, cleanupText } from '../lib/tell/cleanup.ts';

export const cleanup = defineCommand({
  usage: 'cleanup <name>',
  describe: 'delete the copies that a container was moved away from, after seven days',
  flags: (y) =>
    dryRunFlag(commonFlags(y))
      .positional('name', { type: 'string', demandOption: true, describe: 'the container' })
      .option('vmid', {
        type: 'number',
        array: true,
        describe: 'only these of them',
      })
      .option('yes', {
        type: 'string',
        requiresArg: true,
        describe: 'the name once more, instead of typing it when asked',
      })
      .example('$0 cleanup dns --dry-run', 'what would be deleted, and how to look into it first')
      .example('$0 cleanup dns --yes dns', 'delete the superseded copies, the original among them')
      .epilogue(
        'Only with a sound backup of the current copy, which must have been current for seven days and answer now. Never the current copy, never a backup, nothing that runs, is locked, protected or under HA, and no disk that another copy uses.',
      ),
  async run(args, invocation) {
    const { io } = invocation;
    const session = await openSession(args, invocation, { steps: true });
    try {
      const container = containerNamed(session.inventory, args.name);
      if (args.yes !== undefined && args.yes !== container.name)
        throw new InputError(`--yes ${args.yes} is not the name of the container, ${container.name}`);
      refuseBusy(session, container);
      const plan = await planCleanup(session, container);
      const rows = cleanupRows(plan, args.vmid ?? []);
      const going = removable(plan).filter((e) => rows.some((r) => r.remove && r.vmid === e.old.vmid));
      await session.teller.end();
      const text = cleanupText(plan, rows, io.columns);
      if (!args.json) show(io, text);
      const done = (removed: readonly string[]): void => {
        if (args.json)
          io.out(
            JSON.stringify(
              { gates: plan.gates, copies: rows.map((r) => ({ ...r, removed: removed.includes(r.copy) })) },
              null,
              2,
            ),
          );
      };
      const stuck = plan.gates.find((g) => !g.ok);
      if (going.length === 0) {
        done([]);
        if (rows.length === 0 && !args.json) io.out(`${container.name}: there is nothing to delete`);
        if (rows.length === 0) return EXIT.ok;
        throw new BlockedError(
          `nothing of ${container.name} is deleted: ${stuck?.evidence ?? rows[0]?.why ?? ''}`,
          {
            hint: stuck?.flip ?? undefined,
          },
        );
      }
      if (args.dryRun) {
        done([]);
        return EXIT.unhealthy;
      }
      await confirm(container.name, args.yes, invocation);
      const { removed, failures } = await cleanUp(session, container, going);
      await session.teller.end();
      done(removed);
      if (failures.length > 0)
        throw new FailedError(
          `${failures.length} of ${going.length} copies of ${container.name} were not deleted: ${failures.join('; ')}`,
        );
      if (!args.json) io.out(`deleted: ${removed.join(', ')}`);
      return EXIT.ok;
    } finally {
      await session.close();
    }
  },
});

async function confirm(name: string, yes: string | undefined, { signal }: Invocation): Promise<void> {
  if (yes !== undefined) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new InputError(`nothing is deleted without a word: add --yes ${name}`);
  const asker = terminalAsker(process.stdin, process.stderr, signal);
  const typed = await asker.ask(`This can't be taken back. Type the container's name to delete them:`);
  if (typed !== name) throw new InputError(`that is not ${name}: nothing is deleted`);
}
