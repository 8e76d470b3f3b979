import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags } from '../lib/cli/options.ts';
import { show } from '../lib/cli/say.ts';
import { openInventory, stateDir } from '../lib/cli/session.ts';
import { EXIT, InputError, messageOf } from '../lib/errors.ts';
import type { NotifyTarget } from '../lib/inventory/types.ts';
import { openOutbox } from '../lib/state/outbox.ts';
import { openState } from '../lib/state/store.ts';
import { deliver } from '../lib/tell/notify/deliver.ts';
import { table } from '../lib/tell/tables.ts';
import { formatDuration } from '../lib/units.ts';

export const notify = defineCommand({
  usage: 'notify <action> [names..]',
  describe: 'whether people can be told: send a test message, or see what is still waiting',
  flags: (y) =>
    commonFlags(y)
      .positional('action', {
        choices: ['test', 'status'] as const,
        demandOption: true,
        describe: 'test: one message to each target; status: what could not be sent yet, and why',
      })
      .positional('names', {
        type: 'string',
        array: true,
        default: [],
        describe: 'only these targets of `notify.to`',
      })
      .example('$0 notify test', 'to all')
      .example('$0 notify test phone', 'only to the target of that name'),
  async run(args, invocation) {
    const inventory = await openInventory(args, invocation);
    const targets = chosen(inventory.notify.to, args.names);
    return args.action === 'test' ? test() : status();

    async function test() {
      const { runtime, io, signal } = invocation;
      const message = {
        title: 'Test: ProxWarden can reach you',
        text: 'Nothing has happened. This is what `proxwarden notify test` sends.',
        topic: 'test',
        urgency: 'info',
        containers: [],
        at: runtime.clock.now(),
      } as const;
      const results = await Promise.all(
        targets.map(async (target) => {
          try {
            await deliver(target, message, runtime, signal);
            return { target: target.name, failure: null };
          } catch (error) {
            if (signal.aborted) throw error;
            return { target: target.name, failure: messageOf(error) };
          }
        }),
      );
      if (args.json) io.out(JSON.stringify(results, null, 2));
      else for (const { target, failure } of results) show(io, failure ?? `${target} was told`);
      return results.every(({ failure }) => failure === null) ? EXIT.ok : EXIT.failed;
    }

    function status() {
      const { runtime, io } = invocation;
      const { clock } = runtime;
      const waiting = openOutbox(openState(stateDir(args, invocation), { clock }).dir, { clock })
        .waiting()
        .filter((entry) => targets.some((target) => target.name === entry.target));
      const now = clock.now();
      if (args.json) io.out(JSON.stringify(waiting, null, 2));
      else if (waiting.length === 0) show(io, 'nothing waits to be told');
      else
        io.out(
          table(
            ['TARGET', 'SINCE', 'ATTEMPTS', 'MESSAGE', 'FAILURE'],
            waiting.map(({ target, notice, attempts, failure }) => [
              target,
              `${formatDuration(Math.max(now - notice.at, 0))} ago`,
              String(attempts),
              notice.title,
              failure ?? '-',
            ]),
            io.columns,
          ),
        );
      return waiting.some(({ failure }) => failure !== null) ? EXIT.failed : EXIT.ok;
    }
  },
});

function chosen(targets: readonly NotifyTarget[], names: readonly string[]): readonly NotifyTarget[] {
  if (targets.length === 0)
    throw new InputError('the inventory names nobody to be told', {
      hint: 'add notify: { to: [ … ] } to one of its files; inventory/README.md shows how',
    });
  const known = targets.map((target) => target.name);
  for (const name of names)
    if (!known.includes(name))
      throw new InputError(`there is no target ${name} in notify.to (${known.join(', ')})`);
  return names.length === 0 ? targets : targets.filter((target) => names.includes(target.name));
}
