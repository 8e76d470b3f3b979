import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags } from '../lib/cli/options.ts';
import { containerNamed, openInventory, stateDir } from '../lib/cli/session.ts';
import { EXIT } from '../lib/errors.ts';
import { openState } from '../lib/state/store.ts';

export const ack = defineCommand({
  usage: 'ack <name>',
  describe: 'a person has looked after an error: let ProxWarden act on it again',
  flags: (y) =>
    commonFlags(y)
      .positional('name', { type: 'string', demandOption: true, describe: 'the container' })
      .example('$0 ack dns', 'after you have mended what `status` shows'),
  async run(args, invocation) {
    const container = containerNamed(openInventory(args, invocation), args.name);
    const state = openState(stateDir(args, invocation), { clock: invocation.runtime.clock });
    const before = state.read().containers[container.name];
    await state.update((s) => {
      const record = s.containers[container.name];
      // The counts start anew, so that nothing happens in the very next run; what is current is read from the cluster.
      if (record !== undefined)
        s.containers[container.name] = {
          ...record,
          error: null,
          // A person's word counts more than the time since a failover that went wrong.
          lastFailoverAt: record.error === null ? record.lastFailoverAt : null,
          failures: 0,
          successes: 0,
          firstFailureAt: null,
          restartedAt: null,
          current: null,
          identity: record.identity,
        };
    });
    const text =
      before?.error == null
        ? `${container.name}: there was no error; counts and caches start anew`
        : `${container.name}: acknowledged: ${before.error.reason}`;
    invocation.io.out(
      args.json ? JSON.stringify({ container: container.name, acknowledged: before?.error ?? null }) : text,
    );
    return EXIT.ok;
  },
});
